"""The projections that Waybill keeps."""

from __future__ import annotations

from projections.order_status import ORDER_STATUS
from projections.stock_levels import STOCK_LEVELS
from projections.table import Projection

PROJECTIONS: tuple[Projection, ...] = (ORDER_STATUS, STOCK_LEVELS)
