"""What tests share: a home folder, a free port, a browser, a PostgreSQL server, and no surprises from outside.

With WAYBILL_REQUIRE_ALL=1 (CI sets it) a skipped test counts as a failure: a machine that lacks the browser must not
look like one on which the page was tested. A test that may be skipped even there is marked `may_skip`.
"""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.postgres import PostgresServer, server_programs

REQUIRE_ALL = "WAYBILL_REQUIRE_ALL"
KEPT = {REQUIRE_ALL, "WAYBILL_CLUSTER_CACHE"}  # about the machine, not about Waybill

# Deterministic by default: a test that fails on one run fails on the next. HYPOTHESIS_PROFILE=search draws anew.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None, print_blob=True)
settings.register_profile("search", deadline=None, max_examples=1_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


def pytest_configure() -> None:
    """A developer's own WAYBILL_* settings must not reach the tests."""
    for name in [name for name in os.environ if name.startswith("WAYBILL_")]:
        if name not in KEPT and not name.startswith("WAYBILL_TEST_"):
            del os.environ[name]


def _all_required() -> bool:
    return os.environ.get(REQUIRE_ALL, "") not in {"", "0"}


def _fail(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"skipped, although {REQUIRE_ALL} is set: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected_failure = hasattr(report, "wasxfail")
    if report.skipped and _all_required() and not expected_failure and not item.get_closest_marker("may_skip"):
        _fail(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if report.skipped and _all_required():
        _fail(report)
    return report


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder for `--home`."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback address that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """The machine's Chromium, for Playwright's `executable_path`; the test is skipped where there is none."""
    names = [os.environ.get("WAYBILL_TEST_CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"]
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    if found is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    return found


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server of our own, started at most once per test process; skipped where there is none."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="psycopg is not installed (pip install 'waybill[postgres]')")
    with PostgresServer(programs) as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    """The URL of a new, empty database."""
    return postgres_server.new_database()
