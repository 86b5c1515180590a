"""Who orders unusually often: the orders of each customer and to each address within an hour.

An order is *in excess* if its buyer had placed as many as the limit within the hour before it. Which orders those are
follows from the orders alone: one that comes late can only add to them, never take one away. So it does not matter in
which order they are heard of, nor how often.

Customers and addresses are personal data. They are kept as keyed hashes under a key that this process drew and tells
nobody, in this process's memory, and nowhere else: no table, no topic and no Redis ever holds them, and nobody who sees
the hashes can try addresses against them. After a restart the last hours are read from the log again.
"""

from __future__ import annotations

import hmac
import re
from bisect import bisect_left
from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from events.base import WALL_CLOCK, Address, Recorded
from events.order import OrderPlaced
from services.insights.windows import MINUTE_MS, event_ms

WITHIN_MS = 60 * MINUTE_MS
KEEP_MS = 2 * WITHIN_MS
"""An order up to an hour late still has the hour before it to be compared with."""

# 300 bytes each. Whoever has more than this in two hours has other means, and loses the oldest of them here.
MOST_ORDERS = 200_000

_BLANK = re.compile(r"[\W_]+")


class Ordered(NamedTuple):
    """An order of one buyer. Sorts by its time, then by its place in the log."""

    at_ms: int
    position: int
    order_id: str


class Buyer(NamedTuple):
    kind: str
    """"customer" or "address"."""
    pseudonym: str


class Excess(NamedTuple):
    """An order too many, and whose."""

    order: Ordered
    buyer: Buyer


class Crowd(NamedTuple):
    """A buyer with orders in excess, as of now."""

    buyer: Buyer
    orders: int
    excess: list[str]


class Buyers:
    """Orders on the wall clock, of the last two hours. Not for several threads."""

    def __init__(self, limit: int, key: bytes, *, most_orders: int = MOST_ORDERS) -> None:
        """`limit`: as many orders may one buyer place within an hour."""
        assert limit > 0
        self._limit = limit
        self._key = key
        self._most = most_orders
        self._orders: dict[Buyer, list[Ordered]] = {}
        self._by_age: list[tuple[Ordered, Buyer]] = []
        self._newest_ms = 0

    def take(self, recorded: Recorded) -> list[Excess]:
        """The orders in excess that this event brings to light: itself, or later ones where it comes late itself."""
        order = recorded.event
        if not isinstance(order, OrderPlaced) or recorded.clock != WALL_CLOCK:
            return []
        ordered = Ordered(event_ms(recorded), recorded.position, order.order_id)
        self._newest_ms = max(self._newest_ms, ordered.at_ms)
        if ordered.at_ms <= self._newest_ms - KEEP_MS:
            return []
        found = [one for buyer in self._buyers(order) for one in self._add(buyer, ordered)]
        self._make_room()
        return found

    def crowds(self, as_of_ms: int) -> list[Crowd]:
        """Who has orders in excess within the last hour, most orders first."""
        found = []
        for buyer, orders in self._orders.items():
            recent = range(bisect_left(orders, (as_of_ms - WITHIN_MS + 1,)), bisect_left(orders, (as_of_ms + 1,)))
            excess = [orders[place].order_id for place in recent if self._is_excess(orders, place)]
            if excess:
                found.append(Crowd(buyer, len(recent), excess))
        return sorted(found, key=lambda crowd: (-crowd.orders, crowd.buyer))

    def _buyers(self, order: OrderPlaced) -> Iterator[Buyer]:
        if order.customer is not None:
            yield Buyer("customer", self._hash(f"{order.channel}\n{order.customer}"))
        if order.ship_to is not None:
            yield Buyer("address", self._hash(_plain(order.ship_to)))

    def _hash(self, text: str) -> str:
        return hmac.digest(self._key, text.encode(), "sha256")[:8].hex()

    def _add(self, buyer: Buyer, ordered: Ordered) -> Iterator[Excess]:
        orders = self._orders.setdefault(buyer, [])
        place = bisect_left(orders, ordered)
        if place < len(orders) and orders[place] == ordered:
            return
        orders.insert(place, ordered)
        heappush(self._by_age, (ordered, buyer))
        # Of those after it only so many have a new order so far before them.
        for later in range(place, min(len(orders), place + self._limit + 1)):
            if self._is_excess(orders, later):
                yield Excess(orders[later], buyer)

    def _is_excess(self, orders: list[Ordered], place: int) -> bool:
        first = place - self._limit
        return first >= 0 and orders[first].at_ms > orders[place].at_ms - WITHIN_MS

    def _make_room(self) -> None:
        horizon_ms = self._newest_ms - KEEP_MS
        while self._by_age and (self._by_age[0][0].at_ms <= horizon_ms or len(self._by_age) > self._most):
            _, buyer = heappop(self._by_age)
            orders = self._orders[buyer]
            del orders[0]  # nobody's oldest order is older than everybody's
            if not orders:
                del self._orders[buyer]


def _plain(address: Address) -> str:
    """One place, however it is written: in small letters, without punctuation."""
    parts = (*address.lines, address.city, address.postal_code, address.country)
    return "\n".join(_BLANK.sub("", part.casefold()) for part in parts)
