"""What dashboards get to see, as of one moment: windows, velocities, alerts. Pure, and the same in both modes.

A wall clock's windows end now; an imported history's end with the newest that was heard of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import nsmallest
from typing import Any

from events.base import WALL_CLOCK
from services.insights.alerts import Available, many_orders, sells_out
from services.insights.buyers import Buyers
from services.insights.counts import Counts, add_up
from services.insights.fold import Fold
from services.insights.quantiles import quantile_s
from services.insights.windows import Hopping, Window, to_text, tumbling

MINUTES = tumbling(1)
HOURS = Hopping(60, 5)
VELOCITY = Hopping(60, 1)

# An hour of minutes, and of hours that begin every five minutes.
SHOWN_MINUTES = 60
SHOWN_HOURS = 12
# As many SKUs are shown, and compared with what is available: the fastest.
MOST_SKUS = 100


def report(
    fold: Fold,
    buyers: Buyers,
    now_ms: int,
    *,
    available: Callable[[Iterable[str]], Available],
    sells_out_h: float,
) -> dict[str, Any]:
    """`available` is asked for the fastest SKUs of the wall clock."""
    newest = {WALL_CLOCK: now_ms, **fold.newest()}
    clocks = {clock: _clock(fold, clock, now_ms if clock == WALL_CLOCK else newest[clock]) for clock in sorted(newest)}
    pace = {one["sku"]: one["units_per_hour"] for one in clocks[WALL_CLOCK]["velocity"]}
    alerts = [*sells_out(pace, available(pace), sells_out_h), *many_orders(buyers, now_ms)]
    return {"as_of": to_text(now_ms), "position": fold.reached, "clocks": clocks, "alerts": alerts}


def _clock(fold: Fold, clock: str, as_of_ms: int) -> dict[str, Any]:
    minutes, hours = MINUTES.latest(as_of_ms, SHOWN_MINUTES), HOURS.latest(as_of_ms, SHOWN_HOURS)
    [velocity] = VELOCITY.latest(as_of_ms, 1)
    panes = fold.panes(clock, [*minutes, *hours, velocity])
    # SKUs by the thousand are wanted once, not in each of a dozen sums.
    sales = {
        minute: {name: found for name, found in counts.items() if name != "units"} for minute, counts in panes.items()
    }
    return {
        "as_of": to_text(as_of_ms),
        "late": fold.late(clock),
        "minutes": [_minute(window, sales) for window in minutes if window.start_ms in sales],
        "hours": [_hour(window, sales) for window in hours],
        "velocity": _velocity(_sum(velocity, panes)),
    }


def _sum(window: Window, panes: Mapping[int, Counts]) -> Counts:
    total: Counts = {}
    for minute in window.minutes:
        add_up(total, panes.get(minute, {}))
    return total


def _window(window: Window, counts: Counts) -> dict[str, Any]:
    return {
        "start": to_text(window.start_ms),
        "end": to_text(window.end_ms),
        "orders": _sorted(counts.get("orders", {})),
        "revenue_minor": {channel: _sorted(money) for channel, money in _sorted(counts.get("revenue", {})).items()},
        "declines": counts.get("declines", 0),
    }


def _minute(window: Window, panes: Mapping[int, Counts]) -> dict[str, Any]:
    return _window(window, panes[window.start_ms])


def _hour(window: Window, panes: Mapping[int, Counts]) -> dict[str, Any]:
    counts = _sum(window, panes)
    shipped = counts.get("shipped", {})
    took = {"orders": sum(shipped.values()), "p50_s": quantile_s(shipped, 0.5), "p95_s": quantile_s(shipped, 0.95)}
    return {**_window(window, counts), "placed_to_shipped": took}


def _velocity(counts: Counts) -> list[dict[str, Any]]:
    fastest = nsmallest(MOST_SKUS, counts.get("units", {}).items(), key=lambda one: (-one[1], one[0]))
    return [{"sku": sku, "units_per_hour": units} for sku, units in fastest]


def _sorted(found: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(found.items()))
