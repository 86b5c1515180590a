"""A shop with all four services in one process, in memory, on a clock that the test moves; and a day in its life on
which everything happens that can: what the auditor's tests read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from events.base import Address, Event, Write
from events.feed import StoreFeed
from events.gateway import (
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

PICK_PACK_SHIP = (ship.PickItems(), ship.PackParcel())


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
        context = Context(
            store, settings, self._clock, loop, bell.set, lambda classes: StoreFeed(store, classes)
        )
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
def open_shop(url: str = "memory:", **wanted: Any) -> Iterator[Shop]:
    loop = CallLoop()
    store = open_store(url)
    try:
        yield Shop(store, loop, **wanted)
    finally:
        loop.close()
        store.close()


def everything_happens(shop: Shop) -> dict[str, str]:
    """The day. Returns the ids of its orders by what is special about them."""
    shop.receive("delivery-1", {HOLDER: {LONDON: 100, LEEDS: 20}, BELL: {LONDON: 100}})
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
    split = shop.buy("split", lines={HOLDER: 110, BELL: 1})
    shop.send(split)
    gift = shop.place(free_of_charge(OrderKey("web", "gift")))
    shop.work()
    shop.send(gift)
    return {"plain": plain, "split": split, "gift": gift}
