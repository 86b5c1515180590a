"""The rules of stock: what is promised is there, all lines of an order or none, and the oldest waits the least."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import assert_never

from events.base import Event, Postings, Quantities
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
from services.inventory.allocation import allocate, available, shortage
from services.inventory.commands import (
    AdjustStock,
    AllocateStock,
    EndReservation,
    ExpectStock,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    SetLowStockThresholds,
    ShipStock,
    StockCommand,
)
from services.inventory.state import DEFAULT_LOW_STOCK_THRESHOLD, Balances, StockEvent, StockState, evolve
from services.runtime.decider import Decider


def decide(command: StockCommand, state: StockState) -> list[Event]:
    match command:
        case AllocateStock():
            return _allocate(command, state)
        case ShipStock():
            return _ship(command, state)
        case ReceiveStock(reference, lines):
            expected = _expected_part(lines, state)
            return _and_serve(state, [StockReceived(reference=reference, lines=lines, expected=expected)], _skus(lines))
        case ReleaseStock(order_id):
            lines = state.allocations.get(order_id, {})
            return _and_serve(state, [StockReleased(order_id=order_id, lines=lines)], _skus(lines))
        case AdjustStock():
            adjusted = _adjust(command, state)
            return _and_serve(state, [adjusted], _skus(adjusted.added) | _skus(adjusted.removed))
        case ExpectStock(reference, lines):
            return [StockExpected(reference=reference, lines=lines)]
        case ReserveStock():
            return _reserve(command, state)
        case EndReservation(reservation_id, expired):
            return _end_reservation(reservation_id, expired, state)
        case SetLowStockThresholds(thresholds):
            set_ = LowStockThresholdSet(thresholds=thresholds)
            return [set_, *_low_stock(evolve(state, set_), available(thresholds, state.free))]
        case _:
            assert_never(command)


# --- promising -----------------------------------------------------------------------------------------------------


def _allocate(command: AllocateStock, state: StockState) -> list[Event]:
    order_id, lines, reservation_id = command
    if order_id in state.allocations or order_id in state.backorders:
        return []
    units = available(lines, state.free)
    if len(units) < len(lines):
        return [StockRejected(order_id=order_id, unknown=[sku for sku in lines if sku not in units])]
    if reservation_id is not None and reservation_id in state.reservations:
        return _allocate_reserved(order_id, lines, reservation_id, state)
    answer, left = _promise(order_id, lines, state.free, units)
    return [answer, *_low_stock(state, left)]


def _promise(
    order_id: str, lines: Quantities, free: Balances, units: Quantities
) -> tuple[StockAllocated | StockBackordered, Quantities]:
    """The answer to the order, and what could be promised of its SKUs after it; `units` could be before."""
    missing = {sku: wanted - units[sku] for sku, wanted in lines.items() if units[sku] < wanted}
    if missing:
        return StockBackordered(order_id=order_id, lines=lines, missing=missing), units
    allocated = StockAllocated.of_known(order_id=order_id, lines=allocate(lines, free))
    return allocated, {sku: units[sku] - wanted for sku, wanted in lines.items()}


def _allocate_reserved(order_id: str, lines: Quantities, reservation_id: str, state: StockState) -> list[Event]:
    """The order uses its reservation up. What that held beyond the order may be what others wait for."""
    held = state.reservations[reservation_id]
    ended = StockReservationEnded(reservation_id=reservation_id, lines=held, expired=False)
    free = evolve(state, ended).free
    answer, _ = _promise(order_id, lines, free, available(lines, free))
    return _and_serve(state, [ended, answer], lines.keys() | _skus(held))


def _ship(command: ShipStock, state: StockState) -> list[Event]:
    promised = state.allocations.get(command.order_id)
    if promised is None:
        return []
    gone = command.lines if command.lines == promised else _common(command.lines, promised)
    return [StockShipped.of_known(order_id=command.order_id, lines=gone)] if gone else []


def _common(lines: Postings, promised: Postings) -> Postings:
    """What is in both: nothing leaves that was not promised, and nothing leaves twice."""
    found: Postings = {}
    for location, goods in lines.items():
        there = promised.get(location, {})
        for sku, quantity in goods.items():
            _note(found, location, sku, min(quantity, there.get(sku, 0)))
    return found


def _reserve(command: ReserveStock, state: StockState) -> list[Event]:
    reservation_id, lines, expires_at = command
    if reservation_id in state.reservations:
        return []
    missing = shortage(lines, state.free)
    if missing:
        return [StockReservationRefused(reservation_id=reservation_id, missing=missing)]
    postings = allocate(lines, state.free)
    reserved = StockReserved(reservation_id=reservation_id, lines=postings, expires_at=expires_at)
    return [reserved, *_low_stock(state, available(lines, evolve(state, reserved).free))]


def _end_reservation(reservation_id: str, expired: bool, state: StockState) -> list[Event]:
    if reservation_id not in state.reservations:
        return []
    lines = state.reservations[reservation_id]
    ended = StockReservationEnded(reservation_id=reservation_id, lines=lines, expired=expired)
    return _and_serve(state, [ended], _skus(lines))


# --- counting ------------------------------------------------------------------------------------------------------


def _expected_part(lines: Postings, state: StockState) -> Postings:
    """The part of a receipt that had been announced."""
    expected: Postings = {}
    for location, goods in lines.items():
        incoming = state.incoming.get(location)
        if incoming is not None:
            for sku, quantity in goods.items():
                _note(expected, location, sku, min(quantity, incoming.get(sku, 0)))
    return expected


def _adjust(command: AdjustStock, state: StockState) -> StockAdjusted:
    """Units that are promised cannot be written off: the part that is free is booked, the rest is reported back."""
    added: Postings = {}
    removed: Postings = {}
    refused: Postings = {}
    for location, lines in command.lines.items():
        here: Mapping[str, int] = state.free.get(location, {})
        for sku, units in lines.items():
            free = here.get(sku, 0)
            _note(added, location, sku, units)
            _note(removed, location, sku, min(-units, free))
            _note(refused, location, sku, -units - free)
    return StockAdjusted(
        reference=command.reference, reason=command.reason, added=added, removed=removed, refused=refused
    )


def _note(postings: Postings, location: str, sku: str, units: int) -> None:
    if units > 0:
        postings.setdefault(location, {})[sku] = units


def _skus(postings: Postings) -> set[str]:
    return set().union(*postings.values())


# --- what follows from new balances --------------------------------------------------------------------------------


def _and_serve(state: StockState, events: list[StockEvent], touched: set[str]) -> list[Event]:
    """The events, and what becomes possible with the goods they set free: orders that wait, the oldest first."""
    after = _fold(state, events)
    waiting = {order_id for sku in touched for order_id in after.waiting.get(sku, ())}
    for order_id in sorted(waiting, key=lambda one: after.backorders[one].since):
        lines = after.backorders[order_id].lines
        if not shortage(lines, after.free):
            served = StockAllocated(order_id=order_id, lines=allocate(lines, after.free))
            events = [*events, served]
            after = evolve(after, served)
            touched = touched | lines.keys()
    return [*events, *_low_stock(state, available(touched, after.free))]


def _fold(state: StockState, events: Iterable[StockEvent]) -> StockState:
    for event in events:
        state = evolve(state, event)
    return state


def _low_stock(state: StockState, available: Quantities) -> list[Event]:
    """Each SKU is reported once when it falls to its threshold, and once when it is above it again.

    `state` knows the thresholds and what was reported; `available` is what is left now.
    """
    reached: dict[str, int] = {}
    cleared: dict[str, int] = {}
    thresholds, low = state.thresholds, state.low
    for sku, units in available.items():
        is_low = units <= thresholds.get(sku, DEFAULT_LOW_STOCK_THRESHOLD)
        if is_low is not (sku in low):
            (reached if is_low else cleared)[sku] = max(0, units)
    events: list[Event] = []
    if reached:
        events.append(LowStockReached(available=dict(sorted(reached.items()))))
    if cleared:
        events.append(LowStockCleared(available=dict(sorted(cleared.items()))))
    return events


DECIDER: Decider[StockCommand, StockState] = Decider(StockState(), decide, evolve)
