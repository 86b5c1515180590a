"""What every event store keeps, whatever database is behind it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from events.base import Recorded, Tracked, Write
from events.codec import MalformedEvent, UnknownEventType, Unreadable
from events.order import OrderAccepted, OrderPlaced, PaymentRequested
from events.recorders.port import Batch, Row
from events.store import AlreadyTracked, EventStore, StoreUnavailable, VersionConflict, open_store
from tests.stores import NOON, ORDER_ID, accepted, everything, payment_requested, write

Open = Callable[[], EventStore]


class Clock:
    """A clock that a test sets, and that says how often it was asked."""

    def __init__(self) -> None:
        self.time = NOON
        self.asked = 0

    def __call__(self) -> datetime:
        self.asked += 1
        return self.time


SHARED = ["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)]
"""The databases that outlive a process and that several processes can use."""


@pytest.fixture(params=["memory", *SHARED])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return "memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[EventStore]:
    store = open_store(url, now=clock)
    yield store
    store.close()


@pytest.fixture
def other(store: EventStore, clock: Clock) -> EventStore:
    """A second store on the same log, as another process has it: nothing of the first one's is in its memory."""
    return EventStore(store._recorder, now=clock)


# --- appending -------------------------------------------------------------------------------------------------------


def test_an_append_comes_back_recorded_and_is_read_back_equal(store: EventStore, other: EventStore) -> None:
    recorded = store.append([Write("order-1", 0, [accepted(), payment_requested()]), write("payment-1", 0)])

    assert [(one.stream, one.version) for one in recorded] == [("order-1", 1), ("order-1", 2), ("payment-1", 1)]
    assert [one.position for one in recorded] == [1, 2, 3]
    event = payment_requested().event
    assert recorded[1] == Recorded(
        2, "order-1", 2, PaymentRequested.type, event, NOON, NOON, ORDER_ID, "request-1", "test", "history"
    )
    for reader in (store, other):
        assert reader.read_after(0, limit=10) == recorded
        assert reader.read_stream("order-1") == recorded[:2]
        assert reader.read_stream("order-1", after_version=1) == [recorded[1]]
        assert reader.read_stream("order-2") == []
        assert reader.read_streams(["payment-1", "order-1", "order-2"]) == {
            "order-1": recorded[:2],
            "payment-1": recorded[2:],
        }
        assert reader.stream_versions(["payment-1", "order-1", "order-2"]) == {"order-1": 2, "payment-1": 1}
        assert reader.last_position() == 3


def test_an_empty_log(store: EventStore) -> None:
    assert store.last_position() == 0
    assert store.read_after(0, limit=10) == []
    assert store.read_streams([]) == {}
    assert store.stream_versions([]) == {}
    assert store.tracked_position("anybody") == 0
    assert store.tracked_positions() == {}


def test_an_append_of_nothing_does_nothing(store: EventStore, clock: Clock) -> None:
    assert store.append([]) == []
    assert clock.asked == 0


def test_another_version_than_expected_is_a_conflict_and_writes_nothing(store: EventStore) -> None:
    before = store.append([write("order-1", 0, count=3)])

    for expected in (0, 2, 4, 9):
        with pytest.raises(VersionConflict) as conflict:
            store.append([write("order-2", 0), write("order-1", expected)], tracked=Tracked("payment", 5))

        assert (conflict.value.stream, conflict.value.expected, conflict.value.actual) == ("order-1", expected, 3)
        assert everything(store) == before
        assert store.tracked_position("payment") == 0


def test_a_stream_that_does_not_exist_cannot_be_continued(store: EventStore) -> None:
    with pytest.raises(VersionConflict, match="order-1 was expected at version 1 and is at 0"):
        store.append([write("order-1", 1)])


def test_a_write_without_events_watches_its_stream(store: EventStore) -> None:
    store.append([write("order-1", 0)])

    store.append([write("order-2", 0), Write("order-1", 1, [])])

    for stale in (Write("order-1", 0, []), Write("order-1", 2, []), Write("order-9", 1, [])):
        with pytest.raises(VersionConflict):
            store.append([write("order-3", 0), stale])
    assert store.stream_versions(["order-1", "order-2", "order-3"]) == {"order-1": 1, "order-2": 1}


def test_a_stream_may_occur_twice_in_one_append_if_the_versions_follow_on(store: EventStore) -> None:
    store.append([write("order-1", 0, count=2), write("order-2", 0), write("order-1", 2)])

    with pytest.raises(VersionConflict):
        store.append([write("order-1", 3), write("order-1", 3)])
    assert [one.version for one in store.read_stream("order-1")] == [1, 2, 3]


def test_a_stream_may_have_any_name(store: EventStore, other: EventStore) -> None:
    for stream in ('with "quotes"', "with \\ and '", "späti-☃", "a/b?c=d%20#e", "two\u2028lines", " "):
        recorded = [*store.append([write(stream, 0)]), *store.append([write(stream, 1)])]
        assert store.read_stream(stream) == recorded
        assert other.read_streams([stream]) == {stream: recorded}
        assert other.stream_versions([stream]) == {stream: 2}


def test_an_append_of_thousands(store: EventStore, other: EventStore) -> None:
    recorded = store.append([write(f"order-{number}", 0, count=2) for number in range(1_200)])
    assert other.read_after(0, limit=5_000) == recorded
    assert len(other.read_streams([f"order-{number}" for number in range(1_200)])) == 1_200


def test_an_event_that_cannot_be_encoded_leaves_nothing_behind(store: EventStore) -> None:
    nonsense: Any = object()
    broken = accepted()._replace(actor=nonsense)
    with pytest.raises(TypeError):
        store.append([write("order-1", 0), Write("order-2", 0, [broken])])
    assert [one.position for one in store.append([write("order-1", 0)])] == [1]


# --- tracking --------------------------------------------------------------------------------------------------------


def test_a_consumers_position_is_recorded_with_its_events_or_alone(store: EventStore, other: EventStore) -> None:
    assert store.append([], tracked=Tracked("payment", 7)) == []
    store.append([write("order-1", 0)], tracked=Tracked("shipping", 3))
    store.append([], tracked=Tracked("payment", 40))

    for reader in (store, other):
        assert reader.tracked_position("payment") == 40
        assert reader.tracked_position("shipping") == 3
        assert reader.tracked_positions() == {"payment": 40, "shipping": 3}


def test_a_position_that_is_not_ahead_is_already_tracked_and_writes_nothing(store: EventStore) -> None:
    store.append([write("order-1", 0)], tracked=Tracked("payment", 7))

    for position, writes in product((1, 6, 7), ([], [write("order-2", 0)])):
        with pytest.raises(AlreadyTracked) as tracked:
            store.append(writes, tracked=Tracked("payment", position))
        assert (tracked.value.consumer, tracked.value.position) == ("payment", position)
    assert store.last_position() == 1
    assert store.tracked_position("payment") == 7


def test_redelivered_work_is_already_tracked_before_it_is_a_conflict(store: EventStore) -> None:
    store.append([write("order-1", 0)], tracked=Tracked("payment", 7))
    with pytest.raises(AlreadyTracked):
        store.append([write("order-1", 0)], tracked=Tracked("payment", 7))


def test_a_position_that_follows_on_is_taken_and_any_other_is_already_tracked(store: EventStore) -> None:
    store.append([write("order-1", 0)], tracked=Tracked("payment", 4, after=0))
    store.append([write("order-1", 1)], tracked=Tracked("payment", 9, after=4))
    store.append([], tracked=Tracked("shipping", 2))
    before = everything(store)

    # Of these, the twin that is behind, the one that did a part of it, the one that is ahead, and one that is lost.
    for position, after in ((9, 4), (4, 0), (20, 0), (20, 4), (20, 8), (20, 10), (9, 9), (20, 19)):
        for writes in ([], [write("order-2", 0)], [write("order-1", 7)]):
            with pytest.raises(AlreadyTracked) as tracked:
                store.append(writes, tracked=Tracked("payment", position, after=after))
            assert (tracked.value.consumer, tracked.value.position) == ("payment", position)
    with pytest.raises(AlreadyTracked):
        store.append([write("order-2", 0)], tracked=Tracked("nobody", 5, after=1))

    assert everything(store) == before
    assert store.tracked_positions() == {"payment": 9, "shipping": 2}
    store.append([write("order-2", 0)], tracked=Tracked("payment", 20, after=9))
    assert store.tracked_position("payment") == 20


def test_of_twins_that_go_on_from_the_same_position_one_is_let_through(store: EventStore, other: EventStore) -> None:
    handled: list[tuple[int, int]] = []

    def twin(by: EventStore, name: int) -> Callable[[], None]:
        def run() -> None:
            # Batches of different sizes, on streams of their own: no version conflict tells that two handled the same.
            while (after := by.tracked_position("payment")) < 60:
                reached = after + name
                try:
                    by.append([write(f"order-{name}-{after}", 0)], tracked=Tracked("payment", reached, after))
                except AlreadyTracked:
                    continue
                handled.append((after, reached))

        return run

    in_threads(*(twin(by, name) for name, by in enumerate((store, other) * 3, 1)))

    ends = [reached for _, reached in sorted(handled)]
    assert [after for after, _ in sorted(handled)] == [0, *ends[:-1]], "each begins where another has ended"
    assert store.last_position() == len(handled)


# --- reading in order ------------------------------------------------------------------------------------------------


@pytest.fixture
def log(store: EventStore) -> list[Recorded]:
    """Thirty events of two types; the store has the last of them in its memory, `other` has none."""
    store._recent._max_bytes = 12 * 230
    for number in range(10):
        first = Write(f"order-{number}", 0, [accepted(), payment_requested()])
        store.append([first, write(f"payment-{number}", 0)])
    assert 5 < len(store._recent._events) < 20
    return store.read_after(0, limit=100)


TYPES = (None, frozenset({PaymentRequested.type}), frozenset({OrderAccepted.type, "order.never.v1"}), frozenset[str]())


def test_reading_after_a_position_is_the_same_from_memory_and_from_the_database(
    store: EventStore, other: EventStore, log: list[Recorded]
) -> None:
    assert [one.position for one in log] == list(range(1, 31))
    for limit, upto, types, position in product((1, 3, 10, 100), (None, 0, 4, 15, 22, 28, 30, 99), TYPES, range(32)):
        wanted = [
            one
            for one in log
            if one.position > position
            and (upto is None or one.position <= upto)
            and (types is None or one.type in types)
        ][:limit]
        assert store.read_after(position, limit=limit, types=types, upto=upto) == wanted
        if position % 4 == 0:
            assert other.read_after(position, limit=limit, types=types, upto=upto) == wanted


def test_what_another_process_appends_in_between_is_not_missed(store: EventStore, other: EventStore) -> None:
    for round_ in range(4):
        store.append([write(f"order-{round_}", 0, count=2)])
        other.append([write(f"payment-{round_}", 0, count=3)])
        assert everything(store) == everything(other)
    assert [one.position for one in everything(store)] == list(range(1, 21))
    # A page that begins in the memory of this process goes on in the database.
    assert [one.position for one in store.read_after(15, limit=5)] == [16, 17, 18, 19, 20]


def test_an_append_larger_than_the_memory_for_recent_events_is_read_back_whole(store: EventStore) -> None:
    store._recent._max_bytes = 500
    recorded = store.append([write("order-1", 0, count=20)])
    assert everything(store) == recorded
    assert store.append([write("order-1", 20)]) == store.read_after(20, limit=5)


# --- what cannot be read ---------------------------------------------------------------------------------------------


def insert(store: EventStore, *rows: Row) -> None:
    """Puts rows into the log past our codec, as an older or newer version of us may have done."""
    store._recorder.append(Batch(list(rows), {}, None))


def test_what_cannot_be_decoded_raises_or_is_marked(store: EventStore) -> None:
    store.append([write("order-1", 0)])
    insert(store, ("order-2", 1, "order.unheard_of.v7", b"{}"), ("order-3", 1, OrderAccepted.type, b"{}"))
    store.append([write("order-1", 1)])

    with pytest.raises(UnknownEventType, match="position 2"):
        store.read_after(0, limit=10)
    with pytest.raises(MalformedEvent, match="position 3"):
        store.read_stream("order-3")
    marked = store.read_after(0, limit=10, on_unreadable="mark")
    assert [one.position for one in marked] == [1, 2, 3, 4]
    assert [isinstance(one.event, Unreadable) for one in marked] == [False, True, True, False]
    assert [(one.stream, one.type) for one in marked[1:3]] == [
        ("order-2", "order.unheard_of.v7"),
        ("order-3", OrderAccepted.type),
    ]


def test_an_old_spelling_is_found_under_its_own_name_and_comes_back_as_the_newest(store: EventStore) -> None:
    state = (
        b'{"occurred_at":"2026-03-02T12:00:00Z","recorded_at":"2026-03-02T12:00:00Z","correlation_id":"c",'
        b'"causation_id":"r","actor":"test","data":{"order_id":"%s","channel":"web","number":"1","currency":"GBP",'
        b'"ship_country":"GB","lines":[],"total_minor":0,"payment_token":"tok"}}' % ORDER_ID.encode()
    )
    insert(store, ("order-1", 1, "order.placed.v1", state))
    [recorded] = store.read_after(0, limit=10, types=frozenset({"order.placed.v1", "order.placed.v2"}))
    assert recorded.type == "order.placed.v2"
    assert isinstance(recorded.event, OrderPlaced)


# --- time ------------------------------------------------------------------------------------------------------------


def test_one_append_is_recorded_at_one_time_and_time_never_goes_back(store: EventStore, clock: Clock) -> None:
    first = store.append([write("order-1", 0, count=3)])
    assert clock.asked == 1
    clock.time = NOON - timedelta(hours=1)
    second = store.append([write("order-1", 3)])
    clock.time = NOON + timedelta(hours=1)
    third = store.append([write("order-1", 4)])

    assert {one.recorded_at for one in first} == {NOON}
    assert [one.recorded_at for one in (*second, *third)] == [NOON, NOON + timedelta(hours=1)]


# --- waiting for news ------------------------------------------------------------------------------------------------


def test_waiting_ends_at_once_if_there_is_news_and_in_time_if_there_is_none(store: EventStore) -> None:
    store.append([write("order-1", 0)])
    assert store.wait(0, timeout_s=60)
    assert not store.wait(1, timeout_s=0)
    started = time.monotonic()
    assert not store.wait(1, timeout_s=0.12)
    assert 0.1 < time.monotonic() - started < 10


def test_waiting_ends_when_this_process_appends(store: EventStore) -> None:
    assert_that_waiting_ends(store, lambda: store.append([write("order-1", 0)]))


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_waiting_ends_when_another_process_appends(store: EventStore, other: EventStore) -> None:
    assert_that_waiting_ends(store, lambda: other.append([write("order-1", 0)]))


def assert_that_waiting_ends(store: EventStore, append: Callable[[], object]) -> None:
    timer = threading.Timer(0.1, append)
    timer.start()
    started = time.monotonic()
    assert store.wait(0, timeout_s=60)
    assert time.monotonic() - started < 30
    timer.join()


# --- many at once ----------------------------------------------------------------------------------------------------


def in_threads(*jobs: Callable[[], None]) -> None:
    faults: list[BaseException] = []

    def run(job: Callable[[], None]) -> None:
        try:
            job()
        except BaseException as fault:  # noqa: BLE001  -- raised again below, in the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def tail(store: EventStore, seen: list[Recorded], count: int) -> None:
    """Follows the log until it has seen `count` events; a gap that is filled in later would be missed for good."""
    while len(seen) < count:
        position = seen[-1].position if seen else 0
        assert store.wait(position, timeout_s=60)
        seen += store.read_after(position, limit=50)


def test_eight_writers_and_two_readers_who_follow_miss_nothing(store: EventStore, other: EventStore) -> None:
    def writer(name: str) -> Callable[[], None]:
        def run() -> None:
            for number in range(25):
                by = store if number % 3 else other
                by.append([write(name, number * 2, count=2), write(f"{name}-{number}", 0)])

        return run

    seen: list[Recorded] = []
    seen_by_other: list[Recorded] = []
    writers = [writer(f"order-{number}") for number in range(8)]
    in_threads(*writers, lambda: tail(store, seen, 600), lambda: tail(other, seen_by_other, 600))

    assert seen == seen_by_other == everything(store, page=100)
    assert len({one.id for one in seen}) == 600
    assert [one.position for one in seen] == sorted({one.position for one in seen})


def test_of_all_who_append_the_same_version_one_wins(store: EventStore) -> None:
    won: list[int] = []

    def compete() -> None:
        for version in range(20):
            try:
                store.append([write("stock-main", version)])
            except VersionConflict:
                continue
            won.append(version)

    in_threads(*[compete] * 6)
    assert sorted(won) == list(range(20))
    assert [one.version for one in store.read_stream("stock-main")] == list(range(1, 21))


# --- opening and closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_log_outlives_the_store(url: str, store: EventStore) -> None:
    recorded = store.append([write("order-1", 0)], tracked=Tracked("payment", 1))
    store.close()
    store.close()

    again = open_store(url)
    assert everything(again) == recorded
    assert again.tracked_positions() == {"payment": 1}
    again.close()


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_a_closed_store_says_so(store: EventStore) -> None:
    store.close()
    for use in (lambda: store.append([write("order-1", 0)]), store.last_position):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()


@pytest.mark.parametrize("url", SHARED, indirect=True)
def test_closing_waits_for_nobody_and_breaks_nobodys_reading(store: EventStore) -> None:
    recorded = store.append([write("order-1", 0, count=50)])
    reading = threading.Barrier(5)

    def read_on() -> None:
        while True:
            assert store.read_stream("order-1") == recorded

    def read_until_closed() -> None:
        reading.wait()
        with pytest.raises(StoreUnavailable, match="closed"):
            read_on()

    def close() -> None:
        reading.wait()
        time.sleep(0.02)
        store.close()

    in_threads(*[read_until_closed] * 4, close)


@pytest.mark.parametrize("wrong", ["", "sqlite:", "sqlite:///", "mysql://me:secret@host/db", "log.db", "memory:x"])
def test_a_url_of_no_store_is_refused_without_quoting_it(wrong: str) -> None:
    with pytest.raises(StoreUnavailable, match="none of") as refused:
        open_store(wrong)
    assert "secret" not in str(refused.value)
