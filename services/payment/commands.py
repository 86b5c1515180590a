"""What the payment decider can be asked: first what the order wants, then what came of a call to the provider."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from events.payment import PaymentOperation


class AuthorizePayment(NamedTuple):
    order_id: str
    amount_minor: int
    currency: str
    payment_token: str


class CapturePayment(NamedTuple):
    order_id: str
    amount_minor: int


class UndoPayment(NamedTuple):
    """Let the authorization go; give the money back if it was taken."""

    order_id: str


class AskProvider(NamedTuple):
    """Find out what became of the open operation: it is time, or somebody said that something changed.

    With an `attempt` only if that is the one without an answer: whose time has come later than another question was
    asked (by a webhook, by a second timekeeper) has nothing to ask any more, or questions would beget questions.
    """

    operation: PaymentOperation | None = None
    attempt: int | None = None


class ExpireAction(NamedTuple):
    """The buyer's time to act is over."""


class RecordAuthorized(NamedTuple):
    reference: str
    amount_minor: int


class RecordDeclined(NamedTuple):
    reason: str


class RecordActionRequired(NamedTuple):
    """`now` decides whether the buyer's time is over."""

    reference: str
    expires_at: datetime
    now: datetime


class RecordActionExpired(NamedTuple):
    """The provider waits for the buyer no longer."""


class RecordCaptured(NamedTuple):
    reference: str
    amount_minor: int


class RecordCaptureFailed(NamedTuple):
    reason: str


class RecordVoided(NamedTuple):
    pass


class RecordRefunded(NamedTuple):
    reference: str
    amount_minor: int


class RecordUndoFailed(NamedTuple):
    operation: PaymentOperation
    reason: str


class RecordUnknown(NamedTuple):
    """No answer. Ask again at `ask_at`."""

    operation: PaymentOperation
    ask_at: datetime


PaymentCommand = (
    AuthorizePayment
    | CapturePayment
    | UndoPayment
    | AskProvider
    | ExpireAction
    | RecordAuthorized
    | RecordDeclined
    | RecordActionRequired
    | RecordActionExpired
    | RecordCaptured
    | RecordCaptureFailed
    | RecordVoided
    | RecordRefunded
    | RecordUndoFailed
    | RecordUnknown
)
