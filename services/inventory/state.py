"""The stock ledger's balances, and how each entry changes them.

Balances are persistent maps: a new state shares everything it did not change with the old one, so that a batch of
decisions can be thrown away at no cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, assert_never

from immutables import Map
from msgspec import Struct
from msgspec.structs import replace

from events.base import Postings, Quantities
from events.inventory import (
    LowStockCleared,
    LowStockReached,
    LowStockThresholdSet,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockExpected,
    StockReceived,
    StockRejected,
    StockReleased,
    StockReservationEnded,
    StockReservationRefused,
    StockReserved,
    StockShipped,
)

StockEvent = (
    StockAllocated
    | StockShipped
    | StockReceived
    | StockExpected
    | StockAdjusted
    | StockBackordered
    | StockRejected
    | StockReleased
    | StockReserved
    | StockReservationRefused
    | StockReservationEnded
    | LowStockReached
    | LowStockCleared
    | LowStockThresholdSet
)

# A shop that says nothing wants to know when ten are left.
DEFAULT_LOW_STOCK_THRESHOLD = 10


Balances = dict[str, Map[str, int]]
"""Units by location and SKU; never changed in place."""


class Waiting(NamedTuple):
    """A backordered order; `since` orders the queue."""

    since: int
    lines: Quantities


_NO_UNITS: Map[str, int] = Map()
_NOBODY: Map[str, int] = Map()


class StockState(Struct, frozen=True):
    """What one stock pool must remember to decide. All balances are in the read model (projections/stock_levels.py).

    free          units on hand that are neither allocated nor reserved; a SKU that is nowhere in here was never stocked
    incoming      units that are announced
    allocations   order id -> what is promised to it and has not left
    backorders    order id -> what it waits for
    waiting       SKU -> the backordered orders that want it, and since when
    reservations  reservation id -> what it holds
    thresholds    SKU -> the number of available units that counts as low
    low           the SKUs that were reported as low
    """

    free: Balances = {}
    incoming: Balances = {}
    allocations: Map[str, Postings] = Map()
    backorders: Map[str, Waiting] = Map()
    waiting: Map[str, Map[str, int]] = Map()
    reservations: Map[str, Postings] = Map()
    thresholds: Map[str, int] = Map()
    low: Map[str, bool] = Map()
    backordered_ever: int = 0


def evolve(state: StockState, event: StockEvent) -> StockState:
    match event:
        case StockAllocated():
            free = post(state.free, event.lines, -1)
            served = _no_longer_waiting(state, event.order_id)
            return replace(served, free=free, allocations=state.allocations.set(event.order_id, event.lines))
        case StockShipped():
            # Goods leave together with the promise: what is free stays as it is.
            return replace(state, allocations=_less(state.allocations, event.order_id, event.lines))
        case StockReceived():
            free = post(state.free, event.lines, +1)
            return replace(state, free=free, incoming=post(state.incoming, event.expected, -1))
        case StockExpected():
            # Nothing is free yet, but from now on these SKUs are known.
            free = post(state.free, event.lines, 0)
            return replace(state, free=free, incoming=post(state.incoming, event.lines, +1))
        case StockAdjusted():
            return replace(state, free=post(post(state.free, event.added, +1), event.removed, -1))
        case StockBackordered():
            return _wait(state, event)
        case StockReleased():
            free = post(state.free, event.lines, +1)
            released = _no_longer_waiting(state, event.order_id)
            return replace(released, free=free, allocations=_less(state.allocations, event.order_id, event.lines))
        case StockReserved():
            reservations = state.reservations.set(event.reservation_id, event.lines)
            return replace(state, free=post(state.free, event.lines, -1), reservations=reservations)
        case StockReservationEnded():
            free = post(state.free, event.lines, +1)
            return replace(state, free=free, reservations=_without(state.reservations, event.reservation_id))
        case LowStockReached():
            return replace(state, low=state.low.update(dict.fromkeys(event.available, True)))
        case LowStockCleared():
            low = state.low.mutate()
            for sku in event.available:
                low.pop(sku, None)
            return replace(state, low=low.finish())
        case LowStockThresholdSet():
            return replace(state, thresholds=state.thresholds.update(event.thresholds))
        case StockRejected() | StockReservationRefused():
            return state
        case _:
            assert_never(event)


def post(balances: Balances, postings: Postings, sign: int) -> Balances:
    """The balances after adding these units (sign +1), taking them away (-1), or just making them known (0)."""
    if not postings:
        return balances
    changed = dict(balances)
    for location, lines in postings.items():
        before = changed.get(location, _NO_UNITS)
        had, here = before.get, before.mutate()
        for sku, units in lines.items():
            here[sku] = had(sku, 0) + sign * units
        changed[location] = here.finish()
    return changed


def _less(allocations: Map[str, Postings], order_id: str, gone: Postings) -> Map[str, Postings]:
    """The promises after these units left or were given back."""
    promised = allocations.get(order_id)
    if promised is None or promised == gone:
        return _without(allocations, order_id)
    left = {place: rest for place, lines in promised.items() if (rest := _minus(lines, gone.get(place, {})))}
    return allocations.set(order_id, left) if left else _without(allocations, order_id)


def _minus(lines: Quantities, gone: Quantities) -> Quantities:
    return {sku: left for sku, units in lines.items() if (left := units - gone.get(sku, 0)) > 0}


def _without(mapping: Map[str, Postings], key: str) -> Map[str, Postings]:
    return mapping.delete(key) if key in mapping else mapping


def _wait(state: StockState, event: StockBackordered) -> StockState:
    since = state.backordered_ever + 1
    backorders = state.backorders.set(event.order_id, Waiting(since, event.lines))
    waiting = state.waiting.mutate()
    for sku in event.lines:
        waiting[sku] = waiting.get(sku, _NOBODY).set(event.order_id, since)
    return replace(state, backorders=backorders, waiting=waiting.finish(), backordered_ever=since)


def _no_longer_waiting(state: StockState, order_id: str) -> StockState:
    waited = state.backorders.get(order_id)
    if waited is None:
        return state
    waiting = _strike(state.waiting, waited.lines, order_id)
    return replace(state, backorders=state.backorders.delete(order_id), waiting=waiting)


def _strike(waiting: Map[str, Map[str, int]], skus: Iterable[str], order_id: str) -> Map[str, Map[str, int]]:
    changed = waiting.mutate()
    for sku in skus:
        others = changed[sku].delete(order_id)
        if others:
            changed[sku] = others
        else:
            del changed[sku]
    return changed.finish()
