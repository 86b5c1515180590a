"""The laws of the stock ledger: what is booked was reported or asked for, and no balance says what is not there.

on_hand is received and adjusted minus shipped, per SKU and location, because it is folded here from these entries
alone; the ledger's own word about balances (low stock, what a backorder misses) is compared with it.
"""

from __future__ import annotations

from typing import TypeVar

from events.base import Event, Postings, Quantities
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
from events.order import OrderLinesShipped
from services.audit.books import CLOSED, Bin, Books, Case
from services.audit.law import Law
from services.audit.laws.quantities import net, postings_without
from services.audit.laws.table import BareLaws, Laws

Report = TypeVar("Report", bound=Event)

# --- promised to orders --------------------------------------------------------------------------------------------


def _allocated(case: Case, event: StockAllocated, books: Books) -> None:
    wanted = case.wanted
    if wanted is None or case.allocated or case.status in CLOSED:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods, or has been served already.")
    units = _promise(event.lines, books)
    if wanted is not None and units != wanted:
        books.tell(Law.ALLOCATED_AS_ORDERED, "Other goods are allocated than were asked for.")
    case.allocated = event.lines
    case.wanted = None


def _promise(lines: Postings, books: Books) -> Quantities:
    """Post what is promised; returns the units per SKU."""
    wanted = {}
    stock = books.bins
    for sku, places in lines.items():
        bins = stock.get(sku) or {}
        units = 0
        for place, quantity in places.items():
            bin_ = bins.get(place) or _bin(books, sku, place)
            bin_.allocated += quantity
            units += quantity
            if bin_.allocated + bin_.reserved > bin_.on_hand:
                _too_much(sku, place, bin_, books)
        wanted[sku] = units
    return wanted


def _backordered(case: Case, event: StockBackordered, books: Books) -> None:
    if case.wanted is None:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods.")
    elif event.lines != case.wanted:
        books.tell(Law.ALLOCATED_AS_ORDERED, "The order waits for other goods than it asked for.")
    missing = {sku: lack for sku, units in event.lines.items() if (lack := units - _available(books, sku)) > 0}
    if missing != event.missing:
        books.tell(Law.BALANCES_TOLD, f"{event.missing} is told to be missing, {missing} is.")


def _rejected(case: Case, event: StockRejected, books: Books) -> None:
    if case.wanted is None:
        books.tell(Law.ALLOCATED_ONCE, "The order has no open request for goods.")
    if any(sku in books.bins for sku in event.unknown):
        books.tell(Law.BALANCES_TOLD, "A SKU is told to be unknown that has balances.")
    case.wanted = None
    case.refused = True


def _released(case: Case, event: StockReleased, books: Books) -> None:
    if case.release is None:
        books.tell(Law.ALLOCATION_ENDS, "The order has not asked for its release.")
    if event.lines != (case.allocated or {}):
        books.tell(Law.RELEASED_IS_ALLOCATED, "Other goods are released than are allocated to the order.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            bin_ = _bin(books, sku, place)
            bin_.allocated -= quantity
            if bin_.allocated < 0:
                books.tell(Law.NOTHING_NEGATIVE, f"{sku} at {place}: {bin_.allocated} allocated.")
    case.allocated = case.wanted = case.release = None
    books.may_be_settled(case)


def _shipped(case: Case, event: StockShipped, books: Books) -> None:
    _as_left(case, event, books)
    left = postings_without(case.allocated or {}, event.lines)
    if left is None:
        books.tell(Law.SHIPPED_IS_ALLOCATED, "More is shipped than is allocated to the order.")
    case.allocated = left or None
    stock = books.bins
    for sku, places in event.lines.items():
        bins = stock.get(sku) or {}
        for place, quantity in places.items():
            bin_ = bins.get(place) or _bin(books, sku, place)
            bin_.on_hand -= quantity
            bin_.allocated -= quantity
            if bin_.on_hand < 0 or bin_.allocated < 0:
                detail = f"{sku} at {place}: {bin_.on_hand} on hand, {bin_.allocated} allocated."
                books.tell(Law.NOTHING_NEGATIVE, detail)
    if not case.allocated:
        books.may_be_settled(case)


def _as_left(case: Case, event: StockShipped, books: Books) -> None:
    noted = case.leaving.pop(books.at.causation_id, None)
    if noted is None:
        books.tell(Law.SHIPPED_IS_BOOKED, "The order has not noted that such goods left, or they are booked already.")
    elif not isinstance(noted.event, OrderLinesShipped) or noted.event.lines != event.lines:
        books.tell(Law.SHIPPED_IS_BOOKED, f"Other goods are booked out than left at position {noted.position}.")


# --- reported ------------------------------------------------------------------------------------------------------


def _received(event: StockReceived, books: Books) -> None:
    report = _report(StockReceiptReported, books)
    if report is not None and report.lines != event.lines:
        books.tell(Law.REPORTS_BOOKED, "Other goods are booked in than were reported.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            _bin(books, sku, place).on_hand += quantity
    for sku, places in event.expected.items():
        for place, quantity in places.items():
            bin_ = _bin(books, sku, place)
            bin_.incoming -= quantity
            if bin_.incoming < 0 or quantity > event.lines.get(sku, {}).get(place, 0):
                detail = f"{sku} at {place}: {quantity} of what came in are told to have been incoming."
                books.tell(Law.NOTHING_NEGATIVE, detail)


def _expected(event: StockExpected, books: Books) -> None:
    report = _report(StockExpectedReported, books)
    if report is not None and report.lines != event.lines:
        books.tell(Law.REPORTS_BOOKED, "Other goods are booked as incoming than were reported.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            _bin(books, sku, place).incoming += quantity


def _adjusted(event: StockAdjusted, books: Books) -> None:
    report = _report(StockAdjustmentReported, books)
    if report is not None and net([event.added], [event.removed, event.refused]) != net([report.lines], []):
        books.tell(Law.REPORTS_BOOKED, "Other units are booked or refused than were reported.")
    for (sku, place), units in net([event.added], [event.removed]).items():
        bin_ = _bin(books, sku, place)
        bin_.on_hand += units
        if bin_.on_hand < 0:
            books.tell(Law.NOTHING_NEGATIVE, f"{sku} at {place}: {bin_.on_hand} on hand.")
        if bin_.allocated + bin_.reserved > bin_.on_hand:
            _too_much(sku, place, bin_, books)


def _report(kind: type[Report], books: Books) -> Report | None:
    """The report that this entry books, which is taken off the open ones."""
    recorded = books.reports.pop(books.at.causation_id, None)
    if recorded is None or not isinstance(recorded.event, kind):
        books.tell(Law.REPORTS_BOOKED, "Nobody reported it, or it is booked already.")
        return None
    books.versions.pop(recorded.stream, None)
    return recorded.event


def _reported(event: object, books: Books) -> None:
    books.reports[books.at.id] = books.at


# --- held softly ---------------------------------------------------------------------------------------------------


def _reserved(event: StockReserved, books: Books) -> None:
    if event.reservation_id in books.reservations:
        books.tell(Law.RESERVATION_ENDS_ONCE, f"{event.reservation_id} is there already.")
    books.reservations[event.reservation_id] = event.lines
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            bin_ = _bin(books, sku, place)
            bin_.reserved += quantity
            if bin_.allocated + bin_.reserved > bin_.on_hand:
                _too_much(sku, place, bin_, books)


def _reservation_ended(event: StockReservationEnded, books: Books) -> None:
    if books.reservations.pop(event.reservation_id, None) != event.lines:
        books.tell(Law.RESERVATION_ENDS_ONCE, f"{event.reservation_id} is not there, or held other goods.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            bin_ = _bin(books, sku, place)
            bin_.reserved -= quantity
            if bin_.reserved < 0:
                books.tell(Law.NOTHING_NEGATIVE, f"{sku} at {place}: {bin_.reserved} reserved.")


# --- balances ------------------------------------------------------------------------------------------------------


def _low_stock(event: LowStockReached | LowStockCleared, books: Books) -> None:
    for sku, told in event.available.items():
        available = max(0, _available(books, sku))
        if told != available:
            books.tell(Law.BALANCES_TOLD, f"{told} of {sku} are told to be available, {available} are.")


def _available(books: Books, sku: str) -> int:
    return sum(bin_.on_hand - bin_.allocated - bin_.reserved for bin_ in books.bins.get(sku, {}).values())


def _bin(books: Books, sku: str, place: str) -> Bin:
    return books.bins.setdefault(sku, {}).setdefault(place, Bin())


def _too_much(sku: str, place: str, bin_: Bin, books: Books) -> None:
    detail = f"{sku} at {place}: {bin_.allocated} allocated, {bin_.reserved} reserved, {bin_.on_hand} on hand."
    books.tell(Law.ALLOCATED_IS_THERE, detail)


def _noted(event: object, books: Books) -> None:
    """Changes no balance."""


STOCK_LAWS: Laws = {
    StockAllocated: _allocated,
    StockBackordered: _backordered,
    StockRejected: _rejected,
    StockReleased: _released,
    StockShipped: _shipped,
}
"""The ledger's entries that concern an order."""

STOCK_BARE_LAWS: BareLaws = {
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
"""What is reported about stock, and the ledger's other entries."""
