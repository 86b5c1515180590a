"""The rules of a payment, told as stories: what is asked, what the provider says, and what it does not say."""

from __future__ import annotations

import pytest

from events.base import Event
from events.payment import (
    CaptureFailed,
    CaptureInitiated,
    PaymentActionRequired,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentExpired,
    PaymentInitiated,
    PaymentInquiryInitiated,
    PaymentOperation,
    PaymentOutcomeUnknown,
    PaymentRefunded,
    PaymentUndoFailed,
    PaymentVoided,
    RefundInitiated,
    VoidInitiated,
    VoidQueued,
)
from services.payment.commands import (
    AskProvider,
    AuthorizePayment,
    CapturePayment,
    ExpireAction,
    PaymentCommand,
    RecordActionExpired,
    RecordActionRequired,
    RecordAuthorized,
    RecordCaptured,
    RecordCaptureFailed,
    RecordDeclined,
    RecordRefunded,
    RecordUndoFailed,
    RecordUnknown,
    RecordVoided,
    UndoPayment,
)
from services.payment.decider import DECIDER
from services.payment.state import Stage
from tests.examples import DAY, HOUR, NOON, ORDER, TOTAL_MINOR
from tests.spec import Spec

given = Spec(DECIDER).given

AUTHORIZE, CAPTURE, VOID, REFUND = PaymentOperation

# --- what may have happened ------------------------------------------------------------------------------------------

INITIATED = PaymentInitiated(order_id=ORDER, amount_minor=TOTAL_MINOR, currency="GBP", payment_token="tok_ok")
AUTHORIZED = PaymentAuthorized(order_id=ORDER, reference="pay_1", amount_minor=TOTAL_MINOR)
DECLINED = PaymentDeclined(order_id=ORDER, reason="insufficient_funds")
ACTION_REQUIRED = PaymentActionRequired(order_id=ORDER, reference="pay_1", expires_at=NOON + 3 * DAY)
EXPIRED = PaymentExpired(order_id=ORDER)
CAPTURE_INITIATED = CaptureInitiated(order_id=ORDER, reference="pay_1", amount_minor=TOTAL_MINOR)
CAPTURED = PaymentCaptured(order_id=ORDER, reference="pay_1", amount_minor=TOTAL_MINOR)
CAPTURE_FAILED = CaptureFailed(order_id=ORDER, reason="payment_is_expired")
VOID_QUEUED = VoidQueued(order_id=ORDER)
VOID_INITIATED = VoidInitiated(order_id=ORDER, reference="pay_1")
VOIDED = PaymentVoided(order_id=ORDER)
REFUND_INITIATED = RefundInitiated(order_id=ORDER, reference="pay_1", amount_minor=TOTAL_MINOR)
REFUNDED = PaymentRefunded(order_id=ORDER, reference="pay_1", amount_minor=TOTAL_MINOR)
VOID_FAILED = PaymentUndoFailed(order_id=ORDER, operation=VOID, reason="void_refused_by_issuer")
REFUND_FAILED = PaymentUndoFailed(order_id=ORDER, operation=REFUND, reason="refund_refused_by_issuer")

ASKING = (INITIATED,)
PROMISED = (INITIATED, AUTHORIZED)
TAKING = (*PROMISED, CAPTURE_INITIATED)
TAKEN = (*TAKING, CAPTURED)
WAITING_FOR_BUYER = (INITIATED, ACTION_REQUIRED)
LETTING_GO = (*PROMISED, VOID_INITIATED)
GIVING_BACK = (*TAKEN, REFUND_INITIATED)

ASK_AT = NOON + HOUR


def unknown(operation: PaymentOperation, attempt: int = 1) -> PaymentOutcomeUnknown:
    return PaymentOutcomeUnknown(order_id=ORDER, operation=operation, attempt=attempt, ask_at=ASK_AT)


def inquiry(
    operation: PaymentOperation,
    key_version: int,
    attempt: int = 1,
    reference: str | None = "pay_1",
    amount_minor: int = TOTAL_MINOR,
) -> PaymentInquiryInitiated:
    return PaymentInquiryInitiated(
        order_id=ORDER,
        operation=operation,
        attempt=attempt,
        key=f"payment-{ORDER}/{key_version}",
        amount_minor=amount_minor,
        currency="GBP",
        payment_token="tok_ok",
        reference=reference,
    )


PLEASE_AUTHORIZE = AuthorizePayment(ORDER, TOTAL_MINOR, "GBP", "tok_ok")
PLEASE_CAPTURE = CapturePayment(ORDER, TOTAL_MINOR)
PLEASE_UNDO = UndoPayment(ORDER)
SAYS_YES = RecordAuthorized("pay_1", TOTAL_MINOR)
SAYS_NO = RecordDeclined("insufficient_funds")
SAYS_ASK_THE_BUYER = RecordActionRequired("pay_1", NOON + 3 * DAY, NOON)
SAYS_TAKEN = RecordCaptured("pay_1", TOTAL_MINOR)
SAYS_NOT_TAKEN = RecordCaptureFailed("payment_is_expired")
SAYS_GIVEN_BACK = RecordRefunded("pay_1", TOTAL_MINOR)

# --- authorize -------------------------------------------------------------------------------------------------------


def test_a_payment_is_asked_for() -> None:
    given().when(PLEASE_AUTHORIZE).then(INITIATED)


def test_the_provider_promises_the_money() -> None:
    given(*ASKING).when(SAYS_YES).then(AUTHORIZED)


def test_the_provider_declines() -> None:
    given(*ASKING).when(SAYS_NO).then(DECLINED)


def test_after_a_decline_another_token_is_tried() -> None:
    other = PLEASE_AUTHORIZE._replace(payment_token="tok_ok_other")
    given(*ASKING, DECLINED).when(other, SAYS_YES).then(
        INITIATED.model_copy(update={"payment_token": "tok_ok_other"}), AUTHORIZED
    )


@pytest.mark.parametrize(
    "history",
    [ASKING, WAITING_FOR_BUYER, PROMISED, TAKING, TAKEN, LETTING_GO, (*LETTING_GO, VOIDED), (*GIVING_BACK, REFUNDED)],
)
def test_a_payment_is_asked_for_once(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_AUTHORIZE).then_nothing()


@pytest.mark.parametrize(
    "history",
    [PROMISED, TAKING, TAKEN, LETTING_GO, (*LETTING_GO, VOIDED), GIVING_BACK, (*GIVING_BACK, REFUNDED)],
)
def test_a_promise_that_is_known_is_not_recorded_again(history: tuple[Event, ...]) -> None:
    given(*history).when(SAYS_YES).then_nothing()


@pytest.mark.parametrize(
    "history",
    [(*ASKING, DECLINED), WAITING_FOR_BUYER, (*ASKING, DECLINED, VOIDED), (*WAITING_FOR_BUYER, EXPIRED)],
    ids=["declined", "waiting for the buyer", "nothing to let go", "expired"],
)
def test_a_late_promise_is_still_a_fact(history: tuple[Event, ...]) -> None:
    given(*history).when(SAYS_YES).then(AUTHORIZED)


@pytest.mark.parametrize(
    "answer",
    [SAYS_YES, SAYS_NO, SAYS_ASK_THE_BUYER, RecordActionExpired(), SAYS_TAKEN, SAYS_NOT_TAKEN, RecordVoided(),
     SAYS_GIVEN_BACK, RecordUndoFailed(VOID, "no"), RecordUnknown(AUTHORIZE, ASK_AT), AskProvider(), ExpireAction()],
    ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_nobody_answers_what_was_never_asked(answer: PaymentCommand) -> None:
    given().when(answer).then_nothing()


@pytest.mark.parametrize("answer", [SAYS_NO, SAYS_ASK_THE_BUYER, RecordActionExpired()])
@pytest.mark.parametrize("history", [PROMISED, TAKING, TAKEN, LETTING_GO, (*LETTING_GO, VOIDED), (*ASKING, DECLINED)])
def test_a_refusal_answers_an_open_question_or_none(history: tuple[Event, ...], answer: PaymentCommand) -> None:
    given(*history).when(answer).then_nothing()


# --- the buyer must act ----------------------------------------------------------------------------------------------


def test_the_buyer_must_act_first() -> None:
    given(*ASKING).when(SAYS_ASK_THE_BUYER).then(ACTION_REQUIRED)


def test_somebody_heard_that_the_buyer_has_acted() -> None:
    given(*WAITING_FOR_BUYER).when(AskProvider(), SAYS_YES).then(inquiry(AUTHORIZE, 1), AUTHORIZED)


def test_the_buyer_did_not_pass() -> None:
    given(*WAITING_FOR_BUYER).when(AskProvider(), SAYS_NO).then(inquiry(AUTHORIZE, 1), DECLINED)


def test_before_the_door_is_closed_the_provider_is_asked_once_more() -> None:
    given(*WAITING_FOR_BUYER).when(ExpireAction(), SAYS_YES).then(inquiry(AUTHORIZE, 1), AUTHORIZED)


def test_a_buyer_who_did_not_act_in_time_finds_the_door_closed() -> None:
    still_waiting = RecordActionRequired("pay_1", NOON + 9 * DAY, now=NOON + 3 * DAY)
    given(*WAITING_FOR_BUYER).when(ExpireAction(), still_waiting, RecordVoided()).then(
        inquiry(AUTHORIZE, 1), EXPIRED, VOID_INITIATED, VOIDED
    )


def test_the_provider_waits_for_the_buyer_no_longer() -> None:
    given(*WAITING_FOR_BUYER).when(ExpireAction(), RecordActionExpired()).then(inquiry(AUTHORIZE, 1), EXPIRED)


def test_a_question_in_between_does_not_give_the_buyer_more_time() -> None:
    asked_again = RecordActionRequired("pay_1", NOON + 9 * DAY, now=NOON + DAY)
    given(*WAITING_FOR_BUYER).when(AskProvider(), asked_again).then(inquiry(AUTHORIZE, 1), ACTION_REQUIRED)


def test_another_attempt_gives_the_buyer_new_time() -> None:
    second_attempt = (*WAITING_FOR_BUYER, inquiry(AUTHORIZE, 1), DECLINED, INITIATED)
    later = RecordActionRequired("pay_2", NOON + 9 * DAY, now=NOON + 6 * DAY)
    given(*second_attempt).when(later).then(
        PaymentActionRequired(order_id=ORDER, reference="pay_2", expires_at=NOON + 9 * DAY)
    )


def test_another_attempt_is_not_asked_about_under_the_old_name() -> None:
    second_attempt = (*WAITING_FOR_BUYER, inquiry(AUTHORIZE, 1), DECLINED, INITIATED)
    given(*second_attempt).when(RecordUnknown(AUTHORIZE, ASK_AT), AskProvider()).then(
        unknown(AUTHORIZE), inquiry(AUTHORIZE, 5, reference=None)
    )


def test_a_question_whose_time_has_come_too_late_is_not_asked() -> None:
    """Two timekeepers, or one and a webhook: each question without an answer leads to one more, not to two."""
    asked_meanwhile = (*ASKING, unknown(AUTHORIZE), inquiry(AUTHORIZE, 1, reference=None), unknown(AUTHORIZE, 2))
    given(*asked_meanwhile).when(AskProvider(AUTHORIZE, 1)).then_nothing()
    given(*asked_meanwhile).when(AskProvider(CAPTURE, 2)).then_nothing()
    given(*asked_meanwhile).when(AskProvider(AUTHORIZE, 2)).then(inquiry(AUTHORIZE, 1, 2, reference=None))


@pytest.mark.parametrize("history", [ASKING, PROMISED, TAKEN, (*ASKING, DECLINED), (*WAITING_FOR_BUYER, AUTHORIZED)])
def test_time_is_over_only_for_a_buyer_who_is_waited_for(history: tuple[Event, ...]) -> None:
    given(*history).when(ExpireAction()).then_nothing()


def test_what_the_buyer_is_asked_about_is_asked_once_at_a_time() -> None:
    given(*WAITING_FOR_BUYER).when(ExpireAction(), AskProvider(), ExpireAction()).then(inquiry(AUTHORIZE, 1))


# --- capture ---------------------------------------------------------------------------------------------------------


def test_promised_money_is_taken() -> None:
    given(*PROMISED).when(PLEASE_CAPTURE, SAYS_TAKEN).then(CAPTURE_INITIATED, CAPTURED)


def test_less_than_was_promised_may_be_taken() -> None:
    given(*PROMISED).when(CapturePayment(ORDER, 5_00), RecordCaptured("pay_1", 5_00)).then(
        CAPTURE_INITIATED.model_copy(update={"amount_minor": 5_00}), CAPTURED.model_copy(update={"amount_minor": 5_00})
    )


def test_more_than_was_promised_is_never_asked_for() -> None:
    reason = f"{TOTAL_MINOR + 1} is more than the authorized {TOTAL_MINOR}"
    given(*PROMISED).when(CapturePayment(ORDER, TOTAL_MINOR + 1)).then(CaptureFailed(order_id=ORDER, reason=reason))


@pytest.mark.parametrize("history", [TAKING, TAKEN, (*TAKING, unknown(CAPTURE))])
def test_money_is_taken_once(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_CAPTURE).then_nothing()


@pytest.mark.parametrize(
    ("history", "stage"),
    [
        ((), "none"),
        ((*ASKING, DECLINED), "declined"),
        (WAITING_FOR_BUYER, "action_required"),
        ((*LETTING_GO, VOIDED), "voided"),
        ((*GIVING_BACK, REFUNDED), "refunded"),
        ((*WAITING_FOR_BUYER, EXPIRED, VOID_INITIATED), "expired"),
    ],
)
def test_money_that_is_not_promised_cannot_be_taken(history: tuple[Event, ...], stage: str) -> None:
    reason = f"the payment is {stage}, not authorized"
    given(*history).when(PLEASE_CAPTURE).then(CaptureFailed(order_id=ORDER, reason=reason))


def test_money_that_is_being_let_go_cannot_be_taken_and_is_let_go_all_the_same() -> None:
    given(*LETTING_GO).when(PLEASE_CAPTURE, RecordVoided()).then(
        CaptureFailed(order_id=ORDER, reason="a void is under way"), VOIDED
    )


def test_a_refused_capture_may_be_tried_again_under_a_new_key() -> None:
    again = (*TAKING, CAPTURE_FAILED, CAPTURE_INITIATED)
    given(*TAKING).when(SAYS_NOT_TAKEN, PLEASE_CAPTURE).then(CAPTURE_FAILED, CAPTURE_INITIATED)
    assert given(*again).state.key_version == 5


def test_money_that_was_taken_after_all_is_still_a_fact() -> None:
    given(*TAKING, CAPTURE_FAILED).when(SAYS_TAKEN).then(CAPTURED)


@pytest.mark.parametrize("history", [TAKEN, ASKING, PROMISED, (*LETTING_GO, VOIDED), LETTING_GO, GIVING_BACK])
def test_money_is_not_recorded_as_taken_twice_or_without_being_asked_for(history: tuple[Event, ...]) -> None:
    given(*history).when(SAYS_TAKEN).then_nothing()


def test_a_capture_that_nobody_waits_for_does_not_fail() -> None:
    given(*PROMISED).when(SAYS_NOT_TAKEN).then_nothing()


# --- undo ------------------------------------------------------------------------------------------------------------


def test_promised_money_is_let_go() -> None:
    given(*PROMISED).when(PLEASE_UNDO, RecordVoided()).then(VOID_INITIATED, VOIDED)


def test_taken_money_is_given_back() -> None:
    given(*TAKEN).when(PLEASE_UNDO, SAYS_GIVEN_BACK).then(REFUND_INITIATED, REFUNDED)


@pytest.mark.parametrize("history", [(), (*ASKING, DECLINED)], ids=["never asked for", "declined"])
def test_where_no_money_is_held_nothing_needs_to_be_let_go(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_UNDO).then(VOIDED)


def test_a_buyer_who_has_not_acted_finds_the_door_closed() -> None:
    given(*WAITING_FOR_BUYER).when(PLEASE_UNDO).then(VOID_INITIATED)


@pytest.mark.parametrize(
    ("history", "answer", "follows"),
    [
        (ASKING, SAYS_YES, (AUTHORIZED, VOID_INITIATED)),
        (ASKING, SAYS_NO, (DECLINED, VOIDED)),
        (ASKING, SAYS_ASK_THE_BUYER, (ACTION_REQUIRED, VOID_INITIATED)),
        (TAKING, SAYS_TAKEN, (CAPTURED, REFUND_INITIATED)),
        (TAKING, SAYS_NOT_TAKEN, (CAPTURE_FAILED, VOID_INITIATED)),
    ],
    ids=["authorized", "declined", "action required", "captured", "capture refused"],
)
def test_an_undo_waits_until_the_open_call_has_an_outcome(
    history: tuple[Event, ...], answer: PaymentCommand, follows: tuple[Event, ...]
) -> None:
    given(*history).when(PLEASE_UNDO, PLEASE_UNDO).then(VOID_QUEUED)
    given(*history, VOID_QUEUED).when(answer).then(*follows)


@pytest.mark.parametrize(
    ("operation", "history", "answer", "follows"),
    [
        (AUTHORIZE, ASKING, SAYS_YES, (AUTHORIZED, VOID_INITIATED)),
        (CAPTURE, TAKING, SAYS_TAKEN, (CAPTURED, REFUND_INITIATED)),
    ],
)
def test_an_undo_waits_through_an_unknown_outcome(
    operation: PaymentOperation, history: tuple[Event, ...], answer: PaymentCommand, follows: tuple[Event, ...]
) -> None:
    outcome = given(*history).when(PLEASE_UNDO, RecordUnknown(operation, ASK_AT), AskProvider(), answer)
    assert tuple(outcome.events[-2:]) == follows


def test_an_undo_that_waits_when_the_time_is_over_follows_as_well() -> None:
    asked = (*WAITING_FOR_BUYER, inquiry(AUTHORIZE, 1), VOID_QUEUED)
    over = RecordActionRequired("pay_1", NOON + 9 * DAY, now=NOON + 3 * DAY)
    given(*asked).when(over, RecordVoided()).then(EXPIRED, VOID_INITIATED, VOIDED)
    given(*asked).when(RecordActionExpired(), RecordVoided()).then(EXPIRED, VOID_INITIATED, VOIDED)


@pytest.mark.parametrize(
    "history", [LETTING_GO, GIVING_BACK, (*LETTING_GO, unknown(VOID)), (*LETTING_GO, VOIDED), (*GIVING_BACK, REFUNDED)]
)
def test_money_is_undone_once(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_UNDO).then_nothing()


def test_a_refused_undo_is_reported_and_may_be_tried_again() -> None:
    given(*LETTING_GO).when(RecordUndoFailed(VOID, "void_refused_by_issuer"), PLEASE_UNDO).then(
        VOID_FAILED, VOID_INITIATED
    )
    given(*GIVING_BACK).when(RecordUndoFailed(REFUND, "refund_refused_by_issuer"), PLEASE_UNDO).then(
        REFUND_FAILED, REFUND_INITIATED
    )


def test_what_has_expired_but_could_not_be_let_go_may_be_tried_again() -> None:
    stuck = (*WAITING_FOR_BUYER, inquiry(AUTHORIZE, 1), EXPIRED, VOID_INITIATED, VOID_FAILED)
    given(*stuck).when(PLEASE_UNDO).then(VOID_INITIATED)


@pytest.mark.parametrize("history", [PROMISED, TAKING, (*LETTING_GO, VOIDED), (*GIVING_BACK, REFUNDED)])
@pytest.mark.parametrize(
    "answer", [RecordVoided(), SAYS_GIVEN_BACK, RecordUndoFailed(VOID, "no"), RecordUndoFailed(REFUND, "no")]
)
def test_nobody_answers_an_undo_that_is_not_open(history: tuple[Event, ...], answer: PaymentCommand) -> None:
    given(*history).when(answer).then_nothing()


def test_a_refusal_of_a_void_does_not_answer_a_refund() -> None:
    given(*GIVING_BACK).when(RecordUndoFailed(VOID, "no"), RecordVoided()).then_nothing()


# --- no answer -------------------------------------------------------------------------------------------------------

OPEN: dict[PaymentOperation, tuple[tuple[Event, ...], int, str | None, int, PaymentCommand, Event]] = {
    AUTHORIZE: (ASKING, 1, None, TOTAL_MINOR, SAYS_YES, AUTHORIZED),
    CAPTURE: (TAKING, 3, "pay_1", TOTAL_MINOR, SAYS_TAKEN, CAPTURED),
    VOID: (LETTING_GO, 3, "pay_1", TOTAL_MINOR, RecordVoided(), VOIDED),
    REFUND: (GIVING_BACK, 5, "pay_1", TOTAL_MINOR, SAYS_GIVEN_BACK, REFUNDED),
}


@pytest.mark.parametrize("operation", OPEN)
def test_an_unknown_outcome_is_asked_about_under_the_same_key_until_it_is_settled(operation: PaymentOperation) -> None:
    history, key_version, reference, amount_minor, answer, settled = OPEN[operation]
    ask = inquiry(operation, key_version, 1, reference, amount_minor)
    ask_again = inquiry(operation, key_version, 2, reference, amount_minor)
    no_answer = RecordUnknown(operation, ASK_AT)
    outcome = given(*history).when(no_answer, AskProvider(), no_answer, AskProvider(), answer)
    outcome.then(unknown(operation, 1), ask, unknown(operation, 2), ask_again, settled)
    assert outcome.state.operation is None


def test_the_inquiry_repeats_the_amount_that_was_asked_for_and_not_the_whole() -> None:
    part = CAPTURE_INITIATED.model_copy(update={"amount_minor": 5_00})
    given(*PROMISED, part).when(RecordUnknown(CAPTURE, ASK_AT), AskProvider()).then(
        unknown(CAPTURE), inquiry(CAPTURE, 3, amount_minor=5_00)
    )


@pytest.mark.parametrize("operation", OPEN)
def test_while_somebody_is_asking_nobody_else_asks(operation: PaymentOperation) -> None:
    given(*OPEN[operation][0]).when(AskProvider()).then_nothing()


@pytest.mark.parametrize("history", [(*ASKING, DECLINED), PROMISED, TAKEN, (*LETTING_GO, VOIDED)])
def test_what_is_settled_is_asked_about_no_more(history: tuple[Event, ...]) -> None:
    given(*history).when(AskProvider()).then_nothing()


@pytest.mark.parametrize("history", [PROMISED, (*ASKING, unknown(AUTHORIZE)), TAKING])
def test_silence_answers_an_open_question_or_none(history: tuple[Event, ...]) -> None:
    given(*history).when(RecordUnknown(AUTHORIZE, ASK_AT)).then_nothing()


def test_an_answer_that_was_given_up_on_still_counts() -> None:
    given(*ASKING, unknown(AUTHORIZE)).when(SAYS_YES).then(AUTHORIZED)
    given(*TAKING, unknown(CAPTURE)).when(SAYS_TAKEN).then(CAPTURED)


def test_what_is_known_for_certain_is_not_what_is_under_way() -> None:
    assert given(*TAKING, unknown(CAPTURE)).state.stage is Stage.AUTHORIZED
