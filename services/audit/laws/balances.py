"""The laws of the ledger's balances: what is booked was reported, and what is told of balances is so.

on_hand is received and adjusted minus shipped, per SKU and location, because it is folded here from these entries
alone; the ledger's own word about balances (low stock, what a backorder misses) is compared with it.
"""

from __future__ import annotations

from typing import TypeVar

from events.base import Event
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
from services.audit.books import Bin, Books
from services.audit.law import Law
from services.audit.laws.quantities import net
from services.audit.laws.table import BareLaws

Report = TypeVar("Report", bound=Event)

# --- reported ------------------------------------------------------------------------------------------------------


def _received(event: StockReceived, books: Books) -> None:
    report = _report(StockReceiptReported, books)
    if report is not None and report.lines != event.lines:
        books.tell(Law.REPORTS_BOOKED, "Other goods are booked in than were reported.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            bin_of(books, sku, place).on_hand += quantity
    for sku, places in event.expected.items():
        for place, quantity in places.items():
            bin_ = bin_of(books, sku, place)
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
            bin_of(books, sku, place).incoming += quantity


def _adjusted(event: StockAdjusted, books: Books) -> None:
    report = _report(StockAdjustmentReported, books)
    if report is not None and net([event.added], [event.removed, event.refused]) != net([report.lines], []):
        books.tell(Law.REPORTS_BOOKED, "Other units are booked or refused than were reported.")
    for (sku, place), units in net([event.added], [event.removed]).items():
        bin_ = bin_of(books, sku, place)
        bin_.on_hand += units
        if bin_.on_hand < 0:
            books.tell(Law.NOTHING_NEGATIVE, f"{sku} at {place}: {bin_.on_hand} on hand.")
        if bin_.allocated + bin_.reserved > bin_.on_hand:
            too_much(sku, place, bin_, books)


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
            bin_ = bin_of(books, sku, place)
            bin_.reserved += quantity
            if bin_.allocated + bin_.reserved > bin_.on_hand:
                too_much(sku, place, bin_, books)


def _reservation_ended(event: StockReservationEnded, books: Books) -> None:
    if books.reservations.pop(event.reservation_id, None) != event.lines:
        books.tell(Law.RESERVATION_ENDS_ONCE, f"{event.reservation_id} is not there, or held other goods.")
    for sku, places in event.lines.items():
        for place, quantity in places.items():
            bin_ = bin_of(books, sku, place)
            bin_.reserved -= quantity
            if bin_.reserved < 0:
                books.tell(Law.NOTHING_NEGATIVE, f"{sku} at {place}: {bin_.reserved} reserved.")


# --- balances ------------------------------------------------------------------------------------------------------


def _low_stock(event: LowStockReached | LowStockCleared, books: Books) -> None:
    for sku, told in event.available.items():
        actual = max(0, available(books, sku))
        if told != actual:
            books.tell(Law.BALANCES_TOLD, f"{told} of {sku} are told to be available, {actual} are.")


def available(books: Books, sku: str) -> int:
    return sum(bin_.on_hand - bin_.allocated - bin_.reserved for bin_ in books.bins.get(sku, {}).values())


def bin_of(books: Books, sku: str, place: str) -> Bin:
    return books.bins.setdefault(sku, {}).setdefault(place, Bin())


def too_much(sku: str, place: str, bin_: Bin, books: Books) -> None:
    detail = f"{sku} at {place}: {bin_.allocated} allocated, {bin_.reserved} reserved, {bin_.on_hand} on hand."
    books.tell(Law.ALLOCATED_IS_THERE, detail)


def _noted(event: object, books: Books) -> None:
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
