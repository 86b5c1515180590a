"""The port to whoever carries the parcels: what the shipping service needs of a carrier, and nothing more.

Guarantees a carrier gives
--------------------------
- `key` is the idempotency key and our reference on the shipment. The same purchase again with the same key answers
  what the first one answered and buys nothing. Carriers keep a shipment's reference for years, so keys do not expire.
  The same key with another shipment raises `IdempotencyKeyReused`.
- `find` asks by that key and has no side effect.
- An expected refusal (`LabelRefused`) is an answer. An exception is the lack of one:

    CarrierError
    ├── CarrierUnavailable      could not be reached, or answered with a fault of its own: outcome unknown
    ├── CarrierTimeout          did not answer in time: outcome unknown
    └── IdempotencyKeyReused    our mistake: this key belongs to another shipment; nothing was done

Outcome unknown means what it says, for both: `find`, or the same purchase with the same key, tells the truth later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from events.base import Address
from events.shipping import TrackingStatus


class CarrierError(Exception):
    """See the tree in the module's docstring."""


class CarrierUnavailable(CarrierError):
    """Not reached, or a fault on their side: a label may or may not have been bought."""


class CarrierTimeout(CarrierError):
    """No answer in time: a label may or may not have been bought."""


class IdempotencyKeyReused(CarrierError):
    """The key was used for another shipment. Nothing was done."""


@dataclass(frozen=True, slots=True)
class Shipment:
    """One parcel to be carried. `ship_to` is None where the channel keeps the address on file."""

    parcel_id: str
    order_ref: str
    from_location: str
    country: str
    ship_to: Address | None
    units: int
    weight_g: int
    """A guess, before the scales: carriers bill by what they weigh themselves."""
    service: str = "standard"
    ship_at: datetime | None = None
    """When the carrier gets the parcel, in the time of the order (an imported history has its own); None: now."""


@dataclass(frozen=True, slots=True)
class Label:
    """A bought label. `reference` is the carrier's own name for the shipment."""

    carrier: str
    tracking_number: str
    reference: str


@dataclass(frozen=True, slots=True)
class LabelRefused:
    """The carrier will not carry it as it is; nothing was bought."""

    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What the carrier saw of a parcel, when and where."""

    status: TrackingStatus
    scanned_at: datetime
    place: str


class Carrier(Protocol):
    """The three things we ask of a carrier. See the module's docstring for what each guarantees and raises."""

    async def buy_label(self, *, key: str, shipment: Shipment) -> Label | LabelRefused:
        """Have the parcel accepted for carriage."""

    async def find(self, *, key: str) -> Label | None:
        """The label that was bought under this key, if one was."""

    async def track(self, *, tracking_number: str) -> list[Scan]:
        """Every scan so far, oldest first; empty if the carrier knows no such parcel (yet)."""
