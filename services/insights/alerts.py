"""What had better be looked at. Pure: alerts follow from what was counted, and from what is available now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from services.insights.buyers import Buyers

# A page is for eyes.
MOST_ALERTS = 50
_SHOWN_ORDERS = 10

Available = Mapping[str, int]
"""Units of a SKU that can be sold now; of a SKU that was never stocked there is nothing to say."""


def sells_out(units_per_hour: Mapping[str, int], available: Available, within_h: float) -> list[dict[str, Any]]:
    """SKUs that at this pace are gone within so many hours, the soonest first; what is gone already is not news."""
    found = [
        {
            "kind": "sells_out",
            "sku": sku,
            "units_per_hour": units,
            "available": available[sku],
            "hours": round(available[sku] / units, 2),
        }
        for sku, units in units_per_hour.items()
        if units > 0 and 0 < available.get(sku, 0) <= within_h * units
    ]
    return sorted(found, key=lambda alert: (alert["hours"], alert["sku"]))[:MOST_ALERTS]


def many_orders(buyers: Buyers, as_of_ms: int) -> list[dict[str, Any]]:
    """Customers and addresses with more orders within the hour than one may have, most orders first."""
    return [
        {
            "kind": "many_orders",
            "by": crowd.buyer.kind,
            "buyer": crowd.buyer.pseudonym,
            "orders": crowd.orders,
            "in_excess": len(crowd.excess),
            "order_ids": crowd.excess[-_SHOWN_ORDERS:],
        }
        for crowd in buyers.crowds(as_of_ms)[:MOST_ALERTS]
    ]
