"""The laws of a fulfillment: its steps, one label for each, and a parcel that holds what was asked for and is paid."""

from __future__ import annotations

from events.order import FulfillmentId
from events.shipping import (
    FulfillmentCancelled,
    FulfillmentCancelRefused,
    FulfillmentOpened,
    ItemsPicked,
    LabelInquiryInitiated,
    LabelOutcomeUnknown,
    LabelPurchased,
    LabelRefused,
    LabelRequested,
    ParcelDelivered,
    ParcelPacked,
    ParcelShipped,
    TrackingUpdated,
    fulfillment_stream,
)
from services.audit.books import Books, Case, Part, Stage
from services.audit.law import Law
from services.audit.laws.table import Laws


def _part(case: Case, fulfillment_id: FulfillmentId, books: Books) -> Part:
    if books.at.stream != fulfillment_stream(fulfillment_id):
        books.tell(Law.OWN_STREAM, f"It is about {fulfillment_id}.")
    part = case.parts.get(fulfillment_id)
    if part is None:
        books.tell(Law.ANSWERS_REQUEST, f"The order has not asked for {fulfillment_id}.")
        part = case.parts[fulfillment_id] = Part("", {})
    return part


def _step(part: Part, to: Stage, before: tuple[Stage, ...], books: Books) -> None:
    if part.stage not in before:
        books.tell(Law.FULFILLMENT_STEPS, f"It was {part.stage.value} before.")
    part.stage = to


# --- steps ---------------------------------------------------------------------------------------------------------


def _opened(case: Case, event: FulfillmentOpened, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    _step(part, Stage.OPEN, (Stage.NONE,), books)
    if event.lines != part.lines or event.location != part.location:
        books.tell(Law.ANSWERS_REQUEST, "It is opened for other goods, or elsewhere, than the order asked for.")


def _picked(case: Case, event: ItemsPicked, books: Books) -> None:
    _step(_part(case, event.fulfillment_id, books), Stage.PICKED, (Stage.OPEN,), books)


def _packed(case: Case, event: ParcelPacked, books: Books) -> None:
    _step(_part(case, event.fulfillment_id, books), Stage.PACKED, (Stage.PICKED,), books)


def _shipped(case: Case, event: ParcelShipped, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    _step(part, Stage.SHIPPED, (Stage.PACKED,), books)
    if not part.tracking_number or event.tracking_number != part.tracking_number:
        books.tell(Law.FULFILLMENT_STEPS, "It leaves without its label.")
    if event.lines != part.lines or event.location != part.location:
        books.tell(Law.PARCEL_AS_ASKED, "It holds other goods, or leaves from elsewhere, than the order asked for.")
    if case.money.authorized_minor < case.total_minor:
        books.tell(Law.SHIPPED_IS_PAID, f"{case.money.authorized_minor} of {case.total_minor} are authorized.")
    if not case.allocated:
        books.tell(Law.SHIPPED_IS_ALLOCATED, "Nothing is allocated to the order.")


def _tracked(case: Case, event: TrackingUpdated, books: Books) -> None:
    stage = _part(case, event.fulfillment_id, books).stage
    if stage not in (Stage.SHIPPED, Stage.DELIVERED):
        books.tell(Law.FULFILLMENT_STEPS, f"It is {stage.value}: the carrier cannot have it.")


def _delivered(case: Case, event: ParcelDelivered, books: Books) -> None:
    _step(_part(case, event.fulfillment_id, books), Stage.DELIVERED, (Stage.SHIPPED,), books)
    books.may_be_settled(case)


def _cancelled(case: Case, event: FulfillmentCancelled, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    if not part.stop_asked:
        books.tell(Law.ANSWERS_REQUEST, "The order has not asked to stop it.")
    _step(part, Stage.CANCELLED, (Stage.NONE, Stage.OPEN, Stage.PICKED, Stage.PACKED), books)
    part.asking = False
    books.may_be_settled(case)


def _cancel_refused(case: Case, event: FulfillmentCancelRefused, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    if part.stage not in (Stage.SHIPPED, Stage.DELIVERED) or not part.stop_asked:
        books.tell(Law.FULFILLMENT_STEPS, f"It is {part.stage.value}, or nobody asked to stop it.")


# --- the label -----------------------------------------------------------------------------------------------------


def _label_requested(case: Case, event: LabelRequested, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    _wanted(part, books)
    if part.unknown:
        books.tell(Law.ONE_OUTCOME, "The label asked for before may have been bought: inquire first.")
    if event.units != sum(part.lines.values()):
        books.tell(Law.PARCEL_AS_ASKED, f"The label is for {event.units} units.")
    part.asking = True
    part.label_key = books.at.id


def _label_inquired(case: Case, event: LabelInquiryInitiated, books: Books) -> None:
    part = _part(case, event.fulfillment_id, books)
    _wanted(part, books)
    if not part.unknown:
        books.tell(Law.ONE_OUTCOME, "There is no label whose outcome is unknown.")
    if event.key != part.label_key:
        books.tell(Law.SAME_KEY, f"It carries the key {event.key} instead of {part.label_key or 'none'}.")
    part.asking, part.unknown = True, False


def _wanted(part: Part, books: Books) -> None:
    if part.stage is not Stage.PACKED or part.asking or part.tracking_number:
        books.tell(Law.ONE_OUTCOME, f"It is {part.stage.value}, or has a label, or one is being asked for.")


def _label_purchased(case: Case, event: LabelPurchased, books: Books) -> None:
    # A label that turns up after the fulfillment was cancelled was bought all the same.
    part = _part(case, event.fulfillment_id, books)
    if part.tracking_number or not part.label_key or not (part.asking or part.stage is Stage.CANCELLED):
        books.tell(Law.ONE_OUTCOME, "No label was asked for, or it has its outcome already.")
    part.asking = part.unknown = False
    part.tracking_number = event.tracking_number


def _label_refused(case: Case, event: LabelRefused, books: Books) -> None:
    part = _asked(case, event.fulfillment_id, books)
    part.asking = part.unknown = False


def _label_unknown(case: Case, event: LabelOutcomeUnknown, books: Books) -> None:
    part = _asked(case, event.fulfillment_id, books)
    part.asking, part.unknown = False, True


def _asked(case: Case, fulfillment_id: FulfillmentId, books: Books) -> Part:
    part = _part(case, fulfillment_id, books)
    if not part.asking:
        books.tell(Law.ONE_OUTCOME, "No label was asked for, or it has its outcome already.")
    return part


SHIPPING_LAWS: Laws = {
    FulfillmentOpened: _opened,
    ItemsPicked: _picked,
    ParcelPacked: _packed,
    LabelRequested: _label_requested,
    LabelPurchased: _label_purchased,
    LabelRefused: _label_refused,
    LabelOutcomeUnknown: _label_unknown,
    LabelInquiryInitiated: _label_inquired,
    ParcelShipped: _shipped,
    TrackingUpdated: _tracked,
    ParcelDelivered: _delivered,
    FulfillmentCancelled: _cancelled,
    FulfillmentCancelRefused: _cancel_refused,
}
