"""What an import comes to if nobody disturbs it, and that one which was killed and run again comes to the same."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from services.wiring import open_reads
from tests.e2e.processes import (
    CHILDREN_END_WITHIN_S,
    Environment,
    Outcome,
    Trace,
    assert_lawful,
    importing,
    outlived_s,
    trace,
    verdict,
    waybill,
)

# Small batches make many commits, and so many different states to be killed in.
SMALL_BATCHES: Environment = {"WAYBILL_BATCH_EVENTS": "40"}

Run = Callable[..., Outcome]
"""Runs the command to its end, as `waybill` does."""


class Undisturbed(NamedTuple):
    """What an import of this file comes to if nobody kills it."""

    file: Path
    seconds: float
    summary: dict[str, Any]
    trace: Trace
    status: dict[str, Any]
    rejects: dict[str, bytes]


def undisturbed(file: Path, home: Path, *, run: Run = waybill, env: Environment = SMALL_BATCHES) -> Undisturbed:
    began = time.monotonic()
    outcome = run(*importing(file), home=home, env=env)
    seconds = time.monotonic() - began
    assert outcome.code == 0, outcome
    return Undisturbed(
        file, seconds, without_timing(outcome.json), trace(home), status_and_rebuild(home), rejects_of(home)
    )


def without_timing(summary: dict[str, Any]) -> dict[str, Any]:
    timing = {"seconds", "orders_per_s", "new_orders", "already_imported"}
    return {name: value for name, value in summary.items() if name not in timing}


def status_and_rebuild(home: Path) -> dict[str, Any]:
    """What the read models say, after they were compared with what the log gives anew."""
    with open_reads(home) as reads:
        status = reads.status()
        rebuilt = reads.rebuild(lambda position, head: None)
        assert rebuilt["identical"], rebuilt
        assert reads.status() == status
        return status


def rejects_of(home: Path) -> dict[str, bytes]:
    """Every file in the folder of rejects, a part that was never finished as well."""
    folder = home / "rejects"
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}


# --- what must be true afterwards ------------------------------------------------------------------------------------


def is_dead(home: Path, scratch: Path, *, within_s: float = CHILDREN_END_WITHIN_S) -> None:
    """Killed at this moment, it leaves a lawful log, and no children behind."""
    outlived_s(home, within_s=within_s)
    assert_lawful(home, scratch)


def ends_as_if_nothing_happened(
    expected: Undisturbed, home: Path, *, run: Run = waybill, env: Environment = SMALL_BATCHES
) -> None:
    """The same command again comes to what it would have come to."""
    outcome = run(*importing(expected.file), home=home, env=env)
    assert outcome.code == 0, outcome
    ended_as_if_nothing_happened(expected, home, outcome)


def ended_as_if_nothing_happened(expected: Undisturbed, home: Path, outcome: Outcome) -> None:
    assert without_timing(outcome.json) == expected.summary
    found = trace(home)
    for field in Trace._fields:
        assert getattr(found, field) == getattr(expected.trace, field), field
    assert_charged_once(found)
    judged = verdict(home)
    assert judged.ok, judged.violations
    assert status_and_rebuild(home) == expected.status
    assert rejects_of(home) == expected.rejects


def assert_charged_once(found: Trace) -> None:
    to_pay = {order: total for order, total in found.placed.items() if total}
    assert found.charged == to_pay
    assert found.captured == to_pay
    assert set(found.payments.values()) == {1}
    assert set(found.parcels.values()) == {1}
