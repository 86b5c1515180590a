"""The whole pipeline in the test's own process, on one log and one clock: everything but Redis.

The provider, the carrier and the log outlive a crash; `restart` puts a new process in the place of the old one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from events.base import Event
from events.feed import Feed, StoreFeed
from events.gateway import StockReceiptReported, report_stream
from events.order import OrderPlaced, order_stream
from events.payment import payment_stream
from events.recorders.port import Recorder
from events.shipping import fulfillment_stream
from events.store import StoreUnavailable
from services.audit.verify import Verdict, verify
from services.inventory import worker as inventory
from services.order import worker as order
from services.order.decider import DECIDER as ORDER_RULES
from services.payment import worker as payment
from services.payment.decider import DECIDER as PAYMENT_RULES
from services.payment.provider import PaymentProvider
from services.payment.sandbox import SandboxProvider
from services.runtime.calls import CallLoop
from services.runtime.context import Context
from services.runtime.decider import Cause, Decider, Directive
from services.runtime.desk import Desk
from services.runtime.engine import Consumer, Engine
from services.runtime.settings import Settings, Warehouse
from services.shipping import worker as shipping
from services.shipping.carrier import Carrier
from services.shipping.decider import DECIDER as SHIPPING_RULES
from services.shipping.sandbox import SandboxCarrier
from tests.fakes import Clock, FaultyStore, types, write

FeedOf = Callable[[FaultyStore, frozenset[type[Event]]], Feed]

PATIENCE_S = 20.0


class Embedded:
    """`store` may be told to fail; `engine` does the work when it is asked to."""

    def __init__(
        self, recorder: Recorder, *, warehouse: Warehouse = Warehouse.SANDBOX, feed: FeedOf = StoreFeed
    ) -> None:
        self.recorder = recorder
        self.clock = Clock()
        self.provider = SandboxProvider(now=self.clock)
        self.carrier = SandboxCarrier(now=self.clock)
        self._settings = Settings(warehouse=warehouse)
        self._start(feed)

    def _start(self, feed: FeedOf) -> None:
        self.store = FaultyStore(self.recorder, now=self.clock)
        self._loop = CallLoop()
        bell = threading.Event()
        context = Context(
            self.store, self._settings, self.clock, self._loop, bell.set, lambda classes: feed(self.store, classes)
        )
        provider, carrier = self.reach_outside()
        consumers: list[Consumer] = [
            *order.consumers(context),
            *payment.consumers(context, provider),
            *inventory.consumers(context),
            *shipping.consumers(context, carrier),
        ]
        self.engine = Engine(consumers, operating_faults=(StoreUnavailable,), bell=bell)

    def restart(self, feed: FeedOf = StoreFeed) -> None:
        """The process is gone, with everything that it remembered and every call that it had under way."""
        self.hang_up()
        self._loop.close()
        self._start(feed)

    def close(self) -> None:
        self.hang_up()
        self._loop.close()

    def reach_outside(self) -> tuple[PaymentProvider, Carrier]:
        """The provider and the carrier as the services see them."""
        return self.provider, self.carrier

    def hang_up(self) -> None:
        """The process ends: its connections to the outside do as well."""

    # --- what is asked of it -----------------------------------------------------------------------------------------

    def receive(self, lines: dict[str, dict[str, int]], reference: str = "delivery-1") -> None:
        report = StockReceiptReported(reference=reference, lines=lines)
        write(self.store, report_stream("receipt", reference), report, at=self.clock())

    def place(self, *orders: OrderPlaced, clock: str = "wall", at: datetime | None = None) -> None:
        for one in orders:
            write(self.store, order_stream(one.order_id), one, clock=clock, at=at or self.clock())

    def run(self) -> None:
        self.engine.run_until_idle(patience_s=PATIENCE_S)

    def wait(self, time: timedelta) -> None:
        """Let time pass, then let everybody do what is due."""
        self.clock.advance(time)
        self.run()

    def ask_order(self, order_id: str, command: Any) -> None:
        """What somebody asks of an order over HTTP: through a desk of its own."""
        self._ask(ORDER_RULES, order_stream(order_id), command)

    def ask_payment(self, order_id: str, command: Any) -> None:
        self._ask(PAYMENT_RULES, payment_stream(order_id), command)

    def ask_shipping(self, fulfillment_id: str, command: Any) -> None:
        self._ask(SHIPPING_RULES, fulfillment_stream(fulfillment_id), command)

    def _ask(self, rules: Decider[Any, Any], stream: str, command: Any) -> None:
        other_process = FaultyStore(self.recorder, now=self.clock)
        cause = Cause(self.clock(), stream, "request-2", "http")
        Desk(other_process, rules).execute(Directive(stream, command), cause)

    # --- what came of it ---------------------------------------------------------------------------------------------

    def order(self, order_id: str) -> list[str]:
        """What happened to an order, by name."""
        return _short(types(self.store, order_stream(order_id)))

    def payment(self, order_id: str) -> list[str]:
        return _short(types(self.store, payment_stream(order_id)))

    def fulfillment(self, fulfillment_id: str) -> list[str]:
        return _short(types(self.store, fulfillment_stream(fulfillment_id)))

    def parked(self) -> list[Any]:
        return [one for each in self.engine.consumers if hasattr(each, "parking") for one in each.parking.entries()]

    def verify(self) -> Verdict:
        """The laws of the whole log, read anew."""
        return verify(FaultyStore(self.recorder, now=self.clock))


def _short(names: list[str]) -> list[str]:
    return [name.partition(".")[2] for name in names]
