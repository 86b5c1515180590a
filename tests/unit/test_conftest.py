"""In CI a skipped test counts as a failure, unless it is marked as one that may be skipped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TESTS = """\
import os
import pytest

def test_lacks_something():
    pytest.skip("no browser")

@pytest.mark.may_skip
def test_may_lack_something():
    pytest.skip("no data")

@pytest.mark.xfail(strict=True)
def test_fails_as_expected():
    assert False

def test_sees_no_settings_of_the_developer():
    assert "WAYBILL_STORE_URL" not in os.environ
"""


def closing_line(folder: Path, **environment: str) -> str:
    (folder / "test_sample.py").write_text(TESTS)
    command: list[str] = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.conftest",
        "-c",
        os.devnull,
        "--rootdir",
        str(folder),
        str(folder),
    ]
    done: subprocess.CompletedProcess[str] = subprocess.run(
        [*command, "-W", "ignore::pytest.PytestUnknownMarkWarning", "-p", "no:cacheprovider"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WAYBILL_STORE_URL": "memory:", **environment},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout.splitlines()[-1].rpartition(" in ")[0]


@pytest.mark.parametrize(
    ("required", "closing"),
    [("", "1 passed, 2 skipped, 1 xfailed"), ("1", "1 failed, 1 passed, 1 skipped, 1 xfailed")],
)
def test_a_skip_counts_as_a_failure_where_all_is_required(tmp_path: Path, required: str, closing: str) -> None:
    assert closing_line(tmp_path, WAYBILL_REQUIRE_ALL=required) == closing
