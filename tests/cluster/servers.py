"""Real servers for tests: shared ones that nobody may disturb, and own ones that a test may kill, pause and restart.

A test asks for a fixture by its name; conftest.py makes them known in this folder (for another folder, import them in
its conftest.py). Where a server cannot be had the test is skipped with a sentence, which counts as a failure where
WAYBILL_REQUIRE_ALL is set.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.local.machine import Missing
from deploy.local.servers import KafkaServer, PostgresServer, RedisServer

_THROWN_AWAY = {"fsync": "off", "full_page_writes": "off"}  # of data that no test keeps: safety costs seconds


@contextmanager
def _folder(what: str) -> Iterator[Path]:
    # Not under pytest's own folder: that one is closed to the other user that PostgreSQL may have to run as.
    folder = Path(tempfile.mkdtemp(prefix=f"waybill-{what}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _kafka() -> Iterator[KafkaServer]:
    with _folder("kafka") as folder:
        try:
            server = KafkaServer(folder, tied=True).start()
        except Missing as missing:
            pytest.skip(str(missing))
        with server:
            yield server


@pytest.fixture(scope="session")
def real_kafka() -> Iterator[KafkaServer]:
    """One broker for each test process, for all of its tests: leave it as it is, and use `topic_prefix`."""
    with _kafka() as server:
        yield server


@pytest.fixture
def own_kafka() -> Iterator[KafkaServer]:
    """A broker of the test's own, to be killed and restarted (3 s)."""
    with _kafka() as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own, to be killed and restarted (1 s); its `url` holds the password."""
    with _folder("postgres") as folder:
        try:
            server = PostgresServer(folder, options=_THROWN_AWAY, tied=True).start()
        except Missing as missing:
            pytest.skip(str(missing))
        with server:
            yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis of the test's own, to be flushed, killed and restarted (20 ms)."""
    with _folder("redis") as folder:
        try:
            server = RedisServer(folder, tied=True).start()
        except Missing as missing:
            pytest.skip(str(missing))
        with server:
            yield server


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """For the names of topics and groups on the shared broker: no other test of this run has it."""
    return re.sub(r"[^a-zA-Z0-9._-]+", "-", request.node.nodeid)[-150:].strip("-.") + "."
