"""What the inventory decider can be asked."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from events.base import Postings, Quantities


class AllocateStock(NamedTuple):
    """Promise all of these goods to the order, or none."""

    order_id: str
    lines: Quantities
    reservation_id: str | None = None


class ReleaseStock(NamedTuple):
    order_id: str


class ShipStock(NamedTuple):
    order_id: str
    lines: Postings


class ReceiveStock(NamedTuple):
    reference: str
    lines: Postings


class ExpectStock(NamedTuple):
    reference: str
    lines: Postings


class AdjustStock(NamedTuple):
    """Signed units per location and SKU."""

    reference: str
    reason: str
    lines: dict[str, dict[str, int]]


class ReserveStock(NamedTuple):
    reservation_id: str
    lines: Quantities
    expires_at: datetime


class EndReservation(NamedTuple):
    reservation_id: str
    expired: bool


class SetLowStockThresholds(NamedTuple):
    thresholds: dict[str, int]


StockCommand = (
    AllocateStock
    | ReleaseStock
    | ShipStock
    | ReceiveStock
    | ExpectStock
    | AdjustStock
    | ReserveStock
    | EndReservation
    | SetLowStockThresholds
)
