"""What the inventory service does about what the order asks and what is reported about stock; its deadlines."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import cast

from events.base import Recorded
from events.gateway import (
    LowStockThresholdReported,
    ReservationReleaseReported,
    ReservationReported,
    StockAdjustmentReported,
    StockExpectedReported,
    StockReceiptReported,
)
from events.inventory import StockReserved, stock_stream
from events.order import AllocationReleaseRequested, AllocationRequested, OrderLinesShipped
from services.inventory import commands as ask
from services.runtime.decider import Deadline, Directive, Reactions, SetsDeadlines


def _tell(command: ask.StockCommand) -> Iterable[Directive]:
    return (Directive(stock_stream(), command),)


def _allocate(recorded: Recorded) -> Iterable[Directive]:
    event = cast(AllocationRequested, recorded.event)
    return _tell(ask.AllocateStock(event.order_id, event.lines, event.reservation_id))


def _release(recorded: Recorded) -> Iterable[Directive]:
    return _tell(ask.ReleaseStock(cast(AllocationReleaseRequested, recorded.event).order_id))


def _ship(recorded: Recorded) -> Iterable[Directive]:
    event = cast(OrderLinesShipped, recorded.event)
    return _tell(ask.ShipStock(event.order_id, event.lines))


def _receive(recorded: Recorded) -> Iterable[Directive]:
    event = cast(StockReceiptReported, recorded.event)
    return _tell(ask.ReceiveStock(event.reference, event.lines))


def _expect(recorded: Recorded) -> Iterable[Directive]:
    event = cast(StockExpectedReported, recorded.event)
    return _tell(ask.ExpectStock(event.reference, event.lines))


def _adjust(recorded: Recorded) -> Iterable[Directive]:
    event = cast(StockAdjustmentReported, recorded.event)
    return _tell(ask.AdjustStock(event.reference, event.reason, event.lines))


def _reserve(recorded: Recorded) -> Iterable[Directive]:
    event = cast(ReservationReported, recorded.event)
    expires_at = recorded.occurred_at + timedelta(seconds=event.ttl_s)
    return _tell(ask.ReserveStock(event.reservation_id, event.lines, expires_at))


def _end_reservation(recorded: Recorded) -> Iterable[Directive]:
    event = cast(ReservationReleaseReported, recorded.event)
    return _tell(ask.EndReservation(event.reservation_id, expired=False))


def _set_thresholds(recorded: Recorded) -> Iterable[Directive]:
    return _tell(ask.SetLowStockThresholds(cast(LowStockThresholdReported, recorded.event).thresholds))


REACTIONS: Reactions = {
    AllocationRequested: _allocate,
    AllocationReleaseRequested: _release,
    OrderLinesShipped: _ship,
    StockReceiptReported: _receive,
    StockExpectedReported: _expect,
    StockAdjustmentReported: _adjust,
    ReservationReported: _reserve,
    ReservationReleaseReported: _end_reservation,
    LowStockThresholdReported: _set_thresholds,
}


def _expire(recorded: Recorded) -> Iterable[Deadline]:
    event = cast(StockReserved, recorded.event)
    command = ask.EndReservation(event.reservation_id, expired=True)
    return (Deadline(event.expires_at, lambda _: Directive(recorded.stream, command)),)


DEADLINES: SetsDeadlines = {StockReserved: _expire}
