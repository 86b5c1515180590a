"""Whatever is asked in whatever order, the laws hold. hypothesis looks for the order in which they do not.

Every step also keeps the promises of all deciders (tests/spec.py): one answer, no state changed in place, events that
`evolve` takes and that the log gives back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import reduce
from typing import Any, TypeVar, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.base import Event
from events.inventory import StockAdjusted, StockReceived, StockShipped
from events.order import Hold, OrderCompleted, OrderLinesShipped, OrderPlaced, PaymentCaptureRequested, Problem
from events.payment import (
    CaptureInitiated,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentOperation,
    PaymentRefunded,
    RefundInitiated,
)
from events.shipping import (
    LabelPurchased,
    ParcelDelivered,
    ParcelShipped,
    TrackingScan,
    TrackingStatus,
    TrackingUpdated,
)
from services.inventory import commands as stock
from services.inventory.allocation import available, shortage
from services.inventory.decider import DECIDER as INVENTORY
from services.inventory.state import DEFAULT_LOW_STOCK_THRESHOLD, StockState
from services.order import commands as order
from services.order.decider import DECIDER as ORDER_RULES
from services.order.state import CLOSED, Goods, Money, OrderState, Part, Status
from services.payment import commands as pay
from services.payment.decider import DECIDER as PAYMENT
from services.payment.state import PaymentState
from services.runtime.decider import Decider
from services.shipping import commands as ship
from services.shipping.decider import DECIDER as SHIPPING
from services.shipping.state import FulfillmentState, Stage
from tests.examples import (
    BELL,
    BUYER,
    FROM_LEEDS,
    FROM_LONDON,
    HOLDER,
    LEEDS,
    LINES,
    LONDON,
    NEW_HOME,
    NOON,
    ORDER,
    OTHER_ORDER,
    PLACED,
    THIRD_ORDER,
    TOTAL_MINOR,
    free_of_charge,
)
from tests.spec import answer

C = TypeVar("C")
S = TypeVar("S")


def play(
    decider: Decider[C, S],
    history: Sequence[Event],
    commands: Sequence[C],
    law: Callable[[list[Event], S], None],
    *,
    repeatable: Callable[[C], bool] = lambda command: True,
    without_version: Callable[[S], S] = lambda state: state,
) -> None:
    """Ask everything; after each answer the law is looked at, and so is what happens if the same is asked again."""
    state, happened = reduce(decider.evolve, history, decider.initial), list(history)
    for command in commands:
        events = answer(decider, command, state)
        state = reduce(decider.evolve, events, state)
        happened += events
        law(happened, state)
        if repeatable(command):
            again = reduce(decider.evolve, answer(decider, command, state), state)
            assert without_version(again) == without_version(state), f"{command} again made a difference"


def test_every_command_is_asked() -> None:
    """A command that nobody draws is a law that nobody tests."""
    for commands, drawn, apart in (
        (pay.PaymentCommand, PAYMENT_COMMANDS, {pay.RecordRefunded}),  # follows what was asked to be undone
        (order.OrderCommand, ORDER_COMMANDS, set()),
        (stock.StockCommand, STOCK_COMMANDS, set()),
        (ship.ShippingCommand, SHIPPING_COMMANDS, set()),
    ):
        assert kinds(drawn) | apart == set(get_args(commands))


def kinds(drawn: st.SearchStrategy[Any]) -> set[Any]:
    seen: set[Any] = set()

    @settings(max_examples=250)
    @given(one=drawn)
    def draw(one: Any) -> None:
        seen.add(type(one))

    draw()
    return seen


def total(events: Sequence[Event], *classes: Any) -> int:
    return sum(event.amount_minor for event in events if isinstance(event, classes))


def count(events: Sequence[Event], *classes: Any) -> int:
    return sum(isinstance(event, classes) for event in events)


# --- payment ---------------------------------------------------------------------------------------------------------

# A provider keeps its own guarantees: it takes no more than was asked for. Beyond that it may say anything at any time.
AMOUNTS = st.sampled_from([1, TOTAL_MINOR - 1, TOTAL_MINOR])
OPERATIONS = st.sampled_from(list(PaymentOperation))
PAYMENT_COMMANDS: st.SearchStrategy[pay.PaymentCommand] = st.one_of(
    st.just(pay.AuthorizePayment(ORDER, TOTAL_MINOR, "GBP", "tok_ok")),
    st.builds(pay.CapturePayment, st.just(ORDER), st.sampled_from([1, TOTAL_MINOR, TOTAL_MINOR + 1])),
    st.just(pay.UndoPayment(ORDER)),
    st.just(pay.AskProvider()),
    st.just(pay.ExpireAction()),
    st.just(pay.RecordAuthorized("pay_1", TOTAL_MINOR)),
    st.just(pay.RecordDeclined("no")),
    st.builds(
        pay.RecordActionRequired,
        st.just("pay_1"),
        st.just(NOON + timedelta(days=3)),
        st.sampled_from([NOON, NOON + timedelta(days=4)]),
    ),
    st.just(pay.RecordActionExpired()),
    st.builds(pay.RecordCaptured, st.just("pay_1"), AMOUNTS),
    st.just(pay.RecordCaptureFailed("no")),
    st.just(pay.RecordVoided()),
    st.builds(pay.RecordUndoFailed, OPERATIONS, st.just("no")),
    st.builds(pay.RecordUnknown, OPERATIONS, st.just(NOON)),
)


def payment_laws(events: list[Event], state: PaymentState) -> None:
    captured, refunded = total(events, PaymentCaptured), total(events, PaymentRefunded)
    assert captured <= max([0, *(event.amount_minor for event in events if isinstance(event, PaymentAuthorized))])
    assert refunded <= captured
    assert count(events, PaymentCaptured) <= 1
    assert count(events, PaymentCaptured) <= count(events, CaptureInitiated)
    assert count(events, PaymentRefunded) <= count(events, RefundInitiated)
    # Somebody waits for an open operation: a call that is out, or a deadline that will ask.
    assert state.version == len(events)
    assert not (state.asking and state.operation is None)
    assert state.operation is None or state.key_version <= state.intent_version


# How far a payment may have got before anything may happen to it.
PAYING: list[pay.PaymentCommand] = [
    pay.AuthorizePayment(ORDER, TOTAL_MINOR, "GBP", "tok_ok"),
    pay.RecordAuthorized("pay_1", TOTAL_MINOR),
    pay.CapturePayment(ORDER, TOTAL_MINOR),
    pay.RecordCaptured("pay_1", TOTAL_MINOR),
    pay.UndoPayment(ORDER),
]


@pytest.mark.parametrize("steps", range(len(PAYING) + 1))
@settings(max_examples=60)
@given(commands=st.lists(PAYMENT_COMMANDS, max_size=20), refund=st.booleans())
def test_money_is_taken_once_and_never_more_than_promised(
    steps: int, commands: list[pay.PaymentCommand], refund: bool
) -> None:
    answered: list[pay.PaymentCommand] = []
    for command in [*PAYING[:steps], *commands]:
        answered.append(command)
        if refund and isinstance(command, pay.UndoPayment):
            # What a provider gives back is what it was asked to give back: all of what was taken.
            answered.append(pay.RecordRefunded("pay_1", 1))
    play(PAYMENT, [], answered, payment_laws, without_version=lambda state: replace(state, version=0))


# --- order -----------------------------------------------------------------------------------------------------------

FROM_BOTH = {LEEDS: {HOLDER: 2, BELL: 2}, LONDON: {HOLDER: 4}}
FROM_ONE = {LONDON: {HOLDER: 6, BELL: 2}}
PARTS = {
    FROM_LONDON: (LONDON, {HOLDER: 4}),
    FROM_LEEDS: (LEEDS, {HOLDER: 2, BELL: 2}),
    f"{FROM_LONDON}.2": (LONDON, {HOLDER: 4}),
    f"{FROM_LEEDS}.2": (LEEDS, {HOLDER: 2, BELL: 2}),
}
BAD_ADDRESS = [Problem(code="bad", where="ship_to", message="bad")]
HOLDS = st.sampled_from(list(Hold))


def parcel(fulfillment_id: str) -> order.NoteParcelShipped:
    location, lines = PARTS[fulfillment_id]
    return order.NoteParcelShipped(fulfillment_id, location, lines)


# Likely steps are named more than once, so that many a play gets far.
FORWARD: list[order.OrderCommand] = [
    order.ReviewOrder([], []),
    order.NotePaymentAuthorized(TOTAL_MINOR),
    order.NoteStockAllocated(FROM_BOTH),
    order.NotePaymentCaptured(TOTAL_MINOR),
]
BACK: list[order.OrderCommand] = [
    order.CancelOrder("changed my mind"),
    order.NoteStockReleased(),
    order.NotePaymentUndone(),
]
SIDEWAYS: list[order.OrderCommand] = [
    order.ReviewOrder([], BAD_ADDRESS),
    order.ReviewOrder(BAD_ADDRESS, []),
    order.CorrectOrder(BUYER, NEW_HOME, []),
    order.CorrectOrder(None, NEW_HOME, BAD_ADDRESS),
    order.NotePaymentDeclined("no"),
    order.NotePaymentExpired(),
    order.NoteCaptureFailed("no"),
    order.NoteUndoFailed(PaymentOperation.VOID, "no"),
    order.NoteStockBackordered({HOLDER: 1}),
    order.NoteStockRejected([BELL]),
]
ORDER_COMMANDS: st.SearchStrategy[order.OrderCommand] = st.one_of(
    st.sampled_from(FORWARD),
    st.sampled_from(FORWARD),
    st.sampled_from(BACK),
    st.sampled_from(SIDEWAYS),
    st.builds(parcel, st.sampled_from(list(PARTS))),
    st.builds(order.NoteFulfillmentCancelled, st.sampled_from(list(PARTS))),
    st.builds(order.NoteFulfillmentCancelRefused, st.sampled_from(list(PARTS))),
    st.builds(order.HoldOrder, HOLDS, st.just([])),
    st.builds(order.ReleaseHold, HOLDS, st.sampled_from([None, "tok_ok_other"])),
)


def as_shipping_does(commands: list[order.OrderCommand]) -> list[order.OrderCommand]:
    """A fulfillment has one end: it is stopped, or it leaves, and says so once or more."""
    ends: dict[str, type[order.OrderCommand]] = {}
    return [
        command
        for command in commands
        if not isinstance(command, order.NoteParcelShipped | order.NoteFulfillmentCancelled)
        or ends.setdefault(command.fulfillment_id, type(command)) is type(command)
    ]


def order_laws(events: list[Event], state: OrderState) -> None:
    sent: Counter[str] = Counter()
    for sending in state.wanted:
        sent.update(sending.lines)
    assert all(units <= LINES[sku] for sku, units in sent.items()), "more is being sent than was ordered"
    left = [sending for sending in state.sendings.values() if sending.part is Part.SHIPPED]
    assert count(events, OrderLinesShipped) == len(left)
    assert not (left and state.status in (Status.CANCELLED, Status.REJECTED, Status.EXPIRED))
    if state.money in (Money.CAPTURING, Money.CAPTURED) and state.amount_minor:
        assert all(sending.part is Part.SHIPPED for sending in state.wanted), "paid before it has left"
    if state.status is Status.COMPLETED:
        assert sent == LINES
        assert state.goods is Goods.ALLOCATED
    assert count(events, OrderCompleted) <= 1
    if isinstance(events[0], OrderPlaced) and events[0].total_minor == 0:
        assert count(events, PaymentCaptureRequested) == 0
    assert not (state.closed and state.cancelling)


def terminal_is_final(law: Callable[[list[Event], OrderState], None]) -> Callable[[list[Event], OrderState], None]:
    ended: list[Status] = []

    def look(events: list[Event], state: OrderState) -> None:
        law(events, state)
        if ended:
            assert state.status is ended[0], "a closed order came back"
        elif state.status in CLOSED:
            ended.append(state.status)

    return look


@given(commands=st.lists(ORDER_COMMANDS, max_size=30), gift=st.booleans())
def test_an_order_sends_and_bills_what_was_ordered_once(commands: list[order.OrderCommand], gift: bool) -> None:
    placed = free_of_charge() if gift else PLACED
    play(ORDER_RULES, [placed], as_shipping_does(commands), terminal_is_final(order_laws))


@given(commands=st.lists(ORDER_COMMANDS, max_size=20))
def test_an_order_on_its_way_sends_and_bills_what_was_ordered_once(commands: list[order.OrderCommand]) -> None:
    play(ORDER_RULES, [PLACED], [*FORWARD[:3], *as_shipping_does(commands)], terminal_is_final(order_laws))


@given(commands=st.lists(ORDER_COMMANDS, max_size=20))
def test_an_order_being_cancelled_sends_and_bills_what_was_ordered_once(commands: list[order.OrderCommand]) -> None:
    play(ORDER_RULES, [PLACED], [*FORWARD[:3], BACK[0], *as_shipping_does(commands)], terminal_is_final(order_laws))


# --- inventory -------------------------------------------------------------------------------------------------------

SKUS = st.sampled_from([HOLDER, BELL])
PLACES = st.sampled_from([LONDON, LEEDS])
ORDERS = st.sampled_from([ORDER, OTHER_ORDER, THIRD_ORDER])
BASKETS = st.sampled_from(["basket-1", "basket-2"])
WANTED = st.dictionaries(SKUS, st.integers(1, 8), min_size=1, max_size=2)
POSTINGS = st.dictionaries(PLACES, st.dictionaries(SKUS, st.integers(1, 12), min_size=1), min_size=1)
SIGNED = st.dictionaries(PLACES, st.dictionaries(SKUS, st.integers(-9, 9), min_size=1), min_size=1)
STOCK_COMMANDS: st.SearchStrategy[stock.StockCommand] = st.one_of(
    st.builds(stock.ReceiveStock, st.just("delivery"), POSTINGS),
    st.builds(stock.AllocateStock, ORDERS, WANTED, st.none() | BASKETS),
    st.builds(stock.AllocateStock, ORDERS, WANTED),
    st.builds(stock.ShipStock, ORDERS, POSTINGS),
    st.builds(stock.ReleaseStock, ORDERS),
    st.builds(stock.AdjustStock, st.just("count"), st.just("counted"), SIGNED),
    st.builds(stock.ExpectStock, st.just("delivery"), POSTINGS),
    st.builds(stock.ReserveStock, BASKETS, WANTED, st.just(NOON)),
    st.builds(stock.EndReservation, BASKETS, st.booleans()),
    st.builds(stock.SetLowStockThresholds, st.dictionaries(SKUS, st.integers(0, 12), min_size=1)),
)
# These count each time, and what is promised may leave in several parcels: that each is told once is the worker's
# promise.
COUNTED = (stock.ReceiveStock, stock.AdjustStock, stock.ExpectStock, stock.ShipStock)


def stock_laws(events: list[Event], state: StockState) -> None:
    for balances in (state.free, state.incoming):
        assert all(units >= 0 for lines in balances.values() for units in lines.values())
    assert all(
        units > 0 for lines in [*state.allocations.values(), *state.reservations.values()] for _, units in flat(lines)
    )
    assert on_hand(state) == moved(events)
    for order_id, waiting in state.backorders.items():
        assert shortage(waiting.lines, state.free), f"{order_id} waits for what is there"
        assert order_id not in state.allocations
    wanted = {(sku, order_id) for order_id, one in state.backorders.items() for sku in one.lines}
    assert {(sku, order_id) for sku, queue in state.waiting.items() for order_id in queue} == wanted
    stocked = {sku for _, sku in moved(events)}
    for sku, free in available([HOLDER, BELL], state.free).items():
        is_low = free <= state.thresholds.get(sku, DEFAULT_LOW_STOCK_THRESHOLD)
        assert is_low or sku not in state.low, f"{sku} is reported as low"
        assert sku in state.low or not is_low or sku not in stocked, f"{sku} is low"


Counts = Counter[tuple[str, str]]
"""Units by location and SKU."""


def flat(lines: Mapping[str, Mapping[str, int]]) -> list[tuple[tuple[str, str], int]]:
    return [((place, sku), units) for place, goods in lines.items() for sku, units in goods.items()]


def on_hand(state: StockState) -> Counts:
    """What is free, and what is promised to somebody."""
    units = Counts()
    for lines in [state.free, *state.allocations.values(), *state.reservations.values()]:
        units.update(dict(flat(lines)))
    return +units


def moved(events: list[Event]) -> Counts:
    """What must be there: what came in and was found, less what left and was lost."""
    units = Counts()
    for event in events:
        match event:
            case StockReceived(lines=lines):
                units.update(dict(flat(lines)))
            case StockShipped(lines=lines):
                units.subtract(dict(flat(lines)))
            case StockAdjusted(added=added, removed=removed):
                units.update(dict(flat(added)))
                units.subtract(dict(flat(removed)))
            case _:
                pass
    return +units


@given(commands=st.lists(STOCK_COMMANDS, max_size=25))
def test_what_is_promised_is_there_and_nobody_waits_for_what_is_there(commands: list[stock.StockCommand]) -> None:
    play(INVENTORY, [], commands, stock_laws, repeatable=lambda command: not isinstance(command, COUNTED))


# --- shipping --------------------------------------------------------------------------------------------------------

SCANS = st.lists(
    st.builds(
        TrackingScan,
        status=st.sampled_from([TrackingStatus.IN_TRANSIT, TrackingStatus.DELIVERED]),
        scanned_at=st.sampled_from([NOON, NOON + timedelta(hours=1)]),
        place=st.sampled_from(["Croydon", "London"]),
    ),
    max_size=4,
)
WAY: list[ship.ShippingCommand] = [
    ship.OpenFulfillment(ORDER, FROM_LONDON, LONDON, "GB", False, LINES),
    ship.PickItems(),
    ship.PackParcel(),
    ship.RecordLabel("sandpost", "SB1", "shp_1"),
    ship.ShipParcel(),
]
SHIPPING_COMMANDS: st.SearchStrategy[ship.ShippingCommand] = st.one_of(
    st.sampled_from(WAY),
    st.sampled_from(WAY),
    st.builds(ship.RecordTracking, SCANS),
    st.sampled_from(
        [
            ship.CancelFulfillment(ORDER, FROM_LONDON),
            ship.RequestLabel(),
            ship.AskCarrier(),
            ship.RecordLabelRefused("no"),
            ship.RecordLabelUnknown(NOON),
        ]
    ),
)


def shipping_laws(events: list[Event], state: FulfillmentState) -> None:
    assert count(events, ParcelShipped) <= 1
    assert count(events, LabelPurchased) <= 1
    assert count(events, ParcelDelivered) <= count(events, ParcelShipped)
    scans = [scan for event in events if isinstance(event, TrackingUpdated) for scan in event.scans]
    assert len(set(scans)) == len(scans)
    assert tuple(scans) == state.scans
    assert not (state.stage is Stage.CANCELLED and count(events, ParcelShipped))
    assert not (state.asking and state.tracking_number)


@given(commands=st.lists(SHIPPING_COMMANDS, max_size=25), steps=st.integers(0, len(WAY)))
def test_a_parcel_leaves_once_or_is_stopped(commands: list[ship.ShippingCommand], steps: int) -> None:
    def law(events: list[Event], state: FulfillmentState) -> None:
        if events:
            shipping_laws(events, state)

    play(SHIPPING, [], [*WAY[:steps], *commands], law, without_version=lambda state: replace(state, version=0))
