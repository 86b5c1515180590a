"""What the drill's shop sends: one real trading day's baskets, most of them easy, a share of them difficult.

The same for the same count and seed. Every order has a number of its own; some are sent twice or thrice on purpose,
some under a number that another content has as well.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from events.base import Quantities
from events.order import OrderKey, OrderPlaced
from events.slots import SLOTS, slot_of
from services.gateway.requests import OrderBody
from tests.bench.orders import real_orders
from tests.examples import BUYER, HOLDER, HOME

Body = dict[str, Any]

CHANNEL = "drill"
PROBES = "probe"
LOCATION = "LDN"
PROBED_SKU = HOLDER
"""What every probe orders one unit of."""

DECLINED = "tok_decline"
UNANSWERED = "tok_timeout_after_charge"
"""Ends as an unknown outcome, which a timekeeper has asked about five seconds later."""


class Via(StrEnum):
    HTTP = "http"
    TOPIC = "topic"


class Sending(NamedTuple):
    """One order, as the shop sends it.

    rival      another content under the same number, sent at the same time; at most one of the two is taken
    copies     how often the same is sent, beside what has to be sent again because no answer came
    hangs_up   the connection is cut before the answer can be read, and the order is sent again
    """

    order_id: str
    body: Body
    via: Via = Via.HTTP
    copies: int = 1
    rival: Body | None = None
    hangs_up: bool = False

    @property
    def is_declined(self) -> bool:
        """It ends waiting for another payment."""
        return str(self.body["payment_token"]) == DECLINED


# The share of each token; all others go well.
_DIFFICULT = (
    (DECLINED, 0.02),
    (UNANSWERED, 0.02),
    ("tok_timeout_before_charge", 0.01),
    ("tok_capture_timeout", 0.02),
    ("tok_unavailable_1", 0.01),
    ("tok_slow", 0.03),
)
_TWICE, _THRICE, _RIVALS, _HANGS_UP = 0.03, 0.02, 0.02, 0.02


def sendings(count: int, seed: int, *, topic_share: float) -> list[Sending]:
    """`topic_share`: how many of them come over the intake topic, from 0 to 1; all others come over HTTP."""
    chance = random.Random(seed)
    return [_sending(order, chance, topic_share) for order in real_orders(count)]


def _sending(order: OrderPlaced, chance: random.Random, topic_share: float) -> Sending:
    number = order.number.replace("real", str(chance.randrange(10**6)))
    body = _body(order, number, _token(chance.random()))
    copies = chance.choices((1, 2, 3), (1 - _TWICE - _THRICE, _TWICE, _THRICE))[0]
    rival = {**body, "customer": "99999"} if chance.random() < _RIVALS else None
    via = Via.TOPIC if chance.random() < topic_share else Via.HTTP
    hangs_up = chance.random() < _HANGS_UP and via is Via.HTTP
    return Sending(OrderKey(CHANNEL, number).order_id, body, via, copies, rival, hangs_up)


def _token(drawn: float) -> str:
    for token, share in _DIFFICULT:
        drawn -= share
        if drawn < 0:
            return token
    return "tok_ok"


def _body(order: OrderPlaced, number: str, token: str) -> Body:
    return {
        "channel": CHANNEL,
        "number": number,
        "currency": order.currency,
        "lines": [line.model_dump() for line in order.lines],
        "total": f"{order.total_minor // 100}.{order.total_minor % 100:02d}",
        "payment_token": token,
        "customer": order.customer,
        "contact": BUYER.model_dump(),
        "ship_to": HOME.model_dump(),
    }


def probes(label: str, via: Via = Via.HTTP, token: str = "tok_ok") -> list[Sending]:
    """Twelve small orders, one for each slot of the work: whoever has a slot has to do something for one of them."""
    found: dict[int, Sending] = {}
    attempt = 0
    while len(found) < SLOTS:
        attempt += 1
        order_id = OrderKey(PROBES, f"{label}-{attempt}").order_id
        if slot_of(order_id) not in found:
            found[slot_of(order_id)] = Sending(order_id, _probe(f"{label}-{attempt}", token), via)
    return list(found.values())


def _probe(number: str, token: str) -> Body:
    return {
        "channel": PROBES,
        "number": number,
        "currency": "GBP",
        "lines": [{"sku": PROBED_SKU, "quantity": 1, "unit_price": "2.55"}],
        "total": "2.55",
        "payment_token": token,
        "ship_to": HOME.model_dump(),
    }


def placed(body: Body) -> OrderPlaced:
    """What it comes to in the log."""
    return OrderBody.model_validate(body).placed()


# --- stock -----------------------------------------------------------------------------------------------------------

# Of these many articles, which most orders want, only a part is there at the beginning: the others wait for the rest.
_SCARCE_SKUS = 3
_THERE_AT_FIRST = 0.7


def deliveries(orders: Sequence[Sending], probed: int) -> list[Body]:
    """Two receipts: what is there at the beginning, and the rest of what was short. `probed`: units for probes."""
    wanted: Quantities = {PROBED_SKU: probed}
    buyers: Quantities = {}
    for sending in orders:
        for line in sending.body["lines"]:
            sku = line["sku"]
            wanted[sku] = wanted.get(sku, 0) + line["quantity"]
            buyers[sku] = buyers.get(sku, 0) + 1
    buyers.pop(PROBED_SKU, None)  # a probe shall not have to wait
    scarce = sorted(buyers, key=lambda sku: (-buyers[sku], sku))[:_SCARCE_SKUS]
    later = {sku: wanted[sku] - int(wanted[sku] * _THERE_AT_FIRST) for sku in scarce}
    first = {sku: units - later.get(sku, 0) for sku, units in wanted.items()}
    return [_receipt("first", first), _receipt("second", later)]


def _receipt(reference: str, goods: Quantities) -> Body:
    lines = [{"sku": sku, "location": LOCATION, "quantity": units} for sku, units in goods.items() if units]
    return {"reference": reference, "lines": lines}
