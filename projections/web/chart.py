"""The newest orders over the time they were placed: how many, and what they brought in."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from events.money import minor_exponent

# The chart's columns: the narrowest of these widths that shows the newest orders in at most so many columns.
MAX_COLUMNS = 60
_WIDTHS = [timedelta(seconds=one) for one in (5, 30, 60, 300, 900, 3_600, 21_600, 86_400, 604_800, 2_592_000)]
# Orders of today beside an imported history: what lies further apart is not on one chart.
_LONGEST_GAP = timedelta(days=14)


def chart(recent: list[dict[str, Any]]) -> dict[str, Any]:
    """Of these orders (newest first), by the start of each column in seconds: how many, and their captured revenue.

    Revenue is in the currency of most of them. What lies before a long gap is left out.
    """
    rows = _close_together(recent)
    if not rows:
        return {"currency": None, "exponent": None, "width_s": 0, "at": [], "orders": [], "revenue_minor": []}
    times = [datetime.fromisoformat(row["placed_at"]) for row in rows]
    width_s = int(_width(times[0] - times[-1]).total_seconds())
    columns = [int(time.timestamp()) // width_s for time in times]
    currencies = [row["currency"] for row in rows]
    currency = max(set(currencies), key=lambda one: (currencies.count(one), one))
    orders, revenue = _columns(rows, columns, currency)
    first = columns[-1]
    at = [(first + number) * width_s for number in range(len(orders))]
    return {
        "currency": currency,
        "exponent": minor_exponent(currency),
        "width_s": width_s,
        "at": at,
        "orders": orders,
        "revenue_minor": revenue,
    }


def _columns(rows: list[dict[str, Any]], columns: list[int], currency: str) -> tuple[list[int], list[int]]:
    first, last = columns[-1], columns[0]
    orders, revenue = [0] * (last - first + 1), [0] * (last - first + 1)
    for row, column in zip(rows, columns, strict=True):
        orders[column - first] += 1
        if row["currency"] == currency:
            revenue[column - first] += row["captured_minor"] - row["refunded_minor"]
    return orders, revenue


def _close_together(recent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest orders, back to the first long gap."""
    rows: list[dict[str, Any]] = []
    later: datetime | None = None
    for row in recent:
        at = datetime.fromisoformat(row["placed_at"])
        if later is not None and later - at > _LONGEST_GAP:
            break
        rows.append(row)
        later = at
    return rows


def _width(span: timedelta) -> timedelta:
    return next((width for width in _WIDTHS if span / width < MAX_COLUMNS), _WIDTHS[-1])
