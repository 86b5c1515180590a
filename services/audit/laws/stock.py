"""The laws of promised stock: it is there, it is what was asked for, and it ends shipped or released."""

from __future__ import annotations

from events.inventory import StockAllocated, StockBackordered, StockRejected, StockReleased, StockShipped
from events.order import OrderLinesShipped
from services.audit.books import CLOSED, Books, Case
from services.audit.law import Law
from services.audit.laws.balances import available, post
from services.audit.laws.quantities import per_sku, postings_without
from services.audit.laws.table import Laws


def _allocated(case: Case, event: StockAllocated, books: Books) -> None:
    wanted = case.wanted
    if wanted is None or case.allocated or case.status in CLOSED:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods, or has been served already.")
    post(event.lines, -1, books)
    if wanted is not None and per_sku(event.lines) != wanted:
        books.tell(Law.ALLOCATED_AS_ORDERED, "Other goods are allocated than were asked for.")
    case.allocated = event.lines
    case.wanted = None


def _backordered(case: Case, event: StockBackordered, books: Books) -> None:
    if case.wanted is None:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods.")
    elif event.lines != case.wanted:
        books.tell(Law.ALLOCATED_AS_ORDERED, "The order waits for other goods than it asked for.")
    missing = {sku: lack for sku, units in event.lines.items() if (lack := units - available(books, sku)) > 0}
    if missing != event.missing:
        books.tell(Law.BALANCES_TOLD, f"{event.missing} is told to be missing, {missing} is.")


def _rejected(case: Case, event: StockRejected, books: Books) -> None:
    if case.wanted is None:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods.")
    if any(sku in here for here in books.free.values() for sku in event.unknown):
        books.tell(Law.BALANCES_TOLD, "A SKU is told to be unknown that has balances.")
    case.wanted = None
    case.refused = True


def _released(case: Case, event: StockReleased, books: Books) -> None:
    if case.release is None:
        books.tell(Law.ALLOCATION_ENDS, "The order has not asked for its release.")
    if event.lines != (case.allocated or {}):
        books.tell(Law.RELEASED_IS_ALLOCATED, "Other goods are released than are allocated to the order.")
    post(event.lines, 1, books)
    case.allocated = case.wanted = case.release = None
    books.may_be_settled(case)


def _shipped(case: Case, event: StockShipped, books: Books) -> None:
    _as_left(case, event, books)
    left = postings_without(case.allocated or {}, event.lines)
    if left is None:
        books.tell(Law.SHIPPED_IS_ALLOCATED, "More is shipped than is allocated to the order.")
    case.allocated = left or None
    if not case.allocated:
        books.may_be_settled(case)


def _as_left(case: Case, event: StockShipped, books: Books) -> None:
    noted = case.leaving.pop(books.at.causation_id, None)
    if noted is None:
        books.tell(Law.SHIPPED_IS_BOOKED, "The order has not noted that such goods left, or they are booked already.")
    elif not isinstance(noted.event, OrderLinesShipped) or noted.event.lines != event.lines:
        books.tell(Law.SHIPPED_IS_BOOKED, f"Other goods are booked out than left at position {noted.position}.")


STOCK_LAWS: Laws = {
    StockAllocated: _allocated,
    StockBackordered: _backordered,
    StockRejected: _rejected,
    StockReleased: _released,
    StockShipped: _shipped,
}
"""The ledger's entries that concern an order."""
