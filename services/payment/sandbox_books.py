"""The sandbox provider's books: its payments, and what it answered under which key. No I/O, no clock.

A call is decided into a record; the record is journaled (services/payment/sandbox.py) and then applied here. A restart
applies the same records again: there is one way only for a thing to have happened.

    ("authorize", at_s, key, order_ref, amount_minor, currency, token, state, reason)
    ("capture",   at_s, key, reference, amount_minor, refused_because)      "" if it was done
    ("void",      at_s, key, reference, refused_because)
    ("refund",    at_s, key, reference, amount_minor, refused_because)
    ("action",    at_s, reference, failed_because)                          what the buyer did
    ("stumble",   order_ref)                                                nothing was done, and no answer given

Times are seconds since 1970, amounts minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any, Final

from services.payment.provider import (
    KEY_LIFETIME,
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    IdempotencyKeyReused,
    Payment,
    PaymentState,
    Refunded,
    Refused,
    Voided,
)
from services.payment.sandbox_tokens import authorization, refuses

KEY_LIFETIME_S: Final = KEY_LIFETIME.total_seconds()
ACTION_LIFETIME_S: Final = timedelta(hours=24).total_seconds()
"""A buyer who has not acted by then will not: the payment is expired."""
AUTHORIZATION_LIFETIME_S: Final = timedelta(days=7).total_seconds()
"""As long as card schemes let a shop hold money it has not taken."""
MAX_REMEMBERED_KEYS: Final = 250_000
"""Keys are forgotten in generations of this many, before their 24 hours if need be: at some 500 bytes a key, the memory
they take stays below 250 MB under any load. A retry that comes so many calls late has to `find` first anyway."""

Answer = Authorized | Declined | ActionRequired | Captured | Voided | Refunded | Refused
Record = tuple[Any, ...]
Call = tuple[Any, ...]
"""An operation's name and its parameters, in the order of the record."""


SHAPES: Final = {
    "authorize": (float, str, str, int, str, str, str, str),
    "capture": (float, str, str, int, str),
    "void": (float, str, str, str),
    "refund": (float, str, str, int, str),
    "action": (float, str, str),
    "stumble": (str,),
}
"""The types of the records' fields, as above."""


class Account:
    """One payment. `since_s` is when it came into its state."""

    __slots__ = ("amount_minor", "captured_minor", "currency", "order_ref", "reason", "reference", "refunded_minor",
                 "since_s", "state", "token")  # fmt: skip

    def __init__(self, reference: str, record: Record) -> None:
        _, self.since_s, _, self.order_ref, self.amount_minor, self.currency, self.token, state, self.reason = record
        self.reference = reference
        self.state = PaymentState(state)
        self.captured_minor = 0
        self.refunded_minor = 0

    def state_at(self, now_s: float) -> PaymentState:
        """Promises lapse by themselves: no record is needed for that."""
        age_s = now_s - self.since_s
        if self.state is PaymentState.AUTHORIZED and age_s >= AUTHORIZATION_LIFETIME_S:
            return PaymentState.EXPIRED
        if self.state is PaymentState.REQUIRES_ACTION and age_s >= ACTION_LIFETIME_S:
            return PaymentState.EXPIRED
        return self.state

    def moved(self, state: PaymentState, at_s: float) -> None:
        self.state = state
        self.since_s = at_s

    def as_payment(self, now_s: float) -> Payment:
        return Payment(
            reference=self.reference,
            order_ref=self.order_ref,
            state=self.state_at(now_s),
            currency=self.currency,
            amount_minor=self.amount_minor,
            captured_minor=self.captured_minor,
            refunded_minor=self.refunded_minor,
            reason=self.reason,
        )


class Keys:
    """What was answered under which idempotency key, for 24 hours.

    Keys are forgotten by generations: dropping a whole dict costs nothing, looking for old keys at every call would.
    """

    def __init__(self) -> None:
        self._young: dict[str, tuple[Record, Answer]] = {}
        self._old: dict[str, tuple[Record, Answer]] = {}

    def answer_to(self, key: str, call: Call, now_s: float) -> Answer | None:
        """What this call was answered, or None if the key is new or forgotten."""
        known = self._young.get(key) or self._old.get(key)
        if known is None:
            return None
        record, answer = known
        if now_s - record[1] >= KEY_LIFETIME_S:
            return None
        if _call_of(record) != call:
            raise IdempotencyKeyReused(f"the key of a {record[0]} came again for another {call[0]}")
        return answer

    def remember(self, record: Record, answer: Answer) -> None:
        if len(self._young) >= MAX_REMEMBERED_KEYS:
            self._old, self._young = self._young, {}
        self._young[record[2]] = (record, answer)


def _call_of(record: Record) -> Call:
    outcome_fields = 2 if record[0] == "authorize" else 1
    return (record[0], *record[3:-outcome_fields])


class Books:
    """Payments by reference and by order."""

    def __init__(self) -> None:
        self.keys = Keys()
        self._accounts: dict[str, Account] = {}
        self._by_order: dict[str, Account] = {}
        self._stumbles: dict[str, int] = {}
        self._appliers: dict[str, Callable[[Record], Answer | None]] = {
            "authorize": self._authorize,
            "capture": self._capture,
            "void": self._void,
            "refund": self._refund,
            "action": self._action,
            "stumble": self._stumble,
        }

    def accounts(self) -> Iterable[Account]:
        return self._accounts.values()

    def account(self, reference: str) -> Account | None:
        return self._accounts.get(reference)

    def account_of_order(self, order_ref: str) -> Account | None:
        return self._by_order.get(order_ref)

    def stumbles(self, order_ref: str) -> int:
        return self._stumbles.get(order_ref, 0)

    def decide(self, key: str, call: Call, now_s: float) -> Record:
        """The record that answers this call."""
        operation = call[0]
        if operation == "authorize":
            return (operation, now_s, key, *call[1:], *authorization(call[2], call[4]))
        account = self._accounts.get(call[1])
        refused_because = "unknown_reference" if account is None else _refusal(account, call, now_s)
        return (operation, now_s, key, *call[1:], refused_because)

    def apply(self, record: Record) -> Answer | None:
        """Make it so; returns what is to be answered, if the record is of a call."""
        answer = self._appliers[record[0]](record)
        if answer is not None:
            self.keys.remember(record, answer)
        return answer

    def _authorize(self, record: Record) -> Answer:
        account = Account(f"pay_{len(self._accounts) + 1:08d}", record)
        self._accounts[account.reference] = account
        if account.state is not PaymentState.DECLINED or account.order_ref not in self._by_order:
            self._by_order[account.order_ref] = account
        self._stumbles.pop(account.order_ref, None)
        return _first_answer(account)

    def _capture(self, record: Record) -> Answer:
        _, at_s, _, reference, amount_minor, refused_because = record
        if refused_because:
            return Refused(refused_because)
        account = self._accounts[reference]
        account.captured_minor = amount_minor
        account.moved(PaymentState.CAPTURED, at_s)
        return Captured(account.reference, amount_minor)

    def _void(self, record: Record) -> Answer:
        _, at_s, _, reference, refused_because = record
        if refused_because:
            return Refused(refused_because)
        account = self._accounts[reference]
        account.moved(PaymentState.VOIDED, at_s)
        return Voided(account.reference)

    def _refund(self, record: Record) -> Answer:
        _, at_s, _, reference, amount_minor, refused_because = record
        if refused_because:
            return Refused(refused_because)
        account = self._accounts[reference]
        account.refunded_minor += amount_minor
        if account.refunded_minor == account.captured_minor:
            account.moved(PaymentState.REFUNDED, at_s)
        return Refunded(account.reference, amount_minor)

    def _action(self, record: Record) -> None:
        _, at_s, reference, failed_because = record
        account = self._accounts[reference]
        account.moved(PaymentState.DECLINED if failed_because else PaymentState.AUTHORIZED, at_s)
        account.reason = failed_because

    def _stumble(self, record: Record) -> None:
        self._stumbles[record[1]] = self.stumbles(record[1]) + 1


def _first_answer(account: Account) -> Answer:
    if account.state is PaymentState.AUTHORIZED:
        return Authorized(account.reference)
    if account.state is PaymentState.REQUIRES_ACTION:
        return ActionRequired(account.reference)
    return Declined(account.reason)


def _refusal(account: Account, call: Call, now_s: float) -> str:
    """Why the provider will not do it; "" if nothing stands against it."""
    operation = call[0]
    if refuses(account.token, operation):
        return f"{operation}_refused_by_issuer"
    if operation == "capture":
        return _no_capture(account, call[2], now_s)
    if operation == "void":
        return _no_void(account, now_s)
    return _no_refund(account, call[2])


def _no_capture(account: Account, amount_minor: int, now_s: float) -> str:
    state = account.state_at(now_s)
    if state is not PaymentState.AUTHORIZED:
        return f"payment_is_{state}"
    if amount_minor > account.amount_minor:
        return "amount_over_authorized"
    # A payment of nothing can be authorized (a voucher paid for everything), and then captured.
    return "" if amount_minor > 0 or amount_minor == account.amount_minor else "amount_not_positive"


def _no_void(account: Account, now_s: float) -> str:
    state = account.state_at(now_s)
    return "" if state in (PaymentState.AUTHORIZED, PaymentState.REQUIRES_ACTION) else f"payment_is_{state}"


def _no_refund(account: Account, amount_minor: int) -> str:
    if not account.captured_minor:
        return "nothing_captured"
    if amount_minor <= 0:
        return "amount_not_positive"
    return "" if account.refunded_minor + amount_minor <= account.captured_minor else "amount_over_captured"
