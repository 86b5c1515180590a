"""The laws of an order's own axis: its steps, its total, its holds."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from events.base import Quantities
from events.money import line_total_minor, minor_exponent
from events.order import (
    Hold,
    OrderAccepted,
    OrderCancellationRefused,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCorrected,
    OrderCorrectionRefused,
    OrderExpired,
    OrderHeld,
    OrderHoldReleased,
    OrderIntakeConflicted,
    OrderPlaced,
    OrderRejected,
)
from services.audit.books import CLOSED, Books, Case, Status
from services.audit.law import Law
from services.audit.laws.table import Laws

# Shops sell the same articles at the same prices again and again; some 200 bytes an entry: 3 MB.
_line_total_minor: Final = lru_cache(maxsize=16_384)(line_total_minor)


# --- its steps -----------------------------------------------------------------------------------------------------


def _placed(case: Case, event: OrderPlaced, books: Books) -> None:
    if case.status is not Status.NONE or books.at.version != 1:
        books.tell(Law.PLACED_FIRST, f"The order was {case.status.value} before.")
        return
    case.status = Status.PLACED
    case.total_minor = event.total_minor
    case.currency = event.currency
    case.ordered, case.billed_minor = _add_up(event)


def _add_up(event: OrderPlaced) -> tuple[Quantities, int | None]:
    """Units per SKU, and what lines and charges come to; no amount in a currency that has no minor unit."""
    exponent = minor_exponent(event.currency)
    ordered: Quantities = {}
    billed_minor = 0
    for line in event.lines:
        sku, quantity = line.sku, line.quantity
        ordered[sku] = ordered.get(sku, 0) + quantity
        billed_minor += _line_total_minor(quantity, line.unit_price, exponent or 0)
    for charge in event.charges:
        billed_minor += charge.amount_minor
    return ordered, None if exponent is None else billed_minor


def _accepted(case: Case, event: OrderAccepted, books: Books) -> None:
    _step(case, Status.ACCEPTED, (Status.PLACED,), books)
    if case.billed_minor != case.total_minor or case.total_minor < 0 or not case.ordered:
        detail = f"The total is {case.total_minor}, lines and charges add up to {case.billed_minor}."
        books.tell(Law.TOTALS_ADD_UP, detail)


def _confirmed(case: Case, event: OrderConfirmed, books: Books) -> None:
    _step(case, Status.CONFIRMED, (Status.ACCEPTED,), books)
    if case.allocated != event.lines:
        books.tell(Law.ALLOCATED_AS_ORDERED, "The order confirms other goods than are allocated to it.")
    case.unsent = dict(event.lines)


def _completed(case: Case, event: OrderCompleted, books: Books) -> None:
    _step(case, Status.COMPLETED, (Status.CONFIRMED,), books)
    _close(case, books)
    if case.money.captured_minor != case.total_minor:
        detail = f"{case.money.captured_minor} captured, the order's total is {case.total_minor}."
        books.tell(Law.COMPLETED_IS_DONE, detail)
    if case.unsent or not all(part.left or part.stopped for part in case.parts.values()):
        books.tell(Law.COMPLETED_IS_DONE, "Not all that was confirmed has left.")
    # What only open orders need. A parcel may be on its way for weeks.
    case.ordered, case.unsent = {}, {}
    for part in case.parts.values():
        part.lines = {}


def _cancellation_requested(case: Case, event: OrderCancellationRequested, books: Books) -> None:
    if case.status in CLOSED or case.cancelling or any(part.left for part in case.parts.values()):
        books.tell(Law.ORDER_TRANSITIONS, f"It is {case.status.value}, being cancelled, or goods have left.")
    case.cancelling = True


def _cancellation_refused(case: Case, event: OrderCancellationRefused, books: Books) -> None:
    case.cancelling = False


def _cancelled(case: Case, event: OrderCancelled, books: Books) -> None:
    if not case.cancelling:
        books.tell(Law.ORDER_TRANSITIONS, "Nobody asked for its cancellation.")
    _step(case, Status.CANCELLED, (Status.PLACED, Status.ACCEPTED, Status.CONFIRMED), books)
    _undone(case, books)


def _rejected(case: Case, event: OrderRejected, books: Books) -> None:
    if case.status is Status.ACCEPTED and not case.refused:
        books.tell(Law.ORDER_TRANSITIONS, "It was accepted, and inventory knows all of its goods.")
    _step(case, Status.REJECTED, (Status.PLACED, Status.ACCEPTED), books)
    _undone(case, books)


def _expired(case: Case, event: OrderExpired, books: Books) -> None:
    if not case.money.expired:
        books.tell(Law.ORDER_TRANSITIONS, "Its payment has not expired.")
    _step(case, Status.EXPIRED, (Status.ACCEPTED,), books)
    _undone(case, books)


def _step(case: Case, to: Status, allowed: tuple[Status, ...], books: Books) -> None:
    if case.status not in allowed:
        books.tell(Law.ORDER_TRANSITIONS, f"It was {case.status.value} before.")
    case.status = to


def _close(case: Case, books: Books) -> None:
    case.cancelling = False
    case.holds.clear()
    case.closed_by = books.at
    books.may_be_settled(case)


def _undone(case: Case, books: Books) -> None:
    _close(case, books)
    if case.allocated or case.wanted:
        books.tell(Law.CANCELLED_IS_UNDONE, "Goods are still allocated to it, or asked for.")
    if not all(part.stopped for part in case.parts.values()):
        books.tell(Law.CANCELLED_IS_UNDONE, "A part of it has not stopped.")


def _held(case: Case, event: OrderHeld, books: Books) -> None:
    # A closed order may still wait for money that the provider would not let go of.
    if case.status in CLOSED and (case.status is Status.COMPLETED or event.hold is not Hold.PAYMENT):
        books.tell(Law.ORDER_TRANSITIONS, f"It is {case.status.value}: nothing waits any more.")
    case.holds.add(event.hold)


def _hold_released(case: Case, event: OrderHoldReleased, books: Books) -> None:
    if event.hold not in case.holds:
        books.tell(Law.HOLDS, f"The order is not held for {event.hold.value}.")
    case.holds.discard(event.hold)


def _corrected(case: Case, event: OrderCorrected, books: Books) -> None:
    if case.status in CLOSED or case.parts:
        books.tell(Law.ORDER_TRANSITIONS, "It is closed or being sent: too late to correct it.")


def _noted(case: Case, event: OrderIntakeConflicted | OrderCorrectionRefused, books: Books) -> None:
    """A refusal changes nothing, whenever it comes."""


ORDER_LAWS: Laws = {
    OrderPlaced: _placed,
    OrderAccepted: _accepted,
    OrderConfirmed: _confirmed,
    OrderCompleted: _completed,
    OrderHeld: _held,
    OrderHoldReleased: _hold_released,
    OrderCorrected: _corrected,
    OrderCorrectionRefused: _noted,
    OrderIntakeConflicted: _noted,
    OrderCancellationRequested: _cancellation_requested,
    OrderCancellationRefused: _cancellation_refused,
    OrderCancelled: _cancelled,
    OrderRejected: _rejected,
    OrderExpired: _expired,
}
