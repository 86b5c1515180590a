"""Where an order goes to by now, and whether mail can."""

from __future__ import annotations

from collections.abc import Iterable

from events.base import Address, Recorded
from events.order import OrderCorrected, OrderPlaced, Problem
from services.order.validation import address_problems


def problems_with(history: Iterable[Recorded], ship_to: Address | None = None) -> list[Problem]:
    """What is wrong with the address as it was placed, with every correction since, and this one."""
    order: OrderPlaced | None = None
    for recorded in history:
        if isinstance(recorded.event, OrderPlaced):
            order = recorded.event
        elif isinstance(recorded.event, OrderCorrected) and order is not None:
            order = _corrected(order, recorded.event.ship_to)
    return [] if order is None else address_problems(_corrected(order, ship_to))


def _corrected(order: OrderPlaced, ship_to: Address | None) -> OrderPlaced:
    return order if ship_to is None else order.model_copy(update={"ship_to": ship_to, "country": ship_to.country})
