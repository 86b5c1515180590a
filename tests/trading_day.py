"""A shop with all four services in one process, in memory, on a clock that the test moves; and a day in its life on
which everything happens that can: what the auditor's tests read.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from events.base import Address, Event, Write
from events.feed import StoreFeed
from events.gateway import (
    LowStockThresholdReported,
    ReservationReported,
    StockAdjustmentReported,
    StockExpectedReported,
    StockReceiptReported,
    report_stream,
)
from events.order import FulfillmentRequested, Hold, OrderKey, OrderPlaced, order_stream
from events.payment import PaymentActionRequired, payment_stream
from events.shipping import fulfillment_stream
from events.store import EventStore, open_store
from services.inventory import worker as inventory
from services.order import commands as ask
from services.order import worker as order
from services.order.decider import DECIDER as ORDER_DECIDER
from services.payment import worker as payment
from services.payment.commands import AskProvider
from services.payment.decider import DECIDER as PAYMENT_DECIDER
from services.payment.provider import PaymentProvider
from services.payment.sandbox import SandboxProvider
from services.runtime.calls import CallLoop
from services.runtime.context import Context
from services.runtime.decider import Cause, Directive
from services.runtime.desk import Desk
from services.runtime.engine import Engine
from services.runtime.settings import Settings, Warehouse
from services.shipping import commands as ship
from services.shipping import worker as shipping
from services.shipping.carrier import Carrier
from services.shipping.decider import DECIDER as SHIPPING_DECIDER
from services.shipping.sandbox import SandboxCarrier
from tests.examples import BELL, HOLDER, HOME, HOUR, LEEDS, LONDON, NOON, free_of_charge, new_event, placed


class Shop:
    """People's part is played by its methods: they place and cancel orders, report stock, pick, pack and hand over."""

    def __init__(
        self,
        store: EventStore,
        loop: CallLoop,
        *,
        provider: PaymentProvider | None = None,
        carrier: Carrier | None = None,
        warehouse: Warehouse = Warehouse.MANUAL,
    ) -> None:
        self.now = NOON
        self.store = store
        self.provider = provider or SandboxProvider(now=self._clock)
        self.carrier = carrier or SandboxCarrier(now=self._clock)
        bell = threading.Event()
        settings = Settings(warehouse=warehouse, tracking_every_s=60)
        context = Context(store, settings, self._clock, loop, bell.set, lambda classes: StoreFeed(store, classes))
        self._engine = Engine(
            [
                *order.consumers(context),
                *payment.consumers(context, self.provider),
                *inventory.consumers(context),
                *shipping.consumers(context, self.carrier),
            ],
            operating_faults=(),
            bell=bell,
        )

    def _clock(self) -> datetime:
        return self.now

    def step(self) -> int:
        """One turn of every consumer; how much was done."""
        return self._engine.pump()

    def work(self) -> None:
        """Until nobody has anything left to do."""
        self._engine.run_until_idle()

    def wait(self, time: timedelta) -> None:
        self.now += time
        self.work()

    # --- what people do ----------------------------------------------------------------------------------------------

    def report(self, kind: str, reference: str, event: Event) -> None:
        new = new_event(event, at=self.now, correlation_id=reference)
        self.store.append([Write(report_stream(kind, reference), 0, [new])])
        self.work()

    def receive(self, reference: str, lines: dict[str, dict[str, int]]) -> None:
        self.report("receipt", reference, StockReceiptReported(reference=reference, lines=lines))

    def place(self, event: OrderPlaced) -> str:
        """Take the order in; nobody has worked on it yet."""
        new = new_event(event, at=self.now, correlation_id=event.order_id)
        self.store.append([Write(order_stream(event.order_id), 0, [new])])
        return event.order_id

    def buy(self, number: str, **wanted: Any) -> str:
        """An order that is worked on until it waits for somebody."""
        order_id = self.place(placed(OrderKey("web", number), **wanted))
        self.work()
        return order_id

    def tell_order(self, order_id: str, command: ask.OrderCommand) -> None:
        self._tell(ORDER_DECIDER, order_stream(order_id), command)

    def tell_payment(self, order_id: str, command: AskProvider) -> None:
        self._tell(PAYMENT_DECIDER, payment_stream(order_id), command)

    def tell_warehouse(self, fulfillment_id: str, *commands: ship.ShippingCommand) -> None:
        for command in commands:
            self._tell(SHIPPING_DECIDER, fulfillment_stream(fulfillment_id), command)

    def _tell(self, decider: Any, stream: str, command: Any) -> None:
        cause = Cause(self.now, stream.partition("-")[2], "request-2", "test")
        Desk(self.store, decider).execute(Directive(stream, command), cause)

    def fulfillments(self, order_id: str) -> list[str]:
        """What has been asked of the warehouse for this order."""
        history = self.store.read_stream(order_stream(order_id))
        return [one.event.fulfillment_id for one in history if isinstance(one.event, FulfillmentRequested)]

    def pack(self, order_id: str) -> None:
        for fulfillment_id in self.fulfillments(order_id):
            self.tell_warehouse(fulfillment_id, ship.PickItems(), ship.PackParcel())
        self.work()

    def send(self, order_id: str) -> None:
        """Pick, pack and hand over everything of the order, and work on."""
        self.pack(order_id)
        for fulfillment_id in self.fulfillments(order_id):
            self.tell_warehouse(fulfillment_id, ship.ShipParcel())
        self.work()


@contextmanager
def open_shop(url: str = "memory:", *, store: EventStore | None = None, **wanted: Any) -> Iterator[Shop]:
    loop = CallLoop()
    store = store or open_store(url)
    try:
        yield Shop(store, loop, **wanted)
    finally:
        loop.close()
        store.close()


def everything_happens(shop: Shop) -> dict[str, str]:
    """The day. Returns the ids of its orders by what is special about them."""
    shop.receive("delivery-1", {LONDON: {HOLDER: 500, BELL: 100}, LEEDS: {HOLDER: 20}})
    orders = {
        **_that_go_well(shop),
        **_that_are_hard_to_pay(shop),
        **_that_are_stopped(shop),
        **_that_wait_for_goods(shop),
        **_that_are_hard_to_send(shop),
    }
    _stock_is_counted(shop)
    shop.wait(timedelta(days=5))
    return orders


def _that_go_well(shop: Shop) -> dict[str, str]:
    plain = shop.buy("plain")
    shop.send(plain)
    shop.receive("delivery-2", {LONDON: {"BOTH": 5}, LEEDS: {"BOTH": 5}})
    split = shop.buy("split", lines={"BOTH": 8, BELL: 1})
    shop.send(split)
    gift = shop.place(free_of_charge(OrderKey("web", "gift")))
    shop.work()
    shop.send(gift)
    return {"plain": plain, "split": split, "gift": gift}


def _that_are_hard_to_pay(shop: Shop) -> dict[str, str]:
    declined = shop.buy("declined", token="tok_decline")
    shop.tell_order(declined, ask.ReleaseHold(Hold.PAYMENT, "tok_ok"))
    shop.work()
    shop.send(declined)
    confirmed_by_buyer = shop.buy("confirmed-by-buyer", token="tok_action")
    _buyer_confirms(shop, confirmed_by_buyer)
    shop.send(confirmed_by_buyer)
    expired = shop.buy("expired", token="tok_action")
    shop.wait(timedelta(days=4))
    charged_in_silence = shop.buy("charged-in-silence", token="tok_timeout_after_charge")
    shop.wait(HOUR)
    shop.send(charged_in_silence)
    taken_in_silence = shop.buy("taken-in-silence", token="tok_capture_timeout")
    shop.send(taken_in_silence)
    shop.wait(HOUR)
    not_taken = shop.buy("not-taken", token="tok_capture_refused")
    shop.send(not_taken)
    return {
        "declined": declined,
        "confirmed-by-buyer": confirmed_by_buyer,
        "expired": expired,
        "charged-in-silence": charged_in_silence,
        "taken-in-silence": taken_in_silence,
        "not-taken": not_taken,
    }


def _buyer_confirms(shop: Shop, order_id: str) -> None:
    assert isinstance(shop.provider, SandboxProvider)
    history = shop.store.read_stream(payment_stream(order_id))
    [reference] = [one.event.reference for one in history if isinstance(one.event, PaymentActionRequired)]
    shop.provider.complete_action(reference)
    shop.tell_payment(order_id, AskProvider())
    shop.work()


def _that_are_stopped(shop: Shop) -> dict[str, str]:
    cancelled = shop.buy("cancelled")
    shop.pack(cancelled)
    shop.tell_order(cancelled, ask.CancelOrder("changed my mind"))
    shop.work()
    cancelled_in_silence = shop.buy("cancelled-in-silence", token="tok_void_timeout")
    shop.tell_order(cancelled_in_silence, ask.CancelOrder("too dear"))
    shop.wait(HOUR)
    not_undone = shop.buy("not-undone", token="tok_void_refused")
    shop.tell_order(not_undone, ask.CancelOrder("too late"))
    shop.work()
    cancelled_at_once = shop.place(placed(OrderKey("web", "cancelled-at-once")))
    shop.tell_order(cancelled_at_once, ask.CancelOrder("by mistake"))
    shop.work()
    queued = shop.buy("cancelled-while-asking", token="tok_unavailable_1")
    shop.tell_order(queued, ask.CancelOrder("no answer for too long"))
    shop.wait(HOUR)
    too_late = shop.buy("too-late", lines={HOLDER: 1, BELL: 1})
    shop.send(too_late)
    shop.tell_order(too_late, ask.CancelOrder("too late"))
    unknown_goods = shop.buy("unknown-goods", lines={"NEVER-STOCKED": 1})
    wrong_total = shop.place(placed(OrderKey("web", "wrong-total")).model_copy(update={"total_minor": 1}))
    shop.work()
    return {
        "cancelled": cancelled,
        "cancelled-in-silence": cancelled_in_silence,
        "not-undone": not_undone,
        "cancelled-at-once": cancelled_at_once,
        "cancelled-while-asking": queued,
        "too-late": too_late,
        "unknown-goods": unknown_goods,
        "wrong-total": wrong_total,
        "half-cancelled": _half_cancelled(shop),
    }


def _half_cancelled(shop: Shop) -> str:
    """One parcel leaves while the order is being cancelled: the other one is stopped, and sent after all."""
    shop.receive("delivery-3", {LONDON: {"BOTH": 20}, LEEDS: {"BOTH": 20}})
    order_id = shop.buy("half-cancelled", lines={"BOTH": 40})
    shop.pack(order_id)
    first, _ = shop.fulfillments(order_id)
    shop.tell_warehouse(first, ship.ShipParcel())
    shop.tell_order(order_id, ask.CancelOrder("too late for one of them"))
    shop.work()
    shop.send(order_id)
    return order_id


def _that_wait_for_goods(shop: Shop) -> dict[str, str]:
    shop.receive("delivery-4", {LONDON: {"RARE": 1}})
    backordered = shop.buy("backordered", lines={"RARE": 3})
    given_up = shop.buy("given-up", lines={"RARE": 2})
    shop.tell_order(given_up, ask.CancelOrder("waited too long"))
    shop.work()
    shop.report("expected", "delivery-5", StockExpectedReported(reference="delivery-5", lines={LONDON: {"RARE": 2}}))
    shop.receive("delivery-5", {LONDON: {"RARE": 12}})
    shop.send(backordered)
    shop.report("reservation", "basket-1", ReservationReported(reservation_id="basket-1", lines={"RARE": 2}, ttl_s=60))
    reserved = shop.buy("reserved", lines={"RARE": 2}, reservation_id="basket-1")
    shop.send(reserved)
    shop.report("reservation", "basket-2", ReservationReported(reservation_id="basket-2", lines={"RARE": 1}, ttl_s=60))
    shop.wait(HOUR)
    shop.report("reservation", "basket-3", ReservationReported(reservation_id="basket-3", lines={"RARE": 9}, ttl_s=60))
    return {"backordered": backordered, "given-up": given_up, "reserved": reserved}


def _that_are_hard_to_send(shop: Shop) -> dict[str, str]:
    def to(postal_code: str) -> Address:
        return Address(lines=["1 Example Street", postal_code], city="London", postal_code="SW1A 1AA", country="GB")

    label_in_silence = shop.buy("label-in-silence", ship_to=to("TIMEOUT1"))
    shop.pack(label_in_silence)
    shop.wait(HOUR)
    shop.send(label_in_silence)
    label_refused = shop.buy("label-refused", ship_to=to("REFUSE1"))
    shop.pack(label_refused)
    held = shop.buy("held", ship_to=HOME.model_copy(update={"postal_code": "no such code"}))
    shop.tell_order(held, ask.CorrectOrder(None, HOME, []))
    shop.work()
    shop.send(held)
    return {"label-in-silence": label_in_silence, "label-refused": label_refused, "held": held}


def _stock_is_counted(shop: Shop) -> None:
    thresholds = LowStockThresholdReported(reference="thresholds-1", thresholds={HOLDER: 400})
    shop.report("threshold", "thresholds-1", thresholds)
    lines = {LONDON: {BELL: -3, HOLDER: -1_000}, LEEDS: {HOLDER: 5}}
    shop.report("adjustment", "count-1", StockAdjustmentReported(reference="count-1", reason="counted", lines=lines))
    shop.receive("delivery-6", {LONDON: {HOLDER: 400}})
