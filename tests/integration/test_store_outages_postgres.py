"""The event store on PostgreSQL when the line is cut at any moment, and when the server goes away and comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count

import pytest

from events.base import Recorded, Tracked
from events.store import CommitOutcomeUnknown, EventStore, StoreUnavailable, open_store
from tests.postgres import PostgresServer, server_programs
from tests.stores import everything, write
from tests.wire import Cut, Wire

pytestmark = pytest.mark.postgres


@pytest.fixture
def wire(postgres_server: PostgresServer) -> Iterator[Wire]:
    with Wire(postgres_server.port) as wire:
        yield wire


def over(wire: Wire, url: str) -> EventStore:
    """A store whose line goes over the wire."""
    store = open_store(url.replace(f":{wire.server_port}/", f":{wire.port}/"))
    store.SETTLE_PAUSE_S = 0.01
    return store


@pytest.fixture
def direct(postgres_url: str) -> Iterator[EventStore]:
    """A store with a line of its own."""
    store = open_store(postgres_url)
    yield store
    store.close()


# --- the line is cut at every message --------------------------------------------------------------------------------


class Day:
    """Appends, small and large, with all that can be read in between, and what the store said of them."""

    def __init__(self, store: EventStore, name: str) -> None:
        self._store = store
        self._stream = f"order-{name}"
        self._consumer = f"payment-{name}"
        self.done: list[Recorded] = []
        self.tracked = 0
        self.refusals = 0

    def go_by(self) -> None:
        self._read()
        for number, size in enumerate((2, 1, 400), 1):  # the last one takes several packets
            self._try(partial(self._append, number, size))
            self._read()
        self._try(self._track)

    def _append(self, number: int, size: int) -> None:
        tracked = Tracked(self._consumer, number, after=self.tracked)
        self.done += self._store.append([write(self._stream, len(self.done), size)], tracked=tracked)
        self.tracked = number

    def _track(self) -> None:
        self._store.append([], tracked=Tracked(self._consumer, 10, after=self.tracked))
        self.tracked = 10

    def _read(self) -> None:
        self._try(lambda: self._see(self._store))

    def _try(self, do: Callable[[], None]) -> None:
        try:
            do()
        except StoreUnavailable:
            self.refusals += 1

    def _see(self, store: EventStore) -> None:
        """What was acknowledged is there, and nothing else."""
        assert store.read_stream(self._stream) == self.done
        assert store.stream_versions([self._stream]) == ({self._stream: len(self.done)} if self.done else {})
        if self.done:
            first = self.done[0].position
            assert store.read_after(first - 1, limit=1_000) == self.done
            assert store.last_position() == self.done[-1].position
        assert store.tracked_position(self._consumer) == self.tracked


@pytest.mark.parametrize("cut", ["before", "after"])
def test_wherever_the_line_is_cut_what_was_acknowledged_is_there_and_nothing_else(
    wire: Wire, postgres_url: str, direct: EventStore, cut: Cut
) -> None:
    """A cut at the first message, at the second, and so on, until a day goes by without it."""
    for number in count(1):
        store = over(wire, postgres_url)
        wire.cut, wire.cut_at = cut, wire.messages + number
        day = Day(store, str(number))
        day.go_by()
        day._see(direct)
        store.close()
        assert day.refusals <= 1, "a cut is one refusal at most"
        if not wire.was_cut:
            break
    assert number > 20


def test_the_line_is_cut_while_the_store_is_opened(wire: Wire, postgres_url: str, direct: EventStore) -> None:
    for number in count(1):
        wire.cut, wire.cut_at = "before", wire.messages + number
        try:
            over(wire, postgres_url).close()
        except StoreUnavailable:
            assert wire.was_cut
        if not wire.was_cut:
            break
    assert number > 3
    assert everything(direct) == []


def test_an_append_that_arrives_after_it_was_reported_as_not_done_is_not_done(
    wire: Wire, postgres_url: str, direct: EventStore
) -> None:
    """All of it was on its way, commit included, when the client was cut off; it must not come true later."""
    store = over(wire, postgres_url)
    store.append([write("order-1", 0)])
    wire.cut = "late"
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.append([write("order-1", 1)], tracked=Tracked("payment", 3))

    wire.arrive()
    time.sleep(0.3)

    assert len(everything(direct)) == 1
    assert direct.tracked_positions() == {}
    assert store.append([write("order-1", 1)])[0].version == 2
    store.close()


def test_a_reply_that_is_lost_while_another_writer_holds_the_lock(wire: Wire, postgres_url: str) -> None:
    """The transaction still waits for the lock when we ask what became of it: it is ended, not waited for."""
    import psycopg

    store = over(wire, postgres_url)
    store.append([write("order-1", 0)])
    holder = psycopg.connect(postgres_url)
    holder.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
    wire.cut = "after"
    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.append([write("order-1", 1)])
    holder.close()
    assert [one.version for one in everything(store)] == [1]
    store.close()


# --- the server goes away --------------------------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One of its own, to be stopped and started."""
    programs = server_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    with PostgresServer(programs, durable=True) as server:
        yield server


class Writer:
    """Appends without end, each event with a number of its own, and comes back after every outage."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.acknowledged: list[tuple[int, int]] = []
        self._store = open_store(url)
        self._store.SETTLE_PAUSE_S = 0.1
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        version = 0
        while not self._stop.is_set():
            try:
                recorded = self._store.append([write(self.name, version, 2)])
            except (StoreUnavailable, CommitOutcomeUnknown) as fault:
                version = self._version(version, certain=isinstance(fault, StoreUnavailable))
                continue
            version = recorded[-1].version
            self.acknowledged += [(one.position, one.version) for one in recorded]

    def _version(self, version: int, *, certain: bool) -> int:
        """Where the stream stands once somebody can say so. What was refused for certain is not there."""
        while not self._stop.is_set():
            with suppress(StoreUnavailable):
                found = self._store.stream_versions([self.name]).get(self.name, 0)
                assert found == version or not certain
                return found
            time.sleep(0.05)
        return version

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._store.close()


class Follower:
    """Follows the log through every outage."""

    def __init__(self, url: str) -> None:
        self.seen: list[Recorded] = []
        self._store = open_store(url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(StoreUnavailable):
                self._look()

    def _look(self) -> None:
        position = self.seen[-1].position if self.seen else 0
        if self._store.wait(position, timeout_s=0.2):
            self.seen += self._store.read_after(position, limit=100)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        while self._store.wait(self.seen[-1].position, timeout_s=0):
            self._look()
        self._store.close()


@pytest.mark.slow
def test_a_server_that_is_restarted_under_load_loses_nothing_that_was_acknowledged(server: PostgresServer) -> None:
    url = server.new_database()
    writers = [Writer(url, f"order-{number}") for number in range(4)]
    follower = Follower(url)
    for at_once in (False, True, True):
        time.sleep(0.7)
        before = [len(writer.acknowledged) for writer in writers]
        server.stop(at_once=at_once)
        server.start()
        deadline = time.monotonic() + 15
        while any(len(one.acknowledged) <= had for one, had in zip(writers, before, strict=True)):
            assert time.monotonic() < deadline, "a writer has not come back within 15 s"
            time.sleep(0.05)
    for writer in writers:
        writer.stop()
    follower.stop()

    store = open_store(url)
    log = everything(store, page=1_000)
    store.close()
    assert follower.seen == log
    for writer in writers:
        versions = {one.position: one.version for one in log if one.stream == writer.name}
        assert list(versions.values()) == list(range(1, len(versions) + 1))
        assert writer.acknowledged
        assert versions.items() >= set(writer.acknowledged)


def test_a_server_that_is_away_is_reported_at_once_and_used_again_as_soon_as_it_is_back(server: PostgresServer) -> None:
    store = open_store(server.new_database())
    store.append([write("order-1", 0)])
    server.stop()
    started = time.monotonic()
    for _ in range(20):
        for use in (store.last_position, lambda: store.append([write("order-1", 1)])):
            with pytest.raises(StoreUnavailable):
                use()
    assert time.monotonic() - started < 20

    server.start()

    assert store.append([write("order-1", 1)])[0].version == 2
    store.close()
