"""The laws of what an order asks of the other services: that it is what was ordered, and is asked for once.

The order decides on what it has read: what another service has just recorded it may not know yet. So its requests are
judged by its own events and by the answers that it must have waited for, not by everything that the log knows.
"""

from __future__ import annotations

from events.base import Quantities
from events.order import (
    AllocationReleaseRequested,
    AllocationRequested,
    FulfillmentCancelRequested,
    FulfillmentRequested,
    OrderFulfillmentStopped,
    OrderLinesShipped,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
)
from services.audit.books import CLOSED, Books, Case, Part, Stage, Status
from services.audit.law import Law
from services.audit.laws.quantities import added, without
from services.audit.laws.table import Laws

# --- money and goods ------------------------------------------------------------------------------------------------


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
    elif event.lines != {part.location: part.lines}:
        books.tell(Law.PARCEL_AS_ASKED, "The order notes other goods than its parcel held.")
    part.left = True
    case.leaving[books.at.id] = books.at


def _part(case: Case, fulfillment_id: str, books: Books) -> Part:
    part = case.parts.get(fulfillment_id)
    if part is None:
        books.tell(Law.FULFILLED_ONCE, f"The order has not asked for {fulfillment_id}.")
        part = case.parts[fulfillment_id] = Part("", {})
    return part


REQUEST_LAWS: Laws = {
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
