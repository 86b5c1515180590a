"""The laws find nothing on a day on which everything happened, and everything that is planted in that day's log.

The log is what the four services really wrote (tests/trading_day.py). Each row of PLANTED spoils it in one place and
says which law that breaks, and which event must be named.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from events.base import Event
from events.codec import EVENT_TYPES, Unreadable
from events.inventory import DEFAULT_POOL, StockShipped
from events.order import OrderCancelled, OrderCorrectionRefused, OrderIntakeConflicted, PaymentVoidRequested
from events.payment import CaptureFailed, PaymentDeclined, PaymentRefunded, RefundInitiated, payment_stream
from events.runtime import EventParked, ParkedEventReplayed, parking_stream
from events.shipping import ParcelShipped
from events.slots import SLOTS, slot_name, slot_of
from services.audit.law import Law
from services.audit.laws import BARE_LAWS, CASE_LAWS
from services.audit.verify import verify
from tests.architecture import imports_of
from tests.examples import BELL, HOLDER, HOUR, LONDON
from tests.tampered_log import Day, TamperedLog, recorded_day

ROOT = Path(__file__).resolve().parent.parent.parent

Plant = Callable[[TamperedLog], None]


@pytest.fixture(scope="module")
def day() -> Day:
    return recorded_day()


# --- a good log ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page_events", [1, 7, 2_000])
def test_nothing_is_wrong_with_what_the_services_wrote(day: Day, page_events: int) -> None:
    verdict = verify(TamperedLog(day), page_events=page_events)
    assert verdict.violations == []
    assert verdict.ok
    assert verdict.events == len(day.log)
    assert verdict.counters["orders"] == len(day.orders)
    assert verdict.counters["answers_to_come"] == 0


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5, 0.75, 0.9])
def test_nothing_is_wrong_in_the_middle_of_the_day(day: Day, share: float) -> None:
    """What has not happened yet is not missing: the workers had not come to it."""
    log = TamperedLog(day)
    log.events = log.events[: int(share * len(log.events))]
    log.tracked = {}
    verdict = verify(log)
    assert verdict.violations == []
    assert verdict.counters["orders_open"] > 0


def test_forgets_what_is_settled(day: Day) -> None:
    verdict = verify(TamperedLog(day))
    waiting_for_a_person = {"not-taken", "not-undone", "label-refused"}
    assert verdict.counters["orders_remembered"] == verdict.counters["orders_open"] == len(waiting_for_a_person)


# --- what never happens on such a day, and may ----------------------------------------------------------------------


def _after(log: TamperedLog, order: str, kind: str, *events: Event) -> None:
    """Put events behind one of the order's, in the order given."""
    log.insert(log.find(order, kind), *events)


def _authorized_after_all(log: TamperedLog) -> None:
    """A provider says no first and yes later: the late fact is recorded."""
    order_id = log.orders["plain"]
    _after(log, "plain", "payment.initiated", PaymentDeclined(order_id=order_id, reason="no"))


def _captured_after_all(log: TamperedLog) -> None:
    """A capture that was reported as failed had been made."""
    order_id = log.orders["plain"]
    _after(log, "plain", "payment.capture_initiated", CaptureFailed(order_id=order_id, reason="no"))


def _refunded(log: TamperedLog) -> None:
    order_id = log.orders["plain"]
    _after(log, "plain", "order.completed", PaymentVoidRequested(order_id=order_id))
    place = log.find("plain", "order.payment_void_requested")
    _after(log, "plain", "order.payment_void_requested", *_refund(order_id, 25_58))
    for behind in (place + 1, place + 2):
        log.rewrite(behind, stream=payment_stream(order_id))
    log.renumber(log.events)


def _sent_again_with_other_content(log: TamperedLog) -> None:
    facts = {"received_digest": "aa", "accepted_digest": "bb"}
    conflict = OrderIntakeConflicted.model_validate({"order_id": log.orders["plain"], **facts})
    _after(log, "plain", "order.completed", conflict)


def _corrected_too_late(log: TamperedLog) -> None:
    refused = OrderCorrectionRefused(order_id=log.orders["plain"], reason="closed")
    _after(log, "plain", "order.completed", refused)


def _parked_and_replayed(log: TamperedLog) -> None:
    parked = EventParked(consumer="order", position=1, stream="report-x", event_type="x", reason="broken")
    again = ParkedEventReplayed(consumer="order", position=1, stream="report-x")
    _after(log, "plain", "order.completed", parked, again)
    behind = log.find("plain", "order.completed") + 1
    for place in (behind, behind + 1):
        log.rewrite(place, stream=parking_stream("order"))
    log.renumber(log.events)


@pytest.mark.parametrize("page_events", [1, 2_000])
@pytest.mark.parametrize(
    "happen",
    [
        _authorized_after_all,
        _captured_after_all,
        _refunded,
        _sent_again_with_other_content,
        _corrected_too_late,
        _parked_and_replayed,
    ],
)
def test_what_may_happen_breaks_no_law(day: Day, happen: Plant, page_events: int) -> None:
    log = TamperedLog(day)
    happen(log)
    assert len(log.events) > len(day.log)
    assert verify(log, page_events=page_events).violations == []


def test_clocks_of_several_machines_may_differ_and_it_is_told_by_how_much(day: Day) -> None:
    log = TamperedLog(day)
    _time_goes_back(log)
    verdict = verify(log)
    assert verdict.ok
    assert (verdict.counters["clock_steps_back"], verdict.counters["clock_most_back_ms"]) == (1, 3_600_000)


def test_an_answer_that_a_slot_owes_is_missed(day: Day) -> None:
    log = TamperedLog(day)
    _goods_kept(log)
    tracked = log.tracked_positions()
    by_slots = {slot_name(name, slot): position for name, position in tracked.items() for slot in range(SLOTS)}
    log.tracked_positions = lambda: by_slots  # type: ignore[method-assign]
    assert Law.ALLOCATION_ENDS in [one.law for one in verify(log).violations]
    by_slots[slot_name("inventory", slot_of(DEFAULT_POOL))] = 0
    assert Law.ALLOCATION_ENDS not in [one.law for one in verify(log).violations]


def test_every_event_of_the_language_has_its_law() -> None:
    assert CASE_LAWS.keys() | BARE_LAWS.keys() == set(EVENT_TYPES.values())
    assert not CASE_LAWS.keys() & BARE_LAWS.keys()


def test_the_auditor_shares_no_code_with_those_it_audits() -> None:
    """It knows the language, and itself."""
    sources = sorted((ROOT / "services" / "audit").rglob("*.py"))
    assert len(sources) > 10
    ours = [
        one.module
        for source in sources
        for one in imports_of(ast.parse(source.read_text(encoding="utf-8")))
        if one.top in ("events", "services", "projections", "tests")
    ]
    assert not [module for module in ours if not module.startswith(("events.", "services.audit."))]


# --- planted violations --------------------------------------------------------------------------------------------

Where = tuple[str | None, str, int]


class Planted(NamedTuple):
    """One spoilt place: the law it breaks, how it is spoilt, and the event that must be named first.

    `where` is (order, kind of event, the nth of it), looked up in the spoilt log.
    """

    what: str
    law: Law
    plant: Plant
    where: Where


def editing(order: str | None, kind: str, nth: int = 1, **fields: Any) -> Plant:
    return lambda log: log.edit(log.find(order, kind, nth), **fields)


def rewriting(order: str | None, kind: str, nth: int = 1, **fields: Any) -> Plant:
    return lambda log: log.rewrite(log.find(order, kind, nth), **fields)


def dropping(order: str | None, kind: str, nth: int = 1) -> Plant:
    return lambda log: log.drop(log.find(order, kind, nth))


def doubling(order: str | None, kind: str, nth: int = 1) -> Plant:
    return lambda log: log.double(log.find(order, kind, nth))


def cutting(order: str | None, kind: str) -> Plant:
    """Take the event out and leave the gap."""

    def plant(log: TamperedLog) -> None:
        del log.events[log.find(order, kind)]

    return plant


def repeating(order: str | None, kind: str) -> Plant:
    """The same event twice, version and all, as a store without a key would have it."""

    def plant(log: TamperedLog) -> None:
        place = log.find(order, kind)
        again = log.events[place]._replace(position=log.events[place].position)
        log.events.insert(place + 1, again)

    return plant


def swapping(order: str, one: str, other: str) -> Plant:
    """Two events change places, and keep their versions."""

    def plant(log: TamperedLog) -> None:
        first, second = log.find(order, one), log.find(order, other)
        a, b = log.events[first], log.events[second]
        log.events[first] = b._replace(position=a.position, recorded_at=a.recorded_at)
        log.events[second] = a._replace(position=b.position, recorded_at=b.recorded_at)

    return plant


def inserting(order: str | None, after: str, *events: Callable[[str], Event]) -> Plant:
    """New events behind another one, made from the order's id."""

    def plant(log: TamperedLog) -> None:
        order_id = log.orders[order] if order else ""
        log.insert(log.find(order, after), *(make(order_id) for make in events))

    return plant


def _unreadable(log: TamperedLog) -> None:
    place = log.find("plain", "order.accepted")
    log.events[place] = log.events[place]._replace(event=Unreadable(reason="data: not what it should be"))


def _time_goes_back(log: TamperedLog) -> None:
    place = log.find("plain", "order.confirmed")
    log.rewrite(place, recorded_at=log.events[place].recorded_at - HOUR)


def _effect_before_cause(log: TamperedLog) -> None:
    place = log.find("plain", "payment.captured")
    log.rewrite(place, causation_id=log.events[place]._replace(version=99).id)


def _stranger(log: TamperedLog) -> None:
    log.edit(log.find("plain", "payment.captured"), order_id=log.orders["gift"])


def _replayed_out_of_nothing(log: TamperedLog) -> None:
    event = ParkedEventReplayed(consumer="order", position=1, stream="order-x")
    log.insert(log.find("plain", "order.completed"), event)
    place = log.find(None, "runtime.parked_event_replayed")
    log.rewrite(place, stream=parking_stream("order"), version=1)
    log.renumber(log.events)


def _never_given_back(log: TamperedLog) -> None:
    """The order is cancelled without giving its goods back."""
    log.rewrite(log.find("cancelled", "order.payment_void_requested"), causation_id="request-3")
    kinds = ("order.allocation_release_requested", "inventory.stock_released")
    log.drop(*(log.find("cancelled", kind) for kind in kinds))


def _never_let_go(log: TamperedLog) -> None:
    """The order is cancelled without asking for its money back."""
    kinds = ("order.payment_void_requested", "payment.void_initiated", "payment.voided")
    log.drop(*(log.find("cancelled", kind) for kind in kinds))


def _goods_kept(log: TamperedLog) -> None:
    """The ledger passes over the release, and nothing goes on."""
    kinds = ("inventory.stock_released", "order.payment_void_requested", "order.cancelled")
    payment = ("payment.void_initiated", "payment.voided")
    log.drop(*(log.find("cancelled", kind) for kind in (*kinds, *payment)))


def _too_little_came(log: TamperedLog) -> None:
    lines = {LONDON: {"RARE": 2}}
    log.edit(log.find(None, "gateway.stock_receipt_reported", 5), lines=lines)
    log.edit(log.find(None, "inventory.stock_received", 5), lines=lines)


def _counted_away(log: TamperedLog) -> None:
    lines = {LONDON: {BELL: 5_000}}
    report = log.find(None, "gateway.stock_adjustment_reported")
    log.edit(report, lines={LONDON: {BELL: -5_000}})
    log.edit(log.find(None, "inventory.stock_adjusted"), added={}, removed=lines, refused={})


def _other_id(log: TamperedLog) -> None:
    place = log.find("plain", "order.fulfillment_requested")
    event: Any = log.events[place].event
    log.insert(place, type(event).model_validate({**dict(event), "fulfillment_id": event.fulfillment_id + ".2"}))


def _gone_after_all(log: TamperedLog) -> None:
    place = log.find("cancelled", "shipping.fulfillment_cancelled")
    event: Any = log.events[place].event
    lines, parcel = {HOLDER: 6, BELL: 2}, "GB123456785GB"
    shipped = ParcelShipped(
        order_id=event.order_id,
        fulfillment_id=event.fulfillment_id,
        location=LONDON,
        tracking_number=parcel,
        lines=lines,
    )
    log.insert(place, shipped)


def _another_orders_goods(log: TamperedLog) -> None:
    place = log.find("too-late", "inventory.stock_shipped")
    event: Any = log.events[place].event
    log.insert(place, StockShipped(order_id=log.orders["cancelled"], lines=event.lines))


def _refund(order_id: str, amount_minor: int) -> list[Event]:
    facts = {"order_id": order_id, "reference": "pay_1", "amount_minor": amount_minor}
    return [RefundInitiated.model_validate(facts), PaymentRefunded.model_validate(facts)]


FEWER = {HOLDER: 5, BELL: 2}
FEWER_POSTED = {LONDON: {HOLDER: 5, BELL: 2}}

PLANTED = [
    # the log itself
    Planted("garbage", Law.READABLE, _unreadable, (None, "order.accepted", 1)),
    Planted(
        "a position that repeats",
        Law.POSITIONS_GROW,
        rewriting("plain", "order.accepted", position=1),
        ("plain", "order.accepted", 1),
    ),
    Planted(
        "an event cut out",
        Law.VERSIONS_CONTIGUOUS,
        cutting("plain", "order.accepted"),
        ("plain", "order.payment_requested", 1),
    ),
    Planted(
        "two events that change places",
        Law.VERSIONS_CONTIGUOUS,
        swapping("plain", "shipping.items_picked", "shipping.parcel_packed"),
        ("plain", "shipping.parcel_packed", 1),
    ),
    Planted(
        "a version twice",
        Law.VERSIONS_CONTIGUOUS,
        repeating("plain", "shipping.items_picked"),
        ("plain", "shipping.items_picked", 2),
    ),
    Planted(
        "an effect before its cause",
        Law.ENVELOPE_WELL_FORMED,
        _effect_before_cause,
        ("plain", "payment.captured", 1),
    ),
    Planted(
        "no actor",
        Law.ENVELOPE_WELL_FORMED,
        rewriting("plain", "payment.captured", actor=""),
        ("plain", "payment.captured", 1),
    ),
    Planted(
        "no cause",
        Law.ENVELOPE_WELL_FORMED,
        rewriting("plain", "payment.captured", causation_id=""),
        ("plain", "payment.captured", 1),
    ),
    Planted("somebody else's stream", Law.OWN_STREAM, _stranger, ("gift", "payment.captured", 1)),
    Planted(
        "a replay of what was never parked",
        Law.PARKED_FIRST,
        _replayed_out_of_nothing,
        (None, "runtime.parked_event_replayed", 1),
    ),
    # orders
    Planted("never placed", Law.PLACED_FIRST, dropping("plain", "order.placed"), ("plain", "order.accepted", 1)),
    Planted("placed twice", Law.PLACED_FIRST, doubling("plain", "order.placed"), ("plain", "order.placed", 2)),
    Planted(
        "sent without being confirmed",
        Law.ORDER_TRANSITIONS,
        dropping("plain", "order.confirmed"),
        ("plain", "order.fulfillment_requested", 1),
    ),
    Planted(
        "completed twice", Law.ORDER_TRANSITIONS, doubling("plain", "order.completed"), ("plain", "order.completed", 2)
    ),
    Planted(
        "cancelled without being asked",
        Law.ORDER_TRANSITIONS,
        inserting("plain", "order.accepted", lambda order_id: OrderCancelled(order_id=order_id, reason="")),
        ("plain", "order.cancelled", 1),
    ),
    Planted(
        "expired although the buyer had time",
        Law.ORDER_TRANSITIONS,
        dropping("expired", "payment.expired"),
        ("expired", "order.expired", 1),
    ),
    Planted(
        "a hold that was not there",
        Law.HOLDS,
        dropping("declined", "order.held"),
        ("declined", "order.hold_released", 1),
    ),
    Planted(
        "a total that does not add up",
        Law.TOTALS_ADD_UP,
        editing("plain", "order.placed", total_minor=25_59),
        ("plain", "order.accepted", 1),
    ),
    Planted(
        "another amount asked for",
        Law.REQUESTS_FIT,
        editing("plain", "order.payment_requested", amount_minor=25_57),
        ("plain", "order.payment_requested", 1),
    ),
    Planted(
        "a parcel that the order did not note",
        Law.REQUESTS_FIT,
        dropping("plain", "order.lines_shipped"),
        ("plain", "order.payment_capture_requested", 1),
    ),
    Planted(
        "cancelled with goods",
        Law.CANCELLED_IS_UNDONE,
        _never_given_back,
        ("cancelled", "order.cancelled", 1),
    ),
    Planted("cancelled with money", Law.CANCELLED_IS_UNDONE, _never_let_go, ("cancelled", "order.cancelled", 1)),
    Planted(
        "completed without money",
        Law.COMPLETED_IS_DONE,
        dropping("plain", "payment.captured"),
        ("plain", "order.completed", 1),
    ),
    # money
    Planted(
        "authorized twice",
        Law.ONE_OUTCOME,
        doubling("plain", "payment.authorized"),
        ("plain", "payment.authorized", 2),
    ),
    Planted(
        "authorized and declined",
        Law.ONE_OUTCOME,
        inserting("plain", "payment.authorized", lambda order_id: PaymentDeclined(order_id=order_id, reason="no")),
        ("plain", "payment.declined", 1),
    ),
    Planted(
        "an outcome without its intent",
        Law.ONE_OUTCOME,
        dropping("plain", "shipping.label_requested"),
        ("plain", "shipping.label_purchased", 1),
    ),
    Planted(
        "a payment that nobody asked for",
        Law.ANSWERS_REQUEST,
        dropping("plain", "order.payment_requested"),
        ("plain", "payment.initiated", 1),
    ),
    Planted(
        "another amount initiated",
        Law.ANSWERS_REQUEST,
        editing("plain", "payment.initiated", amount_minor=1),
        ("plain", "payment.initiated", 1),
    ),
    Planted(
        "more authorized than asked for",
        Law.AUTHORIZED_AS_ASKED,
        editing("plain", "payment.authorized", amount_minor=25_59),
        ("plain", "payment.authorized", 1),
    ),
    Planted(
        "more captured than authorized",
        Law.CAPTURE_AFTER_AUTHORIZE,
        editing("plain", "payment.captured", amount_minor=25_59),
        ("plain", "payment.captured", 1),
    ),
    Planted(
        "captured twice", Law.CAPTURED_ONCE, doubling("plain", "payment.captured"), ("plain", "payment.captured", 2)
    ),
    Planted(
        "a capture begun twice",
        Law.CAPTURED_ONCE,
        doubling("plain", "payment.capture_initiated"),
        ("plain", "payment.capture_initiated", 2),
    ),
    Planted(
        "a capture asked for twice",
        Law.CAPTURED_ONCE,
        doubling("plain", "order.payment_capture_requested"),
        ("plain", "order.payment_capture_requested", 2),
    ),
    Planted(
        "more refunded than captured",
        Law.REFUND_WITHIN_CAPTURE,
        lambda log: log.insert(log.find("plain", "payment.captured"), *_refund(log.orders["plain"], 25_59)),
        ("plain", "payment.refund_initiated", 1),
    ),
    Planted(
        "a new key for an old call",
        Law.SAME_KEY,
        editing("charged-in-silence", "payment.inquiry_initiated", key="payment-x/1"),
        ("charged-in-silence", "payment.inquiry_initiated", 1),
    ),
    Planted(
        "a new key for an old label",
        Law.SAME_KEY,
        editing("label-in-silence", "shipping.label_inquiry_initiated", key="fulfillment-x/1"),
        ("label-in-silence", "shipping.label_inquiry_initiated", 1),
    ),
    # stock
    Planted(
        "a delivery booked twice",
        Law.REPORTS_BOOKED,
        doubling(None, "inventory.stock_received"),
        (None, "inventory.stock_received", 2),
    ),
    Planted(
        "a delivery booked with other units",
        Law.REPORTS_BOOKED,
        editing(None, "inventory.stock_received", lines={LONDON: {HOLDER: 501}}),
        (None, "inventory.stock_received", 1),
    ),
    Planted(
        "a delivery that nobody reported",
        Law.REPORTS_BOOKED,
        dropping(None, "gateway.stock_receipt_reported"),
        (None, "inventory.stock_received", 1),
    ),
    Planted(
        "a count that was never booked",
        Law.REPORTS_BOOKED,
        dropping(None, "inventory.stock_adjusted"),
        (None, "gateway.stock_adjustment_reported", 1),
    ),
    Planted(
        "more expected than was announced",
        Law.INCOMING_WAS_ANNOUNCED,
        editing(None, "inventory.stock_received", 5, expected={LONDON: {"RARE": 3}}),
        (None, "inventory.stock_received", 5),
    ),
    Planted(
        "more written off than there is", Law.ALLOCATED_IS_THERE, _counted_away, (None, "inventory.stock_adjusted", 1)
    ),
    Planted(
        "more promised than there is",
        Law.ALLOCATED_IS_THERE,
        _too_little_came,
        (None, "inventory.stock_reserved", 1),
    ),
    Planted(
        "allocated twice",
        Law.ALLOCATED_ONCE,
        doubling("plain", "inventory.stock_allocated"),
        ("plain", "inventory.stock_allocated", 2),
    ),
    Planted(
        "fewer allocated than ordered",
        Law.ALLOCATED_AS_ORDERED,
        editing("plain", "inventory.stock_allocated", lines=FEWER_POSTED),
        ("plain", "inventory.stock_allocated", 1),
    ),
    Planted(
        "others asked for than ordered",
        Law.ALLOCATED_AS_ORDERED,
        editing("plain", "order.allocation_requested", lines=FEWER),
        ("plain", "order.allocation_requested", 1),
    ),
    Planted(
        "others confirmed than allocated",
        Law.ALLOCATED_AS_ORDERED,
        editing("plain", "order.confirmed", lines=FEWER_POSTED),
        ("plain", "order.confirmed", 1),
    ),
    Planted(
        "a wrong balance told",
        Law.BALANCES_TOLD,
        editing(None, "inventory.low_stock_reached", available={"BOTH": 3}),
        (None, "inventory.low_stock_reached", 1),
    ),
    Planted(
        "shipped more than was allocated",
        Law.SHIPPED_IS_ALLOCATED,
        _another_orders_goods,
        ("cancelled", "inventory.stock_shipped", 1),
    ),
    Planted(
        "gone after it was stopped",
        Law.FULFILLMENT_STEPS,
        _gone_after_all,
        ("cancelled", "shipping.parcel_shipped", 1),
    ),
    Planted(
        "booked out twice",
        Law.SHIPPED_IS_BOOKED,
        doubling("plain", "inventory.stock_shipped"),
        ("plain", "inventory.stock_shipped", 2),
    ),
    Planted(
        "other goods booked out than left",
        Law.SHIPPED_IS_BOOKED,
        editing("plain", "inventory.stock_shipped", lines=FEWER_POSTED),
        ("plain", "inventory.stock_shipped", 1),
    ),
    Planted(
        "never booked out",
        Law.SHIPPED_IS_BOOKED,
        dropping("plain", "inventory.stock_shipped"),
        ("plain", "order.lines_shipped", 1),
    ),
    Planted(
        "fewer given back than allocated",
        Law.RELEASED_IS_ALLOCATED,
        editing("cancelled", "inventory.stock_released", lines=FEWER_POSTED),
        ("cancelled", "inventory.stock_released", 1),
    ),
    Planted(
        "given back twice",
        Law.ALLOCATION_ENDS,
        doubling("cancelled", "inventory.stock_released"),
        ("cancelled", "inventory.stock_released", 2),
    ),
    Planted(
        "never given back", Law.ALLOCATION_ENDS, _goods_kept, ("cancelled", "order.allocation_release_requested", 1)
    ),
    Planted(
        "a reservation that ends twice",
        Law.RESERVATION_ENDS_ONCE,
        doubling(None, "inventory.stock_reservation_ended"),
        (None, "inventory.stock_reservation_ended", 2),
    ),
    # shipping
    Planted("the same goods sent twice", Law.FULFILLED_ONCE, _other_id, ("plain", "order.fulfillment_requested", 2)),
    Planted(
        "packed without being picked",
        Law.FULFILLMENT_STEPS,
        dropping("plain", "shipping.items_picked"),
        ("plain", "shipping.parcel_packed", 1),
    ),
    Planted(
        "delivered twice",
        Law.FULFILLMENT_STEPS,
        doubling("plain", "shipping.parcel_delivered"),
        ("plain", "shipping.parcel_delivered", 2),
    ),
    Planted(
        "goods for nothing",
        Law.SHIPPED_IS_PAID,
        dropping("plain", "payment.authorized"),
        ("plain", "order.allocation_requested", 1),
    ),
    Planted(
        "a parcel with fewer goods",
        Law.PARCEL_AS_ASKED,
        editing("plain", "shipping.parcel_shipped", lines=FEWER),
        ("plain", "shipping.parcel_shipped", 1),
    ),
]


@pytest.mark.parametrize("page_events", [1, 2_000])
@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
def test_finds_what_is_planted_and_names_the_event(day: Day, planted: Planted, page_events: int) -> None:
    """Also if every order is forgotten as soon as it is settled, because each page holds a single event."""
    log = TamperedLog(day)
    planted.plant(log)
    verdict = verify(log, page_events=page_events)
    assert not verdict.ok
    [first, *_] = verdict.violations
    culprit = log.events[log.find(*planted.where)]
    assert (first.event_id, first.type, first.stream) == (culprit.id, culprit.type, culprit.stream), str(first)
    assert planted.law in {one.law for one in verdict.violations if one.position == first.position}
    assert culprit.id in str(first)
    assert first.law.value in str(first)


def test_every_law_is_planted() -> None:
    assert {planted.law for planted in PLANTED} == set(Law)


def test_counts_violations_that_it_does_not_list(day: Day) -> None:
    log = TamperedLog(day)
    for place in range(len(log.events)):
        log.rewrite(place, actor="")
    verdict = verify(log)
    assert verdict.violated == len(log.events)
    assert len(verdict.violations) == 100
    assert verdict.violations[0].position == 1


def test_what_the_ledger_has_parked_is_not_missing(day: Day) -> None:
    """A person sees it in the list of parked events; it is no breach of a law."""
    log = TamperedLog(day)
    last_delivery = log.find(None, "inventory.stock_received", 6)
    log.drop(last_delivery, log.find(None, "inventory.low_stock_cleared", 2))
    report = log.events[log.find(None, "gateway.stock_receipt_reported", 6)]
    parked = EventParked(
        consumer="inventory", position=report.position, stream=report.stream, event_type=report.type, reason="broken"
    )
    last = log.events[-1]
    log.events.append(
        last._replace(
            position=last.position + 1, stream=parking_stream("inventory"), version=1, event=parked, type=parked.type
        )
    )
    verdict = verify(log)
    assert verdict.ok, verdict.violations
    assert (verdict.counters["parked"], verdict.counters["answers_to_come"]) == (1, 1)
