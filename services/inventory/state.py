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


class Bin(NamedTuple):
    """Units of one SKU at one location. allocated + reserved never exceed on_hand."""

    on_hand: int = 0
    allocated: int = 0
    reserved: int = 0
    incoming: int = 0

    @property
    def available(self) -> int:
        return self.on_hand - self.allocated - self.reserved


Bins = dict[str, Bin]
"""One SKU's bins by location; never changed in place."""


class Waiting(NamedTuple):
    """A backordered order; `since` orders the queue."""

    since: int
    lines: Quantities


_EMPTY = Bin()
_NO_BINS: Bins = {}
_NOBODY: Map[str, int] = Map()


class StockState(Struct, frozen=True):
    """Everything one stock pool holds.

    bins          SKU -> location -> balances; a SKU that is not in here was never stocked
    allocations   order id -> what is promised to it and has not left
    backorders    order id -> what it waits for
    waiting       SKU -> the backordered orders that want it, and since when
    reservations  reservation id -> what it holds
    thresholds    SKU -> the number of available units that counts as low
    low           the SKUs that were reported as low
    """

    bins: Map[str, Bins] = Map()
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
            bins = post(state.bins, event.lines, allocated=1)
            served = _no_longer_waiting(state, event.order_id)
            return replace(served, bins=bins, allocations=state.allocations.set(event.order_id, event.lines))
        case StockShipped():
            bins = post(state.bins, event.lines, on_hand=-1, allocated=-1)
            return replace(state, bins=bins, allocations=_less(state.allocations, event.order_id, event.lines))
        case StockReceived():
            bins = post(post(state.bins, event.lines, on_hand=1), event.expected, incoming=-1)
            return replace(state, bins=bins)
        case StockExpected():
            return replace(state, bins=post(state.bins, event.lines, incoming=1))
        case StockAdjusted():
            bins = post(post(state.bins, event.added, on_hand=1), event.removed, on_hand=-1)
            return replace(state, bins=bins)
        case StockBackordered():
            return _wait(state, event)
        case StockReleased():
            bins = post(state.bins, event.lines, allocated=-1)
            released = _no_longer_waiting(state, event.order_id)
            return replace(released, bins=bins, allocations=_less(state.allocations, event.order_id, event.lines))
        case StockReserved():
            reservations = state.reservations.set(event.reservation_id, event.lines)
            return replace(state, bins=post(state.bins, event.lines, reserved=1), reservations=reservations)
        case StockReservationEnded():
            bins = post(state.bins, event.lines, reserved=-1)
            return replace(state, bins=bins, reservations=_without(state.reservations, event.reservation_id))
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


def post(
    bins: Map[str, Bins],
    postings: Postings,
    *,
    on_hand: int = 0,
    allocated: int = 0,
    reserved: int = 0,
    incoming: int = 0,
) -> Map[str, Bins]:
    """The bins after posting these units; each factor (-1, 0, 1) says what the posting does to that balance."""
    if not postings:
        return bins
    changed = bins.mutate()
    for sku, by_location in postings.items():
        row = dict(changed.get(sku, _NO_BINS))
        for location, quantity in by_location.items():
            had = row.get(location, _EMPTY)
            row[location] = _bin(
                had[0] + on_hand * quantity,
                had[1] + allocated * quantity,
                had[2] + reserved * quantity,
                had[3] + incoming * quantity,
            )
        changed[sku] = row
    return changed.finish()


def _bin(*balances: int) -> Bin:
    """What `Bin(...)` does, in half the time: this is the hottest line of the ledger."""
    return tuple.__new__(Bin, balances)


def _less(allocations: Map[str, Postings], order_id: str, gone: Postings) -> Map[str, Postings]:
    """The promises after these units left or were given back."""
    promised = allocations.get(order_id)
    if promised is None or promised == gone:
        return _without(allocations, order_id)
    left = {
        sku: remaining for sku, by_location in promised.items() if (remaining := _minus(by_location, gone.get(sku, {})))
    }
    return allocations.set(order_id, left) if left else _without(allocations, order_id)


def _minus(units: dict[str, int], gone: dict[str, int]) -> dict[str, int]:
    return {place: left for place, n in units.items() if (left := n - gone.get(place, 0)) > 0}


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
