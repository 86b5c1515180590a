"""The port to whoever moves the money: what the payment service needs of a provider, and nothing more.

Guarantees a provider gives
---------------------------
- `key` is the idempotency key. The same call again with the same key answers what the first one answered and moves no
  money. The same key with other parameters raises `IdempotencyKeyReused`.
- A provider forgets its keys after `KEY_LIFETIME`. Whoever sends an older call again must `find` first, or it may
  move the money twice. That is the caller's duty.
- `find` asks by *our* reference of the order and has no side effect.
- An expected refusal (`Declined`, `Refused`) is an answer. An exception is the lack of one:

    ProviderError
    ├── ProviderUnavailable     could not be reached, or answered with a fault of its own: outcome unknown
    ├── ProviderTimeout         did not answer in time: outcome unknown
    └── IdempotencyKeyReused    our mistake: this key belongs to another call; nothing was done

Outcome unknown means what it says, for both: `find`, or the same call with the same key, tells the truth later.

Amounts are integer minor units of the payment's ISO 4217 currency.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

KEY_LIFETIME = timedelta(hours=24)
"""As long as providers in the field promise to remember a key."""


class ProviderError(Exception):
    """See the tree in the module's docstring."""


class ProviderUnavailable(ProviderError):
    """Not reached, or a fault on their side: the operation may or may not have happened."""


class ProviderTimeout(ProviderError):
    """No answer in time: the operation may or may not have happened."""


class IdempotencyKeyReused(ProviderError):
    """The key was used for another call. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Authorized:
    """The money is promised; `reference` is the provider's own name for the payment."""

    reference: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The money is not promised; final for this key."""

    reason: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """The buyer has to act first (3-D Secure, a redirect). `find` tells when they did."""

    reference: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The money was taken."""

    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Voided:
    """The promise was let go."""

    reference: str


@dataclass(frozen=True, slots=True)
class Refunded:
    """Captured money was given back."""

    reference: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will not do it; nothing changed."""

    reason: str


class PaymentState(StrEnum):
    """Where a payment stands at the provider."""

    REQUIRES_ACTION = "requires_action"
    AUTHORIZED = "authorized"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"
    DECLINED = "declined"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Payment:
    """What the provider knows about one payment. `state` is refunded only once everything captured was given back."""

    reference: str
    order_ref: str
    state: PaymentState
    currency: str
    amount_minor: int
    captured_minor: int = 0
    refunded_minor: int = 0
    reason: str = ""
    """Why it was declined; empty otherwise."""


class PaymentProvider(Protocol):
    """The five things we ask of a provider. See the module's docstring for what each guarantees and raises."""

    async def authorize(
        self, *, key: str, order_ref: str, amount_minor: int, currency: str, token: str
    ) -> Authorized | Declined | ActionRequired:
        """Have the money promised. `token` is the buyer's means of payment, as the shop's checkout got it."""

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | Refused:
        """Take promised money, once, at most what was authorized; what is left of the promise is let go."""

    async def void(self, *, key: str, reference: str) -> Voided | Refused:
        """Let the promise go. Refused once the money was captured: then refund."""

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | Refused:
        """Give captured money back, in one part or several, at most what was captured."""

    async def find(self, *, order_ref: str) -> Payment | None:
        """The newest payment for this order that was not declined; else the newest; None if there never was one."""
