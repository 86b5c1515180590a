"""A worker does each thing once: however often it is told, whoever else is at it, and wherever it is struck down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NoReturn, cast

import pytest

from events.base import Contact, Event, Recorded, Tracked, Write
from events.feed import Feed, StoreFeed
from events.gateway import StockReceiptReported, report_stream
from events.inventory import StockAllocated, StockReceived, StockReleased, stock_stream
from events.order import Hold, OrderKey, OrderPlaced, order_stream
from events.payment import PaymentAuthorized, PaymentDeclined, PaymentInitiated, PaymentVoided, payment_stream
from events.recorders.memory import MemoryRecorder
from events.runtime import parking_stream
from events.store import AlreadyTracked, EventStore, StoreUnavailable, VersionConflict
from services.inventory.decider import DECIDER as INVENTORY
from services.inventory.reactions import REACTIONS as INVENTORY_REACTIONS
from services.order.commands import HoldOrder
from services.order.decider import DECIDER as ORDER_RULES
from services.order.reactions import REACTIONS as ORDER_REACTIONS
from services.runtime.decider import Cause, Decider, Directive, Reactions
from services.runtime.desk import Desk
from services.runtime.worker import Worker
from tests.examples import BELL, HOLDER, LONDON, NOON, ORDER, OTHER_ORDER, PLACED, TOTAL_MINOR, placed, placing
from tests.fakes import Clock, Crash, FaultyStore, StutteringFeed, history, spoil, types, write

BY_HAND = Cause(NOON, ORDER, "request-1", "cli")


def worker(
    store: EventStore,
    name: str = "inventory",
    decider: Decider[Any, Any] = INVENTORY,
    reactions: Reactions = INVENTORY_REACTIONS,
    *,
    feed: Callable[[EventStore, frozenset[type[Event]]], Feed] = StoreFeed,
    batch_size: int = 500,
    desk: Desk | None = None,
    waits_in: Literal["source", "target"] = "source",
) -> Worker:
    return Worker(
        name,
        store=store,
        feed=feed(store, frozenset(reactions)),
        desk=desk or Desk(store, decider),
        reactions=reactions,
        now=Clock(),
        batch_size=batch_size,
        waits_in=waits_in,
    )


def order_worker(store: EventStore, reactions: Reactions = ORDER_REACTIONS, **wishes: Any) -> Worker:
    return worker(store, "order", ORDER_RULES, reactions, waits_in="target", **wishes)


def receipt(number: int, units: int = 1) -> Write:
    """Goods that came in. Booking them twice would be seen: it makes twice as many."""
    event = StockReceiptReported(reference=f"delivery-{number}", lines={LONDON: {HOLDER: units}})
    stream = report_stream("receipt", event.reference)
    return Write(stream, 0, [BY_HAND.envelope(event)])


def received(store: EventStore) -> list[str]:
    """Which deliveries were booked, in order."""
    booked = [event for event in history(store, stock_stream()) if isinstance(event, StockReceived)]
    return [event.reference for event in booked]


def references(count: int) -> list[str]:
    return [f"delivery-{number}" for number in range(1, count + 1)]


def with_receipts(count: int, store: FaultyStore | None = None) -> FaultyStore:
    store = store or FaultyStore()
    store.append([receipt(number) for number in range(1, count + 1)])
    store.appends = 0
    return store


def run(*workers: Worker) -> None:
    while sum(one.step() for one in workers):
        pass


# --- in one go -------------------------------------------------------------------------------------------------------


def test_a_batch_is_one_append_with_the_workers_position() -> None:
    store = with_receipts(20)
    assert worker(store).step() == 20
    assert store.appends == 1
    assert received(store) == references(20)
    assert store.tracked_position("inventory") == 20


def test_a_batch_is_no_larger_than_it_may_be() -> None:
    store = with_receipts(7)
    one = worker(store, batch_size=3)
    assert [one.step(), one.step(), one.step(), one.step()] == [3, 3, 1, 0]
    assert received(store) == references(7)


def test_what_follows_says_why_it_happened() -> None:
    store = FaultyStore(now=Clock(NOON))
    [placing_it] = store.append([placing(PLACED)])
    order_worker(store).step()
    [_, accepted, requested] = store.read_stream(order_stream(ORDER))
    for recorded in (accepted, requested):
        assert recorded.causation_id == placing_it.id
        assert recorded.correlation_id == ORDER
        assert recorded.actor == "order"
        assert recorded.occurred_at == NOON


def test_what_follows_from_an_imported_history_happens_in_its_time() -> None:
    store = FaultyStore()
    long_ago = NOON.replace(year=2010)
    store.append([placing(PLACED, at=long_ago, clock="online-retail")])
    order_worker(store).step()
    assert {(one.occurred_at, one.clock) for one in store.read_stream(order_stream(ORDER))} == {
        (long_ago, "online-retail")
    }


def test_events_that_do_not_concern_it_are_passed_by_without_an_append() -> None:
    store = FaultyStore()
    write(store, "order-1", PLACED)
    store.appends = 0
    one = worker(store)
    assert (one.step(), one.position, store.appends) == (0, 1, 0)


def test_a_long_stretch_of_them_is_noted_so_that_a_restart_does_not_read_it_again() -> None:
    store = FaultyStore()
    one = worker(store)
    one.IDLE_POSITIONS_PER_COMMIT = 3
    write(store, "order-1", PLACED, PLACED)
    one.step()
    assert store.tracked_position("inventory") == 0
    write(store, "order-1", PLACED)
    one.step()
    assert worker(store).position == 3


# --- told again, or by two at once -----------------------------------------------------------------------------------


def test_what_is_delivered_again_together_with_something_new_is_handled_once() -> None:
    store = with_receipts(3)
    one = worker(store, feed=StutteringFeed)
    one.step()
    store.append([receipt(4)])
    one.step()
    assert received(store) == references(4)
    assert one.step() == 0


def test_after_a_restart_nothing_is_handled_again() -> None:
    store = with_receipts(3)
    worker(store, feed=StutteringFeed).step()
    assert worker(store, feed=StutteringFeed).step() == 0
    assert received(store) == references(3)


def test_a_zombie_that_wakes_up_after_the_work_was_done_changes_nothing() -> None:
    store = with_receipts(10)
    zombie, heir = worker(store), worker(store)
    heir.step()
    zombie.step()
    assert received(store) == references(10)
    assert zombie.position == 10


def test_a_zombie_that_did_the_first_half_is_not_repeated() -> None:
    """The heir read its position before the zombie's last commit, and its states after it."""
    store = with_receipts(10)
    heir, zombie = worker(store), worker(store, batch_size=4)
    zombie.step()
    run(heir)
    assert received(store) == references(10)


def test_a_zombie_that_commits_between_the_heirs_decision_and_its_append() -> None:
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    with_receipts(10, others)
    zombie, heir = worker(others, batch_size=4), worker(store)
    store.before_append = lambda number: run(zombie) if number == 1 else None
    run(heir)
    assert received(store) == references(10)


@pytest.mark.parametrize("pattern", ["12", "1122", "1222", "2111", "121122", "111222"])
@pytest.mark.parametrize("sizes", [(1, 1), (1, 3), (2, 3), (3, 7), (5, 5)])
def test_two_workers_of_one_name_do_everything_once(pattern: str, sizes: tuple[int, int]) -> None:
    recorder = MemoryRecorder()
    stores = FaultyStore(recorder), FaultyStore(recorder)
    with_receipts(15, stores[0])
    workers = [worker(store, batch_size=size) for store, size in zip(stores, sizes, strict=True)]
    for turn in range(40):
        workers[int(pattern[turn % len(pattern)]) - 1].step()
        if turn == 5:
            stores[0].append([receipt(number) for number in range(16, 21)])
    run(*workers)
    assert received(stores[0]) == references(20)
    assert received(stores[1]) == references(20)


def test_two_workers_of_one_name_park_a_poison_once() -> None:
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    with_receipts(8, store)
    bad = poisoned_receipts("delivery-5")
    zombie, heir = worker(others, reactions=bad), worker(store, reactions=bad)
    store.before_append = lambda number: run(zombie) if number == 2 else None
    run(heir, zombie)
    assert received(store) == [one for one in references(8) if one != "delivery-5"]
    assert [one.position for one in heir.parking.entries()] == [5]
    assert len(history(store, parking_stream("inventory"))) == 1


# --- struck down -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_worker_that_dies_around_a_commit_loses_and_doubles_nothing(number: int, when: Any) -> None:
    store = with_receipts(10)
    store.dies_at(number, when)
    doomed = worker(store, batch_size=3)
    with pytest.raises(Crash):
        run(doomed)
    run(worker(store, batch_size=3))
    assert received(store) == references(10)


def test_a_commit_whose_reply_was_lost_counts_as_done() -> None:
    """The store reports a fault, but all of it is in the log."""
    store = with_receipts(4)
    one = worker(store)

    def lose_the_reply(number: int) -> None:
        if number == 1:
            raise StoreUnavailable("the connection was cut")

    store.after_append = lose_the_reply
    with pytest.raises(StoreUnavailable):
        one.step()
    run(one)
    assert received(store) == references(4)


def test_a_store_that_is_away_holds_the_worker_up_and_nothing_else() -> None:
    store = with_receipts(4)
    one = worker(store)
    store.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            one.step()
    store.away = False
    run(one)
    assert received(store) == references(4)


def test_a_store_that_goes_away_in_the_middle_of_a_step_holds_it_up_as_well() -> None:
    store = with_receipts(4)
    one = worker(store)

    def be_away(number: int) -> NoReturn:
        raise StoreUnavailable("the disk is full")

    store.before_append = be_away
    with pytest.raises(StoreUnavailable):
        one.step()
    store.before_append = lambda number: None
    run(one)
    assert received(store) == references(4)


# --- meeting others on a stream --------------------------------------------------------------------------------------


def test_a_command_that_was_faster_is_taken_into_account() -> None:
    """Somebody holds the order while the worker decides to ask for its money."""
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    store.append([placing(PLACED), placing(placed(OrderKey("web", "1002")))])
    store.appends = 0

    def hold_it(number: int) -> None:
        if number == 1:
            Desk(others, ORDER_RULES).execute(Directive(order_stream(ORDER), HoldOrder(Hold.FRAUD, [])), BY_HAND)

    store.before_append = hold_it
    order_worker(store).step()
    assert types(store, order_stream(ORDER)) == ["order.placed", "order.held", "order.accepted"]
    assert types(store, order_stream(OTHER_ORDER))[1:] == ["order.accepted", "order.payment_requested"]


def test_a_decision_to_do_nothing_is_made_again_when_the_stream_has_moved_on() -> None:
    """[] rests on what was known, like every other decision."""
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    desk = Desk(store, ORDER_RULES, max_streams=1)
    batch = desk.batch()
    batch.decide(Directive(order_stream(ORDER), HoldOrder(Hold.FRAUD, [])), BY_HAND)
    others.append([placing(PLACED)])
    desk.load([order_stream(OTHER_ORDER)])  # pushes the first order out of the cache
    with pytest.raises(VersionConflict):
        batch.commit()


def test_a_stream_that_never_stands_still_is_reported_and_nothing_is_written() -> None:
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    with_receipts(1, store)

    def write_as_well(number: int) -> None:
        write(others, stock_stream(), StockReleased(order_id=ORDER))

    store.before_append = write_as_well
    one = worker(store)
    with pytest.raises(VersionConflict):
        one.step()
    assert store.appends == Worker.CONFLICT_ATTEMPTS
    store.before_append = lambda number: None
    run(one)
    assert received(store) == references(1)


# --- poison ----------------------------------------------------------------------------------------------------------


class Poison(Exception):
    pass


def poisoned_receipts(*bad: str) -> Reactions:
    react = INVENTORY_REACTIONS[StockReceiptReported]

    def refuse(recorded: Recorded) -> Any:
        if cast(StockReceiptReported, recorded.event).reference in bad:
            raise Poison("cannot be handled")
        return react(recorded)

    return {**INVENTORY_REACTIONS, StockReceiptReported: refuse}


def poisoned_orders(event_class: type[Event], *bad: str) -> Reactions:
    react = ORDER_REACTIONS[event_class]

    def refuse(recorded: Recorded) -> Any:
        if cast(Any, recorded.event).order_id in bad:
            raise Poison("cannot be handled")
        return react(recorded)

    return {**ORDER_REACTIONS, event_class: refuse}


def test_one_poison_event_in_a_thousand_parks_its_own_stream_only() -> None:
    store = FaultyStore()
    orders = [placed(OrderKey("web", str(number)), lines={BELL: 1}) for number in range(1_000)]
    store.append([placing(order) for order in orders])
    bad = orders[333].order_id
    one = order_worker(store, poisoned_orders(OrderPlaced, bad))
    run(one)
    [parked] = one.parking.entries()
    assert (parked.position, parked.stream) == (334, order_stream(bad))
    assert parked.reason == "Poison: cannot be handled"
    versions = store.stream_versions([order_stream(order.order_id) for order in orders])
    assert versions.pop(order_stream(bad)) == 1
    assert set(versions.values()) == {3}


def paid_order(store: EventStore, number: str) -> str:
    """An order whose payment stream will say more than one thing."""
    order = placed(OrderKey("web", number))
    store.append([placing(order)])
    run(order_worker(store))
    return order.order_id


def payment_says(store: EventStore, order_id: str, *events: type[Event]) -> None:
    made: dict[type[Event], Event] = {
        PaymentInitiated: PaymentInitiated(
            order_id=order_id, amount_minor=TOTAL_MINOR, currency="GBP", payment_token="tok_ok"
        ),
        PaymentDeclined: PaymentDeclined(order_id=order_id, reason="no"),
        PaymentAuthorized: PaymentAuthorized(order_id=order_id, reference="pay_1", amount_minor=TOTAL_MINOR),
        PaymentVoided: PaymentVoided(order_id=order_id),
    }
    write(store, payment_stream(order_id), *(made[event] for event in events))


def test_what_comes_later_in_the_stream_waits_behind_it_and_is_replayed_in_order() -> None:
    store = FaultyStore()
    bad, good = paid_order(store, "1"), paid_order(store, "2")
    one = order_worker(store, poisoned_orders(PaymentDeclined, bad))
    for order_id in (bad, good):
        payment_says(store, order_id, PaymentInitiated, PaymentDeclined, PaymentAuthorized)
    run(one)
    assert [parked.event_type for parked in one.parking.entries()] == ["payment.declined.v1", "payment.authorized.v1"]
    assert types(store, order_stream(bad))[3:] == []
    expected = ["order.held", "order.hold_released", "order.allocation_requested"]
    assert types(store, order_stream(good))[3:] == expected

    mended = order_worker(store)  # a restart knows what is parked
    payment_says(store, bad, PaymentVoided)
    run(mended)
    assert len(mended.parking.entries()) == 3
    assert [parked.event_type for parked in mended.replay_parked()] == [
        "payment.declined.v1", "payment.authorized.v1", "payment.voided.v1",
    ]  # fmt: skip
    assert types(store, order_stream(bad))[3:] == expected
    assert mended.parking.entries() == []


def test_what_still_cannot_be_handled_stays_with_all_that_waits_behind_it() -> None:
    store = FaultyStore()
    first, second = paid_order(store, "1"), paid_order(store, "2")
    bad = order_worker(store, poisoned_orders(PaymentDeclined, first, second))
    for order_id in (first, second):
        payment_says(store, order_id, PaymentDeclined, PaymentAuthorized)
    run(bad)
    half_mended = order_worker(store, poisoned_orders(PaymentDeclined, first))
    assert {parked.stream for parked in half_mended.replay_parked()} == {payment_stream(second)}
    assert [parked.stream for parked in half_mended.parking.entries()] == [payment_stream(first)] * 2


def ledger_says(store: EventStore, *orders: str) -> None:
    lines = {LONDON: {HOLDER: 6, BELL: 2}}
    write(store, stock_stream(), *(StockAllocated(order_id=order_id, lines=lines) for order_id in orders))


def test_what_the_stock_ledger_says_of_one_order_does_not_hold_up_the_others() -> None:
    store = FaultyStore()
    bad, good = paid_order(store, "1"), paid_order(store, "2")
    for order_id in (bad, good):
        payment_says(store, order_id, PaymentAuthorized)
    one = order_worker(store, poisoned_decisions(order_stream(bad)))
    run(one)
    ledger_says(store, bad, good)
    run(one)
    ledger_says(store, bad)
    run(one)
    assert types(store, order_stream(good))[3:] == [
        "order.allocation_requested", "order.confirmed", "order.fulfillment_requested",
    ]  # fmt: skip
    assert types(store, order_stream(bad))[3:] == []
    assert [(parked.stream, parked.event_type) for parked in one.parking.entries()] == [
        (order_stream(bad), "payment.authorized.v1"),
        (order_stream(bad), "inventory.stock_allocated.v1"),
        (order_stream(bad), "inventory.stock_allocated.v1"),
    ]
    order_worker(store).replay_parked()
    assert types(store, order_stream(bad)) == types(store, order_stream(good))


def poisoned_decisions(bad: str) -> Reactions:
    """The reactions are well, but what they ask of this stream cannot be decided."""

    def spoiled(react: Callable[[Recorded], Any]) -> Callable[[Recorded], Any]:
        def directives(recorded: Recorded) -> Any:
            return [one._replace(command=None) if one.stream == bad else one for one in react(recorded)]

        return directives

    return {event_class: spoiled(react) for event_class, react in ORDER_REACTIONS.items()}


def test_only_one_stream_may_be_replayed() -> None:
    store = FaultyStore()
    first, second = paid_order(store, "1"), paid_order(store, "2")
    bad = order_worker(store, poisoned_orders(PaymentDeclined, first, second))
    for order_id in (first, second):
        payment_says(store, order_id, PaymentDeclined)
    run(bad)
    mended = order_worker(store)
    assert [parked.stream for parked in mended.replay_parked(payment_stream(second))] == [payment_stream(second)]
    assert [parked.stream for parked in mended.parking.entries()] == [payment_stream(first)]


def test_a_dropped_event_lets_what_comes_after_it_go_on() -> None:
    store = FaultyStore()
    order_id = paid_order(store, "1")
    bad = order_worker(store, poisoned_orders(PaymentDeclined, order_id))
    payment_says(store, order_id, PaymentDeclined)
    run(bad)
    [parked] = bad.parking.entries()
    bad.parking.drop(parked.position, "sent by mistake", actor="cli", now=NOON)
    payment_says(store, order_id, PaymentAuthorized)
    run(bad)
    assert types(store, order_stream(order_id))[3:] == ["order.allocation_requested"]
    assert types(store, parking_stream("order")) == ["runtime.event_parked", "runtime.parked_event_dropped"]


def test_a_replay_decides_on_what_others_have_written_meanwhile() -> None:
    recorder = MemoryRecorder()
    store, others = FaultyStore(recorder), FaultyStore(recorder)
    order_id = paid_order(store, "1")
    desk = Desk(store, ORDER_RULES)
    bad = order_worker(store, poisoned_orders(PaymentDeclined, order_id), desk=desk)
    payment_says(store, order_id, PaymentDeclined)
    desk.load([order_stream(order_id)])
    run(bad)
    Desk(others, ORDER_RULES).execute(Directive(order_stream(order_id), HoldOrder(Hold.FRAUD, [])), BY_HAND)
    order_worker(store, desk=desk).replay_parked()
    assert types(store, order_stream(order_id))[3:] == ["order.held", "order.held"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_dies_while_it_parks_parks_it_once(when: Any) -> None:
    store = with_receipts(8)
    bad = poisoned_receipts("delivery-5")
    run_once = FaultyStore()
    with_receipts(8, run_once)
    run(worker(run_once, reactions=bad))
    for number in range(1, run_once.appends + 1):
        store = with_receipts(8)
        store.dies_at(number, when)
        with pytest.raises(Crash):
            run(worker(store, reactions=bad))
        run(worker(store, reactions=bad))
        assert received(store) == [one for one in references(8) if one != "delivery-5"]
        assert len(history(store, parking_stream("inventory"))) == 1


def test_an_event_that_cannot_be_read_is_parked_like_any_other() -> None:
    recorder = MemoryRecorder()
    store = FaultyStore(recorder)
    with_receipts(2, store)
    position = spoil(store, recorder, report_stream("receipt", "delivery-3"), StockReceiptReported.type)
    store.append([receipt(4)])
    one = worker(store)
    run(one)
    assert received(store) == ["delivery-1", "delivery-2", "delivery-4"]
    [parked] = one.parking.entries()
    assert (parked.position, parked.event_type) == (position, StockReceiptReported.type)
    assert "UnreadableEvent" in parked.reason
    assert one.replay_parked() == []


def test_what_a_newer_version_has_written_is_parked_and_not_passed_by() -> None:
    recorder = MemoryRecorder()
    store = FaultyStore(recorder)
    spoil(store, recorder, report_stream("receipt", "delivery-1"), "gateway.stock_receipt_reported.v2")
    store.append([receipt(2)])
    one = worker(store)
    run(one)
    assert [parked.event_type for parked in one.parking.entries()] == ["gateway.stock_receipt_reported.v2"]
    assert received(store) == ["delivery-2"]


def test_a_stream_that_cannot_be_read_parks_what_needs_its_state() -> None:
    recorder = MemoryRecorder()
    store = FaultyStore(recorder)
    good, bad = paid_order(store, "1"), paid_order(store, "2")
    spoil(store, recorder, order_stream(bad), "order.held.v1")
    for order_id in (good, bad):
        payment_says(store, order_id, PaymentAuthorized)
    restarted = order_worker(store)
    run(restarted)
    assert types(store, order_stream(good))[3:] == ["order.allocation_requested"]
    assert [parked.stream for parked in restarted.parking.entries()] == [order_stream(bad)]


def test_no_personal_data_is_kept_with_a_parked_event() -> None:
    store = FaultyStore()

    def misread(recorded: Recorded) -> NoReturn:
        Contact.model_validate({"name": "Zoë Quine", "email": ["zoe@example.org"]})
        raise AssertionError("it does not fit")

    store.append([placing(PLACED)])
    one = order_worker(store, {**ORDER_REACTIONS, OrderPlaced: misread})
    run(one)
    [parked] = one.parking.entries()
    assert parked.reason.startswith("ValidationError: ")
    assert "email: Input should be" in parked.reason
    assert "zoe" not in parked.reason.lower()


def test_tracked_work_is_refused_by_the_store_itself() -> None:
    store = with_receipts(2)
    worker(store).step()
    with pytest.raises(AlreadyTracked):
        store.append([], tracked=Tracked("inventory", 2))


# --- memory ----------------------------------------------------------------------------------------------------------


def test_a_desk_keeps_no_more_states_than_it_may() -> None:
    store = FaultyStore()
    orders = [placed(OrderKey("web", str(number)), lines={BELL: 1}) for number in range(300)]
    store.append([placing(order) for order in orders])
    desk = Desk(store, ORDER_RULES, max_streams=50)
    run(order_worker(store, desk=desk, batch_size=40))
    assert len(desk._held) <= 50
    assert set(store.stream_versions([order_stream(order.order_id) for order in orders]).values()) == {3}


def test_a_state_that_was_forgotten_is_read_again() -> None:
    store = FaultyStore()
    order_id = paid_order(store, "1")
    desk = Desk(store, ORDER_RULES, max_streams=1)
    before = desk.state(order_stream(order_id))
    desk.state(order_stream(OTHER_ORDER))
    assert desk.state(order_stream(order_id)) == before
