"""What the auditor remembers while it reads: of every open order a case, of every SKU its balances.

Bounded by what is open: an order that is closed and settled is forgotten, its streams' versions with it (if anything
comes later, verify.py reads it back). What stays is one entry per SKU and location.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from events.base import Postings, Quantities, Recorded
from events.order import Hold, PaymentRequested, order_stream
from events.payment import PaymentOperation, payment_stream
from events.shipping import fulfillment_stream
from services.audit.law import Law, Violation, violation


class Status(StrEnum):
    """The order's axis. NONE: nothing was placed."""

    NONE = "not placed"
    PLACED = "placed"
    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    COMPLETED = "completed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


CLOSED = (Status.COMPLETED, Status.REJECTED, Status.CANCELLED, Status.EXPIRED)


class Stage(StrEnum):
    """The axis of one location's part of an order. NONE: asked for, not taken up yet."""

    NONE = "not open"
    OPEN = "open"
    PICKED = "picked"
    PACKED = "packed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Part(Struct):
    """One location's part of an order.

    stop_asked   the order asked to stop it
    stopped      the order noted that it has stopped
    left         the order noted that it has left
    asking       the carrier is being asked now; `unknown`: it did not answer
    label_key    the event id of the first intent of the label
    """

    location: str
    lines: Quantities
    stage: Stage = Stage.NONE
    stop_asked: bool = False
    stopped: bool = False
    left: bool = False
    asking: bool = False
    unknown: bool = False
    label_key: str = ""
    tracking_number: str = ""


class Money(Struct):
    """One order's money. Amounts are in minor units of the order's currency.

    asked, capture_asked, void_asked   what the order has asked for and payment has not taken up
    capture_requested                  the order has asked for a capture, and it has not failed
    operation, amount_minor, key       the call that is open, what it is for, and the event id of its first intent
    asking                             whether the provider is being asked now
    awaits_buyer                       the provider waits for the buyer; `expired`: too long
    unauthorized, uncaptured           how many intents to do so were not followed by its having been done
    """

    asked: PaymentRequested | None = None
    capture_asked: int | None = None
    capture_requested: bool = False
    void_asked: Recorded | None = None
    void_failed: bool = False
    operation: PaymentOperation | None = None
    amount_minor: int = 0
    key: str = ""
    asking: bool = False
    awaits_buyer: bool = False
    expired: bool = False
    unauthorized: int = 0
    uncaptured: int = 0
    reference: str = ""
    authorized_by: Recorded | None = None
    authorized_minor: int = 0
    captured_minor: int = 0
    refunded_minor: int = 0

    @property
    def held_minor(self) -> int:
        """What we hold of the buyer's money, promised or taken."""
        return self.authorized_minor - self.refunded_minor


class Case(Struct):
    """One order, as all services tell of it.

    wanted      the goods whose allocation was asked for and has not been answered; `backordered` is no final answer
    refused     inventory does not know the goods
    allocated   what is promised and has neither left nor been given back
    release     the open request to give it back
    leaving     event id -> an `OrderLinesShipped` that the ledger has not booked
    unsent      what the order confirmed and no fulfillment sends
    closed_by   the event that ended the order
    """

    order_id: str
    status: Status = Status.NONE
    total_minor: int = 0
    currency: str = ""
    billed_minor: int | None = None
    ordered: Quantities = {}
    holds: set[Hold] = field(default_factory=set)
    cancelling: bool = False
    money: Money = field(default_factory=Money)
    wanted: Quantities | None = None
    refused: bool = False
    allocated: Postings | None = None
    release: Recorded | None = None
    leaving: dict[str, Recorded] = field(default_factory=dict)
    unsent: Postings = field(default_factory=dict)
    parts: dict[str, Part] = field(default_factory=dict)
    closed_by: Recorded | None = None

    @property
    def settled(self) -> bool:
        """Closed, and nothing is open in any of its streams or in the ledger."""
        if self.status not in CLOSED or self.allocated or self.leaving or self.wanted or self.release:
            return False
        money = self.money
        if money.operation or (money.held_minor and self.status is not Status.COMPLETED):
            return False
        return all(part.stage in (Stage.DELIVERED, Stage.CANCELLED) for part in self.parts.values())

    def streams(self) -> list[str]:
        return [order_stream(self.order_id), payment_stream(self.order_id), *map(fulfillment_stream, self.parts)]


class Books:
    """Everything the auditor remembers, and the violations it found.

    at            the event that is being checked
    versions      stream -> its latest version, for streams that are open
    free          location -> SKU -> units on hand that are neither allocated nor reserved
    incoming      location -> SKU -> units that are announced
    reservations  reservation id -> what it holds
    reports       event id -> a report about stock that the ledger has not booked
    parked        (consumer, position) of what waits for a person; `dropped`: of what shall not be handled
    closing       orders that may be settled when the page is done
    """

    # The first ones tell what is wrong; the rest usually follows from them.
    MAX_VIOLATIONS = 100

    at: Recorded

    def __init__(self) -> None:
        self.cases: dict[str, Case] = {}
        self.versions: dict[str, int] = {}
        self.free: dict[str, dict[str, int]] = {}
        self.incoming: dict[str, dict[str, int]] = {}
        self.reservations: dict[str, Postings] = {}
        self.reports: dict[str, Recorded] = {}
        self.parked: set[tuple[str, int]] = set()
        self.dropped: set[tuple[str, int]] = set()
        self.closing: set[str] = set()
        self.violations: list[Violation] = []
        self.violated = 0
        self.muted = False

    def tell(self, law: Law, detail: str, *, at: Recorded | None = None) -> None:
        """Note that the event in hand, or `at`, breaks a law."""
        if self.muted:
            return
        self.violated += 1
        if len(self.violations) < self.MAX_VIOLATIONS:
            self.violations.append(violation(law, at or self.at, detail))

    def may_be_settled(self, case: Case) -> None:
        """Look at it when the page is done: what ends an order often comes in several events."""
        self.closing.add(case.order_id)

    def forget_settled(self) -> None:
        for order_id in self.closing:
            case = self.cases.get(order_id)
            if case is not None and case.settled:
                del self.cases[order_id]
                for stream in case.streams():
                    self.versions.pop(stream, None)
        self.closing.clear()

    def excused(self, consumer: str, position: int) -> bool:
        """Whether the consumer has parked this event, or a person has decided that it shall not be handled."""
        return (consumer, position) in self.parked or (consumer, position) in self.dropped
