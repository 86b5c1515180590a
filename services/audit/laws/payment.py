"""The laws of money: every call has one outcome, and nobody's money is taken twice or without being promised."""

from __future__ import annotations

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
from services.audit.books import Books, Case, Money
from services.audit.law import Law
from services.audit.laws.table import Laws

AUTHORIZE, CAPTURE = PaymentOperation.AUTHORIZE, PaymentOperation.CAPTURE
VOID, REFUND = PaymentOperation.VOID, PaymentOperation.REFUND


# --- authorize -----------------------------------------------------------------------------------------------------


def _initiated(case: Case, event: PaymentInitiated, books: Books) -> None:
    money = case.money
    asked = money.asked
    if asked is None:
        books.tell(Law.ANSWERS_REQUEST, "The order has no open request for a payment.")
    elif (asked.amount_minor, asked.currency) != (event.amount_minor, event.currency):
        books.tell(Law.ANSWERS_REQUEST, f"{event.amount_minor} instead of the requested {asked.amount_minor}.")
    money.asked = None
    money.unauthorized += 1
    _begin(money, AUTHORIZE, event.amount_minor, books)


def _authorized(case: Case, event: PaymentAuthorized, books: Books) -> None:
    # It may come late, when the operation counts as declined or expired: a late fact is still a fact. But only once.
    money = case.money
    if not money.unauthorized:
        books.tell(Law.ONE_OUTCOME, "No authorization was under way.")
    elif event.amount_minor > case.total_minor:
        detail = f"{event.amount_minor} authorized, {case.total_minor} asked for."
        books.tell(Law.AUTHORIZED_AS_ASKED, detail)
    money.unauthorized = 0
    money.awaits_buyer = False
    money.authorized_by = books.at
    money.authorized_minor = event.amount_minor
    money.reference = event.reference
    if money.operation is AUTHORIZE:
        _close(money)


def _declined(case: Case, event: PaymentDeclined, books: Books) -> None:
    _end(case.money, AUTHORIZE, books)


def _action_required(case: Case, event: PaymentActionRequired, books: Books) -> None:
    _end(case.money, AUTHORIZE, books)
    case.money.awaits_buyer = True


def _expired(case: Case, event: PaymentExpired, books: Books) -> None:
    _end(case.money, AUTHORIZE, books)
    case.money.awaits_buyer = False
    case.money.expired = True


# --- capture -------------------------------------------------------------------------------------------------------


def _capture_initiated(case: Case, event: CaptureInitiated, books: Books) -> None:
    money = case.money
    if money.capture_asked is None:
        books.tell(Law.CAPTURED_ONCE, "The order has no open request for a capture.")
    elif money.capture_asked != event.amount_minor:
        books.tell(Law.ANSWERS_REQUEST, f"{event.amount_minor} instead of the requested {money.capture_asked}.")
    if money.captured_minor + event.amount_minor > money.authorized_minor or event.reference != money.reference:
        detail = f"{event.amount_minor} is to be captured, {money.authorized_minor} are authorized."
        books.tell(Law.CAPTURE_AFTER_AUTHORIZE, detail)
    money.capture_asked = None
    money.uncaptured += 1
    _begin(money, CAPTURE, event.amount_minor, books)


def _captured(case: Case, event: PaymentCaptured, books: Books) -> None:
    # It may come late, when the capture counts as failed. But once for each intent.
    money = case.money
    if not money.uncaptured:
        books.tell(Law.CAPTURED_ONCE, "No capture was under way: it has its outcome already, or was never initiated.")
    if money.operation is CAPTURE:
        _close(money)
    money.uncaptured = 0
    money.captured_minor += event.amount_minor
    if money.captured_minor > money.authorized_minor:
        detail = f"{money.captured_minor} captured, {money.authorized_minor} authorized."
        books.tell(Law.CAPTURE_AFTER_AUTHORIZE, detail)


def _capture_failed(case: Case, event: CaptureFailed, books: Books) -> None:
    money = case.money
    if money.operation is CAPTURE:
        _close(money)
    elif money.capture_asked is None:
        books.tell(Law.ONE_OUTCOME, "No capture was under way or asked for.")
    money.capture_asked = None
    money.capture_requested = False


# --- undo ----------------------------------------------------------------------------------------------------------


def _void_queued(case: Case, event: VoidQueued, books: Books) -> None:
    if not case.money.void_asked or case.money.operation is None:
        books.tell(Law.ANSWERS_REQUEST, "No void was asked for while a call was under way.")


def _void_initiated(case: Case, event: VoidInitiated, books: Books) -> None:
    money = case.money
    if not (money.void_asked or money.expired):
        books.tell(Law.ANSWERS_REQUEST, "The order has no open request for a void, and the payment has not expired.")
    _begin_undo(money, VOID, 0, books)


def _refund_initiated(case: Case, event: RefundInitiated, books: Books) -> None:
    money = case.money
    if not money.void_asked:
        books.tell(Law.ANSWERS_REQUEST, "The order has not asked for the money to be given back.")
    _refund_fits(money, event.amount_minor, books)
    _begin_undo(money, REFUND, event.amount_minor, books)


def _begin_undo(money: Money, operation: PaymentOperation, amount_minor: int, books: Books) -> None:
    money.void_asked = None
    money.void_failed = False
    _begin(money, operation, amount_minor, books)


def _voided(case: Case, event: PaymentVoided, books: Books) -> None:
    money = case.money
    if money.operation is VOID:
        _close(money)
    elif money.authorized_minor:
        books.tell(Law.ONE_OUTCOME, "Money is authorized, and no void was under way.")
    elif not money.void_asked:
        books.tell(Law.ANSWERS_REQUEST, "The order has no open request for a void.")
    if money.captured_minor > money.refunded_minor:
        books.tell(Law.CAPTURE_AFTER_AUTHORIZE, f"{money.captured_minor} are captured: that is refunded, not voided.")
    money.authorized_minor = 0
    money.void_asked = None
    money.awaits_buyer = False
    books.may_be_settled(case)


def _refunded(case: Case, event: PaymentRefunded, books: Books) -> None:
    money = case.money
    _end(money, REFUND, books)
    _refund_fits(money, event.amount_minor, books)
    money.refunded_minor += event.amount_minor
    books.may_be_settled(case)


def _refund_fits(money: Money, amount_minor: int, books: Books) -> None:
    if money.refunded_minor + amount_minor > money.captured_minor:
        detail = f"{money.refunded_minor + amount_minor} refunded, {money.captured_minor} captured."
        books.tell(Law.REFUND_WITHIN_CAPTURE, detail)


def _undo_failed(case: Case, event: PaymentUndoFailed, books: Books) -> None:
    if event.operation not in (VOID, REFUND):
        books.tell(Law.ONE_OUTCOME, f"A {event.operation.value} cannot fail as an undoing.")
    _end(case.money, event.operation, books)
    case.money.void_failed = True


# --- calls ---------------------------------------------------------------------------------------------------------


def _unknown(case: Case, event: PaymentOutcomeUnknown, books: Books) -> None:
    money = case.money
    if money.operation is not event.operation or not money.asking:
        books.tell(Law.ONE_OUTCOME, f"No {event.operation.value} was under way.")
    money.asking = False


def _inquired(case: Case, event: PaymentInquiryInitiated, books: Books) -> None:
    money = case.money
    waiting = AUTHORIZE if money.operation is None and money.awaits_buyer else money.operation
    if money.asking or waiting is not event.operation:
        books.tell(Law.ONE_OUTCOME, f"There is no {event.operation.value} whose outcome is unknown.")
    if event.key != money.key:
        books.tell(Law.SAME_KEY, f"It carries the key {event.key} instead of {money.key or 'none'}.")
    money.operation = event.operation
    money.asking = True


def _begin(money: Money, operation: PaymentOperation, amount_minor: int, books: Books) -> None:
    if money.operation is not None:
        books.tell(Law.ONE_OUTCOME, f"The {money.operation.value} before it has no outcome yet.")
    money.operation = operation
    money.amount_minor = amount_minor
    money.key = books.at.id
    money.asking = True


def _end(money: Money, operation: PaymentOperation, books: Books) -> None:
    if money.operation is not operation:
        books.tell(Law.ONE_OUTCOME, f"No {operation.value} was under way.")
    _close(money)


def _close(money: Money) -> None:
    money.operation = None
    money.asking = False


PAYMENT_LAWS: Laws = {
    PaymentInitiated: _initiated,
    PaymentAuthorized: _authorized,
    PaymentDeclined: _declined,
    PaymentActionRequired: _action_required,
    PaymentExpired: _expired,
    PaymentOutcomeUnknown: _unknown,
    PaymentInquiryInitiated: _inquired,
    CaptureInitiated: _capture_initiated,
    PaymentCaptured: _captured,
    CaptureFailed: _capture_failed,
    VoidQueued: _void_queued,
    VoidInitiated: _void_initiated,
    PaymentVoided: _voided,
    RefundInitiated: _refund_initiated,
    PaymentRefunded: _refunded,
    PaymentUndoFailed: _undo_failed,
}
