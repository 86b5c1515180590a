"""An intent is called for under its own key until its outcome is in the log, once, whatever happens in between."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from events.base import Event, Recorded
from events.feed import StoreFeed
from events.order import OrderKey
from events.payment import PaymentInitiated, PaymentOutcomeUnknown, PaymentVoided, payment_stream
from events.recorders.memory import MemoryRecorder
from events.runtime import parking_stream
from events.store import EventStore, StoreUnavailable
from services.payment.calls import INTENTS, PaymentCalls, is_open
from services.payment.commands import AskProvider, RecordAuthorized, RecordDeclined, UndoPayment
from services.payment.decider import DECIDER
from services.payment.sandbox import SandboxProvider
from services.runtime.calls import CallLoop
from services.runtime.decider import Cause, Directive
from services.runtime.desk import Desk
from services.runtime.effects import Effects
from tests.examples import DAY, NOON, ORDER
from tests.fakes import Clock, Crash, FaultyStore, spoil, types, write

PATIENCE_S = 10.0
NAME = "payment.calls"


class Provider:
    """Answers what it is told to, and writes down who called. `hold` keeps an answer back until `let_go`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.at_once = 0
        self.most_at_once = 0
        self.faults: dict[str, Exception] = {}
        self.reason: str | None = None
        self._held: dict[str, threading.Event] = {}

    def hold(self, stream: str) -> threading.Event:
        return self._held.setdefault(stream, threading.Event())

    async def __call__(self, intent: Recorded) -> Directive:
        self.calls.append(intent.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            while intent.stream in self._held and not self._held[intent.stream].is_set():
                await asyncio.sleep(0.001)
            await asyncio.sleep(0)
        finally:
            self.at_once -= 1
        if intent.stream in self.faults:
            raise self.faults[intent.stream]
        if self.reason is not None:
            return Directive(intent.stream, RecordDeclined(self.reason))
        return Directive(intent.stream, RecordAuthorized("pay_1", 1_00))


class Till:
    """A store, a loop of calls, and the effects of one process, or of several one after the other."""

    def __init__(self, store: FaultyStore, loop: CallLoop, provider: Any) -> None:
        self.store = store
        self.provider = provider
        self._loop = loop

    def effects(self, *, store: EventStore | None = None, desk: Desk | None = None, lanes: int = 8) -> Effects:
        store = store or self.store
        return Effects(
            NAME,
            store=store,
            feed=StoreFeed(store, frozenset[type[Event]](INTENTS)),
            desk=desk or Desk(store, DECIDER),
            call=self.provider,
            is_open=is_open,
            loop=self._loop,
            now=Clock(),
            news=lambda: None,
            lanes=lanes,
            unknown_outcomes=(PaymentOutcomeUnknown,),
        )


@pytest.fixture
def loop() -> Iterator[CallLoop]:
    loop = CallLoop()
    yield loop
    loop.close()


@pytest.fixture
def till(loop: CallLoop) -> Till:
    return Till(FaultyStore(), loop, Provider())


def intend(store: EventStore, *numbers: int) -> list[str]:
    """Payments that are to be asked for; their streams."""
    streams = []
    for number in numbers:
        order_id = OrderKey("web", str(number)).order_id
        streams.append(payment_stream(order_id))
        write(store, streams[-1], initiated(order_id))
    return streams


def initiated(order_id: str) -> PaymentInitiated:
    return PaymentInitiated(order_id=order_id, amount_minor=1_00, currency="GBP", payment_token="tok_ok")


def until(*effects: Effects, done: Callable[[], bool] | None = None) -> None:
    """Step until nothing is open, or until `done`."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        worked = sum(one.step() for one in effects)
        if done() if done else not worked and not any(one.busy for one in effects):
            return
        assert time.monotonic() < deadline, "nothing comes of it"
        if not worked:
            time.sleep(0.001)


def call_and_hold(till: Till, effects: Effects, *streams: str) -> None:
    """The calls are out, and no answer has come yet."""
    for stream in streams:
        till.provider.hold(stream)
    until(effects, done=lambda: len(till.provider.calls) == len(streams))


def answer(till: Till, *streams: str) -> None:
    for stream in streams:
        till.provider.hold(stream).set()
    until(done=lambda: till.provider.at_once == 0)


AUTHORIZED = ["payment.initiated", "payment.authorized"]


def test_an_intent_is_called_for_and_its_outcome_recorded_once(till: Till) -> None:
    [stream] = intend(till.store, 1)
    effects = till.effects()
    until(effects)
    until(effects)
    assert till.provider.calls == [f"{stream}/1"]
    assert types(till.store, stream) == AUTHORIZED
    assert till.store.tracked_position(NAME) >= 1


def test_outcomes_that_came_together_are_one_append(till: Till) -> None:
    streams = intend(till.store, *range(30))
    effects = till.effects(lanes=30)
    call_and_hold(till, effects, *streams)
    till.store.appends = 0
    answer(till, *streams)
    until(effects)
    assert till.store.appends < 10


def test_a_slow_call_holds_nobody_up(till: Till) -> None:
    slow, *quick = intend(till.store, *range(11))
    answer = till.provider.hold(slow)
    effects = till.effects(lanes=2)
    until(effects, done=lambda: effects.busy == 1)
    assert all(types(till.store, stream) == AUTHORIZED for stream in quick)
    assert types(till.store, slow) == ["payment.initiated"]
    assert till.store.tracked_position(NAME) == 0  # it stays before the oldest open intent
    answer.set()
    until(effects)
    assert types(till.store, slow) == AUTHORIZED


def test_no_more_calls_are_out_than_there_are_lanes(till: Till) -> None:
    intend(till.store, *range(40))
    until(till.effects(lanes=3))
    assert till.provider.most_at_once == 3
    assert len(till.provider.calls) == 40


def test_no_more_intents_are_open_than_there_may_be(till: Till) -> None:
    streams = intend(till.store, *range(9))
    for stream in streams:
        till.provider.hold(stream)
    effects = till.effects()
    effects.MAX_OPEN = 4
    until(effects, done=lambda: len(till.provider.calls) == 4)
    assert effects.step() == 0
    assert effects.busy == 4
    for stream in streams:
        till.provider.hold(stream).set()
    until(effects)
    assert {tuple(types(till.store, stream)) for stream in streams} == {tuple(AUTHORIZED)}


# --- no answer -------------------------------------------------------------------------------------------------------


class Deaf(SandboxProvider):
    """Does it, and never says so."""

    async def authorize(self, **call: Any) -> Any:
        await super().authorize(**call)
        await asyncio.sleep(PATIENCE_S * 10)


def test_a_call_without_an_answer_becomes_an_unknown_outcome_and_is_settled_by_asking(loop: CallLoop) -> None:
    provider = Deaf()
    calls = PaymentCalls(provider, now=Clock(), timeout_s=0.02, action_ttl=DAY)
    till = Till(FaultyStore(), loop, calls)
    [stream] = intend(till.store, 1)
    desk = Desk(till.store, DECIDER)
    effects = till.effects(desk=desk)
    until(effects)
    assert types(till.store, stream) == ["payment.initiated", "payment.outcome_unknown"]
    assert effects.unknown == 1
    desk.execute(Directive(stream, AskProvider()), Cause(NOON, ORDER, "deadline", "payment.timekeeper"))
    until(effects)
    assert types(till.store, stream)[2:] == ["payment.inquiry_initiated", "payment.authorized"]
    assert effects.unknown == 0
    assert len(provider.ledger()) == 1


# --- struck down -----------------------------------------------------------------------------------------------------


def test_after_a_crash_open_intents_are_called_again_under_the_same_key_and_settled_ones_are_not(till: Till) -> None:
    settled, lost, unanswered = intend(till.store, 1, 2, 3)
    till.provider.hold(unanswered)
    till.provider.hold(lost)
    doomed = till.effects()
    until(doomed, done=lambda: doomed.busy == 2)
    till.provider.hold(lost).set()
    until(done=lambda: till.provider.at_once == 1)  # its answer is on the way, and now the process dies

    till.provider.hold(unanswered).set()
    till.provider.calls.clear()
    until(till.effects())
    assert sorted(till.provider.calls) == sorted([f"{lost}/1", f"{unanswered}/1"])
    for stream in (settled, lost, unanswered):
        assert types(till.store, stream) == AUTHORIZED


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_around_the_outcomes_commit_records_it_once(till: Till, when: Any) -> None:
    [stream] = intend(till.store, 1)
    till.store.appends = 0
    till.store.dies_at(1, when)
    with pytest.raises(Crash):
        until(till.effects())
    until(till.effects())
    assert types(till.store, stream) == AUTHORIZED
    assert till.provider.calls == [f"{stream}/1"] * (2 if when == "before" else 1)


def test_an_intent_is_called_for_even_if_another_process_wrote_it(loop: CallLoop) -> None:
    """The desk has seen the stream before, when there was nothing to do in it."""
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    till = Till(store, loop, Provider())
    desk = Desk(store, DECIDER)
    stream = payment_stream(ORDER)
    desk.state(stream)
    write(others, stream, initiated(ORDER))
    until(till.effects(desk=desk))
    assert types(store, stream) == AUTHORIZED


def test_two_processes_of_one_name_record_one_outcome(loop: CallLoop) -> None:
    recorder = MemoryRecorder()
    stores = FaultyStore(recorder), FaultyStore(recorder)
    till = Till(stores[0], loop, Provider())
    streams = intend(stores[0], *range(20))
    zombie, heir = till.effects(store=stores[0]), till.effects(store=stores[1])
    until(zombie, heir)
    assert {tuple(types(stores[1], stream)) for stream in streams} == {tuple(AUTHORIZED)}
    assert set(till.provider.calls) == {f"{stream}/1" for stream in streams}


def test_an_answer_waits_until_the_store_is_back_and_is_not_asked_for_again(till: Till) -> None:
    streams = intend(till.store, *range(5))
    effects = till.effects()
    call_and_hold(till, effects, *streams)
    till.store.away = True
    answer(till, *streams)
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            effects.step()
    till.store.away = False
    until(effects)
    assert {tuple(types(till.store, stream)) for stream in streams} == {tuple(AUTHORIZED)}
    assert len(till.provider.calls) == 5


def test_what_the_store_took_before_it_went_away_is_not_recorded_again(till: Till) -> None:
    """One intent fails and cannot be parked at first; the others are recorded by then."""
    good, bad = intend(till.store, 1, 2)
    till.provider.faults[bad] = RuntimeError("unforeseen")
    effects = till.effects()
    call_and_hold(till, effects, good, bad)
    till.store.appends = 0

    def fail_second(number: int) -> None:
        if number == 2:
            raise StoreUnavailable("the disk is full")

    till.store.before_append = fail_second
    answer(till, good, bad)
    with pytest.raises(StoreUnavailable):
        until(effects)
    until(effects)
    assert types(till.store, good) == AUTHORIZED
    assert types(till.store, parking_stream(NAME)) == ["runtime.event_parked"]
    assert till.store.appends == 3


# --- unforeseen ------------------------------------------------------------------------------------------------------


def with_one_parked(till: Till) -> tuple[str, str]:
    good, bad = intend(till.store, 1, 2)
    till.provider.faults[bad] = RuntimeError("unforeseen")
    until(till.effects())
    till.provider.calls.clear()
    return good, bad


def test_an_unforeseen_error_parks_its_intent_only(till: Till) -> None:
    good, bad = with_one_parked(till)
    assert types(till.store, good) == AUTHORIZED
    restarted = till.effects()
    until(restarted)
    [parked] = restarted.parking.entries()
    assert (parked.stream, parked.reason) == (bad, "RuntimeError: unforeseen")
    assert till.provider.calls == []


def test_a_replay_calls_again_under_the_same_key(till: Till) -> None:
    _, bad = with_one_parked(till)
    effects = till.effects()
    assert effects.replay_parked() == []
    till.provider.faults.clear()
    assert [parked.stream for parked in effects.replay_parked()] == [bad]
    assert till.provider.calls == [f"{bad}/1"] * 2
    assert types(till.store, bad) == AUTHORIZED
    assert effects.parking.entries() == []


def test_a_replay_does_not_call_for_what_has_been_settled_meanwhile(till: Till) -> None:
    _, bad = with_one_parked(till)
    till.provider.faults.clear()
    desk = Desk(till.store, DECIDER)
    desk.execute(Directive(bad, RecordAuthorized("pay_1", 1_00)), Cause(NOON, ORDER, "webhook", "http"))
    effects = till.effects()
    assert [parked.stream for parked in effects.replay_parked()] == [bad]
    assert till.provider.calls == []
    assert types(till.store, bad) == AUTHORIZED


def test_a_dropped_intent_is_not_called_for_after_a_restart(till: Till) -> None:
    _, bad = with_one_parked(till)
    effects = till.effects()
    [parked] = effects.parking.entries()
    effects.parking.drop(parked.position, "settled by telephone", actor="cli", now=NOON)
    until(till.effects())
    assert till.provider.calls == []
    assert types(till.store, bad) == ["payment.initiated"]


def test_an_outcome_that_cannot_be_recorded_parks_its_intent_only(till: Till) -> None:
    """A provider whose reference is longer than an event takes."""
    streams = intend(till.store, *range(9))

    class Odd(Provider):
        async def __call__(self, intent: Recorded) -> Directive:
            await super().__call__(intent)
            return Directive(intent.stream, RecordAuthorized("x" * (200 if intent.stream == streams[4] else 5), 1_00))

    till.provider = Odd()
    effects = till.effects()
    until(effects)
    assert [parked.stream for parked in effects.parking.entries()] == [streams[4]]
    assert "reference: String should have at most 100 characters" in effects.parking.entries()[0].reason
    assert {tuple(types(till.store, one)) for one in streams if one != streams[4]} == {tuple(AUTHORIZED)}


def test_an_intent_that_cannot_be_read_is_parked_and_holds_nobody_up(loop: CallLoop) -> None:
    recorder = MemoryRecorder()
    till = Till(FaultyStore(recorder), loop, Provider())
    spoil(till.store, recorder, payment_stream(ORDER), "payment.initiated.v1")
    [good] = intend(till.store, 1)
    effects = till.effects()
    until(effects)
    assert types(till.store, good) == AUTHORIZED
    assert [parked.stream for parked in effects.parking.entries()] == [payment_stream(ORDER)]
    assert effects.replay_parked() == []
    until(till.effects())
    assert types(till.store, parking_stream(NAME)) == ["runtime.event_parked"]


def test_an_outcome_that_comes_too_late_leaves_the_stream_as_it_is(till: Till) -> None:
    [stream] = intend(till.store, 1)
    till.provider.hold(stream)
    desk = Desk(till.store, DECIDER)
    effects = till.effects(desk=desk)
    until(effects, done=lambda: len(till.provider.calls) == 1)
    cause = Cause(NOON, ORDER, "webhook", "http")
    other = Desk(till.store, DECIDER)
    for command in (RecordAuthorized("pay_1", 1_00), UndoPayment(ORDER)):
        other.execute(Directive(stream, command), cause)
    write(till.store, stream, PaymentVoided(order_id=OrderKey("web", "1").order_id))
    before = types(till.store, stream)
    till.provider.reason = "too late"
    till.provider.hold(stream).set()
    until(effects, done=lambda: effects.busy == 0)
    assert types(till.store, stream) == before


def test_closing_the_loop_abandons_what_is_under_way() -> None:
    loop = CallLoop()
    till = Till(FaultyStore(), loop, Provider())
    [stream] = intend(till.store, 1)
    till.provider.hold(stream)
    effects = till.effects()
    until(effects, done=lambda: len(till.provider.calls) == 1)
    started = time.monotonic()
    loop.close()
    assert time.monotonic() - started < timedelta(seconds=5).total_seconds()
    assert types(till.store, stream) == ["payment.initiated"]
