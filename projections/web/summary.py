"""How the shop is doing, on one page: what `GET /summary` answers and what is pushed to whoever watches."""

from __future__ import annotations

from typing import Any

from events.money import minor_exponent
from projections.catalogue import PROJECTIONS
from projections.order_status import OrderReads
from projections.reader import MAX_PAGE_ROWS, Progress
from projections.stock_levels import StockReads
from projections.web.chart import chart
from projections.web.sources import ConsumerStatus, Sources

NEWEST_ORDERS = 18
LOW_STOCK_ROWS = 12


class SummaryReader:
    """Reads everything that the summary shows. Takes some 10 ms: ask it rarely, and show one answer to all."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._orders = OrderReads(sources.views)
        self._stock = StockReads(sources.views)
        self._progress = Progress(sources.views)

    def read(self) -> dict[str, Any]:
        """Raises ViewsUnavailable and StoreError."""
        # Asked first: what is read after it is at least as new as it says.
        position = min(self._progress.checkpoints(PROJECTIONS).values())
        counts, stock = self._orders.counts(), self._stock.counts()
        consumers = self.consumers()
        recent = self._orders.newest(MAX_PAGE_ROWS).rows
        return {
            "position": position,
            "orders": counts["orders"],
            "by_status": counts["by_status"],
            "by_hold": counts["by_hold"],
            "revenue": _revenue(counts["captured_minor"], counts["refunded_minor"]),
            "units_shipped": counts["units_shipped"],
            "skus": stock["skus"],
            "low_stock": stock["low"],
            "backordered_units": stock["backordered_units"],
            "parked": sum(consumer["parked"] for consumer in consumers),
            "consumers": consumers,
            "newest": [brief(row) for row in recent[:NEWEST_ORDERS]],
            "low": self._lowest(),
            "chart": chart(recent),
        }

    def _lowest(self) -> list[dict[str, Any]]:
        """Those that run out first, of at most a page."""
        low = [_low(row) for row in self._stock.low(MAX_PAGE_ROWS).rows]
        return sorted(low, key=lambda one: (one["available"], -one["backordered"]))[:LOW_STOCK_ROWS]

    def consumers(self) -> list[dict[str, Any]]:
        """Workers and projections, as far as each of them is."""
        lag = self._progress.lag(PROJECTIONS, self._sources.last_position())
        shown = [
            ConsumerStatus(one.name, lag[one.name], self._progress.unreadable(one)[0], None) for one in PROJECTIONS
        ]
        return [one._asdict() for one in (*self._sources.consumers(), *shown)]

    def signature(self) -> tuple[object, ...]:
        """Changes whenever the summary may have changed; takes a small part of its time."""
        return (self._progress.checkpoints(PROJECTIONS), self._sources.consumers())


def amount(minor: int, currency: str | None) -> str | None:
    """Exact decimal text in major units: 1250 GBP is "12.50". None without a known currency."""
    exponent = minor_exponent(currency or "")
    if exponent is None:
        return None
    digits = str(abs(minor)).rjust(exponent + 1, "0")
    cut = len(digits) - exponent
    sign = "-" if minor < 0 else ""
    return sign + digits[:cut] + ("." + digits[cut:] if exponent else "")


def brief(row: dict[str, Any]) -> dict[str, Any]:
    """An order in a list."""
    names = ("order_id", "channel", "number", "status", "holds", "payment", "currency", "placed_at", "updated_position")
    return {
        **{name: row[name] for name in names},
        "total": amount(row["total_minor"], row["currency"]),
        "units": row["units"]["ordered"],
    }


def _revenue(captured: dict[str, int], refunded: dict[str, int]) -> dict[str, str | None]:
    """Captured less refunded, by currency, the largest first."""
    net = {currency: minor - refunded.get(currency, 0) for currency, minor in captured.items()}
    return {currency: amount(net[currency], currency) for currency in sorted(net, key=lambda one: -net[one])}


def _low(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "sku": row["sku"],
        "available": row["totals"]["available"],
        "incoming": row["totals"]["incoming"],
        "backordered": row["backordered"],
        "threshold": row["threshold"],
    }
