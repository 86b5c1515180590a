"""Four deciders and the reactions between them, in every order: hypothesis decides who does the next thing.

No worker, no thread, no clock that runs: each service handles its next event when it is its turn, a provider and a
carrier of the real sandboxes answer when they are asked, people change their minds in between. What breaks a law is
shrunk to the shortest story that does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from events.base import Event, Recorded
from events.feed import StoreFeed
from events.gateway import ReservationReported, StockAdjustmentReported, StockReceiptReported, report_stream
from events.inventory import StockReserved, stock_stream
from events.order import Hold, OrderKey, OrderPlaced, order_stream
from events.payment import PaymentOutcomeUnknown
from events.shipping import LabelOutcomeUnknown
from services.audit.verify import verify
from services.inventory.commands import EndReservation
from services.inventory.decider import DECIDER as INVENTORY
from services.inventory.reactions import REACTIONS as INVENTORY_REACTIONS
from services.order.commands import CancelOrder, HoldOrder, ReleaseHold
from services.order.decider import DECIDER as ORDER
from services.order.reactions import REACTIONS as ORDER_REACTIONS
from services.order.state import Goods, OrderState, Status
from services.payment.calls import INTENTS, PaymentCalls, is_open
from services.payment.commands import AskProvider
from services.payment.decider import DECIDER as PAYMENT
from services.payment.provider import PaymentState
from services.payment.reactions import REACTIONS as PAYMENT_REACTIONS
from services.payment.sandbox import SandboxProvider
from services.runtime.decider import Cause, Decider, Directive, Reactions, caused_by
from services.runtime.desk import Desk
from services.shipping.calls import LABEL_INTENTS, LabelCalls, label_is_open
from services.shipping.commands import AskCarrier
from services.shipping.decider import DECIDER as SHIPPING
from services.shipping.reactions import REACTIONS as SHIPPING_REACTIONS
from services.shipping.reactions import SANDBOX_WAREHOUSE
from services.shipping.sandbox import SandboxCarrier
from tests.examples import BELL, HOLDER, HOME, LEEDS, LONDON, placed
from tests.fakes import Clock, FaultyStore, write

TOKENS = [
    "tok_ok", "tok_ok", "tok_decline", "tok_timeout_after_charge", "tok_timeout_before_charge", "tok_capture_timeout",
    "tok_void_timeout", "tok_action", "tok_unavailable_2", "tok_capture_refused", "tok_void_refused",
]  # fmt: skip
STREETS = ["1 Example Street", "1 Example Street", "TIMEOUT0", "TIMEOUT1", "DOWN1", "REFUSE1"]
ORDERS = 3
NUMBERS = st.integers(0, ORDERS - 1)
UNITS = st.integers(1, 9)
WANTED = st.dictionaries(st.sampled_from([HOLDER, BELL]), UNITS, min_size=1)
LINES = st.dictionaries(st.sampled_from([LONDON, LEEDS]), WANTED, min_size=1)
HOLDS = st.sampled_from([Hold.FRAUD, Hold.MANUAL, Hold.PAYMENT])

# Who handles which events, and whose rules answer. Each of them sees every event once, in the order of the log: that
# is the workers' promise, and is tested where they are.
CONSUMERS: dict[str, tuple[Decider[Any, Any], Reactions]] = {
    "order": (ORDER, ORDER_REACTIONS),
    "payment": (PAYMENT, PAYMENT_REACTIONS),
    "inventory": (INVENTORY, INVENTORY_REACTIONS),
    "shipping": (SHIPPING, SHIPPING_REACTIONS),
    "warehouse": (SHIPPING, SANDBOX_WAREHOUSE),
}
CALLS = ("provider", "carrier")
EVERYBODY = (*CONSUMERS, *CALLS)


class Shop(RuleBasedStateMachine):
    """Three orders over two articles in two places."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store = FaultyStore(now=self.clock)
        self.provider, self.carrier = SandboxProvider(now=self.clock), SandboxCarrier(now=self.clock)
        self.desks = {name: Desk(self.store, rules) for name, (rules, _) in CONSUMERS.items()}
        self.at = dict.fromkeys(EVERYBODY, 0)
        self.orders: list[OrderPlaced] = []
        self.reports = 0
        self.calls: dict[str, tuple[str, frozenset[type[Event]], Any, Any]] = {
            "provider": ("payment", INTENTS, is_open, self._payment_calls()),
            "carrier": ("shipping", LABEL_INTENTS, label_is_open, self._label_calls()),
        }

    def _payment_calls(self) -> PaymentCalls:
        return PaymentCalls(self.provider, now=self.clock, timeout_s=5, action_ttl=timedelta(days=3))

    def _label_calls(self) -> LabelCalls:
        return LabelCalls(self.carrier, self._address_of, now=self.clock, timeout_s=5)

    def _address_of(self, order_id: str) -> Any:
        return next(order.ship_to for order in self.orders if order.order_id == order_id)

    # --- who there is ------------------------------------------------------------------------------------------------

    @initialize(
        tokens=st.lists(st.sampled_from(TOKENS), min_size=ORDERS, max_size=ORDERS),
        streets=st.lists(st.sampled_from(STREETS), min_size=ORDERS, max_size=ORDERS),
        wanted=st.lists(WANTED, min_size=ORDERS, max_size=ORDERS),
        there=st.lists(UNITS, min_size=3, max_size=3),
        reserved=st.booleans(),
    )
    def orders_come_in(
        self, tokens: list[str], streets: list[str], wanted: list[dict[str, int]], there: list[int], reserved: bool
    ) -> None:
        self.goods_come_in({LONDON: {HOLDER: there[0], BELL: there[1]}, LEEDS: {HOLDER: there[2]}})
        for number, (token, street, lines) in enumerate(zip(tokens, streets, wanted, strict=True)):
            home = HOME.model_copy(update={"lines": [street]})
            basket = "basket-1" if reserved and number == 0 else None
            order = placed(OrderKey("web", str(number)), lines=lines, token=token, ship_to=home, reservation_id=basket)
            write(self.store, order_stream(order.order_id), order)
            self.orders.append(order)
        if reserved:
            report = ReservationReported(reservation_id="basket-1", lines={HOLDER: 2}, ttl_s=60)
            write(self.store, report_stream("reservation", "basket-1"), report)

    # --- what happens ------------------------------------------------------------------------------------------------

    @rule(name=st.sampled_from(EVERYBODY), turns=st.integers(1, 12))
    def somebody_works(self, name: str, turns: int) -> None:
        for _ in range(turns):
            self._work(name)

    @rule(lines=LINES)
    def goods_come_in(self, lines: dict[str, dict[str, int]]) -> None:
        report = StockReceiptReported(reference=self._reference(), lines=lines)
        write(self.store, report_stream("receipt", report.reference), report)

    @rule(sku=st.sampled_from([HOLDER, BELL]), units=st.sampled_from([-5, -1, 1, 4]))
    def goods_are_counted(self, sku: str, units: int) -> None:
        report = StockAdjustmentReported(reference=self._reference(), reason="counted", lines={LONDON: {sku: units}})
        write(self.store, report_stream("adjustment", report.reference), report)

    @rule()
    def everybody_works(self) -> None:
        for name in EVERYBODY:
            self._work(name)

    @rule(number=NUMBERS)
    def the_buyer_cancels(self, number: int) -> None:
        self._ask("order", order_stream(self.orders[number].order_id), CancelOrder("changed my mind"))

    @rule(number=NUMBERS, hold=st.sampled_from([Hold.FRAUD, Hold.MANUAL]))
    def somebody_holds(self, number: int, hold: Hold) -> None:
        self._ask("order", order_stream(self.orders[number].order_id), HoldOrder(hold, []))

    @rule(number=NUMBERS, hold=HOLDS, token=st.sampled_from([None, "tok_ok"]))
    def somebody_releases(self, number: int, hold: Hold, token: str | None) -> None:
        self._ask("order", order_stream(self.orders[number].order_id), ReleaseHold(hold, token))

    @rule(complete=st.booleans())
    def a_buyer_acts_at_the_provider(self, complete: bool) -> None:
        for payment in self.provider.ledger():
            act = self.provider.complete_action if complete else self.provider.fail_action
            act(payment.reference)

    @rule(time=st.sampled_from([timedelta(minutes=1), timedelta(hours=30), timedelta(days=4)]))
    def time_passes(self, time: timedelta) -> None:
        """And what is due is asked again."""
        self.clock.advance(time)
        self._what_is_due()

    # --- what must be true at any moment ----------------------------------------------------------------------------

    @invariant()
    def nothing_is_taken_or_sent_that_was_not_promised(self) -> None:
        verdict = verify(self.store)
        assert verdict.ok, verdict.violations

    def teardown(self) -> None:
        if self.orders:
            self._come_to_rest()
            for order in self.orders:
                self._ask("order", order_stream(order.order_id), CancelOrder("the shop is closing"))
            self._come_to_rest()
            verdict = verify(self.store)
            assert verdict.ok, verdict.violations
            for order in self.orders:
                self._look_at(order)
        self.store.close()

    def _look_at(self, order: OrderPlaced) -> None:
        """Where the order's goods and money are, now that all is quiet."""
        state: OrderState = self.desks["order"].state(order_stream(order.order_id))
        stock = self.desks["inventory"].state(stock_stream())
        payments = [one for one in self.provider.ledger() if one.order_ref == order.order_id]
        taken = sum(one.captured_minor - one.refunded_minor for one in payments)
        assert sum(one.captured_minor > 0 for one in payments) <= 1, "taken twice"
        if state.status is Status.COMPLETED:
            assert taken == order.total_minor
        elif state.closed:
            assert taken == 0
            held = [one for one in payments if one.state in (PaymentState.AUTHORIZED, PaymentState.REQUIRES_ACTION)]
            assert not held or Hold.PAYMENT in state.holds, "money is held and nobody knows"
        else:
            assert state.holds or state.goods is Goods.ALLOCATED, f"{state.status} and nobody does anything"
        assert not (state.closed and order.order_id in stock.allocations), "goods are kept for nobody"
        assert not (state.closed and order.order_id in stock.backorders), "it waits though it is closed"

    # --- how it is done ----------------------------------------------------------------------------------------------

    def _work(self, name: str) -> bool:
        """One event, or one call; False if there is none."""
        return self._call(name) if name in CALLS else self._handle(name)

    def _handle(self, name: str) -> bool:
        _, reactions = CONSUMERS[name]
        found = self._next(name, frozenset(reactions))
        for recorded in found:
            for directive in reactions[type(recorded.event)](recorded):
                self.desks[name].execute(directive, caused_by(recorded, name, self.clock()))
        return bool(found)

    def _call(self, name: str) -> bool:
        service, intents, still_open, call = self.calls[name]
        found = self._next(name, intents)
        for intent in found:
            if still_open(self.desks[service].state_with(intent), intent):
                directive: Directive = asyncio.run(call(intent))
                self.desks[service].execute(directive, caused_by(intent, name, self.clock()))
        return bool(found)

    def _next(self, name: str, classes: frozenset[type[Event]]) -> list[Recorded]:
        found = StoreFeed(self.store, classes).read(self.at[name], 1).events
        for recorded in found:
            self.at[name] = recorded.position
        return found

    def _what_is_due(self) -> None:
        due: dict[type[Event], tuple[str, Callable[[Any], Any]]] = {
            PaymentOutcomeUnknown: ("payment", lambda event: AskProvider()),
            LabelOutcomeUnknown: ("shipping", lambda event: AskCarrier()),
            StockReserved: ("inventory", lambda event: EndReservation(event.reservation_id, expired=True)),
        }
        for recorded in self.store.read_after(0, limit=10_000):
            if type(recorded.event) in due:
                service, command = due[type(recorded.event)]
                self._ask(service, recorded.stream, command(recorded.event))

    def _come_to_rest(self) -> None:
        for _ in range(60):
            while any(self._work(name) for name in EVERYBODY):
                pass
            before = self.store.last_position()
            self.clock.advance(timedelta(hours=1))
            self._what_is_due()
            for order in self.orders:
                self._ask("payment", f"payment-{order.order_id}", AskProvider())
            if self.store.last_position() == before:
                return
        raise AssertionError("it never comes to rest")

    def _ask(self, service: str, stream: str, command: Any) -> None:
        cause = Cause(self.clock(), stream, "request", "test")
        self.desks[service].execute(Directive(stream, command), cause)

    def _reference(self) -> str:
        self.reports += 1
        return f"report-{self.reports}"


TestShop = Shop.TestCase
TestShop.settings = settings(max_examples=60, stateful_step_count=30)
