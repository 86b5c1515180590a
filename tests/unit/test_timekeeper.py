"""A deadline is kept: once, on its own clock, after a restart, and while the store is away."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast

import pytest

from events.base import Recorded
from events.feed import StoreFeed
from events.order import OrderAccepted, OrderKey, order_stream
from events.payment import PaymentActionRequired, PaymentInitiated, PaymentOperation, PaymentOutcomeUnknown
from events.payment import payment_stream as stream_of
from events.recorders.memory import MemoryRecorder
from events.runtime import parking_stream
from events.store import EventStore, StoreUnavailable
from services.payment.decider import DECIDER
from services.payment.reactions import DEADLINES
from services.runtime.decider import Deadline, Directive, SetsDeadlines
from services.runtime.desk import Desk
from services.runtime.timekeeper import MOVES_CLOCKS, Timekeeper
from tests.examples import DAY, HOUR, NOON, ORDER
from tests.fakes import Clock, Crash, FaultyStore, spoil, types, write

NAME = "payment.timekeeper"
HISTORY = "online-retail"
LONG_AGO = NOON.replace(year=2010)
STREAM = stream_of(ORDER)
INITIATED = PaymentInitiated(order_id=ORDER, amount_minor=1_00, currency="GBP", payment_token="tok_action")
ASKED = "payment.inquiry_initiated"


def keeper(store: EventStore, clock: Clock, sets_deadlines: SetsDeadlines = DEADLINES) -> Timekeeper:
    return Timekeeper(
        NAME,
        store=store,
        feed=StoreFeed(store, frozenset(sets_deadlines) | MOVES_CLOCKS),
        desk=Desk(store, DECIDER),
        sets_deadlines=sets_deadlines,
        now=clock,
    )


def run(*keepers: Timekeeper) -> None:
    while sum(one.step() for one in keepers):
        pass


def action_required(order_id: str, expires_at: datetime) -> PaymentActionRequired:
    return PaymentActionRequired(order_id=order_id, reference="pay_1", expires_at=expires_at)


def wait_for_buyer(
    store: EventStore, number: int = 1, *, at: datetime = NOON, time_to_act: timedelta = DAY, clock: str = "wall"
) -> str:
    """A payment that waits for its buyer; its stream."""
    order_id = OrderKey("web", str(number)).order_id
    events = [INITIATED.model_copy(update={"order_id": order_id}), action_required(order_id, at + time_to_act)]
    write(store, stream_of(order_id), *events, at=at, clock=clock)
    return stream_of(order_id)


def outcome_unknown(store: EventStore, ask_at: datetime, *, at: datetime = NOON, clock: str = "wall") -> None:
    unknown = PaymentOutcomeUnknown(order_id=ORDER, operation=PaymentOperation.AUTHORIZE, attempt=1, ask_at=ask_at)
    write(store, STREAM, INITIATED, unknown, at=at, clock=clock)


def import_order(store: EventStore, at: datetime, number: int = 900) -> None:
    """The clock of the imported history moves on."""
    order_id = OrderKey("import", f"{number}-{at}").order_id
    write(store, order_stream(order_id), OrderAccepted(order_id=order_id), at=at, clock=HISTORY)


# --- the wall clock --------------------------------------------------------------------------------------------------


def test_nothing_is_asked_before_its_time_and_once_when_it_has_come() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store)
    one = keeper(store, clock)
    run(one)
    assert one.next_due_s() == DAY.total_seconds()
    clock.advance(DAY - timedelta(seconds=1))
    run(one)
    assert types(store, stream)[2:] == []
    clock.advance(timedelta(seconds=1))
    run(one)
    run(one)
    assert types(store, stream)[2:] == [ASKED]
    assert one.next_due_s() is None


def test_the_soonest_comes_first() -> None:
    store, clock = FaultyStore(), Clock()
    late, soon = wait_for_buyer(store, 1, time_to_act=2 * DAY), wait_for_buyer(store, 2, time_to_act=HOUR)
    one = keeper(store, clock)
    run(one)
    assert one.next_due_s() == HOUR.total_seconds()
    clock.advance(HOUR)
    run(one)
    assert (types(store, soon)[2:], types(store, late)[2:]) == ([ASKED], [])
    assert one.next_due_s() == (2 * DAY - HOUR).total_seconds()


def test_what_is_asked_says_why_and_when() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store)
    clock.advance(3 * DAY)
    run(keeper(store, clock))
    *_, required, inquiry = store.read_stream(stream)
    assert inquiry.causation_id == required.id
    assert inquiry.actor == NAME
    assert inquiry.occurred_at == NOON + 3 * DAY


def test_what_no_longer_matters_is_not_asked() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store)
    one = keeper(store, clock)
    run(one)
    declined = types(store, stream)
    write(store, stream, INITIATED.model_copy(update={"order_id": OrderKey("web", "1").order_id}))
    clock.advance(DAY)
    run(one)
    assert types(store, stream) == [*declined, "payment.initiated"]


def test_a_watch_that_is_ahead_of_the_others_keeps_the_pause_between_two_questions() -> None:
    theirs, ours = Clock(), Clock(NOON + 2 * HOUR)
    store = FaultyStore(now=theirs)
    one = keeper(store, ours)
    outcome_unknown(store, NOON + HOUR)
    run(one)
    assert types(store, STREAM)[2:] == [ASKED]
    again = PaymentOutcomeUnknown(order_id=ORDER, operation=PaymentOperation.AUTHORIZE, attempt=2, ask_at=NOON + HOUR)
    write(store, STREAM, again)
    run(one)
    assert types(store, STREAM)[3:] == ["payment.outcome_unknown"]
    ours.advance(HOUR)
    run(one)
    assert types(store, STREAM)[4:] == [ASKED]


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_knows_the_deadlines_that_are_open() -> None:
    store, clock = FaultyStore(), Clock()
    soon, late = wait_for_buyer(store, 1, time_to_act=HOUR), wait_for_buyer(store, 2)
    run(keeper(store, clock))
    clock.advance(HOUR)
    run(keeper(store, clock))
    assert store.tracked_position(NAME) == 3  # just before the oldest that is open
    clock.advance(DAY)
    run(keeper(store, clock))
    assert types(store, soon)[2:] == [ASKED]
    assert types(store, late)[2:] == [ASKED]


def test_a_restart_asks_nothing_twice() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store)
    clock.advance(DAY)
    for _ in range(3):
        run(keeper(store, clock))
    assert types(store, stream)[2:] == [ASKED]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_timekeeper_that_dies_around_a_commit_asks_once(number: int, when: Any) -> None:
    store, clock = FaultyStore(), Clock()
    streams = [wait_for_buyer(store, one) for one in range(2)]
    clock.advance(DAY)
    store.appends = 0
    store.dies_at(number, when)
    with pytest.raises(Crash):
        run(keeper(store, clock))
    run(keeper(store, clock))
    assert [types(store, stream)[2:] for stream in streams] == [[ASKED], [ASKED]]


def test_two_timekeepers_of_one_name_ask_once() -> None:
    recorder, clock = MemoryRecorder(), Clock()
    stores = FaultyStore(recorder), FaultyStore(recorder)
    streams = [wait_for_buyer(stores[0], number) for number in range(5)]
    clock.advance(DAY)
    run(*[keeper(store, clock) for store in stores])
    assert [types(stores[0], stream)[2:] for stream in streams] == [[ASKED]] * 5


def test_deadlines_that_come_while_the_store_is_away_are_kept_afterwards() -> None:
    store, clock = FaultyStore(), Clock()
    streams = [wait_for_buyer(store, number) for number in range(3)]
    one = keeper(store, clock)
    run(one)
    clock.advance(DAY)
    store.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            one.step()
    store.away = False
    run(one)
    assert [types(store, stream)[2:] for stream in streams] == [[ASKED]] * 3


def test_a_long_stretch_of_other_events_is_noted_so_that_a_restart_does_not_read_it_again() -> None:
    store, clock = FaultyStore(), Clock()
    one = keeper(store, clock)
    for _ in range(101):
        write(store, "order-1", *[OrderAccepted(order_id=ORDER)] * 100)
    run(one)
    assert keeper(store, clock).position >= 10_000


# --- imported histories ----------------------------------------------------------------------------------------------


def test_importing_last_year_expires_nothing_today() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store, at=LONG_AGO, clock=HISTORY)
    import_order(store, LONG_AGO + HOUR)
    one = keeper(store, clock)
    run(one)
    assert types(store, stream)[2:] == []
    assert one.next_due_s() is None


def test_an_imported_clock_moves_with_its_newest_order() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store, at=LONG_AGO, clock=HISTORY)
    one = keeper(store, clock)
    import_order(store, LONG_AGO + 2 * DAY)
    import_order(store, LONG_AGO + HOUR)  # an older one does not turn it back
    run(one)
    inquiry = store.read_stream(stream)[-1]
    assert inquiry.type == "payment.inquiry_initiated.v1"
    assert inquiry.occurred_at == LONG_AGO + DAY  # when it was due, not when the next order came along
    assert inquiry.clock == HISTORY


def test_histories_do_not_move_each_others_clocks() -> None:
    store, clock = FaultyStore(), Clock()
    stream = wait_for_buyer(store, at=LONG_AGO, clock="another")
    import_order(store, LONG_AGO + 30 * DAY)
    run(keeper(store, clock))
    assert types(store, stream)[2:] == []


def test_after_a_restart_an_imported_clock_stands_where_it_stood() -> None:
    store, clock = FaultyStore(), Clock()
    due = wait_for_buyer(store, 1)
    import_order(store, LONG_AGO + 2 * DAY)
    clock.advance(DAY)
    run(keeper(store, clock))  # tracks a position behind that order
    assert types(store, due)[2:] == [ASKED]
    stream = wait_for_buyer(store, 2, at=LONG_AGO, clock=HISTORY)  # its answer took that long
    run(keeper(store, clock))
    assert types(store, stream)[2:] == [ASKED]


def test_asking_a_provider_again_is_a_matter_of_today_and_stays_in_the_history() -> None:
    store, clock = FaultyStore(), Clock()
    outcome_unknown(store, NOON + HOUR, at=LONG_AGO, clock=HISTORY)
    one = keeper(store, clock)
    run(one)
    assert one.next_due_s() == HOUR.total_seconds()
    clock.advance(HOUR)
    run(one)
    inquiry = store.read_stream(STREAM)[-1]
    assert inquiry.type == "payment.inquiry_initiated.v1"
    assert (inquiry.occurred_at, inquiry.clock) == (LONG_AGO, HISTORY)


# --- poison ----------------------------------------------------------------------------------------------------------


def poisoned(bad: str) -> SetsDeadlines:
    find = DEADLINES[PaymentActionRequired]

    def refuse(recorded: Recorded) -> Any:
        if recorded.stream != bad:
            return find(recorded)

        def fail(_: datetime) -> Directive:
            raise RuntimeError("unforeseen")

        return (Deadline(cast(PaymentActionRequired, recorded.event).expires_at, fail),)

    return {**DEADLINES, PaymentActionRequired: refuse}


def test_a_deadline_that_cannot_be_kept_is_parked_and_holds_nobody_up() -> None:
    store, clock = FaultyStore(), Clock()
    bad, good = wait_for_buyer(store, 1), wait_for_buyer(store, 2)
    clock.advance(DAY)
    one = keeper(store, clock, poisoned(bad))
    run(one)
    assert types(store, good)[2:] == [ASKED]
    [parked] = one.parking.entries()
    assert (parked.stream, parked.reason) == (bad, "RuntimeError: unforeseen")


def test_every_start_tries_it_again_until_it_works() -> None:
    store, clock = FaultyStore(), Clock()
    bad = wait_for_buyer(store, 1)
    clock.advance(DAY)
    for _ in range(3):
        run(keeper(store, clock, poisoned(bad)))
    assert types(store, parking_stream(NAME)) == ["runtime.event_parked"]
    mended = keeper(store, clock)
    run(mended)
    assert types(store, bad)[2:] == [ASKED]
    assert mended.parking.entries() == []
    assert types(store, parking_stream(NAME)) == ["runtime.event_parked", "runtime.parked_event_replayed"]


def test_a_deadline_that_cannot_be_read_is_parked_and_holds_nobody_up() -> None:
    recorder, clock = MemoryRecorder(), Clock()
    store = FaultyStore(recorder)
    spoil(store, recorder, STREAM, "payment.action_required.v1")
    good = wait_for_buyer(store, 2)
    clock.advance(DAY)
    for _ in range(2):
        one = keeper(store, clock)
        run(one)
        assert [parked.stream for parked in one.parking.entries()] == [STREAM]
    assert types(store, good)[2:] == [ASKED]
    assert store.tracked_position(NAME) == 0  # whoever can read it finds it there


def test_a_dropped_deadline_is_left_behind() -> None:
    recorder, clock = MemoryRecorder(), Clock()
    store = FaultyStore(recorder)
    position = spoil(store, recorder, STREAM, "payment.action_required.v1")
    wait_for_buyer(store, 2)
    one = keeper(store, clock)
    run(one)
    one.parking.drop(position, "nobody waits for it", actor="cli", now=NOON)
    clock.advance(DAY)
    run(one)
    assert store.tracked_position(NAME) > position
