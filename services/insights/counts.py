"""What an event adds to the counts of its minute. Counts are nested maps of whole numbers, so that any two add up.

orders    {channel: placed orders}                    revenue   {channel: {currency: minor units, as ordered}}
units     {sku: units ordered}                        declines  authorizations that the provider refused
shipped   {bucket: orders}: how long it took from placing an order to its first parcel; see quantiles.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple

from events.base import Event, Recorded
from events.order import OrderLinesShipped, OrderPlaced
from events.payment import PaymentDeclined
from services.insights.quantiles import bucket_of
from services.insights.windows import event_ms

Counts = dict[str, Any]

REST = "(others)"
"""Where a minute has more names than are kept apart. No SKU and no channel of ours is spelled like that."""

# In one minute of one slot. A pane with as many is 40 kB in its table; names come from outside, and need a bound.
MOST_SKUS = 2_000
MOST_CHANNELS = 100


class Journey(NamedTuple):
    """What must be known of an order to say how long its first parcel took."""

    placed_ms: int
    first_shipped: int | None = None
    """The position of its first `order.lines_shipped`; None: there was none yet."""


Journeys = Mapping[str, Journey]
"""By order id. Of an order that is not in it nothing can be said."""

Add = Callable[[Counts, Recorded, Journeys], None]


def _placed(counts: Counts, recorded: Recorded, _: Journeys) -> None:
    order = recorded.event
    assert isinstance(order, OrderPlaced)
    _add(counts.setdefault("orders", {}), order.channel, 1, MOST_CHANNELS)
    revenue = counts.setdefault("revenue", {})
    by_currency = revenue.setdefault(_name(revenue, order.channel, MOST_CHANNELS), {})
    _add(by_currency, order.currency, order.total_minor, MOST_CHANNELS)
    units = counts.setdefault("units", {})
    for line in order.lines:
        _add(units, line.sku, line.quantity, MOST_SKUS)


def _declined(counts: Counts, recorded: Recorded, _: Journeys) -> None:
    counts["declines"] = counts.get("declines", 0) + 1


def _shipped(counts: Counts, recorded: Recorded, journeys: Journeys) -> None:
    order_id: str = getattr(recorded.event, "order_id", "")
    journey = journeys.get(order_id)
    if journey is not None and journey.first_shipped in (None, recorded.position):
        took_ms = max(0, event_ms(recorded) - journey.placed_ms)
        _add(counts.setdefault("shipped", {}), bucket_of(took_ms), 1, MOST_SKUS)


COUNTED: dict[type[Event], Add] = {OrderPlaced: _placed, PaymentDeclined: _declined, OrderLinesShipped: _shipped}
"""Everything that is counted. `order.lines_shipped`, not `shipping.parcel_shipped`: it is in the order's own stream,
so that one slot has both ends of an order's journey."""


def add_up(into: MutableMapping[str, Any], more: Mapping[str, Any]) -> None:
    """Sums of counts; `more` is left as it is."""
    for name, value in more.items():
        if isinstance(value, Mapping):
            add_up(into.setdefault(name, {}), value)
        else:
            into[name] = into.get(name, 0) + value


def _add(counts: MutableMapping[str, int], name: str, by: int, most: int) -> None:
    name = _name(counts, name, most)
    counts[name] = counts.get(name, 0) + by


def _name(known: Mapping[str, Any], name: str, most: int) -> str:
    return name if name in known or len(known) < most else REST
