"""The drill in small: 150 orders, one fault of each kind on every sort of part. `make drill` is the real one."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.machine import Missing
from tests.drill.run import Wanted, drill

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(400)]

ONE_OF_EACH = frozenset(
    {"kill order", "pause payment", "kill relay", "kill gateway", "kafka.kill", "postgres.kill", "redis.flush", "cut"}
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to everybody: PostgreSQL may have to run as another user."""
    made = Path(tempfile.mkdtemp(prefix="waybill-drill-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_nothing_is_lost_or_doubled_whatever_dies(folder: Path) -> None:
    # given a whole cluster, and orders by HTTP and by the intake topic
    wanted = Wanted(orders=150, faults=27, rate=10.0, seed=1, folder=folder, kinds=ONE_OF_EACH)

    # when one part after the other is killed, stopped, emptied or cut off
    try:
        report = drill(wanted)
    except Missing as missing:
        pytest.skip(str(missing))

    # then everything that was acknowledged was carried through, once
    assert report["acknowledged"] == report["orders"] > 150
    assert {name: report[name] for name in ("lost", "duplicated", "oversold", "double_charged", "stuck")} == {
        "lost": 0, "duplicated": 0, "oversold": 0, "double_charged": 0, "stuck": 0,
    }  # fmt: skip
    assert report["projections_identical"]
    assert report["other_findings"] == {}, report["details"]
    assert set(report["faults"]) == ONE_OF_EACH
