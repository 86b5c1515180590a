"""What comes in about stock, as it was reported to us: one stream per report, `report-<report id>`.

The id is derived from the reporter's own reference, so that a report sent twice is one stream and one event; the
inventory service answers it in its ledger.
"""

from __future__ import annotations

from typing import Annotated, ClassVar
from uuid import UUID, uuid5

from pydantic import Field

from events.base import MAX_QUANTITY, Event, Location, Name, Note, Quantity, Sku

_REPORTS = UUID("0b0f9f0e-5f0e-5b52-8a5c-2d5a35b3c1a7")

SignedQuantity = Annotated[int, Field(ge=-MAX_QUANTITY, le=MAX_QUANTITY)]


def report_stream(kind: str, reference: str) -> str:
    """`kind` is "receipt", "expected", "adjustment", "reservation" or "threshold"; `reference` the reporter's own."""
    return "report-" + str(uuid5(_REPORTS, kind + "\n" + reference))


class StockReceiptReported(Event):
    """A delivery was unloaded."""

    type: ClassVar[str] = "gateway.stock_receipt_reported.v1"
    reference: Name
    lines: dict[Location, dict[Sku, Quantity]]


class StockExpectedReported(Event):
    """A delivery was announced."""

    type: ClassVar[str] = "gateway.stock_expected_reported.v1"
    reference: Name
    lines: dict[Location, dict[Sku, Quantity]]


class StockAdjustmentReported(Event):
    """A count or a write-off: signed units per location and SKU."""

    type: ClassVar[str] = "gateway.stock_adjustment_reported.v1"
    reference: Name
    reason: Note
    lines: dict[Location, dict[Sku, SignedQuantity]]


class ReservationReported(Event):
    """A shop asks to hold goods softly for so many seconds (a basket at the till)."""

    type: ClassVar[str] = "gateway.reservation_reported.v1"
    reservation_id: Name
    lines: dict[Sku, Annotated[int, Field(ge=1, le=MAX_QUANTITY)]]
    ttl_s: Annotated[int, Field(ge=1, le=86_400)]


class ReservationReleaseReported(Event):
    """The shop no longer needs the soft hold."""

    type: ClassVar[str] = "gateway.reservation_release_reported.v1"
    reservation_id: Name


class LowStockThresholdReported(Event):
    """The shop wants to be told when these SKUs fall this low."""

    type: ClassVar[str] = "gateway.low_stock_threshold_reported.v1"
    reference: Name
    thresholds: dict[Sku, Annotated[int, Field(ge=0, le=MAX_QUANTITY)]]
