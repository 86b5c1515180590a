"""The event store when its database lost what was acknowledged: it halts, loudly, and gives no position out twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import LiteralString

import pytest

from events.base import Tracked
from events.feed import StoreFeed
from events.order import OrderAccepted
from events.store import EventStore, StoreError, StoreWentBack, open_store
from tests.postgres import PostgresServer, server_programs
from tests.stores import everything, write
from tests.wire import Wire

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(postgres_url: str) -> Iterator[EventStore]:
    store = open_store(postgres_url)
    yield store
    store.close()


@pytest.fixture
def other(postgres_url: str) -> Iterator[EventStore]:
    """As another process has it, which came when the database was as it is now."""
    store = open_store(postgres_url)
    yield store
    store.close()


def execute(url: str, *statements: LiteralString) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


EVERY_USE: dict[str, Callable[[EventStore], object]] = {
    "append": lambda store: store.append([write("order-9", 0)]),
    "append to a stream that it wrote": lambda store: store.append([write("order-1", 10)]),
    "track": lambda store: store.append([], tracked=Tracked("payment", 99)),
    "look at the end": lambda store: store.last_position(),
    "wait": lambda store: store.wait(10, timeout_s=0),
    "tail": lambda store: StoreFeed(store, frozenset({OrderAccepted})).read(10, 5),
}
LOSSES: dict[str, tuple[LiteralString, ...]] = {
    "the last one": ("DELETE FROM stored_events WHERE notification_id = 10",),
    "half of it": ("DELETE FROM stored_events WHERE notification_id > 5",),
    "everything": ("TRUNCATE stored_events RESTART IDENTITY", "TRUNCATE notification_tracking"),
    "the end, which was written again": (
        "DELETE FROM stored_events WHERE notification_id > 5",
        "INSERT INTO stored_events SELECT 'order-2', n - 5, 'order.accepted.v1', '{}', n FROM generate_series(6, 20) n",
    ),
    "the end, which was written again alike": (
        "UPDATE stored_events SET state = replace(convert_from(state, 'UTF8'), ':00', ':01')::bytea WHERE state <> ''",
    ),
}


@pytest.mark.parametrize("use", EVERY_USE)
@pytest.mark.parametrize("loss", LOSSES)
def test_whatever_was_lost_is_noticed_at_the_next_use(
    store: EventStore, postgres_url: str, loss: str, use: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.append([write("order-1", 0, count=10)])
    execute(postgres_url, *LOSSES[loss])

    with pytest.raises(StoreWentBack, match="seen at position 10"):
        EVERY_USE[use](store)

    # Loudly, once, and from now on for everybody in this process.
    assert [one.levelno for one in caplog.records] == [logging.CRITICAL]
    for any_use in (*EVERY_USE.values(), everything):
        with pytest.raises(StoreWentBack):
            any_use(store)
    with pytest.raises(StoreWentBack):
        store.read_stream("order-1")
    assert len(caplog.records) == 1


def test_nothing_is_written_by_who_has_seen_more(store: EventStore, other: EventStore, postgres_url: str) -> None:
    store.append([write("order-1", 0, count=10)], tracked=Tracked("payment", 4))
    execute(postgres_url, "DELETE FROM stored_events WHERE notification_id > 5")

    with pytest.raises(StoreWentBack):
        store.append([write("order-1", 10)], tracked=Tracked("payment", 5))

    assert [one.version for one in everything(other)] == [1, 2, 3, 4, 5]
    assert other.tracked_position("payment") == 4


def test_a_reader_notices_what_it_has_only_read(store: EventStore, other: EventStore, postgres_url: str) -> None:
    other.append([write("order-1", 0, count=10)])
    assert store.last_position() == 10
    execute(postgres_url, "DELETE FROM stored_events WHERE notification_id = 10")
    with pytest.raises(StoreWentBack):
        store.wait(10, timeout_s=60)


def test_positions_that_would_be_given_out_twice_are_not(store: EventStore, postgres_url: str) -> None:
    """The table was restored, and the sequence that numbers it was not."""
    store.append([write("order-1", 0, count=10)])
    execute(postgres_url, "ALTER SEQUENCE stored_events_notification_id_seq RESTART WITH 3")
    with pytest.raises(StoreWentBack):
        store.append([write("order-2", 0)])
    assert [one.stream for one in everything(open_store(postgres_url))] == ["order-1"] * 10


def test_what_only_grows_has_not_gone_back(store: EventStore, other: EventStore) -> None:
    """Two who append, and several threads that look: an older look is no proof of a loss."""
    faults: list[StoreError] = []
    done = threading.Event()

    def look() -> None:
        try:
            while not done.is_set():
                store.last_position()
        except StoreError as fault:
            faults.append(fault)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(100):
        for name, by in (("order-1", store), ("order-2", other)):
            by.append([write(name, version)])
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert store.last_position() == 200


# --- a real standby --------------------------------------------------------------------------------------------------


@pytest.fixture
def primary() -> Iterator[PostgresServer]:
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    with PostgresServer(programs, durable=True) as server:
        yield server


@pytest.mark.slow
def test_a_standby_that_lagged_is_promoted_and_whoever_saw_more_halts(primary: PostgresServer) -> None:
    programs = server_programs()
    assert programs is not None
    url = primary.new_database()
    with Wire(primary.port) as wire:
        address = url.replace(f":{primary.port}/", f":{wire.port}/")
        store, late = open_store(address), open_store(address)
        store.append([write("order-1", 0, count=5)], tracked=Tracked("payment", 3))
        assert late.last_position() == 5
        with PostgresServer(programs, durable=True, standby_of=primary) as standby:
            standby.stop()  # from here on it receives nothing
            store.append([write("order-1", 5, count=5)], tracked=Tracked("payment", 8))
            primary.stop(at_once=True)
            standby.start()
            standby.promote()
            wire.server_port = standby.port
            wire.hang_up()

            with pytest.raises(StoreWentBack, match="seen at position 10"):
                store.append([write("order-1", 10)], tracked=Tracked("payment", 9))
            with pytest.raises(StoreWentBack):
                store.last_position()
            # Who has not seen what was lost goes on, on what there is.
            assert [one.version for one in everything(late)] == [1, 2, 3, 4, 5]
            [recorded] = late.append([write("order-1", 5)], tracked=Tracked("payment", 4, after=3))
            assert recorded.version == 6
            late.close()
            store.close()
