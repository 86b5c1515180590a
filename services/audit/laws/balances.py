"""The laws of the ledger's balances: what is booked was reported, and what is told of balances is so.

What is folded here is what is free: on hand, and neither allocated nor reserved. It grows with what is received, added
and given back, shrinks with what is removed, promised and reserved, and must never be negative. Shipping leaves it as
it is, because goods leave with the promise to their order, and no order ships more than was promised to it (stock.py):
so on_hand, received and adjusted minus shipped, cannot fall below what is allocated either.
"""

from __future__ import annotations

from typing import TypeVar

from events.base import Event, Postings
from events.gateway import (
    LowStockThresholdReported,
    ReservationReleaseReported,
    ReservationReported,
    StockAdjustmentReported,
    StockExpectedReported,
    StockReceiptReported,
)
from events.inventory import (
    LowStockCleared,
    LowStockReached,
    LowStockThresholdSet,
    StockAdjusted,
    StockExpected,
    StockReceived,
    StockReservationEnded,
    StockReservationRefused,
    StockReserved,
)
from services.audit.books import Books
from services.audit.law import Law
from services.audit.laws.quantities import net
from services.audit.laws.table import BareLaws

Report = TypeVar("Report", bound=Event)

# --- reported ------------------------------------------------------------------------------------------------------


def _received(event: StockReceived, books: Books) -> None:
    report = _report(StockReceiptReported, books)
    if report is not None and report.lines != event.lines:
        books.tell(Law.REPORTS_BOOKED, "Other goods are booked in than were reported.")
    post(event.lines, 1, books)
    for place, lines in event.expected.items():
        incoming, came = books.incoming.setdefault(place, {}), event.lines.get(place, {})
        for sku, quantity in lines.items():
            left = incoming[sku] = incoming.get(sku, 0) - quantity
            if left < 0 or quantity > came.get(sku, 0):
                detail = f"{sku} at {place}: {quantity} of what came in are told to have been incoming."
                books.tell(Law.INCOMING_WAS_ANNOUNCED, detail)


def _expected(event: StockExpected, books: Books) -> None:
    report = _report(StockExpectedReported, books)
    if report is not None and report.lines != event.lines:
        books.tell(Law.REPORTS_BOOKED, "Other goods are booked as incoming than were reported.")
    for place, lines in event.lines.items():
        incoming = books.incoming.setdefault(place, {})
        for sku, quantity in lines.items():
            incoming[sku] = incoming.get(sku, 0) + quantity


def _adjusted(event: StockAdjusted, books: Books) -> None:
    report = _report(StockAdjustmentReported, books)
    if report is not None and net([event.added], [event.removed, event.refused]) != net([report.lines], []):
        books.tell(Law.REPORTS_BOOKED, "Other units are booked or refused than were reported.")
    post(event.added, 1, books)
    post(event.removed, -1, books)


def _report(kind: type[Report], books: Books) -> Report | None:
    """The report that this entry books, which is taken off the open ones."""
    recorded = books.reports.pop(books.at.causation_id, None)
    if recorded is None or not isinstance(recorded.event, kind):
        books.tell(Law.REPORTS_BOOKED, "Nobody reported it, or it is booked already.")
        return None
    books.versions.pop(recorded.stream, None)
    return recorded.event


def _reported(event: Event, books: Books) -> None:
    books.reports[books.at.id] = books.at


# --- held softly ---------------------------------------------------------------------------------------------------


def _reserved(event: StockReserved, books: Books) -> None:
    if event.reservation_id in books.reservations:
        books.tell(Law.RESERVATION_ENDS_ONCE, f"{event.reservation_id} is there already.")
    books.reservations[event.reservation_id] = event.lines
    post(event.lines, -1, books)


def _reservation_ended(event: StockReservationEnded, books: Books) -> None:
    if books.reservations.pop(event.reservation_id, None) != event.lines:
        books.tell(Law.RESERVATION_ENDS_ONCE, f"{event.reservation_id} is not there, or held other goods.")
    post(event.lines, 1, books)


# --- what is free --------------------------------------------------------------------------------------------------


def _low_stock(event: LowStockReached | LowStockCleared, books: Books) -> None:
    for sku, told in event.available.items():
        actual = available(books, sku)
        if told != actual:
            books.tell(Law.BALANCES_TOLD, f"{told} of {sku} are told to be available, {actual} are.")


def available(books: Books, sku: str) -> int:
    return sum([here.get(sku, 0) for here in books.free.values()])


def post(lines: Postings, sign: int, books: Books) -> None:
    """Add to what is free, or take from it."""
    for place, goods in lines.items():
        free = books.free.setdefault(place, {})
        for sku, quantity in goods.items():
            left = free[sku] = free.get(sku, 0) + sign * quantity
            if left < 0 and sign < 0:
                books.tell(Law.ALLOCATED_IS_THERE, f"{sku} at {place}: {-left} more than are there.")


def _noted(event: Event, books: Books) -> None:
    """Changes no balance."""


BALANCE_LAWS: BareLaws = {
    StockReceiptReported: _reported,
    StockExpectedReported: _reported,
    StockAdjustmentReported: _reported,
    ReservationReported: _noted,
    ReservationReleaseReported: _noted,
    LowStockThresholdReported: _noted,
    StockReceived: _received,
    StockExpected: _expected,
    StockAdjusted: _adjusted,
    StockReserved: _reserved,
    StockReservationRefused: _noted,
    StockReservationEnded: _reservation_ended,
    LowStockReached: _low_stock,
    LowStockCleared: _low_stock,
    LowStockThresholdSet: _noted,
}
"""What is reported about stock, and the ledger's entries that concern no order."""
