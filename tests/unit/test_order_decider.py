"""The rules of an order, told as stories: forward, held, refused, too late, and back again from every step."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import asdict

from events.base import Address, Event
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
    OrderRejected,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
    Problem,
)
from events.payment import PaymentOperation
from services.order.commands import (
    CancelOrder,
    CorrectOrder,
    HoldOrder,
    NoteCaptureFailed,
    NoteFulfillmentCancelled,
    NoteFulfillmentCancelRefused,
    NoteParcelShipped,
    NotePaymentAuthorized,
    NotePaymentCaptured,
    NotePaymentDeclined,
    NotePaymentExpired,
    NotePaymentUndone,
    NoteStockAllocated,
    NoteStockBackordered,
    NoteStockRejected,
    NoteStockReleased,
    NoteUndoFailed,
    OrderCommand,
    ReleaseHold,
    ReviewOrder,
)
from services.order.decider import DECIDER
from services.order.state import Money, OrderState, Status
from tests.examples import (
    BELL,
    BUYER,
    FROM_LEEDS,
    FROM_LONDON,
    HOLDER,
    LEEDS,
    LINES,
    LONDON,
    NEW_HOME,
    ORDER,
    PLACED,
    TOTAL_MINOR,
    free_of_charge,
    placed,
)
from tests.spec import Spec

given = Spec(DECIDER).given

# --- what may have happened ------------------------------------------------------------------------------------------

GIFT = free_of_charge()
ACCEPTED = OrderAccepted(order_id=ORDER)
PAYMENT_REQUESTED = PaymentRequested(order_id=ORDER, amount_minor=TOTAL_MINOR, currency="GBP", payment_token="tok_ok")
PAYMENT_REQUESTED_ANEW = PAYMENT_REQUESTED.model_copy(update={"payment_token": "tok_ok_other"})
ALLOCATION_REQUESTED = AllocationRequested(order_id=ORDER, lines=LINES)
ALL_FROM_LONDON = {LONDON: {HOLDER: 6, BELL: 2}}
FROM_BOTH = {LEEDS: {HOLDER: 2, BELL: 2}, LONDON: {HOLDER: 4}}
CONFIRMED = OrderConfirmed(order_id=ORDER, lines=ALL_FROM_LONDON)
CONFIRMED_FROM_BOTH = OrderConfirmed(order_id=ORDER, lines=FROM_BOTH)
CAPTURE_REQUESTED = PaymentCaptureRequested(order_id=ORDER, amount_minor=TOTAL_MINOR)
COMPLETED = OrderCompleted(order_id=ORDER)
VOID_REQUESTED = PaymentVoidRequested(order_id=ORDER)
RELEASE_REQUESTED = AllocationReleaseRequested(order_id=ORDER)
EXPIRED = OrderExpired(order_id=ORDER)


def sending(fulfillment_id: str, location: str, lines: dict[str, int], **changes: Any) -> FulfillmentRequested:
    fields = {"country": "GB", "address_on_file": False, **changes}
    return FulfillmentRequested(order_id=ORDER, fulfillment_id=fulfillment_id, location=location, lines=lines, **fields)


def stop(fulfillment_id: str) -> FulfillmentCancelRequested:
    return FulfillmentCancelRequested(order_id=ORDER, fulfillment_id=fulfillment_id)


def stopped(fulfillment_id: str) -> OrderFulfillmentStopped:
    return OrderFulfillmentStopped(order_id=ORDER, fulfillment_id=fulfillment_id)


def left(fulfillment_id: str, location: str, lines: dict[str, int]) -> OrderLinesShipped:
    return OrderLinesShipped(order_id=ORDER, fulfillment_id=fulfillment_id, lines={location: lines})


def held(hold: Hold, *problems: Problem) -> OrderHeld:
    return OrderHeld(order_id=ORDER, hold=hold, problems=list(problems))


def released(hold: Hold) -> OrderHoldReleased:
    return OrderHoldReleased(order_id=ORDER, hold=hold)


def problem(code: str, where: str, message: str) -> Problem:
    return Problem(code=code, where=where, message=message)


CANCELLATION_REQUESTED = OrderCancellationRequested(order_id=ORDER, reason="changed my mind")
CANCELLED = OrderCancelled(order_id=ORDER, reason="changed my mind")
TOO_LATE = OrderCancellationRefused(order_id=ORDER, reason="Goods have left already.")
CHANGED_MY_MIND = CancelOrder("changed my mind")

SENT_FROM_LONDON = sending(FROM_LONDON, LONDON, LINES)
LEEDS_LINES, LONDON_LINES = {HOLDER: 2, BELL: 2}, {HOLDER: 4}
LEEDS_PART = sending(FROM_LEEDS, LEEDS, LEEDS_LINES)
LONDON_PART = sending(FROM_LONDON, LONDON, LONDON_LINES)

WAITS_FOR_MONEY = (PLACED, ACCEPTED, PAYMENT_REQUESTED)
WAITS_FOR_GOODS = (*WAITS_FOR_MONEY, ALLOCATION_REQUESTED)
ON_ITS_WAY = (*WAITS_FOR_GOODS, CONFIRMED, SENT_FROM_LONDON)
LEFT = left(FROM_LONDON, LONDON, LINES)
ALL_LEFT = (*ON_ITS_WAY, LEFT, CAPTURE_REQUESTED)
DONE = (*ALL_LEFT, COMPLETED)
IN_TWO_PARTS = (*WAITS_FOR_GOODS, CONFIRMED_FROM_BOTH, LEEDS_PART, LONDON_PART)
ONE_OF_TWO_LEFT = (*IN_TWO_PARTS, left(FROM_LEEDS, LEEDS, LEEDS_LINES))
BACKORDERED = (
    *WAITS_FOR_GOODS,
    held(
        Hold.BACKORDER,
        problem("backordered", "lines", f"Not in stock: 4 x {HOLDER}. The next receipt fills the oldest order first."),
    ),
)

DECLINED_PROBLEM = problem(
    "payment_declined",
    "payment_token",
    "The payment was declined (insufficient_funds). Release the hold with another payment token, or cancel.",
)
PAYMENT_DECLINED = (*WAITS_FOR_MONEY, held(Hold.PAYMENT, DECLINED_PROBLEM))
CAPTURE_FAILED_PROBLEM = problem(
    "capture_failed",
    "payment",
    "The goods have left but the money could not be taken (payment_is_expired). Settle it, then release.",
)
CAPTURE_FAILED = (*ALL_LEFT, held(Hold.PAYMENT, CAPTURE_FAILED_PROBLEM))
UNDO_FAILED_PROBLEM = problem(
    "undo_failed",
    "payment",
    "The provider refused the void (void_refused_by_issuer). Settle it, then release the hold: it is tried again.",
)

BAD_POSTCODE = problem("postal_code_unknown", "ship_to.postal_code", "The postal code does not exist.")
NO_LINES = problem("no_goods_lines", "lines", "The order has no goods lines.")

CANCELLING_MONEY = (*WAITS_FOR_MONEY, CANCELLATION_REQUESTED, VOID_REQUESTED)
CANCELLING_GOODS = (*WAITS_FOR_GOODS, CANCELLATION_REQUESTED, RELEASE_REQUESTED)
CANCELLING_SENDING = (*ON_ITS_WAY, CANCELLATION_REQUESTED, stop(FROM_LONDON))
CANCELLING_BOTH = (*IN_TWO_PARTS, CANCELLATION_REQUESTED, stop(FROM_LEEDS), stop(FROM_LONDON))

REJECTED_AT_REVIEW = (PLACED, OrderRejected(order_id=ORDER, problems=[NO_LINES]))
UNKNOWN_SKU = problem(
    "unknown_sku", "lines", f"We have never stocked {BELL}. Check the SKUs, or receive stock for them first."
)
REJECTED_BY_STOCK = (*WAITS_FOR_GOODS, OrderRejected(order_id=ORDER, problems=[UNKNOWN_SKU]), VOID_REQUESTED)
CLOSED_BY_CANCELLATION = (*CANCELLING_MONEY, CANCELLED)
CLOSED_BY_EXPIRY = (*WAITS_FOR_MONEY, EXPIRED)

ENDED_UNPAID = {
    "rejected at review": REJECTED_AT_REVIEW,
    "rejected by stock": REJECTED_BY_STOCK,
    "cancelled": CLOSED_BY_CANCELLATION,
    "cancelled after a decline": (*PAYMENT_DECLINED, CANCELLATION_REQUESTED, CANCELLED),
    "expired": CLOSED_BY_EXPIRY,
}
CLOSED = {**ENDED_UNPAID, "completed": DONE}

REVIEWED_WELL = ReviewOrder([], [])
AUTHORIZED = NotePaymentAuthorized(TOTAL_MINOR)
CAPTURED = NotePaymentCaptured(TOTAL_MINOR)
ALLOCATED = NoteStockAllocated(ALL_FROM_LONDON)
SHIPPED = NoteParcelShipped(FROM_LONDON, LONDON, LINES)


# --- forward ---------------------------------------------------------------------------------------------------------


def test_an_order_without_fault_is_accepted_and_its_money_is_asked_for() -> None:
    given(PLACED).when(REVIEWED_WELL).then(ACCEPTED, PAYMENT_REQUESTED)


def test_promised_money_makes_it_ask_for_the_goods() -> None:
    given(*WAITS_FOR_MONEY).when(AUTHORIZED).then(ALLOCATION_REQUESTED)


def test_promised_goods_confirm_it_and_are_sent() -> None:
    given(*WAITS_FOR_GOODS).when(ALLOCATED).then(CONFIRMED, SENT_FROM_LONDON)


def test_goods_of_two_locations_are_sent_in_two_parts() -> None:
    given(*WAITS_FOR_GOODS).when(NoteStockAllocated(FROM_BOTH)).then(CONFIRMED_FROM_BOTH, LEEDS_PART, LONDON_PART)


def test_the_money_is_taken_when_the_goods_have_left() -> None:
    given(*ON_ITS_WAY).when(SHIPPED).then(LEFT, CAPTURE_REQUESTED)


def test_the_money_is_taken_once_when_the_last_part_has_left() -> None:
    leeds, london = left(FROM_LEEDS, LEEDS, LEEDS_LINES), left(FROM_LONDON, LONDON, LONDON_LINES)
    given(*IN_TWO_PARTS).when(NoteParcelShipped(FROM_LEEDS, LEEDS, LEEDS_LINES)).then(leeds)
    given(*ONE_OF_TWO_LEFT).when(NoteParcelShipped(FROM_LONDON, LONDON, LONDON_LINES)).then(london, CAPTURE_REQUESTED)


def test_taken_money_completes_it() -> None:
    given(*ALL_LEFT).when(CAPTURED).then(COMPLETED)


def test_the_whole_way_in_one_go() -> None:
    all_of_it = given(PLACED).when(REVIEWED_WELL, AUTHORIZED, ALLOCATED, SHIPPED, CAPTURED)
    all_of_it.then(
        ACCEPTED,
        PAYMENT_REQUESTED,
        ALLOCATION_REQUESTED,
        CONFIRMED,
        SENT_FROM_LONDON,
        LEFT,
        CAPTURE_REQUESTED,
        COMPLETED,
    )
    assert all_of_it.state.status is Status.COMPLETED


def test_nobody_asks_for_the_money_of_a_gift() -> None:
    given(GIFT).when(REVIEWED_WELL, ALLOCATED, SHIPPED).then(
        ACCEPTED, ALLOCATION_REQUESTED, CONFIRMED, SENT_FROM_LONDON, LEFT, COMPLETED
    )


def test_lines_of_the_same_sku_are_asked_for_together_and_a_reservation_is_used_up() -> None:
    one = placed(lines={HOLDER: 2}, reservation_id="basket-7")
    twice = one.model_copy(update={"lines": one.lines * 2})
    given(twice, ACCEPTED, PAYMENT_REQUESTED).when(AUTHORIZED).then(
        AllocationRequested(order_id=ORDER, lines={HOLDER: 4}, reservation_id="basket-7")
    )


def test_an_address_on_file_stays_on_file() -> None:
    on_file = placed(ship_to=None)
    given(on_file, ACCEPTED, PAYMENT_REQUESTED, ALLOCATION_REQUESTED).when(ALLOCATED).then(
        CONFIRMED, sending(FROM_LONDON, LONDON, LINES, address_on_file=True)
    )


@pytest.mark.parametrize(
    ("history", "again"),
    [
        ((PLACED, ACCEPTED, PAYMENT_REQUESTED), REVIEWED_WELL),
        (WAITS_FOR_GOODS, AUTHORIZED),
        (ON_ITS_WAY, ALLOCATED),
        (ALL_LEFT, SHIPPED),
        (ONE_OF_TWO_LEFT, NoteParcelShipped(FROM_LEEDS, LEEDS, LEEDS_LINES)),
        (DONE, CAPTURED),
        (PAYMENT_DECLINED, NotePaymentDeclined("insufficient_funds")),
        (BACKORDERED, NoteStockBackordered({HOLDER: 4})),
        (CAPTURE_FAILED, NoteCaptureFailed("payment_is_expired")),
        (REJECTED_BY_STOCK, NoteStockRejected([BELL])),
        (CLOSED_BY_EXPIRY, NotePaymentExpired()),
        (CLOSED_BY_CANCELLATION, NotePaymentUndone()),
        (CLOSED_BY_CANCELLATION, CHANGED_MY_MIND),
        (CANCELLING_MONEY, CHANGED_MY_MIND),
        ((*CANCELLING_GOODS, VOID_REQUESTED), NoteStockReleased()),
        ((*CANCELLING_SENDING, stopped(FROM_LONDON), RELEASE_REQUESTED), NoteFulfillmentCancelled(FROM_LONDON)),
    ],
)
def test_what_was_answered_already_is_not_answered_again(history: tuple[Event, ...], again: OrderCommand) -> None:
    given(*history).when(again).then_nothing()


EVERY_COMMAND: list[OrderCommand] = [
    REVIEWED_WELL, CorrectOrder(BUYER, NEW_HOME, []), HoldOrder(Hold.MANUAL, []), ReleaseHold(Hold.MANUAL),
    CHANGED_MY_MIND, AUTHORIZED, NotePaymentDeclined("no"), NotePaymentExpired(), CAPTURED, NoteCaptureFailed("no"),
    NotePaymentUndone(), NoteUndoFailed(PaymentOperation.VOID, "no"), ALLOCATED, NoteStockBackordered({HOLDER: 1}),
    NoteStockRejected([HOLDER]), NoteStockReleased(), SHIPPED, NoteFulfillmentCancelled(FROM_LONDON),
    NoteFulfillmentCancelRefused(FROM_LONDON),
]  # fmt: skip


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=lambda command: type(command).__name__)
def test_nothing_happens_to_an_order_that_was_never_placed(command: OrderCommand) -> None:
    given().when(command).then_nothing()


def test_another_payload_under_the_same_number_changes_nothing() -> None:
    conflicted = OrderIntakeConflicted(order_id=ORDER, received_digest="b" * 64, accepted_digest="a" * 64)
    assert given(PLACED, conflicted).state == given(PLACED).state


# --- review, address, holds ------------------------------------------------------------------------------------------


def test_an_order_that_cannot_be_carried_out_is_rejected() -> None:
    given(PLACED).when(ReviewOrder([NO_LINES], [BAD_POSTCODE])).then(*REJECTED_AT_REVIEW[1:])


def test_an_address_that_does_not_exist_holds_the_order() -> None:
    given(PLACED).when(ReviewOrder([], [BAD_POSTCODE])).then(held(Hold.ADDRESS, BAD_POSTCODE))


HELD_BY_ADDRESS = (PLACED, held(Hold.ADDRESS, BAD_POSTCODE))


def test_a_good_correction_releases_it() -> None:
    corrected = OrderCorrected(order_id=ORDER, contact=None, ship_to=NEW_HOME)
    given(*HELD_BY_ADDRESS).when(CorrectOrder(None, NEW_HOME, [])).then(
        corrected, released(Hold.ADDRESS), ACCEPTED, PAYMENT_REQUESTED
    )


def test_validation_does_not_hold_what_was_corrected_before_it_came() -> None:
    correction = OrderCorrected(order_id=ORDER, ship_to=NEW_HOME)
    stale = ReviewOrder(fatal=[], address=[problem("missing_city", "ship_to", "The city is missing.")])
    given(PLACED, correction).when(stale).then(ACCEPTED, PAYMENT_REQUESTED)


def test_a_correction_that_holds_does_not_stand_for_validation() -> None:
    bad = problem("missing_city", "ship_to", "The city is missing.")
    corrections = (OrderCorrected(order_id=ORDER, ship_to=NEW_HOME), held(Hold.ADDRESS, bad))
    wrong = problem("total_mismatch", "total_minor", "The total is wrong.")
    rejected = OrderRejected(order_id=ORDER, problems=[wrong])
    given(PLACED, *corrections).when(ReviewOrder(fatal=[wrong], address=[bad])).then(rejected)
    given(PLACED, *corrections, released(Hold.ADDRESS)).when(ReviewOrder(fatal=[wrong], address=[bad])).then(rejected)
    given(PLACED, *corrections).when(ReleaseHold(Hold.ADDRESS)).then(released(Hold.ADDRESS))


def test_a_bad_correction_is_kept_and_holds_it_again() -> None:
    corrected = OrderCorrected(order_id=ORDER, contact=BUYER, ship_to=NEW_HOME)
    given(*HELD_BY_ADDRESS).when(CorrectOrder(BUYER, NEW_HOME, [BAD_POSTCODE])).then(
        corrected, held(Hold.ADDRESS, BAD_POSTCODE)
    )


def test_somebody_may_vouch_for_the_address_as_it_is() -> None:
    given(*HELD_BY_ADDRESS).when(ReleaseHold(Hold.ADDRESS)).then(released(Hold.ADDRESS), ACCEPTED, PAYMENT_REQUESTED)


def test_what_is_sent_goes_to_the_corrected_country() -> None:
    corrected = OrderCorrected(order_id=ORDER, contact=None, ship_to=NEW_HOME)
    given(PLACED, ACCEPTED, PAYMENT_REQUESTED, corrected, ALLOCATION_REQUESTED).when(ALLOCATED).then(
        CONFIRMED, sending(FROM_LONDON, LONDON, LINES, country="SE")
    )


def test_a_correction_that_lets_it_go_on_is_where_it_goes_on_to() -> None:
    held_when_confirmed = (*WAITS_FOR_GOODS, held(Hold.ADDRESS, BAD_POSTCODE), CONFIRMED)
    given(*held_when_confirmed).when(CorrectOrder(None, NEW_HOME, [])).then(
        OrderCorrected(order_id=ORDER, contact=None, ship_to=NEW_HOME),
        released(Hold.ADDRESS),
        sending(FROM_LONDON, LONDON, LINES, country="SE"),
    )


def test_a_new_address_for_one_that_was_on_file_is_printed_on_the_label() -> None:
    on_file = placed(ship_to=None)
    corrected = OrderCorrected(order_id=ORDER, contact=None, ship_to=NEW_HOME)
    given(on_file, ACCEPTED, PAYMENT_REQUESTED, corrected, ALLOCATION_REQUESTED).when(ALLOCATED).then(
        CONFIRMED, sending(FROM_LONDON, LONDON, LINES, country="SE", address_on_file=False)
    )


def test_a_corrected_contact_leaves_the_address_alone() -> None:
    corrected = OrderCorrected(order_id=ORDER, contact=BUYER, ship_to=None)
    given(*WAITS_FOR_MONEY).when(CorrectOrder(BUYER, None, [])).then(corrected)
    given(*WAITS_FOR_MONEY, corrected, ALLOCATION_REQUESTED).when(ALLOCATED).then(CONFIRMED, SENT_FROM_LONDON)


@pytest.mark.parametrize("history", [ON_ITS_WAY, ONE_OF_TWO_LEFT, ALL_LEFT, DONE, CANCELLING_SENDING])
def test_what_is_being_sent_is_corrected_no_more(history: tuple[Event, ...]) -> None:
    refused = OrderCorrectionRefused(order_id=ORDER, reason="The goods are being sent already.")
    given(*history).when(CorrectOrder(None, NEW_HOME, [])).then(refused)


@pytest.mark.parametrize("history", [*ENDED_UNPAID.values(), CANCELLING_MONEY, CANCELLING_GOODS])
def test_what_is_closed_is_corrected_no_more(history: tuple[Event, ...]) -> None:
    refused = OrderCorrectionRefused(order_id=ORDER, reason="The order is closed, or being cancelled.")
    given(*history).when(CorrectOrder(None, NEW_HOME, [])).then(refused)


@pytest.mark.parametrize("hold", [Hold.FRAUD, Hold.MANUAL, Hold.PREORDER, Hold.CUSTOMER_REQUEST])
def test_a_person_may_hold_an_order_and_let_it_go_on(hold: Hold) -> None:
    given(PLACED).when(HoldOrder(hold, []), REVIEWED_WELL, ReleaseHold(hold)).then(
        held(hold), ACCEPTED, released(hold), PAYMENT_REQUESTED
    )


def test_a_hold_may_come_off_before_the_review() -> None:
    given(PLACED).when(HoldOrder(Hold.FRAUD, []), ReleaseHold(Hold.FRAUD), REVIEWED_WELL).then(
        held(Hold.FRAUD), released(Hold.FRAUD), ACCEPTED, PAYMENT_REQUESTED
    )


def test_an_order_waits_until_its_last_hold_is_released() -> None:
    given(*HELD_BY_ADDRESS, held(Hold.FRAUD)).when(ReleaseHold(Hold.ADDRESS)).then(released(Hold.ADDRESS))
    given(*HELD_BY_ADDRESS, held(Hold.FRAUD), released(Hold.ADDRESS)).when(ReleaseHold(Hold.FRAUD)).then(
        released(Hold.FRAUD), ACCEPTED, PAYMENT_REQUESTED
    )


def test_an_order_held_while_its_money_is_asked_for_is_confirmed_but_not_sent() -> None:
    waiting = (*WAITS_FOR_MONEY, held(Hold.FRAUD))
    given(*waiting).when(AUTHORIZED, ALLOCATED).then(ALLOCATION_REQUESTED, CONFIRMED)
    given(*waiting, ALLOCATION_REQUESTED, CONFIRMED).when(ReleaseHold(Hold.FRAUD)).then(
        released(Hold.FRAUD), SENT_FROM_LONDON
    )


def test_an_order_that_is_held_already_is_not_held_twice() -> None:
    given(PLACED, held(Hold.FRAUD)).when(HoldOrder(Hold.FRAUD, [])).then_nothing()


@pytest.mark.parametrize("hold", [Hold.ADDRESS, Hold.PAYMENT, Hold.BACKORDER])
@pytest.mark.parametrize("history", [(PLACED,), WAITS_FOR_MONEY, WAITS_FOR_GOODS, ALL_LEFT])
def test_what_only_happenings_can_hold_for_nobody_can_wish_for(history: tuple[Event, ...], hold: Hold) -> None:
    given(*history).when(HoldOrder(hold, [])).then_nothing()


@pytest.mark.parametrize("history", CLOSED.values(), ids=CLOSED)
def test_a_closed_order_is_held_no_more(history: tuple[Event, ...]) -> None:
    given(*history).when(HoldOrder(Hold.FRAUD, [])).then_nothing()


@pytest.mark.parametrize("hold", list(Hold))
def test_a_hold_that_is_not_there_is_not_released(hold: Hold) -> None:
    given(*WAITS_FOR_MONEY).when(ReleaseHold(hold, "tok_ok_other")).then_nothing()


# --- payment ---------------------------------------------------------------------------------------------------------


def test_a_declined_payment_holds_the_order() -> None:
    given(*WAITS_FOR_MONEY).when(NotePaymentDeclined("insufficient_funds")).then(held(Hold.PAYMENT, DECLINED_PROBLEM))


def test_a_provider_with_many_words_is_cut_short() -> None:
    outcome = given(*WAITS_FOR_MONEY).when(NotePaymentDeclined("no " * 166))
    [declined] = outcome.events
    assert isinstance(declined, OrderHeld)
    assert len(declined.problems[0].message) <= 500


def test_another_token_is_tried_when_the_hold_is_released() -> None:
    given(*PAYMENT_DECLINED).when(ReleaseHold(Hold.PAYMENT, "tok_ok_other"), AUTHORIZED).then(
        released(Hold.PAYMENT), PAYMENT_REQUESTED_ANEW, ALLOCATION_REQUESTED
    )


def test_the_same_token_is_tried_again_if_there_is_no_other() -> None:
    given(*PAYMENT_DECLINED).when(ReleaseHold(Hold.PAYMENT)).then(released(Hold.PAYMENT), PAYMENT_REQUESTED)


def test_the_new_token_is_not_forgotten_because_of_another_hold() -> None:
    given(*PAYMENT_DECLINED, held(Hold.FRAUD)).when(ReleaseHold(Hold.PAYMENT, "tok_ok_other")).then(
        released(Hold.PAYMENT), PAYMENT_REQUESTED_ANEW
    )


def test_releasing_another_hold_does_not_ask_for_declined_money() -> None:
    given(*PAYMENT_DECLINED, held(Hold.FRAUD)).when(ReleaseHold(Hold.FRAUD)).then(released(Hold.FRAUD))


def test_a_second_decline_holds_it_again() -> None:
    again = (*PAYMENT_DECLINED, released(Hold.PAYMENT), PAYMENT_REQUESTED_ANEW)
    given(*again).when(NotePaymentDeclined("insufficient_funds")).then(held(Hold.PAYMENT, DECLINED_PROBLEM))


def test_money_that_is_promised_after_all_ends_the_hold() -> None:
    given(*PAYMENT_DECLINED).when(AUTHORIZED, ALLOCATED).then(
        released(Hold.PAYMENT), ALLOCATION_REQUESTED, CONFIRMED, SENT_FROM_LONDON
    )


def test_a_buyer_who_does_not_pay_in_time_loses_the_order() -> None:
    given(*WAITS_FOR_MONEY).when(NotePaymentExpired()).then(EXPIRED)


@pytest.mark.parametrize("history", ENDED_UNPAID.values(), ids=ENDED_UNPAID)
def test_money_that_comes_too_late_is_let_go(history: tuple[Event, ...]) -> None:
    given(*history).when(AUTHORIZED).then(VOID_REQUESTED)


def test_money_that_comes_during_a_cancellation_is_let_go_by_the_cancellation() -> None:
    given(*CANCELLING_MONEY).when(AUTHORIZED, NotePaymentUndone()).then(CANCELLED)


def test_money_that_was_taken_already_is_not_let_go() -> None:
    given(*DONE).when(AUTHORIZED).then_nothing()


def test_money_that_cannot_be_taken_holds_the_order() -> None:
    given(*ALL_LEFT).when(NoteCaptureFailed("payment_is_expired")).then(held(Hold.PAYMENT, CAPTURE_FAILED_PROBLEM))


def test_releasing_the_hold_tries_to_take_it_again() -> None:
    given(*CAPTURE_FAILED).when(ReleaseHold(Hold.PAYMENT), CAPTURED).then(
        released(Hold.PAYMENT), CAPTURE_REQUESTED, COMPLETED
    )


def test_money_that_was_taken_after_all_completes_a_held_order() -> None:
    given(*CAPTURE_FAILED).when(CAPTURED).then(released(Hold.PAYMENT), COMPLETED)


def test_the_money_is_not_taken_again_while_another_hold_stands() -> None:
    given(*CAPTURE_FAILED, held(Hold.FRAUD)).when(ReleaseHold(Hold.PAYMENT), ReleaseHold(Hold.FRAUD)).then(
        released(Hold.PAYMENT), released(Hold.FRAUD), CAPTURE_REQUESTED
    )


VOID_REFUSED = NoteUndoFailed(PaymentOperation.VOID, "void_refused_by_issuer")


def test_money_that_the_provider_does_not_let_go_of_needs_a_person() -> None:
    given(*CANCELLING_MONEY).when(VOID_REFUSED, VOID_REFUSED).then(held(Hold.PAYMENT, UNDO_FAILED_PROBLEM))


def test_the_person_has_it_tried_again() -> None:
    stuck = (*CANCELLING_MONEY, held(Hold.PAYMENT, UNDO_FAILED_PROBLEM))
    given(*stuck).when(ReleaseHold(Hold.PAYMENT), NotePaymentUndone()).then(
        released(Hold.PAYMENT), VOID_REQUESTED, CANCELLED
    )


def test_money_that_was_let_go_after_all_ends_the_cancellation() -> None:
    given(*CANCELLING_MONEY, held(Hold.PAYMENT, UNDO_FAILED_PROBLEM)).when(NotePaymentUndone()).then(CANCELLED)


@pytest.mark.parametrize("history", [CLOSED_BY_EXPIRY, REJECTED_BY_STOCK], ids=["expired", "rejected"])
def test_a_closed_order_too_shows_money_that_the_provider_keeps(history: tuple[Event, ...]) -> None:
    given(*history).when(VOID_REFUSED, ReleaseHold(Hold.PAYMENT)).then(
        held(Hold.PAYMENT, UNDO_FAILED_PROBLEM), released(Hold.PAYMENT), VOID_REQUESTED
    )


@pytest.mark.parametrize("history", [WAITS_FOR_MONEY, ON_ITS_WAY, DONE])
def test_an_undo_that_nobody_asked_for_cannot_fail(history: tuple[Event, ...]) -> None:
    given(*history).when(VOID_REFUSED).then_nothing()


# --- goods -----------------------------------------------------------------------------------------------------------


def test_what_is_not_in_stock_holds_the_order() -> None:
    given(*WAITS_FOR_GOODS).when(NoteStockBackordered({HOLDER: 4})).then(BACKORDERED[-1])


def test_a_long_list_of_missing_goods_is_cut_short() -> None:
    missing = {f"SKU{number}": 1 for number in range(1, 8)}
    outcome = given(*WAITS_FOR_GOODS).when(NoteStockBackordered(missing))
    [backordered] = outcome.events
    assert isinstance(backordered, OrderHeld)
    assert "1 x SKU5 and 2 more SKUs" in backordered.problems[0].message


def test_a_backorder_ends_when_the_goods_are_promised() -> None:
    given(*BACKORDERED).when(ALLOCATED).then(released(Hold.BACKORDER), CONFIRMED, SENT_FROM_LONDON)


def test_nobody_can_wish_a_backorder_away() -> None:
    given(*BACKORDERED).when(ReleaseHold(Hold.BACKORDER)).then_nothing()


def test_a_backorder_that_is_held_for_more_reasons_is_confirmed_but_not_sent() -> None:
    given(*BACKORDERED, held(Hold.FRAUD)).when(ALLOCATED, ReleaseHold(Hold.FRAUD)).then(
        released(Hold.BACKORDER), CONFIRMED, released(Hold.FRAUD), SENT_FROM_LONDON
    )


def test_another_hold_of_a_backorder_comes_off_and_the_backorder_stays() -> None:
    given(*BACKORDERED, held(Hold.FRAUD)).when(ReleaseHold(Hold.FRAUD)).then(released(Hold.FRAUD))


def test_goods_that_nobody_knows_reject_the_order_and_its_money_is_let_go() -> None:
    given(*WAITS_FOR_GOODS).when(NoteStockRejected([BELL])).then(*REJECTED_BY_STOCK[-2:])


def test_a_rejected_gift_has_no_money_to_let_go() -> None:
    given(GIFT, ACCEPTED, ALLOCATION_REQUESTED).when(NoteStockRejected([BELL])).then(REJECTED_BY_STOCK[-2])


@pytest.mark.parametrize(
    "late",
    [ALLOCATED, NoteStockBackordered({HOLDER: 4}), NoteStockRejected([BELL])],
    ids=lambda one: type(one).__name__,
)
def test_goods_that_come_during_a_cancellation_are_given_back_by_it(late: OrderCommand) -> None:
    given(*CANCELLING_GOODS).when(late, NoteStockReleased()).then(VOID_REQUESTED)


@pytest.mark.parametrize("history", CLOSED.values(), ids=CLOSED)
@pytest.mark.parametrize(
    "late",
    [
        ALLOCATED, NoteStockBackordered({HOLDER: 4}), NoteStockRejected([BELL]), NoteStockReleased(),
        NotePaymentDeclined("no"), NotePaymentExpired(), CAPTURED, NoteCaptureFailed("no"), NotePaymentUndone(),
        NoteFulfillmentCancelled(FROM_LONDON), NoteFulfillmentCancelRefused(FROM_LONDON), REVIEWED_WELL,
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_a_closed_order_stays_as_it_is(history: tuple[Event, ...], late: OrderCommand) -> None:
    given(*history).when(late).then_nothing()


# --- cancelled at every moment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history",
    [(PLACED,), HELD_BY_ADDRESS, (PLACED, held(Hold.FRAUD)), (PLACED, held(Hold.FRAUD), ACCEPTED), PAYMENT_DECLINED],
    ids=["placed", "held by address", "held by a person", "accepted and held", "declined"],
)
def test_an_order_that_has_asked_for_nothing_is_cancelled_at_once(history: tuple[Event, ...]) -> None:
    given(*history).when(CHANGED_MY_MIND).then(CANCELLATION_REQUESTED, CANCELLED)


@pytest.mark.parametrize("answer", [AUTHORIZED, NotePaymentDeclined("no"), NotePaymentExpired()])
def test_cancelled_while_the_money_is_asked_for(answer: OrderCommand) -> None:
    given(*WAITS_FOR_MONEY).when(CHANGED_MY_MIND).then(CANCELLATION_REQUESTED, VOID_REQUESTED)
    given(*CANCELLING_MONEY).when(answer, NotePaymentUndone()).then(CANCELLED)


def test_cancelled_while_the_goods_are_asked_for() -> None:
    given(*WAITS_FOR_GOODS).when(CHANGED_MY_MIND).then(CANCELLATION_REQUESTED, RELEASE_REQUESTED)
    given(*CANCELLING_GOODS).when(NoteStockReleased(), NotePaymentUndone()).then(VOID_REQUESTED, CANCELLED)


def test_cancelled_while_it_waits_for_goods() -> None:
    given(*BACKORDERED).when(CHANGED_MY_MIND, NoteStockReleased(), NotePaymentUndone()).then(
        CANCELLATION_REQUESTED, RELEASE_REQUESTED, VOID_REQUESTED, CANCELLED
    )


def test_cancelled_when_confirmed_but_held() -> None:
    waiting = (*WAITS_FOR_GOODS, held(Hold.FRAUD), CONFIRMED)
    given(*waiting).when(CHANGED_MY_MIND, NoteStockReleased(), NotePaymentUndone()).then(
        CANCELLATION_REQUESTED, RELEASE_REQUESTED, VOID_REQUESTED, CANCELLED
    )


def test_cancelled_while_it_is_being_sent() -> None:
    given(*ON_ITS_WAY).when(CHANGED_MY_MIND).then(CANCELLATION_REQUESTED, stop(FROM_LONDON))
    given(*CANCELLING_SENDING).when(
        NoteFulfillmentCancelled(FROM_LONDON), NoteStockReleased(), NotePaymentUndone()
    ).then(stopped(FROM_LONDON), RELEASE_REQUESTED, VOID_REQUESTED, CANCELLED)


def test_a_cancelled_gift_has_no_money_to_let_go() -> None:
    on_its_way = (GIFT, ACCEPTED, ALLOCATION_REQUESTED, CONFIRMED, SENT_FROM_LONDON)
    given(*on_its_way).when(CHANGED_MY_MIND, NoteFulfillmentCancelled(FROM_LONDON), NoteStockReleased()).then(
        CANCELLATION_REQUESTED, stop(FROM_LONDON), stopped(FROM_LONDON), RELEASE_REQUESTED, CANCELLED
    )


def test_both_parts_must_stop_before_the_goods_are_given_back() -> None:
    given(*IN_TWO_PARTS).when(CHANGED_MY_MIND).then(*CANCELLING_BOTH[-3:])
    given(*CANCELLING_BOTH).when(NoteFulfillmentCancelled(FROM_LEEDS)).then(stopped(FROM_LEEDS))
    given(*CANCELLING_BOTH, stopped(FROM_LEEDS)).when(NoteFulfillmentCancelled(FROM_LONDON)).then(
        stopped(FROM_LONDON), RELEASE_REQUESTED
    )


@pytest.mark.parametrize("history", [ONE_OF_TWO_LEFT, ALL_LEFT, CAPTURE_FAILED])
def test_what_has_left_cannot_be_cancelled(history: tuple[Event, ...]) -> None:
    given(*history).when(CHANGED_MY_MIND).then(TOO_LATE)


@pytest.mark.parametrize(
    ("history", "status"), [(REJECTED_AT_REVIEW, "rejected"), (CLOSED_BY_EXPIRY, "expired"), (DONE, "completed")]
)
def test_what_is_closed_cannot_be_cancelled(history: tuple[Event, ...], status: str) -> None:
    refused = OrderCancellationRefused(order_id=ORDER, reason=f"The order is {status} already.")
    given(*history).when(CHANGED_MY_MIND).then(refused)


def test_a_parcel_that_is_faster_than_the_cancellation_is_paid_for() -> None:
    given(*CANCELLING_SENDING).when(SHIPPED, NoteFulfillmentCancelRefused(FROM_LONDON), CAPTURED).then(
        LEFT, TOO_LATE, CAPTURE_REQUESTED, COMPLETED
    )


def test_if_shipping_says_first_that_it_was_too_late_the_end_is_the_same() -> None:
    given(*CANCELLING_SENDING).when(NoteFulfillmentCancelRefused(FROM_LONDON), SHIPPED, CAPTURED).then(
        TOO_LATE, LEFT, CAPTURE_REQUESTED, COMPLETED
    )


LEEDS_AGAIN = sending(f"{FROM_LEEDS}.2", LEEDS, LEEDS_LINES)
LONDON_LEFT = left(FROM_LONDON, LONDON, LONDON_LINES)
LONDON_SHIPPED = NoteParcelShipped(FROM_LONDON, LONDON, LONDON_LINES)
LEEDS_LEFT_AFTER_ALL = left(f"{FROM_LEEDS}.2", LEEDS, LEEDS_LINES)
LEEDS_SHIPPED_AFTER_ALL = NoteParcelShipped(f"{FROM_LEEDS}.2", LEEDS, LEEDS_LINES)


def test_one_location_stops_then_the_other_ships_and_all_is_sent() -> None:
    given(*CANCELLING_BOTH).when(
        NoteFulfillmentCancelled(FROM_LEEDS), LONDON_SHIPPED, NoteFulfillmentCancelRefused(FROM_LONDON)
    ).then(stopped(FROM_LEEDS), LONDON_LEFT, TOO_LATE, LEEDS_AGAIN)


def test_one_location_ships_then_the_other_stops_and_all_is_sent() -> None:
    given(*CANCELLING_BOTH).when(
        LONDON_SHIPPED, NoteFulfillmentCancelRefused(FROM_LONDON), NoteFulfillmentCancelled(FROM_LEEDS)
    ).then(LONDON_LEFT, TOO_LATE, stopped(FROM_LEEDS), LEEDS_AGAIN)


def test_the_part_that_is_sent_after_all_completes_the_order() -> None:
    sent_after_all = (*CANCELLING_BOTH, stopped(FROM_LEEDS), LONDON_LEFT, TOO_LATE, LEEDS_AGAIN)
    given(*sent_after_all).when(LEEDS_SHIPPED_AFTER_ALL, CAPTURED).then(
        LEEDS_LEFT_AFTER_ALL, CAPTURE_REQUESTED, COMPLETED
    )


def test_both_locations_are_faster_than_the_cancellation() -> None:
    given(*CANCELLING_BOTH).when(NoteParcelShipped(FROM_LEEDS, LEEDS, LEEDS_LINES), LONDON_SHIPPED).then(
        left(FROM_LEEDS, LEEDS, LEEDS_LINES), TOO_LATE, LONDON_LEFT, CAPTURE_REQUESTED
    )


def test_a_fulfillment_that_is_asked_for_again_is_never_taken_for_another_location() -> None:
    """A location may be called LDN-2."""
    lines = {LONDON: {HOLDER: 3}, f"{LONDON}-2": {HOLDER: 3}}
    outcome = given(*WAITS_FOR_GOODS).when(
        NoteStockAllocated(lines),
        CHANGED_MY_MIND,
        NoteFulfillmentCancelled(FROM_LONDON),
        NoteParcelShipped(f"{FROM_LONDON}-2", f"{LONDON}-2", {HOLDER: 3}),
    )
    assert set(outcome.state.sendings) == {FROM_LONDON, f"{FROM_LONDON}-2", f"{FROM_LONDON}.2"}
    assert outcome.state.money is Money.AUTHORIZED


def test_a_parcel_that_nobody_asked_for_changes_nothing() -> None:
    given(*ON_ITS_WAY).when(NoteParcelShipped(FROM_LEEDS, LEEDS, {HOLDER: 1})).then_nothing()


def test_a_fulfillment_that_nobody_stopped_is_not_stopped() -> None:
    given(*ON_ITS_WAY).when(NoteFulfillmentCancelled(FROM_LONDON)).then_nothing()


def test_a_hold_that_comes_off_during_a_cancellation_does_not_bring_the_order_back() -> None:
    cancelling = (*WAITS_FOR_GOODS, held(Hold.FRAUD), CANCELLATION_REQUESTED, RELEASE_REQUESTED)
    given(*cancelling).when(ReleaseHold(Hold.FRAUD)).then(released(Hold.FRAUD))


def test_personal_data_is_in_no_problem() -> None:
    secret = Address(lines=["Geheimweg 7"], city="Bonn", postal_code="53113", country="DE")
    outcome = given(*HELD_BY_ADDRESS).when(CorrectOrder(BUYER, secret, [BAD_POSTCODE]), CHANGED_MY_MIND)
    assert "Geheimweg" not in "".join(repr(event) for event in outcome.events)


def test_a_completed_order_is_held_no_more() -> None:
    completed = given(*ALL_LEFT, held(Hold.FRAUD)).when(CAPTURED)
    assert completed.then(COMPLETED).state.holds == frozenset()
    given(*ALL_LEFT, held(Hold.FRAUD), COMPLETED).when(ReleaseHold(Hold.FRAUD)).then_nothing()


# --- in every order in which the services may be heard ---------------------------------------------------------------

Messages = tuple[OrderCommand, ...]


def interleavings(*streams: Messages) -> list[Messages]:
    """Every order that keeps the order of each stream."""
    if not any(streams):
        return [()]
    found = []
    for number, stream in enumerate(streams):
        if stream:
            rest = interleavings(*streams[:number], stream[1:], *streams[number + 1 :])
            found += [(stream[0], *messages) for messages in rest]
    return found


LEEDS_SHIPPED = NoteParcelShipped(FROM_LEEDS, LEEDS, LEEDS_LINES)
LEEDS_STOPPED, LONDON_STOPPED = NoteFulfillmentCancelled(FROM_LEEDS), NoteFulfillmentCancelled(FROM_LONDON)
LEEDS_TOO_LATE, LONDON_TOO_LATE = NoteFulfillmentCancelRefused(FROM_LEEDS), NoteFulfillmentCancelRefused(FROM_LONDON)
# In which order things are said matters to nobody: what is left to say, and where the order stands, does.
RACES: dict[str, tuple[tuple[Event, ...], tuple[Messages, ...]]] = {
    "both parcels leave": (IN_TWO_PARTS, ((LEEDS_SHIPPED,), (LONDON_SHIPPED,))),
    "both parts stop": (CANCELLING_BOTH, ((LEEDS_STOPPED,), (LONDON_STOPPED,))),
    "one leaves, one stops": (CANCELLING_BOTH, ((LEEDS_STOPPED,), (LONDON_SHIPPED, LONDON_TOO_LATE))),
    "both leave all the same": (
        CANCELLING_BOTH,
        ((LEEDS_SHIPPED, LEEDS_TOO_LATE), (LONDON_SHIPPED, LONDON_TOO_LATE)),
    ),
    "goods and money while it is cancelled": (
        CANCELLING_GOODS,
        ((ALLOCATED, NoteStockReleased()), (AUTHORIZED,), (HoldOrder(Hold.FRAUD, []), ReleaseHold(Hold.FRAUD))),
    ),
    "a backorder while it is cancelled": (
        CANCELLING_GOODS,
        ((NoteStockBackordered({HOLDER: 4}), NoteStockReleased()), (AUTHORIZED,)),
    ),
    "money comes and goes while it is cancelled": (
        CANCELLING_MONEY,
        ((AUTHORIZED, NotePaymentUndone()), (CHANGED_MY_MIND,), (ALLOCATED,)),
    ),
    "money comes late on an expired order": (
        CLOSED_BY_EXPIRY,
        ((AUTHORIZED, NotePaymentUndone()), (ALLOCATED,), (CHANGED_MY_MIND,)),
    ),
    "money comes late on a cancelled order": (
        CLOSED_BY_CANCELLATION,
        ((AUTHORIZED, NotePaymentUndone()), (NoteStockReleased(),), (CHANGED_MY_MIND,)),
    ),
}


@pytest.mark.parametrize("race", RACES)
def test_whoever_is_heard_first_the_order_ends_in_one_state(race: str) -> None:
    history, streams = RACES[race]
    scenario = given(*history)
    ends = [scenario.when(*messages) for messages in interleavings(*streams)]
    assert len(ends) > 1
    assert {repr(sorted(_standing(end.state).items())) for end in ends} == {
        repr(sorted(_standing(ends[0].state).items()))
    }
    assert {repr(sorted(map(repr, _asked(end.events)))) for end in ends} == {
        repr(sorted(map(repr, _asked(ends[0].events))))
    }


def _standing(state: OrderState) -> dict[str, Any]:
    """The state, without the order in which parts were asked for."""
    return {**asdict(state), "sendings": sorted(state.sendings.items())}


def _asked(events: list[Event]) -> list[Event]:
    """What others are asked for."""
    return [event for event in events if type(event).__name__.endswith("Requested")]
