"""One shop's fixed data: the orders, goods and times that the tests tell their stories with. Nobody in it is real.

The order is 6 candle holders and 2 bells, paid with `tok_ok`: 6 x 2.55 + 2 x 3.39 + postage 3.50 = 25.58 GBP.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from events.base import Address, Contact, Event, NewEvent, Write
from events.money import line_total_minor
from events.order import Charge, OrderKey, OrderLine, OrderPlaced, order_stream

KEY = OrderKey("web", "1001")
ORDER = KEY.order_id
OTHER_ORDER = OrderKey("web", "1002").order_id
THIRD_ORDER = OrderKey("web", "1003").order_id

HOLDER = "85123A"
BELL = "22139"
PRICES = {HOLDER: "2.55", BELL: "3.39"}
LINES = {HOLDER: 6, BELL: 2}
TOTAL_MINOR = 25_58

LONDON, LEEDS = "LDN", "LBA"
FROM_LONDON = f"{ORDER}-{LONDON}"
FROM_LEEDS = f"{ORDER}-{LEEDS}"

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

BUYER = Contact(name="Zoë Quine", email="zoe@example.org", phone="+44 20 7946 0018")
HOME = Address(lines=["1 Example Street"], city="London", postal_code="SW1A 1AA", country="GB")
NEW_HOME = Address(lines=["1 Exempelgatan"], city="Stockholm", postal_code="111 57", country="SE")


def placed(
    key: OrderKey = KEY,
    *,
    lines: dict[str, int] | None = None,
    token: str = "tok_ok",
    ship_to: Address | None = HOME,
    reservation_id: str | None = None,
) -> OrderPlaced:
    """An order over `lines` (units by SKU), priced as the shop prices them; without `lines` the one above."""
    lines = LINES if lines is None else lines
    goods = [OrderLine(sku=sku, quantity=units, unit_price=PRICES.get(sku, "1.00")) for sku, units in lines.items()]
    total_minor = sum(line_total_minor(line.quantity, line.unit_price, 2) for line in goods) + 3_50
    return OrderPlaced(
        order_id=key.order_id,
        channel=key.channel,
        number=key.number,
        currency="GBP",
        country="GB" if ship_to is None else ship_to.country,
        lines=goods,
        charges=[Charge(kind="postage", amount_minor=3_50)],
        total_minor=total_minor,
        payment_token=token,
        contact=BUYER,
        ship_to=ship_to,
        reservation_id=reservation_id,
    )


PLACED = placed()


def free_of_charge(key: OrderKey = KEY) -> OrderPlaced:
    """The same goods as a gift: nothing is to be paid."""
    order = placed(key)
    return order.model_copy(update={"charges": [Charge(kind="gift", amount_minor=-22_08)], "total_minor": 0})


def new_event(event: Event, *, at: datetime = NOON, correlation_id: str = ORDER, clock: str = "wall") -> NewEvent:
    return NewEvent(event, at, correlation_id, "request-1", "test", clock)


def placing(order: OrderPlaced, *, at: datetime = NOON, clock: str = "wall") -> Write:
    """The append by which an order comes in."""
    new = new_event(order, at=at, correlation_id=order.order_id, clock=clock)
    return Write(order_stream(order.order_id), 0, [new])
