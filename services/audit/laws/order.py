"""The laws of an order's own axis: its steps, and that it asks for what was ordered, once.

The order decides on what it has read: what another service has just recorded it may not know yet. So its requests are
judged by its own events and by the answers that it must have waited for, not by everything that the log knows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from events.base import Quantities
from events.money import line_total_minor, minor_exponent
from events.order import (
    AllocationReleaseRequested,
    AllocationRequested,
    FulfillmentCancelRequested,
    FulfillmentRequested,
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
    OrderFulfillmentStopped,
    OrderHeld,
    OrderHoldReleased,
    OrderIntakeConflicted,
    OrderLinesShipped,
    OrderPlaced,
    OrderRejected,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
)
from services.audit.books import CLOSED, Books, Case, Part, Stage, Status
from services.audit.law import Law
from services.audit.laws.quantities import added, at_location, by_location, without
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
    case.billed_minor = _billed_minor(event)
    ordered: Quantities = {}
    for line in event.lines:
        ordered[line.sku] = ordered.get(line.sku, 0) + line.quantity
    case.ordered = ordered


def _billed_minor(event: OrderPlaced) -> int | None:
    """What lines and charges add up to; None in a currency that has no minor unit."""
    exponent = minor_exponent(event.currency)
    if exponent is None:
        return None
    total = 0
    for line in event.lines:
        total += _line_total_minor(line.quantity, line.unit_price, exponent)
    for charge in event.charges:
        total += charge.amount_minor
    return total


def _accepted(case: Case, event: OrderAccepted, books: Books) -> None:
    _step(case, Status.ACCEPTED, (Status.PLACED,), books)
    if case.billed_minor != case.total_minor or case.total_minor < 0 or not case.ordered:
        detail = f"The total is {case.total_minor}, lines and charges add up to {case.billed_minor}."
        books.tell(Law.TOTALS_ADD_UP, detail)


def _confirmed(case: Case, event: OrderConfirmed, books: Books) -> None:
    _step(case, Status.CONFIRMED, (Status.ACCEPTED,), books)
    if case.allocated != event.lines:
        books.tell(Law.ALLOCATED_AS_ORDERED, "The order confirms other goods than are allocated to it.")
    case.confirmed = event.lines
    case.unsent = by_location(event.lines)


def _completed(case: Case, event: OrderCompleted, books: Books) -> None:
    _step(case, Status.COMPLETED, (Status.CONFIRMED,), books)
    _close(case, books)
    if case.money.captured_minor != case.total_minor:
        detail = f"{case.money.captured_minor} captured, the order's total is {case.total_minor}."
        books.tell(Law.COMPLETED_IS_DONE, detail)
    if case.unsent or not all(part.left or part.stopped for part in case.parts.values()):
        books.tell(Law.COMPLETED_IS_DONE, "Not all that was confirmed has left.")
    # What only open orders need. A parcel may be on its way for weeks.
    case.ordered, case.confirmed, case.unsent = {}, {}, {}
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


# --- what it asks for ----------------------------------------------------------------------------------------------


def _payment_requested(case: Case, event: PaymentRequested, books: Books) -> None:
    if case.status is not Status.ACCEPTED or case.money.asked:
        books.tell(Law.REQUESTS_FIT, "The order is not accepted, or has an open request for its payment.")
    if (event.amount_minor, event.currency) != (case.total_minor, case.currency):
        books.tell(Law.REQUESTS_FIT, f"{event.amount_minor} asked for, the order's total is {case.total_minor}.")
    case.money.asked = event


def _capture_requested(case: Case, event: PaymentCaptureRequested, books: Books) -> None:
    money = case.money
    if money.capture_requested:
        books.tell(Law.CAPTURED_ONCE, "A capture was asked for before, and has not failed.")
    if event.amount_minor != case.total_minor:
        books.tell(Law.REQUESTS_FIT, f"{event.amount_minor} asked for, the order's total is {case.total_minor}.")
    if case.unsent or not all(part.left or part.stopped for part in case.parts.values()):
        books.tell(Law.REQUESTS_FIT, "Not all that was confirmed has left.")
    money.capture_asked = event.amount_minor
    money.capture_requested = True


def _void_requested(case: Case, event: PaymentVoidRequested, books: Books) -> None:
    if case.status not in CLOSED and not case.cancelling:
        books.tell(Law.REQUESTS_FIT, "The order is neither closed nor being cancelled.")
    case.money.void_asked = books.at


def _allocation_requested(case: Case, event: AllocationRequested, books: Books) -> None:
    if case.status is not Status.ACCEPTED or case.wanted or case.allocated:
        books.tell(Law.REQUESTS_FIT, "The order is not accepted, or goods are asked for or allocated already.")
    if event.lines != case.ordered:
        books.tell(Law.ALLOCATED_AS_ORDERED, "Other goods are asked for than were ordered.")
    if case.money.authorized_minor < case.total_minor:
        detail = f"{case.money.authorized_minor} of {case.total_minor} are authorized."
        books.tell(Law.SHIPPED_IS_PAID, detail)
    case.wanted = event.lines


def _release_requested(case: Case, event: AllocationReleaseRequested, books: Books) -> None:
    # Goods that inventory has just refused may be given back as well: the order has not read that yet.
    if not (case.allocated or case.wanted or case.refused) or case.release is not None:
        books.tell(Law.REQUESTS_FIT, "Nothing is allocated or asked for, or its release is asked for already.")
    if not all(part.stopped for part in case.parts.values()):
        books.tell(Law.REQUESTS_FIT, "Goods are to be given back that are still being sent.")
    case.release = books.at


# --- what it sends -------------------------------------------------------------------------------------------------


def _fulfillment_requested(case: Case, event: FulfillmentRequested, books: Books) -> None:
    if case.status is not Status.CONFIRMED:
        books.tell(Law.ORDER_TRANSITIONS, f"Goods are sent for an order that is {case.status.value}.")
    if case.money.authorized_minor < case.total_minor:
        detail = f"{case.money.authorized_minor} of {case.total_minor} are authorized."
        books.tell(Law.SHIPPED_IS_PAID, detail)
    if event.fulfillment_id in case.parts:
        books.tell(Law.FULFILLED_ONCE, f"{event.fulfillment_id} was asked for before.")
    _take_unsent(case, event.location, event.lines, books)
    case.parts[event.fulfillment_id] = Part(event.location, event.lines)


def _take_unsent(case: Case, location: str, lines: Quantities, books: Books) -> None:
    unsent = case.unsent.pop(location, {})
    if lines == unsent:
        return
    left = without(unsent, lines)
    if left is None:
        books.tell(Law.FULFILLED_ONCE, f"{location} is asked to send more than is allocated there and not being sent.")
    elif left:
        case.unsent[location] = left


def _fulfillment_cancel_requested(case: Case, event: FulfillmentCancelRequested, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    if part.left or part.stopped or not case.cancelling:
        books.tell(Law.REQUESTS_FIT, "It has left or stopped before, or the order is not being cancelled.")
    part.stop_asked = True


def _fulfillment_stopped(case: Case, event: OrderFulfillmentStopped, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    if part.stage is not Stage.CANCELLED or part.stopped:
        books.tell(Law.FULFILLMENT_STEPS, f"It is {part.stage.value}, or its stop was noted before.")
    else:
        case.unsent[part.location] = added(case.unsent.get(part.location, {}), part.lines)
    part.stopped = True


def _lines_shipped(case: Case, event: OrderLinesShipped, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    if part.stage not in (Stage.SHIPPED, Stage.DELIVERED) or part.left:
        books.tell(Law.PARCEL_AS_ASKED, f"Its parcel is {part.stage.value}, or its leaving was noted before.")
    elif at_location(event.lines, part.location) != part.lines:
        books.tell(Law.PARCEL_AS_ASKED, "The order notes other goods than its parcel held.")
    part.left = True
    case.leaving[books.at.id] = books.at


def _part(case: Case, fulfillment_id: str, books: Books) -> Part:
    part = case.parts.get(fulfillment_id)
    if part is None:
        books.tell(Law.FULFILLED_ONCE, f"The order has not asked for {fulfillment_id}.")
        part = case.parts[fulfillment_id] = Part("", {})
    return part


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
    PaymentRequested: _payment_requested,
    PaymentCaptureRequested: _capture_requested,
    PaymentVoidRequested: _void_requested,
    AllocationRequested: _allocation_requested,
    AllocationReleaseRequested: _release_requested,
    FulfillmentRequested: _fulfillment_requested,
    FulfillmentCancelRequested: _fulfillment_cancel_requested,
    OrderFulfillmentStopped: _fulfillment_stopped,
    OrderLinesShipped: _lines_shipped,
}
