"""Many requests in one transaction, and each is told what became of it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

from events.base import Recorded, Tracked, Write
from events.order import OrderKey, OrderPlaced, order_stream
from events.store import StoreUnavailable, VersionConflict
from services.gateway.arrivals import Arrival, Arrivals, Outcome, Verdict
from services.gateway.group_commit import GroupCommit, IntakeOverloaded
from services.runtime.decider import Cause
from tests.examples import NOON, placed
from tests.fakes import FaultyStore

T = TypeVar("T")


def arrival(number: int, **wanted: Any) -> Arrival:
    event = placed(OrderKey("web", str(number)), **wanted)
    return Arrival(order_stream(event.order_id), event, Cause(NOON, event.order_id, f"request-{number}", "http"))


class SlowStore(FaultyStore):
    """Appends wait until they are let go. `batches` counts the writes of each that went well."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.batches: list[int] = []
        self.refuses: Callable[[OrderPlaced], Exception | None] = lambda order: None

    def append(self, writes: Any, *, tracked: Tracked | None = None) -> list[Recorded]:
        assert self.go.wait(10)
        for fault in map(self._fault, writes):
            if fault is not None:
                raise fault
        recorded = super().append(writes, tracked=tracked)
        self.batches.append(len(writes))
        return recorded

    def _fault(self, write: Write) -> Exception | None:
        event = write.events[0].event if write.events else None
        return self.refuses(event) if isinstance(event, OrderPlaced) else None


def run(store: SlowStore, scenario: Callable[[GroupCommit], Coroutine[Any, Any, T]], **wanted: Any) -> T:
    rings: list[None] = []

    async def main() -> T:
        commit = GroupCommit(Arrivals(store), ring=lambda: rings.append(None), **wanted)
        try:
            return await scenario(commit)
        finally:
            await commit.close()

    return asyncio.run(main())


async def _all(commit: GroupCommit, store: SlowStore, arrivals: list[Arrival]) -> list[Outcome | BaseException]:
    """All at once; the store answers when all of them are there."""
    tasks = [asyncio.create_task(commit.take(one)) for one in arrivals]
    await asyncio.sleep(0.05)
    store.go.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


def taken(outcomes: list[Outcome | BaseException]) -> list[Verdict | str]:
    return [one.verdict if isinstance(one, Outcome) else type(one).__name__ for one in outcomes]


def test_what_comes_together_shares_one_append() -> None:
    store = SlowStore()
    outcomes = run(store, lambda commit: _all(commit, store, [arrival(number) for number in range(20)]))
    assert taken(outcomes) == [Verdict.NEW] * 20
    assert store.batches == [20]
    for number, outcome in enumerate(outcomes):
        [first] = store.read_stream(arrival(number).stream)
        assert isinstance(outcome, Outcome)
        assert (first.position, first.causation_id) == (outcome.position, f"request-{number}")


def test_a_batch_has_a_bound() -> None:
    store = SlowStore()
    run(store, lambda commit: _all(commit, store, [arrival(number) for number in range(20)]), max_batch=7)
    assert max(store.batches) == 7


def test_doubles_in_one_batch_are_one_order() -> None:
    store = SlowStore()
    same = [arrival(1), arrival(2), arrival(1), arrival(1), arrival(3)]
    outcomes = run(store, lambda commit: _all(commit, store, same))
    assert taken(outcomes) == [Verdict.NEW, Verdict.NEW, Verdict.KNOWN, Verdict.KNOWN, Verdict.NEW]
    assert len({one.position for one in outcomes if isinstance(one, Outcome)}) == 3


def test_a_conflict_is_told_to_its_sender_alone() -> None:
    store = SlowStore()
    arrivals = [arrival(1), arrival(2), arrival(1, token="tok_other")]
    outcomes = run(store, lambda commit: _all(commit, store, arrivals))
    assert taken(outcomes) == [Verdict.NEW, Verdict.NEW, Verdict.CONFLICTING]
    assert [one.type for one in store.read_stream(arrivals[0].stream)] == [
        "order.placed.v2",
        "order.intake_conflicted.v1",
    ]


def test_one_that_cannot_be_taken_does_not_spoil_the_others() -> None:
    store = SlowStore()
    store.refuses = lambda order: ValueError("cannot be written") if order.number == "2" else None
    outcomes = run(store, lambda commit: _all(commit, store, [arrival(number) for number in range(4)]))
    assert taken(outcomes) == [Verdict.NEW, Verdict.NEW, "ValueError", Verdict.NEW]


def test_one_that_is_always_too_late_does_not_spoil_the_others() -> None:
    store = SlowStore()
    store.refuses = lambda order: VersionConflict("order-2", 0, 1) if order.number == "2" else None
    outcomes = run(store, lambda commit: _all(commit, store, [arrival(number) for number in range(4)]))
    assert taken(outcomes) == [Verdict.NEW, Verdict.NEW, "VersionConflict", Verdict.NEW]


def test_a_store_that_is_away_is_told_to_all() -> None:
    store = SlowStore()
    store.away = True
    outcomes = run(store, lambda commit: _all(commit, store, [arrival(number) for number in range(4)]))
    assert set(taken(outcomes)) == {StoreUnavailable.__name__}
    assert store.batches == []


def test_more_than_can_be_held_is_refused_at_once() -> None:
    store = SlowStore()

    async def scenario(commit: GroupCommit) -> list[Outcome | BaseException]:
        commit.MAX_WAITING = 3
        return await _all(commit, store, [arrival(number) for number in range(5)])

    assert taken(run(store, scenario)).count(IntakeOverloaded.__name__) == 2


def test_a_sender_who_hangs_up_is_no_trouble_to_the_others() -> None:
    store = SlowStore()

    async def scenario(commit: GroupCommit) -> Outcome:
        first = asyncio.create_task(commit.take(arrival(1)))
        second = asyncio.create_task(commit.take(arrival(2)))
        await asyncio.sleep(0.01)
        first.cancel()
        store.go.set()
        with pytest.raises(asyncio.CancelledError):
            await first
        return await second

    assert run(store, scenario).verdict is Verdict.NEW
    assert store.read_stream(arrival(1).stream), "what was on its way is in the log all the same"
