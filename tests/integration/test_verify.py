"""`verify` finds nothing on a day on which everything happened, and everything that is planted in that day's log.

The log is what the four services really wrote (tests/trading_day.py). Each row of PLANTED spoils it in one place and
says which law that breaks, and which event must be named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pytest

from events.base import Event, Recorded
from events.codec import Unreadable
from events.gateway import ReservationReported, StockAdjustmentReported, StockReceiptReported
from events.order import OrderCancelled, OrderKey, OrderPlaced, order_stream
from events.payment import PaymentDeclined, PaymentRefunded, RefundInitiated
from events.runtime import ParkedEventReplayed, parking_stream
from events.shipping import ParcelShipped
from events.store import EventStore, open_store
from services.audit.law import Law
from services.audit.verify import Verdict, verify
from tests.examples import BELL, HOLDER, HOUR, LEEDS, LONDON, placing, placed
from tests.trading_day import Shop, everything_happens, open_shop


class Day(NamedTuple):
    """A log, and the ids of its orders by what is special about them."""

    log: list[Recorded]
    orders: dict[str, str]
    tracked: dict[str, int]


@pytest.fixture(scope="module")
def day() -> Day:
    with open_shop() as shop:
        orders = everything_happens(shop)
        log = shop.store.read_after(0, limit=100_000)
        return Day(log, orders, shop.store.tracked_positions())


class TamperedLog:
    """A log in memory in which anything can be written, also what no store would take."""

    def __init__(self, day: Day) -> None:
        self.events = list(day.log)
        self.orders = day.orders
        self.tracked = dict(day.tracked)

    # --- what the auditor needs --------------------------------------------------------------------------------------

    def read_after(
        self, position: int, *, limit: int, upto: int | None = None, on_unreadable: Literal["raise", "mark"] = "raise"
    ) -> list[Recorded]:
        # By place, not by position, so that positions may be wrong.
        return self.events[position:][:limit]

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]:
        return [one for one in self.events if one.stream == stream and one.version > after_version]

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]:
        return {stream: history for stream in streams if (history := self.read_stream(stream))}

    def last_position(self) -> int:
        return len(self.events)

    def tracked_positions(self) -> dict[str, int]:
        return self.tracked

    # --- what a forger does ------------------------------------------------------------------------------------------

    def find(self, order: str | None, kind: str, nth: int = 1) -> int:
        """Where the nth event of this kind is; of this order, or of none in particular."""
        places = [
            place
            for place, one in enumerate(self.events)
            if one.type.partition(".v")[0] == kind
            and (order is None or getattr(one.event, "order_id", None) == self.orders[order])
        ]
        return places[nth - 1]

    def edit(self, place: int, **fields: Any) -> None:
        """Change the data of an event."""
        one = self.events[place]
        self.events[place] = one._replace(event=one.event.model_copy(update=fields))

    def rewrite(self, place: int, **fields: Any) -> None:
        """Change the envelope of an event."""
        self.events[place] = self.events[place]._replace(**fields)

    def drop(self, *places: int) -> None:
        """Take events out so that nothing is missing at first sight."""
        kept = [one for place, one in enumerate(self.events) if place not in places]
        self._renumber(kept)

    def insert(self, place: int, *events: Event) -> None:
        """Put events behind the one at this place, in its stream, with its envelope."""
        before = self.events[place]
        new = [before._replace(event=event, type=event.type, version=0) for event in events]
        self._renumber([*self.events[: place + 1], *new, *self.events[place + 1 :]])

    def double(self, place: int) -> None:
        self.insert(place, self.events[place].event)

    def _renumber(self, events: Sequence[Recorded]) -> None:
        """New positions, and new versions in every stream; causes name their events as before."""
        versions: dict[str, int] = {}
        ids: dict[str, str] = {}
        self.events = []
        for position, one in enumerate(events, start=1):
            version = versions[one.stream] = versions.get(one.stream, 0) + 1
            cause = ids.get(one.causation_id, one.causation_id)
            renumbered = one._replace(position=position, version=version, causation_id=cause)
            if one.version:
                ids[one.id] = renumbered.id
            self.events.append(renumbered)
        self.tracked = dict.fromkeys(self.tracked, len(self.events))


# --- a good log ----------------------------------------------------------------------------------------------------


def test_nothing_is_wrong_with_what_the_services_wrote(day: Day) -> None:
    verdict = verify(TamperedLog(day))
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


# --- planted violations --------------------------------------------------------------------------------------------

Plant = Callable[[TamperedLog], None]
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
    log.edit(log.find("plain", "order.accepted"))
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
    log._renumber(log.events)


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
    lines = {"RARE": {LONDON: 2}}
    log.edit(log.find(None, "gateway.stock_receipt_reported", 5), lines=lines)
    log.edit(log.find(None, "inventory.stock_received", 5), lines=lines)


def _counted_away(log: TamperedLog) -> None:
    lines = {BELL: {LONDON: 5_000}}
    report = log.find(None, "gateway.stock_adjustment_reported")
    log.edit(report, lines={BELL: {LONDON: -5_000}})
    log.edit(log.find(None, "inventory.stock_adjusted"), added={}, removed=lines, refused={})


def _other_id(log: TamperedLog) -> None:
    place = log.find("plain", "order.fulfillment_requested")
    event: Any = log.events[place].event
    log.insert(place, event.model_copy(update={"fulfillment_id": event.fulfillment_id + ".2"}))


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


def _parcel_outgrows_its_promise(log: TamperedLog) -> None:
    """All parties agree that more left than was promised."""
    more = {HOLDER: 7, BELL: 2}
    postings = {sku: {LONDON: units} for sku, units in more.items()}
    log.edit(log.find("plain", "order.lines_shipped"), lines=postings)
    log.edit(log.find("plain", "inventory.stock_shipped"), lines=postings)


def _refund(order_id: str, amount_minor: int) -> list[Event]:
    facts = {"order_id": order_id, "reference": "pay_1", "amount_minor": amount_minor}
    return [RefundInitiated.model_validate(facts), PaymentRefunded.model_validate(facts)]


FEWER = {HOLDER: 5, BELL: 2}
FEWER_POSTED = {HOLDER: {LONDON: 5}, BELL: {LONDON: 2}}

PLANTED = [
    # the log itself
    Planted("garbage", Law.READABLE, _unreadable, ("plain", "order.accepted", 1)),
    Planted(
        "a position that repeats",
        Law.POSITIONS_GROW,
        rewriting("plain", "order.accepted", position=1),
        ("plain", "order.accepted", 1),
    ),
    Planted(
        "an event cut out",
        Law.VERSIONS_CONTIGUOUS,
        cutting("plain", "payment.authorized"),
        ("plain", "order.allocation_requested", 1),
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
    Planted("time that goes back", Law.TIME_GROWS, _time_goes_back, ("plain", "order.confirmed", 1)),
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
        ("expired", "payment.void_initiated", 1),
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
        dropping("cancelled", "inventory.stock_released"),
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
        editing(None, "inventory.stock_received", lines={HOLDER: {LONDON: 501}}),
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
    Planted("more written off than there is", Law.NOTHING_NEGATIVE, _counted_away, (None, "inventory.stock_adjusted", 1)),
    Planted(
        "more promised than there is",
        Law.ALLOCATED_IS_THERE,
        _too_little_came,
        ("reserved", "inventory.stock_allocated", 1),
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
        _parcel_outgrows_its_promise,
        ("plain", "order.lines_shipped", 1),
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
    Planted("never given back", Law.ALLOCATION_ENDS, _goods_kept, ("cancelled", "order.allocation_release_requested", 1)),
    Planted(
        "a reservation that ends twice",
        Law.RESERVATION_ENDS_ONCE,
        doubling(None, "inventory.stock_reservation_ended"),
        (None, "inventory.stock_reservation_ended", 2),
    ),
    # shipping
    Planted(
        "the same goods sent twice", Law.FULFILLED_ONCE, _other_id, ("plain", "order.fulfillment_requested", 2)
    ),
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


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted.what)
def test_finds_what_is_planted_and_names_the_event(day: Day, planted: Planted) -> None:
    log = TamperedLog(day)
    planted.plant(log)
    verdict = verify(log)
    assert not verdict.ok
    [first, *_] = verdict.violations
    culprit = log.events[log.find(*planted.where)]
    assert (first.event_id, first.type, first.stream) == (culprit.id, culprit.type, culprit.stream), str(first)
    assert planted.law in {one.law for one in verdict.violations if one.position == first.position}
    assert culprit.id in str(first)
    assert first.law.value in str(first)


def test_every_law_is_planted() -> None:
    assert {planted.law for planted in PLANTED} == set(Law)
