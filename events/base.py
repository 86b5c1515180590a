"""What every event is: its data (`Event`) and the envelope it is recorded in (`Recorded`).

The envelope's fields
---------------------
position        place in the one global order of the log, from 1; the only order that counts
stream, version which history it belongs to, and its place there, from 1
type            the spelling of the event's class in the log, e.g. "order.placed.v2"
occurred_at     business time (UTC): when it happened in the world
recorded_at     store time (UTC): when the log took it in
correlation_id  the business process it belongs to, usually the order id
causation_id    the id of the event, or of the request, that made us decide it
actor           who asked: a service's name, "http", "import", "cli"
clock           whose time `occurred_at` and its deadlines follow: "wall", or the name of an imported history
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

WALL_CLOCK = "wall"

_set_attribute = object.__setattr__  # events are frozen to everybody else

# Bounds on what the language can say. They are generous for trade and small for a computer: a number outside of
# them is a typing error or an attack, and 64-bit sums of them cannot overflow.
MAX_QUANTITY = 10_000_000
MAX_LINES = 2_000
MAX_AMOUNT_MINOR = 10**15

# Upper case only: shops write one article in several letter cases, the log writes it in one.
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9._/ -]{0,39}$")]
Location = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Note = Annotated[str, StringConstraints(max_length=500)]
Quantity = Annotated[int, Field(ge=1, le=MAX_QUANTITY)]
AmountMinor = Annotated[int, Field(ge=0, le=MAX_AMOUNT_MINOR)]
"""Money that is charged: an integer count of the currency's minor unit (pence, cents, yen)."""

# What has come in was checked in full (`Sku`, `Location`); what we derive from it is checked for size alone, because
# an order of 200 lines names its SKUs in eight more events.
_Known = Annotated[str, StringConstraints(min_length=1, max_length=40)]

Quantities = dict[_Known, Quantity]
"""Units per SKU: {"85123A": 6}."""
Postings = dict[_Known, dict[_Known, Quantity]]
"""Units per location and SKU, as a ledger posts them: {"LDN": {"85123A": 4}, "MAN": {"85123A": 2}}.

Location first: an order's goods come from one location as a rule, so that its 20 SKUs are one map and not 20 maps of
one. Where there are no units there is no entry."""


class Event(BaseModel):
    """One thing that happened: past tense, immutable, complete in itself.

    `type` is its spelling in the log; it never changes once written. A new shape is a new class with a new version,
    an upcaster in events/codec.py and a new golden file in tests/history.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    type: ClassVar[str] = ""

    @classmethod
    def of_known(cls, **fields: object) -> Self:
        """The event with exactly these fields, all of them taken from other events or from our own arithmetic.

        What comes in is validated line by line, once. What we derive from it is not validated again: an order of 200
        lines names them in eight more events, which were a tenth of the whole pipeline's time. Give every field.
        """
        event = cls.__new__(cls)
        _set_attribute(event, "__dict__", fields)
        _set_attribute(event, "__pydantic_fields_set__", cls.__pydantic_fields__.keys())
        _set_attribute(event, "__pydantic_extra__", None)
        _set_attribute(event, "__pydantic_private__", None)
        return event


class Value(BaseModel):
    """A part of an event without an identity of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Contact(Value):
    """How to reach the buyer. Personal data: only `order.placed` and `order.corrected` carry it; never log it."""

    name: Annotated[str, StringConstraints(max_length=200)]
    email: Annotated[str, StringConstraints(max_length=254)] | None = None
    phone: Annotated[str, StringConstraints(max_length=40)] | None = None

    def __repr__(self) -> str:
        return "Contact(…)"

    __str__ = __repr__


class Address(Value):
    """Where goods go. Personal data: only `order.placed` and `order.corrected` carry it; never log it."""

    lines: Annotated[list[Annotated[str, StringConstraints(min_length=1, max_length=200)]], Field(max_length=4)]
    city: Annotated[str, StringConstraints(max_length=100)] = ""
    region: Annotated[str, StringConstraints(max_length=100)] = ""
    postal_code: Annotated[str, StringConstraints(max_length=20)] = ""
    country: Country

    def __repr__(self) -> str:
        return f"Address(…, country={self.country!r})"

    __str__ = __repr__


class Recorded(NamedTuple):
    """An event as the log holds it. See the module's docstring for the fields."""

    position: int
    stream: str
    version: int
    type: str
    event: Event
    occurred_at: datetime
    recorded_at: datetime
    correlation_id: str
    causation_id: str
    actor: str
    clock: str = WALL_CLOCK

    @property
    def id(self) -> str:
        """The event's identity, derived from its place: unique in one log, stable over every replay."""
        return f"{self.stream}/{self.version}"


class NewEvent(NamedTuple):
    """An event on its way into the log: the store adds position, version and recorded_at."""

    event: Event
    occurred_at: datetime
    correlation_id: str
    causation_id: str
    actor: str
    clock: str = WALL_CLOCK


class Write(NamedTuple):
    """Events for one stream, to be appended only if the stream is still at `expected_version` (0: must not exist)."""

    stream: str
    expected_version: int
    events: list[NewEvent]


class Tracked(NamedTuple):
    """How far a consumer has got: written in the same transaction as what it decided.

    `position` must be ahead of what the log has of the consumer. With `after` (0: nothing yet) the log must have
    exactly that: the consumer's events from there on are handled by this append, and nobody else has handled a part of
    them. Without it, `position` only notes that all before it is settled in the log: true, whoever says so.
    """

    consumer: str
    position: int
    after: int | None = None

    def follows(self, tracked: int) -> bool:
        """Whether it may be written when the log has `tracked` of the consumer."""
        return self.position > tracked and self.after in (None, tracked)


Instant = AwareDatetime
"""A point in time with its offset; stored as UTC."""
