"""Everything at once: orders of all kinds, people who change their minds, a store that fails, processes that die, and a
zombie that works on. In the end the laws hold, and goods and money are where they belong.

One number draws one world. The threads of the calls make that no two runs are quite the same, but the laws are for all
of them. WAYBILL_TEST_WORLDS=1000 looks at more.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from events.feed import StoreFeed
from events.gateway import ReservationReported, StockAdjustmentReported, StockReceiptReported, report_stream
from events.inventory import stock_stream
from events.order import Hold, OrderKey, OrderPlaced, order_stream
from events.recorders.memory import MemoryRecorder
from events.store import StoreUnavailable
from services.inventory.decider import DECIDER as INVENTORY
from services.order.commands import CancelOrder, CorrectOrder, HoldOrder, ReleaseHold
from services.order.decider import DECIDER as ORDER_RULES
from services.order.state import OrderState, Status
from services.payment.commands import AskProvider
from services.payment.provider import Payment, PaymentState
from services.runtime.desk import Desk
from services.shipping.commands import RequestLabel
from tests.embedded import Embedded, FeedOf
from tests.examples import BELL, HOLDER, HOME, LEEDS, LONDON, NEW_HOME, placed
from tests.fakes import Crash, FaultyStore, StutteringFeed, write

WORLDS = int(os.environ.get("WAYBILL_TEST_WORLDS", "15"))

TOKENS = [
    *["tok_ok"] * 6, "tok_decline", "tok_timeout_after_charge", "tok_timeout_before_charge", "tok_capture_timeout",
    "tok_void_timeout", "tok_action", "tok_unavailable_2", "tok_capture_refused", "tok_void_refused",
]  # fmt: skip
STREETS = [*["1 Example Street"] * 6, "TIMEOUT0", "TIMEOUT1", "DOWN1", "REFUSE1"]
FEEDS: list[FeedOf] = [StoreFeed, StutteringFeed]
PAUSES = [timedelta(seconds=10), timedelta(minutes=20), timedelta(hours=30), timedelta(days=4)]


class World:
    """A shop, its zombie, and what befalls them."""

    def __init__(self, number: int, *, with_zombie: bool) -> None:
        self.draw = random.Random(number)
        self.shop = Embedded(MemoryRecorder())
        self.zombie = self._twin() if with_zombie else None
        self.orders = [self._order(one) for one in range(self.draw.randint(2, 6))]
        self._reports = 0
        self._zombie_works = False

    def _twin(self) -> Embedded:
        """Another process on the same log, in the same world."""
        twin = Embedded(self.shop.recorder)
        twin.provider, twin.carrier, twin.clock = self.shop.provider, self.shop.carrier, self.shop.clock
        twin.restart()
        return twin

    def _order(self, number: int) -> OrderPlaced:
        draw = self.draw
        return placed(
            OrderKey("web", str(number)),
            lines={sku: draw.randint(1, 6) for sku in draw.sample([HOLDER, BELL], draw.randint(1, 2))},
            token=draw.choice(TOKENS),
            ship_to=HOME.model_copy(update={"lines": [draw.choice(STREETS)]}),
            reservation_id=draw.choice([None, None, f"basket-{number}"]),
        )

    def begin(self) -> None:
        draw = self.draw
        self.shop.receive(
            {LONDON: {HOLDER: draw.randint(1, 9), BELL: draw.randint(1, 9)}, LEEDS: {HOLDER: draw.randint(1, 9)}}
        )
        for order in self.orders:
            if order.reservation_id:
                lines = {HOLDER: draw.randint(1, 4), BELL: draw.randint(1, 3)}
                report = ReservationReported(
                    reservation_id=order.reservation_id, lines=lines, ttl_s=draw.choice([10, 600])
                )
                write(self.shop.store, report_stream("reservation", order.reservation_id), report)
        self.shop.place(*self.orders)

    def disturbed(self, work: Callable[[], None]) -> None:
        """Let everybody work, with one misfortune after the other, and a new process after each death."""
        for _ in range(300):
            self.shop.store.before_append = self._befalls
            self.shop.store.after_append = self._befalls_afterwards
            try:
                work()
            except Crash:
                self.shop.restart(self.draw.choice(FEEDS))
            else:
                return
        raise AssertionError("it never comes to an end")

    def _befalls(self, number: int) -> None:
        self._let_zombie_work()
        what = self.draw.random()
        if what < 0.12:
            self.somebody_asks_for_something()
        elif what < 0.16:
            raise Crash
        elif what < 0.20:
            raise StoreUnavailable("the disk is full")

    def _befalls_afterwards(self, number: int) -> None:
        what = self.draw.random()
        if what < 0.04:
            raise Crash
        if what < 0.08:
            raise StoreUnavailable("the reply was lost")

    def _let_zombie_work(self) -> None:
        if self.zombie and not self._zombie_works and self.draw.random() < 0.3:
            self._zombie_works = True
            for _ in range(self.draw.randint(1, 3)):
                self.zombie.engine.pump()
            self._zombie_works = False

    def somebody_asks_for_something(self) -> None:
        draw, shop = self.draw, self.shop
        order_id = draw.choice(self.orders).order_id
        wishes: list[Callable[[], None]] = [
            *[lambda: shop.ask_order(order_id, CancelOrder("changed my mind"))] * 4,
            lambda: shop.ask_order(order_id, ReleaseHold(Hold.PAYMENT, draw.choice([None, "tok_ok"]))),
            lambda: shop.ask_order(order_id, HoldOrder(Hold.FRAUD, [])),
            lambda: shop.ask_order(order_id, ReleaseHold(Hold.FRAUD)),
            lambda: shop.ask_order(order_id, CorrectOrder(None, NEW_HOME, [])),
            lambda: shop.ask_payment(order_id, AskProvider()),
            lambda: shop.ask_shipping(f"{order_id}-{LONDON}", RequestLabel()),
            self._report_count,
            self._report_receipt,
        ]
        draw.choice(wishes)()

    def _report_count(self) -> None:
        lines = {self.draw.choice([LONDON, LEEDS]): {self.draw.choice([HOLDER, BELL]): self.draw.randint(-4, 9)}}
        report = StockAdjustmentReported(reference=self._reference(), reason="counted", lines=lines)
        write(FaultyStore(self.shop.recorder), report_stream("adjustment", report.reference), report)

    def _report_receipt(self) -> None:
        lines = {self.draw.choice([LONDON, LEEDS]): {self.draw.choice([HOLDER, BELL]): self.draw.randint(1, 9)}}
        report = StockReceiptReported(reference=self._reference(), lines=lines)
        write(FaultyStore(self.shop.recorder), report_stream("receipt", report.reference), report)

    def _reference(self) -> str:
        self._reports += 1
        return f"report-{self._reports}"

    def calm_down(self) -> None:
        """One process, in peace, until nothing is open but what waits for a person."""
        if self.zombie:
            self.zombie.close()
        self.shop.restart()
        for _ in range(12):
            self.shop.wait(timedelta(hours=1))
        for order in self.orders:
            self.shop.ask_order(order.order_id, CancelOrder("the shop is closing"))
        for _ in range(6):
            self.shop.wait(timedelta(hours=1))


@pytest.mark.parametrize("with_zombie", [False, True], ids=["alone", "with a zombie"])
@pytest.mark.parametrize("number", range(WORLDS))
def test_in_every_world_the_laws_hold_in_the_end(number: int, with_zombie: bool) -> None:
    world = World(number, with_zombie=with_zombie)
    world.begin()
    world.disturbed(world.shop.run)
    for _ in range(5):
        world.somebody_asks_for_something()
        world.shop.clock.advance(world.draw.choice(PAUSES))
        world.disturbed(world.shop.run)
    world.calm_down()
    world.shop.close()
    verdict = world.shop.verify()
    assert verdict.ok, verdict.violations
    assert world.shop.parked() == []
    for order in world.orders:
        look_at(world.shop, order)


def look_at(shop: Embedded, order: OrderPlaced) -> None:
    """Where the order's goods and money are, now that all is quiet."""
    state: OrderState = Desk(shop.store, ORDER_RULES).state(order_stream(order.order_id))
    stock: Any = Desk(shop.store, INVENTORY).state(stock_stream())
    payments = [one for one in shop.provider.ledger() if one.order_ref == order.order_id]
    taken = [one.captured_minor - one.refunded_minor for one in payments if one.captured_minor]
    assert len(taken) <= 1, "taken twice"
    if state.status is Status.COMPLETED:
        assert taken == [order.total_minor]
    elif state.closed:
        assert sum(taken) == 0
        assert not _held(payments) or Hold.PAYMENT in state.holds, "money is held and nobody knows"
    else:
        assert _waits_for_a_person(shop, state), f"{state.status} and nobody does anything"
    assert order.order_id not in stock.allocations or not state.closed
    assert order.order_id not in stock.backorders


def _held(payments: list[Payment]) -> list[Payment]:
    return [one for one in payments if one.state in (PaymentState.AUTHORIZED, PaymentState.REQUIRES_ACTION)]


def _waits_for_a_person(shop: Embedded, state: OrderState) -> bool:
    return bool(state.holds) or any("label_refused" in shop.fulfillment(one) for one in state.sendings)
