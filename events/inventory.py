"""What the inventory service writes: one ledger per stock pool, `stock-<pool>`.

Every entry posts units per location and SKU. An order's lines are one entry, so that allocating all of them or none
needs no further machinery, and an order of 200 lines costs one event, not 200 (docs/decisions.md has the figures).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from events.base import Event, Instant, Name, Note, Postings, Quantities, Sku
from events.order import OrderId

DEFAULT_POOL = "main"


def stock_stream(pool: str = DEFAULT_POOL) -> str:
    return f"stock-{pool}"


class StockExpected(Event):
    """Goods are on their way to us: `incoming` until they are received."""

    type: ClassVar[str] = "inventory.stock_expected.v1"
    reference: Name
    lines: Postings


class StockReceived(Event):
    """Goods came in and are on hand. `expected` is the part of them that was incoming."""

    type: ClassVar[str] = "inventory.stock_received.v1"
    reference: Name
    lines: Postings
    expected: Postings = {}


class StockAdjusted(Event):
    """A count or write-off changed what is on hand.

    `added` and `removed` were booked; `refused` could not be, because those units are promised or not there.
    """

    type: ClassVar[str] = "inventory.stock_adjusted.v1"
    reference: Name
    reason: Note
    added: Postings = {}
    removed: Postings = {}
    refused: Postings = {}


class StockAllocated(Event):
    """All lines of the order are promised, from these locations."""

    type: ClassVar[str] = "inventory.stock_allocated.v1"
    order_id: OrderId
    lines: Postings


class StockBackordered(Event):
    """Not everything is there: the order waits, the oldest first. `missing` says what for."""

    type: ClassVar[str] = "inventory.stock_backordered.v1"
    order_id: OrderId
    lines: Quantities
    missing: Quantities


class StockRejected(Event):
    """The order names SKUs that we have never stocked."""

    type: ClassVar[str] = "inventory.stock_rejected.v1"
    order_id: OrderId
    unknown: list[Sku]


class StockReleased(Event):
    """The promise is taken back (empty where there was none); a waiting order no longer waits."""

    type: ClassVar[str] = "inventory.stock_released.v1"
    order_id: OrderId
    lines: Postings = {}


class StockShipped(Event):
    """Promised goods have left: no longer on hand, no longer allocated."""

    type: ClassVar[str] = "inventory.stock_shipped.v1"
    order_id: OrderId
    lines: Postings


class StockReserved(Event):
    """A soft hold before an order is placed, until `expires_at`."""

    type: ClassVar[str] = "inventory.stock_reserved.v1"
    reservation_id: Name
    lines: Postings
    expires_at: Instant


class StockReservationRefused(Event):
    """Not enough is available for the soft hold."""

    type: ClassVar[str] = "inventory.stock_reservation_refused.v1"
    reservation_id: Name
    missing: Quantities


class StockReservationEnded(Event):
    """The soft hold is over: released by its owner, or expired."""

    type: ClassVar[str] = "inventory.stock_reservation_ended.v1"
    reservation_id: Name
    lines: Postings
    expired: bool


class LowStockReached(Event):
    """The available units of these SKUs fell to or below their threshold."""

    type: ClassVar[str] = "inventory.low_stock_reached.v1"
    available: dict[Sku, Annotated[int, Field(ge=0)]]


class LowStockCleared(Event):
    """The available units of these SKUs are above their threshold again."""

    type: ClassVar[str] = "inventory.low_stock_cleared.v1"
    available: dict[Sku, Annotated[int, Field(ge=0)]]


class LowStockThresholdSet(Event):
    """From now on these SKUs count as low at or below so many available units."""

    type: ClassVar[str] = "inventory.low_stock_threshold_set.v1"
    thresholds: dict[Sku, Annotated[int, Field(ge=0)]]
