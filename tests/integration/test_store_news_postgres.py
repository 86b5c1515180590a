"""Appends are announced: whoever waits for them on PostgreSQL wakes up at once, and looks by itself if need be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import LiteralString

import pytest

from events.store import EventStore, open_store
from tests.stores import accepted, write

pytestmark = pytest.mark.postgres

NEVER_S = 600
"""Looking unasked is put off for so long: what wakes up before has been told."""
AT_ONCE_S = 20
"""A hundred times what it takes, for machines that are busy with something else."""


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    store = open_store(postgres_url)
    store._news.SAFETY_POLL_S = NEVER_S
    yield store
    store.close()


@pytest.fixture
def other(postgres_url: str) -> Iterator[EventStore]:
    """As another process has it."""
    store = open_store(postgres_url)
    yield store
    store.close()


def execute(url: str, statement: LiteralString, *params: object) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement, params)


def seconds_until_told(store: EventStore, after: int, cause: Callable[[], object]) -> float:
    """From what causes the news, which happens while the store waits, until it has noticed."""
    happened: list[float] = []

    def happen() -> None:
        time.sleep(0.1)
        happened.append(time.monotonic())
        cause()

    thread = threading.Thread(target=happen)
    thread.start()
    assert store.wait(after, timeout_s=AT_ONCE_S)
    noticed = time.monotonic()
    thread.join()
    return noticed - happened[0]


def test_an_append_of_another_process_wakes_who_waits_long_before_it_would_look(
    store: EventStore, other: EventStore
) -> None:
    took = [
        seconds_until_told(store, version, lambda version=version: other.append([write("order-1", version)]))  # type: ignore[misc]
        for version in range(10)
    ]

    assert max(took) < AT_ONCE_S
    # The polling interval is a second, without the announcement it would be half of one on average.
    assert sorted(took)[len(took) // 2] < 0.25


def test_nothing_is_missed_between_looking_and_waiting(store: EventStore, other: EventStore) -> None:
    """Appends at every moment of the waiter's round: none of them leaves it asleep."""
    done = threading.Event()

    def append() -> None:
        for version in range(300):
            other.append([write("order-1", version)])
        done.set()

    writer = threading.Thread(target=append)
    writer.start()
    position = 0
    while position < 300:
        assert store.wait(position, timeout_s=AT_ONCE_S)
        position = store.last_position()
    writer.join()


def test_what_was_appended_while_nobody_listened_wakes_as_well(
    store: EventStore, other: EventStore, postgres_url: str
) -> None:
    assert not store.wait(0, timeout_s=0.2)  # it listens now

    def cut_and_append() -> None:
        ours = "datname = current_database() AND pid <> pg_backend_pid()"
        execute(postgres_url, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {ours}")
        other.append([write("order-1", 0)])

    assert seconds_until_told(store, 0, cut_and_append) < AT_ONCE_S
    assert seconds_until_told(store, 1, lambda: other.append([write("order-1", 1)])) < AT_ONCE_S


def test_what_nobody_announced_is_found_by_looking(store: EventStore, postgres_url: str) -> None:
    store._news.SAFETY_POLL_S = 0.5
    insert: LiteralString = "INSERT INTO stored_events VALUES ('order-1', 1, %s, '{}')"
    assert seconds_until_told(store, 0, lambda: execute(postgres_url, insert, accepted().event.type)) < AT_ONCE_S


def test_a_store_that_is_closed_leaves_no_listener_behind(postgres_url: str) -> None:
    store = open_store(postgres_url)
    assert not store.wait(0, timeout_s=0.1)
    assert "waybill-listener" in {thread.name for thread in threading.enumerate()}
    store.close()
    assert "waybill-listener" not in {thread.name for thread in threading.enumerate()}
