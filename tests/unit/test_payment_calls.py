"""From an intent to a call and from its answer to a command; the provider keeps books and has a clock of its own."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from events.base import WALL_CLOCK, Event, Recorded
from events.payment import (
    CaptureInitiated,
    PaymentInitiated,
    PaymentInquiryInitiated,
    PaymentOperation,
    RefundInitiated,
    VoidInitiated,
    payment_stream,
)
from services.payment.calls import PaymentCalls
from services.payment.commands import (
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
)
from services.payment.provider import ActionRequired, Authorized, Declined, IdempotencyKeyReused, ProviderTimeout
from services.payment.sandbox import SandboxProvider
from services.runtime.decider import Directive
from tests.examples import DAY, HOUR, NOON, ORDER, TOTAL_MINOR

AUTHORIZE, CAPTURE, VOID, REFUND = PaymentOperation
THREE_DAYS = 3 * DAY
SECOND = timedelta(seconds=1)


class Shop:
    """Calls, their provider, and the clock that both look at."""

    def __init__(self, timeout_s: float = 5.0) -> None:
        self.now = NOON
        self.provider = SandboxProvider(now=lambda: self.now)
        self.calls = PaymentCalls(self.provider, now=lambda: self.now, timeout_s=timeout_s, action_ttl=THREE_DAYS)

    def carry_out(self, event: Event, version: int = 1, *, recorded_at: datetime | None = None) -> PaymentCommand:
        intent = recorded(event, version, recorded_at or self.now)
        directive: Directive = asyncio.run(self.calls(intent))
        assert directive.stream == payment_stream(ORDER)
        command: PaymentCommand = directive.command
        return command

    @property
    def charged_minor(self) -> int:
        return self.provider.charges().get(ORDER, 0)

    @property
    def payments(self) -> int:
        return len(self.provider.ledger())


def recorded(event: Event, version: int, recorded_at: datetime, clock: str = WALL_CLOCK) -> Recorded:
    return Recorded(
        7, payment_stream(ORDER), version, event.type, event, NOON, recorded_at, ORDER, "cause", "payment", clock
    )


def authorize(token: str = "tok_ok") -> PaymentInitiated:
    return PaymentInitiated(order_id=ORDER, amount_minor=TOTAL_MINOR, currency="GBP", payment_token=token)


def capture(amount_minor: int = TOTAL_MINOR) -> CaptureInitiated:
    return CaptureInitiated(order_id=ORDER, reference=PAY, amount_minor=amount_minor)


PAY = "pay_00000001"
LET_GO = VoidInitiated(order_id=ORDER, reference=PAY)
GIVE_BACK = RefundInitiated(order_id=ORDER, reference=PAY, amount_minor=TOTAL_MINOR)


def ask(
    operation: PaymentOperation,
    key_version: int,
    *,
    attempt: int = 1,
    token: str = "tok_ok",
    reference: str | None = PAY,
    amount_minor: int = TOTAL_MINOR,
) -> PaymentInquiryInitiated:
    return PaymentInquiryInitiated(
        order_id=ORDER,
        operation=operation,
        attempt=attempt,
        key=f"{payment_stream(ORDER)}/{key_version}",
        amount_minor=amount_minor,
        currency="GBP",
        payment_token=token,
        reference=reference,
    )


AUTHORIZED = RecordAuthorized(PAY, TOTAL_MINOR)
CAPTURED = RecordCaptured(PAY, TOTAL_MINOR)


def test_every_operation_and_its_answer() -> None:
    shop = Shop()
    assert shop.carry_out(authorize(), 1) == AUTHORIZED
    assert shop.carry_out(capture(), 3) == CAPTURED
    assert shop.carry_out(GIVE_BACK, 5) == RecordRefunded(PAY, TOTAL_MINOR)
    shop = Shop()
    shop.carry_out(authorize(), 1)
    assert shop.carry_out(LET_GO, 3) == RecordVoided()


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("tok_decline_insufficient_funds", RecordDeclined("insufficient_funds")),
        ("tok_action", RecordActionRequired(PAY, NOON + THREE_DAYS, NOON)),
        ("tok_timeout_before_charge", RecordUnknown(AUTHORIZE, NOON + 5 * SECOND)),
        ("tok_timeout_after_charge", RecordUnknown(AUTHORIZE, NOON + 5 * SECOND)),
        ("tok_unavailable_1", RecordUnknown(AUTHORIZE, NOON + 5 * SECOND)),
    ],
)
def test_every_other_end_of_an_authorization(token: str, answer: PaymentCommand) -> None:
    assert Shop().carry_out(authorize(token)) == answer


@pytest.mark.parametrize(
    ("token", "before", "event", "answer"),
    [
        ("tok_capture_refused", [], capture(), RecordCaptureFailed("capture_refused_by_issuer")),
        ("tok_void_refused", [], LET_GO, RecordUndoFailed(VOID, "void_refused_by_issuer")),
        ("tok_refund_refused", [capture()], GIVE_BACK, RecordUndoFailed(REFUND, "refund_refused_by_issuer")),
        ("tok_capture_timeout", [], capture(), RecordUnknown(CAPTURE, NOON + 5 * SECOND)),
        ("tok_void_timeout", [], LET_GO, RecordUnknown(VOID, NOON + 5 * SECOND)),
        ("tok_refund_timeout", [capture()], GIVE_BACK, RecordUnknown(REFUND, NOON + 5 * SECOND)),
    ],
)
def test_every_other_end_of_the_later_operations(
    token: str, before: list[Event], event: Event, answer: PaymentCommand
) -> None:
    shop = Shop()
    for version, earlier in enumerate([authorize(token), *before], 1):
        shop.carry_out(earlier, version)
    assert shop.carry_out(event, 9) == answer


@pytest.mark.parametrize(
    ("token", "operation", "before", "event", "settled"),
    [
        ("tok_timeout_after_charge", AUTHORIZE, [], authorize("tok_timeout_after_charge"), AUTHORIZED),
        ("tok_timeout_before_charge", AUTHORIZE, [], authorize("tok_timeout_before_charge"), AUTHORIZED),
        ("tok_unavailable_1", AUTHORIZE, [], authorize("tok_unavailable_1"), AUTHORIZED),
        ("tok_capture_timeout", CAPTURE, [authorize("tok_capture_timeout")], capture(), CAPTURED),
        ("tok_void_timeout", VOID, [authorize("tok_void_timeout")], LET_GO, RecordVoided()),
        (
            "tok_refund_timeout", REFUND, [authorize("tok_refund_timeout"), capture()], GIVE_BACK,
            RecordRefunded(PAY, TOTAL_MINOR),
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("later", [5 * SECOND, 25 * HOUR], ids=["soon", "after the key was forgotten"])
def test_an_unknown_outcome_is_settled_and_nothing_is_done_twice(
    token: str,
    operation: PaymentOperation,
    before: list[Event],
    event: Event,
    settled: PaymentCommand,
    later: timedelta,
) -> None:
    shop = Shop()
    for version, earlier in enumerate(before, 1):
        shop.carry_out(earlier, version)
    assert isinstance(shop.carry_out(event, 5), RecordUnknown)
    shop.now += later
    reference = None if operation is AUTHORIZE else PAY
    assert shop.carry_out(ask(operation, 5, token=token, reference=reference), 7) == settled
    assert shop.payments == 1
    assert shop.charged_minor == (TOTAL_MINOR if operation in (CAPTURE, REFUND) else 0)


@pytest.mark.parametrize(
    ("before", "event", "answer"),
    [
        ([], authorize(), AUTHORIZED),
        ([authorize()], capture(), CAPTURED),
        ([authorize()], LET_GO, RecordVoided()),
        ([authorize(), capture()], GIVE_BACK, RecordRefunded(PAY, TOTAL_MINOR)),
    ],
    ids=["authorize", "capture", "void", "refund"],
)
def test_an_intent_taken_up_again_after_the_key_was_forgotten_is_looked_up_before_it_is_sent(
    before: list[Event], event: Event, answer: PaymentCommand
) -> None:
    """The process died with the answer in its hand and comes back a day later."""
    shop = Shop()
    for version, earlier in enumerate(before, 1):
        shop.carry_out(earlier, version)
    assert shop.carry_out(event, 9) == answer
    shop.now += 25 * HOUR
    assert shop.carry_out(event, 9, recorded_at=NOON) == answer
    assert shop.payments == 1
    [payment] = shop.provider.ledger()
    assert payment.captured_minor <= TOTAL_MINOR
    assert payment.refunded_minor <= payment.captured_minor


def test_a_call_that_arrives_after_it_was_given_up_and_sent_again_charges_nobody_twice() -> None:
    """It hung in the network: a look-up found nothing, and then both copies came in. Their key makes them one."""

    class Delayed(SandboxProvider):
        held: dict[str, Any] | None = None

        async def authorize(self, **call: Any) -> Authorized | Declined | ActionRequired:
            if self.held is None:
                self.held = call
                raise ProviderTimeout
            return await super().authorize(**call)

        async def arrive(self) -> None:
            assert self.held is not None
            await super().authorize(**self.held)

    shop = Shop()
    shop.provider = provider = Delayed(now=lambda: shop.now)
    shop.calls = PaymentCalls(provider, now=lambda: shop.now, timeout_s=5.0, action_ttl=THREE_DAYS)
    assert isinstance(shop.carry_out(authorize(), 1), RecordUnknown)
    assert shop.carry_out(ask(AUTHORIZE, 1, reference=None), 3) == AUTHORIZED
    asyncio.run(provider.arrive())
    assert shop.payments == 1


def test_an_old_intent_that_never_reached_the_provider_is_sent() -> None:
    shop = Shop()
    shop.now += 25 * HOUR
    assert shop.carry_out(authorize(), recorded_at=NOON) == AUTHORIZED


def test_each_silence_doubles_the_pause_up_to_an_hour() -> None:
    shop = Shop()
    shop.carry_out(authorize("tok_unavailable_99"))
    pauses = []
    for attempt in (1, 2, 3, 20):
        answer = shop.carry_out(ask(AUTHORIZE, 1, attempt=attempt, token="tok_unavailable_99", reference=None))
        assert isinstance(answer, RecordUnknown)
        pauses.append((answer.ask_at - NOON).total_seconds())
    assert pauses == [10, 20, 40, 3600]


def test_a_provider_that_hangs_is_an_unknown_outcome() -> None:
    shop = Shop(timeout_s=0.01)
    assert shop.carry_out(authorize("tok_slow")) == RecordUnknown(AUTHORIZE, NOON + 5 * SECOND)


# --- the buyer -------------------------------------------------------------------------------------------------------


def waiting_for_buyer() -> Shop:
    shop = Shop()
    shop.carry_out(authorize("tok_action"))
    return shop


def test_the_buyer_has_confirmed() -> None:
    shop = waiting_for_buyer()
    shop.provider.complete_action(PAY)
    assert shop.carry_out(ask(AUTHORIZE, 1, token="tok_action"), 3) == AUTHORIZED


def test_the_buyer_has_failed() -> None:
    shop = waiting_for_buyer()
    shop.provider.fail_action(PAY)
    assert shop.carry_out(ask(AUTHORIZE, 1, token="tok_action"), 3) == RecordDeclined("action_failed")


def test_the_buyer_has_done_nothing_yet() -> None:
    shop = waiting_for_buyer()
    shop.now += HOUR
    answer = shop.carry_out(ask(AUTHORIZE, 1, token="tok_action"), 3)
    assert answer == RecordActionRequired(PAY, NOON + HOUR + THREE_DAYS, NOON + HOUR)


def test_the_provider_gave_up_on_the_buyer_before_we_did() -> None:
    shop = waiting_for_buyer()
    shop.now += THREE_DAYS
    assert shop.carry_out(ask(AUTHORIZE, 1, token="tok_action"), 3) == RecordActionExpired()


def test_an_earlier_refusal_is_not_taken_for_the_answer_to_a_later_attempt() -> None:
    shop = Shop()
    shop.carry_out(authorize("tok_decline"), 1)
    assert isinstance(shop.carry_out(authorize("tok_timeout_before_charge"), 3), RecordUnknown)
    inquiry = ask(AUTHORIZE, 3, token="tok_timeout_before_charge", reference=None)
    assert shop.carry_out(inquiry, 5) == RecordAuthorized("pay_00000002", TOTAL_MINOR)


def test_a_refusal_whose_key_was_forgotten_is_not_asked_for_again() -> None:
    """The buyer failed, the answer was lost, and it was taken up again days later: not a second payment."""
    shop = Shop()
    shop.carry_out(authorize("tok_action"))
    shop.provider.fail_action(PAY)
    shop.now += 5 * DAY
    assert shop.carry_out(authorize("tok_action"), recorded_at=NOON) == RecordDeclined("action_failed")
    late = ask(AUTHORIZE, 1, attempt=20, token="tok_action", reference=None)
    assert shop.carry_out(late, 40) == RecordDeclined("action_failed")
    assert shop.payments == 1


def test_in_an_imported_history_the_buyers_time_runs_on_its_own_clock() -> None:
    shop = Shop()
    shop.now += 1000 * DAY
    intent = recorded(authorize("tok_action"), 1, shop.now, clock="online-retail")
    assert asyncio.run(shop.calls(intent)).command == RecordActionRequired(PAY, NOON + THREE_DAYS, NOON)


# --- refusals --------------------------------------------------------------------------------------------------------


def test_a_promise_that_has_lapsed_needs_not_be_let_go() -> None:
    """A backorder may wait longer than the seven days that a card scheme holds money."""
    shop = Shop()
    shop.carry_out(authorize())
    shop.now += 8 * DAY
    assert shop.carry_out(LET_GO, 3) == RecordVoided()


def test_money_that_was_let_go_under_another_key_needs_not_be_let_go_again() -> None:
    shop = Shop()
    shop.carry_out(authorize())
    shop.carry_out(LET_GO, 3)
    assert shop.carry_out(LET_GO, 5) == RecordVoided()


def test_money_that_was_taken_under_another_key_is_not_taken_again() -> None:
    shop = Shop()
    shop.carry_out(authorize())
    shop.carry_out(capture(), 3)
    assert shop.carry_out(capture(), 5) == CAPTURED
    assert shop.charged_minor == TOTAL_MINOR


def test_money_that_was_given_back_under_another_key_is_not_given_back_again() -> None:
    shop = Shop()
    shop.carry_out(authorize())
    shop.carry_out(capture(), 3)
    shop.carry_out(GIVE_BACK, 5)
    assert shop.carry_out(GIVE_BACK, 7) == RecordRefunded(PAY, TOTAL_MINOR)
    assert shop.provider.ledger()[0].refunded_minor == TOTAL_MINOR


def test_a_promise_that_has_lapsed_cannot_be_taken() -> None:
    shop = Shop()
    shop.carry_out(authorize())
    shop.now += 8 * DAY
    assert shop.carry_out(capture(), 3) == RecordCaptureFailed("payment_is_expired")


def test_a_wordy_provider_is_cut_to_what_an_event_takes() -> None:
    class Wordy(SandboxProvider):
        async def authorize(
            self, *, key: str, order_ref: str, amount_minor: int, currency: str, token: str
        ) -> Authorized | Declined:
            return Declined("no " * 400)

    shop = Shop()
    calls = PaymentCalls(Wordy(), now=lambda: NOON, timeout_s=5, action_ttl=THREE_DAYS)
    command = asyncio.run(calls(recorded(authorize(), 1, shop.now))).command
    assert isinstance(command, RecordDeclined)
    assert len(command.reason) == 500


def test_our_own_mistake_is_no_outcome() -> None:
    shop = Shop()
    shop.carry_out(authorize(), 1)
    with pytest.raises(IdempotencyKeyReused):
        shop.carry_out(capture(), 1)
