"""Who wants what, and when: customers who place, correct, cancel and come again, and a warehouse that counts.

Every order is drawn from a stream of its own, so that a world with fewer orders has the same first ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from events.base import Address, Contact
from events.money import line_total_minor
from events.order import Charge, Hold, OrderKey, OrderLine, OrderPlaced, order_stream
from events.payment import payment_stream
from events.shipping import fulfillment_stream
from services.order.commands import CancelOrder, HoldOrder, ReleaseHold
from services.order.validation import address_problems
from services.payment.commands import AskProvider
from services.shipping.commands import RequestLabel
from tests.simulation.clock import DAY_S, HOUR_S, MINUTE_S
from tests.simulation.faults import Fault

if TYPE_CHECKING:
    from tests.simulation.shop import Act, Counter
    from tests.simulation.world import World

HOT = ("85123A", "22139")
SKUS = (*HOT, "POST-IT", "A1", "B2", "C3", "D4")
NEVER_STOCKED = "GHOST"
PLACES = ("LDN", "LBA", "MAN", "BRS")
PRICES = dict(zip(SKUS, ("2.55", "3.39", "0.125", "10", "0.005", "7.125", "99.99"), strict=True))

TOKENS = (
    *["tok_ok"] * 12, "tok_decline", "tok_decline_insufficient_funds", "tok_timeout_before_charge",
    "tok_timeout_after_charge", "tok_capture_timeout", "tok_void_timeout", "tok_action", "tok_action",
    "tok_unavailable_2", "tok_capture_refused", "tok_void_refused",
)  # fmt: skip
STREETS = (*["1 Example Street"] * 10, "REFUSE1", "TIMEOUT1", "TIMEOUT0", "DOWN1", "LOST1", "RETURN1")

BUYER = Contact(name="Zoë Quine", email="zoe@example.org", phone="+44 20 7946 0018")
ABROAD = Address(lines=["1 Exempelgatan"], city="Stockholm", postal_code="111 57", country="SE")


def home(street: str, postal_code: str = "SW1A 1AA") -> Address:
    return Address(lines=[street], city="London", postal_code=postal_code, country="GB")


class Pace(NamedTuple):
    """How a world's orders come: over how many seconds, and whether all at once."""

    horizon_s: float
    flood: bool

    @classmethod
    def drawn(cls, draw: Random) -> Pace:
        return cls(draw.choice((600.0, 6 * HOUR_S, 2 * DAY_S, 9 * DAY_S)), draw.random() < 0.2)


class Customers:
    """All that is asked about orders."""

    def __init__(self, world: World, pace: Pace) -> None:
        self._world = world
        self._pace = pace
        self.orders: list[OrderPlaced] = []

    def come(self, count: int) -> None:
        """Schedule everything that they will do."""
        for number in range(count):
            draw = Random(f"{self._world.plan.seed}/order/{number}")
            order = _drawn(draw, number)
            self.orders.append(order)
            at_s = draw.random() * (1.0 if self._pace.flood else self._pace.horizon_s)
            self._place(draw, order, at_s)
            for after_s, act in self._wishes(draw, order):
                self._world.ask_at(at_s + after_s, act)

    def _place(self, draw: Random, order: OrderPlaced, at_s: float) -> None:
        world = self._world
        if not order.charges and world.faults.strikes(Fault.OLD_VERSION, "an old shop"):
            world.scheduler.after(at_s, lambda: world.place_in_old_spelling(order))
            return
        stream, request = order_stream(order.order_id), f"place-{order.number}"

        def place(counter: Counter) -> None:
            counter.take(stream, order, about=order.order_id, request=request)

        world.ask_at(at_s, place)
        for _ in range(draw.choice((0, 0, 0, 1, 3))):  # a shop that is not sure whether it was heard
            world.ask_at(at_s + draw.choice((0.0, 0.01, 5.0, DAY_S)), place)
        if draw.random() < 0.04:
            other = order.model_copy(update={"customer": "somebody else"})
            world.ask_at(
                at_s + draw.choice((0.0, 60.0)),
                lambda counter: counter.take(stream, other, about=order.order_id, request=request + "-again"),
            )

    def _wishes(self, draw: Random, order: OrderPlaced) -> Iterator[tuple[float, Act]]:
        """What is asked about one order later on, and how many seconds later."""
        order_id = order.order_id
        if draw.random() < 0.3:
            yield _soon(draw), _order(order_id, CancelOrder("changed my mind"))
        if draw.random() < 0.15:
            hold = draw.choice((Hold.FRAUD, Hold.MANUAL))
            held_s = _soon(draw)
            yield held_s, _order(order_id, HoldOrder(hold, []))
            if draw.random() < 0.8:
                yield held_s + _soon(draw), _order(order_id, ReleaseHold(hold))
        is_bad = bool(address_problems(order))
        for _ in range(draw.choice((0, 1, 1, 2)) if is_bad or draw.random() < 0.15 else 0):
            address = draw.choice((ABROAD, home("2 Example Street"), home("3 Example Street", "")))
            yield _soon(draw), _correction(order_id, address)
        if "decline" in order.payment_token or "refused" in order.payment_token or draw.random() < 0.05:
            for _ in range(draw.randint(0, 2)):
                token = draw.choice((None, "tok_ok", "tok_ok", "tok_decline"))
                yield _soon(draw), _order(order_id, ReleaseHold(Hold.PAYMENT, token))
        yield from self._of_the_buyer(draw, order)
        if draw.random() < 0.1:
            fulfillment_id = f"{order_id}-{draw.choice(PLACES)}"
            yield _soon(draw), _shipping(fulfillment_id, RequestLabel())

    def _of_the_buyer(self, draw: Random, order: OrderPlaced) -> Iterator[tuple[float, Act]]:
        """A payment that demands action; and webhooks, asked for or not."""
        order_id = order.order_id
        if order.payment_token == "tok_action" and draw.random() < 0.8:
            passes = draw.random() < 0.7
            acted_s = draw.choice((30.0, 10 * MINUTE_S, 20 * HOUR_S))
            yield acted_s, lambda counter: self._world.buyer_acts(order_id, passes=passes)
            if draw.random() < 0.7:
                yield acted_s + 1.0, _payment(order_id)
        if draw.random() < 0.1:
            yield _soon(draw), _payment(order_id)


def _soon(draw: Random) -> float:
    """Seconds after the order: mostly while it is being worked on."""
    return draw.choice((0.0, 0.02, 0.1, 0.5, 2.0, 30.0, HOUR_S, DAY_S)) * draw.uniform(0.5, 1.5)


def _order(order_id: str, command: object) -> Act:
    request = f"{type(command).__name__}-{order_id[:8]}"
    return lambda counter: counter.ask("order", order_stream(order_id), command, about=order_id, request=request)


def _correction(order_id: str, address: Address) -> Act:
    return lambda counter: counter.correct(order_id, address, request=f"correct-{order_id[:8]}")


def _payment(order_id: str) -> Act:
    stream, request = payment_stream(order_id), f"webhook-{order_id[:8]}"
    return lambda counter: counter.ask("payment", stream, AskProvider(), about=order_id, request=request)


def _shipping(fulfillment_id: str, command: object) -> Act:
    stream, request = fulfillment_stream(fulfillment_id), f"label-{fulfillment_id[:8]}"
    return lambda counter: counter.ask("shipping", stream, command, about=fulfillment_id[:36], request=request)


cancel: Callable[[str], Act] = lambda order_id: _order(order_id, CancelOrder("the shop is closing"))  # noqa: E731


# --- one order -----------------------------------------------------------------------------------------------------


def _drawn(draw: Random, number: int) -> OrderPlaced:
    key = OrderKey(draw.choice(("web", "web", "app", "market place")), str(1_000 + number))
    lines = _lines(draw)
    currency, exponent = draw.choice((("GBP", 2), ("GBP", 2), ("GBP", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)))
    charges = draw.choice(([], [], [Charge(kind="postage", amount_minor=350)]))
    goods_minor = sum(line_total_minor(line.quantity, line.unit_price, exponent) for line in lines)
    total_minor = goods_minor + sum(charge.amount_minor for charge in charges)
    if draw.random() < 0.05:
        charges, total_minor = [Charge(kind="gift", amount_minor=-goods_minor)], 0
    ship_to = _address(draw)
    return OrderPlaced(
        order_id=key.order_id,
        channel=key.channel,
        number=key.number,
        currency=currency,
        country="GB" if ship_to is None else ship_to.country,
        lines=lines,
        charges=charges,
        total_minor=total_minor + (1 if draw.random() < 0.03 else 0),
        payment_token=draw.choice(TOKENS),
        customer=draw.choice((None, "c-1", "c-2")),
        contact=BUYER if ship_to is not None else None,
        ship_to=ship_to,
        reservation_id=f"basket-{number}" if draw.random() < 0.15 else None,
    )


def _lines(draw: Random) -> list[OrderLine]:
    chosen = draw.sample(SKUS, draw.choice((1, 1, 2, 3, 5)))
    if draw.random() < 0.5:
        chosen = list(dict.fromkeys([draw.choice(HOT), *chosen]))
    if draw.random() < 0.03:
        chosen.append(NEVER_STOCKED)
    lines = [OrderLine(sku=sku, quantity=_units(draw), unit_price=PRICES.get(sku, "1.00")) for sku in chosen]
    if draw.random() < 0.1:
        lines.append(lines[0])  # the same SKU on two lines
    return lines


def _units(draw: Random) -> int:
    return draw.choice((1, 1, 1, 2, 2, 3, 6, 12)) if draw.random() < 0.98 else 999_983


def _address(draw: Random) -> Address | None:
    kind = draw.random()
    if kind < 0.1:
        return None
    if kind < 0.3:
        return ABROAD
    return home(draw.choice(STREETS), "SW1A 1AA" if kind < 0.92 else "")
