"""The event store on PostgreSQL when connections break, replies are lost, and processes die with the lock in hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, LiteralString

import pytest

from events.base import Recorded, Tracked
from events.store import CommitOutcomeUnknown, EventStore, StoreUnavailable, open_store
from tests.postgres import PostgresServer
from tests.stores import everything, start_writer, write
from tests.wire import Wire

pytestmark = pytest.mark.postgres


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    with Wire(postgres_server.port) as wire:
        yield wire


@pytest.fixture
def store(postgres_url: str, wire: Wire) -> Iterator[EventStore]:
    """A store whose line goes over the wire."""
    store = open_store(postgres_url.replace(f":{wire.server_port}/", f":{wire.port}/"))
    store.SETTLE_PAUSE_S = 0.01
    yield store
    store.close()


@pytest.fixture
def direct(postgres_url: str) -> Iterator[EventStore]:
    """A store with a line of its own."""
    store = open_store(postgres_url)
    yield store
    store.close()


def test_a_commit_whose_reply_was_lost_is_reported_as_done(store: EventStore, direct: EventStore, wire: Wire) -> None:
    wire.cut = "after"
    recorded = store.append([write("order-1", 0, count=2), write("order-2", 0)], tracked=Tracked("payment", 3))

    assert wire.was_cut
    assert everything(direct) == everything(store) == recorded
    assert [one.stream for one in recorded] == ["order-1", "order-1", "order-2"]
    assert direct.tracked_position("payment") == 3


def test_a_commit_that_never_arrived_is_reported_as_not_done(store: EventStore, direct: EventStore, wire: Wire) -> None:
    wire.cut = "before"
    with pytest.raises(StoreUnavailable, match="nothing was written, try again"):
        store.append([write("order-1", 0)], tracked=Tracked("payment", 3))

    assert wire.was_cut
    assert everything(direct) == []
    assert direct.tracked_position("payment") == 0
    recorded = store.append([write("order-1", 0)], tracked=Tracked("payment", 3))
    assert everything(direct) == recorded


def test_a_tracked_position_whose_reply_was_lost_is_reported_as_done(store: EventStore, wire: Wire) -> None:
    wire.cut = "after"
    assert store.append([], tracked=Tracked("payment", 3)) == []
    assert store.tracked_position("payment") == 3


def test_what_cannot_be_found_out_is_reported_as_unknown(store: EventStore, direct: EventStore, wire: Wire) -> None:
    wire.cut = "after, then dead"
    with pytest.raises(CommitOutcomeUnknown, match="the reply to the commit was lost"):
        store.append([write("order-1", 0)])
    assert len(everything(direct)) == 1


def execute(url: str, statement: LiteralString) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)


def test_connections_that_the_server_has_closed_are_replaced(store: EventStore, postgres_url: str) -> None:
    store.append([write("order-1", 0)])
    ours = "datname = current_database() AND pid <> pg_backend_pid()"
    execute(postgres_url, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {ours}")
    assert store.append([write("order-1", 1)])[0].version == 2
    assert len(everything(store)) == 2


def test_no_reader_minds_a_gap_between_positions(store: EventStore, direct: EventStore, postgres_url: str) -> None:
    first = store.append([write("order-1", 0)])
    execute(postgres_url, "SELECT nextval('stored_events_notification_id_seq')")  # as a failed append leaves it
    second = store.append([write("order-1", 1)])

    assert second[0].position == first[0].position + 2
    assert everything(store) == everything(direct) == first + second
    assert store.read_after(first[0].position, limit=5) == second


def test_a_transaction_that_holds_the_lock_and_does_nothing_is_ended(direct: EventStore, postgres_url: str) -> None:
    import psycopg

    recorder: Any = direct._recorder
    with recorder.datastore.get_connection() as connection:
        [timeout] = connection.execute("SHOW idle_in_transaction_session_timeout").fetchone().values()
    assert timeout == "5s"

    stopped = psycopg.connect(postgres_url)
    stopped.execute("SET idle_in_transaction_session_timeout = '200ms'")
    stopped.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
    # As if that process were stopped here: the append waits until the server has ended the transaction.
    assert len(direct.append([write("order-1", 0)])) == 1
    stopped.close()


@pytest.mark.slow
def test_eight_writing_processes_and_a_reader_who_follows_miss_nothing(postgres_url: str) -> None:
    # On a database that is empty: all of them make the tables at the same moment.
    writers = [start_writer(postgres_url, f"order-{number}", appends=60) for number in range(8)]
    store = open_store(postgres_url)
    seen: list[Recorded] = []
    while len(seen) < 960:
        position = seen[-1].position if seen else 0
        assert store.wait(position, timeout_s=60)
        seen += store.read_after(position, limit=50)
    outputs = [writer.communicate(timeout=60)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 8
    # A position that became visible after a later one would be in the log and not among those that were seen.
    assert seen == everything(store, page=500)
    for number, output in enumerate(outputs):
        versions = {one.position: one.version for one in seen if one.stream == f"order-{number}"}
        assert list(versions.values()) == list(range(1, 121))
        for line in output.splitlines():
            position, version = map(int, line.split())
            assert versions[position] == version
    store.close()


def test_a_server_that_is_not_there_is_reported_in_words_and_without_the_password(free_port: int) -> None:
    with pytest.raises(StoreUnavailable, match="refused") as refused:
        open_store(f"postgresql://me:secret@127.0.0.1:{free_port}/log")
    assert "secret" not in str(refused.value)
