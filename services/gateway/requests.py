"""What callers send: the request bodies, and the events they become.

Money is exact decimal text in major units ("12.50"), as in the unit prices: a JSON number would come through a float
somewhere on its way. SKUs are folded to upper case, as the log writes them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from events.base import MAX_LINES, MAX_QUANTITY, Address, Contact, Currency, Location, Quantity, Sku
from events.gateway import (
    LowStockThresholdReported,
    ReservationReported,
    SignedQuantity,
    StockAdjustmentReported,
    StockExpectedReported,
    StockReceiptReported,
)
from events.money import minor_exponent
from events.order import Charge, Hold, OrderKey, OrderLine, OrderPlaced, UnitPrice

DEFAULT_LOCATION = "main"

# No control characters: a line break in a channel would make two different orders one id, and nobody means the others.
_Line = StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]*$")
Text = Annotated[str, _Line]
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
Described = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Amount = Annotated[str, StringConstraints(pattern=r"^-?[0-9]{1,12}(\.[0-9]{1,6})?$")]
"""Money in major units as exact decimal text: "12.50"."""


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) and value.isascii() else value


AnySku = Annotated[Sku, BeforeValidator(_upper)]


def _number(value: object) -> object:
    """What says `true` or "7" where a number belongs is mistaken: nobody shall guess what it meant."""
    if isinstance(value, bool | str):
        raise ValueError("Input should be a whole number")
    return value


Whole = BeforeValidator(_number)
Units = Annotated[Quantity, Whole]

PersonT = TypeVar("PersonT", Contact, Address)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _printable(person: PersonT) -> PersonT:
    """The message names no field: pydantic puts the place in front of it."""
    texts = [text for value in person.model_dump().values() for text in (value if isinstance(value, list) else [value])]
    if any(_CONTROL.search(text) for text in texts if text is not None):
        raise ValueError("control characters are not allowed")
    return person


Person = Annotated[Contact, AfterValidator(_printable)]
Destination = Annotated[Address, AfterValidator(_printable)]


class Body(BaseModel):
    """A request body. A field that we do not know is a mistake that its sender should hear of."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# --- orders --------------------------------------------------------------------------------------------------------


class LineBody(Body):
    sku: AnySku
    quantity: Units
    unit_price: Annotated[UnitPrice, Field(description="Major units, exact decimal text; may have more decimals.")]
    description: Described = ""


class ChargeBody(Body):
    kind: Annotated[Text, Field(examples=["postage"])]
    amount: Annotated[Amount, Field(description="Major units, exact decimal text; negative for a discount.")]
    description: Described = ""


class OrderBody(Body):
    """An order as the shop took it."""

    channel: Annotated[Text, Field(description="Where it was placed.", examples=["web"])]
    number: Annotated[Text, Field(description="The channel's own order number.", examples=["10001"])]
    currency: Annotated[Currency, Field(examples=["GBP"])]
    lines: Annotated[list[LineBody], Field(min_length=1, max_length=MAX_LINES)]
    charges: Annotated[list[ChargeBody], Field(max_length=MAX_LINES)] = []
    total: Annotated[Amount, Field(description="Lines and charges, in major units, exact decimal text.")]
    payment_token: Annotated[Text, Field(examples=["tok_ok"])]
    customer: Annotated[Text | None, Field(description="The channel's customer number; none for a guest.")] = None
    contact: Person | None = None
    ship_to: Destination
    reservation_id: Annotated[Text | None, Field(description="The reservation that this order uses up.")] = None

    @model_validator(mode="after")
    def _amounts_fit_the_currency(self) -> OrderBody:
        exponent = minor_exponent(self.currency)
        if exponent is None:
            raise ValueError("the currency is none of ISO 4217 that people pay in")
        if any(_decimals(amount) > exponent for amount in (self.total, *[charge.amount for charge in self.charges])):
            raise ValueError(f"total and charges may have at most {exponent} decimals in {self.currency}")
        return self

    def placed(self) -> OrderPlaced:
        return OrderPlaced(
            order_id=OrderKey(self.channel, self.number).order_id,
            channel=self.channel,
            number=self.number,
            currency=self.currency,
            country=self.ship_to.country,
            lines=[OrderLine(**dict(line)) for line in self.lines],
            charges=[self._charge(charge) for charge in self.charges],
            total_minor=self._minor(self.total),
            payment_token=self.payment_token,
            customer=self.customer,
            contact=self.contact,
            ship_to=self.ship_to,
            reservation_id=self.reservation_id,
        )

    def _charge(self, charge: ChargeBody) -> Charge:
        return Charge(kind=charge.kind, amount_minor=self._minor(charge.amount), description=charge.description)

    def _minor(self, amount: str) -> int:
        exponent = minor_exponent(self.currency)
        assert exponent is not None
        whole, _, fraction = amount.partition(".")
        return int(whole + fraction[:exponent].ljust(exponent, "0"))


def _decimals(amount: str) -> int:
    """Those that say something: "12.500" has one."""
    return len(amount.partition(".")[2].rstrip("0"))


class CancelBody(Body):
    reason: Sentence


class HoldBody(Body):
    hold: Annotated[
        Literal[Hold.MANUAL, Hold.FRAUD, Hold.CUSTOMER_REQUEST, Hold.PREORDER],
        Field(description="The holds that people place; the others follow from what happens."),
    ] = Hold.MANUAL
    note: Annotated[Sentence, Field(description="Why, and what would end it. No personal data: it is shown.")]


class ReleaseBody(Body):
    payment_token: Annotated[Text | None, Field(description="Replaces the declined one.")] = None


class CorrectBody(Body):
    """What is left out stays as it was."""

    contact: Person | None = None
    ship_to: Destination | None = None

    @model_validator(mode="after")
    def _something(self) -> CorrectBody:
        if self.contact is None and self.ship_to is None:
            raise ValueError("send a contact, a ship_to, or both")
        return self


# --- stock ---------------------------------------------------------------------------------------------------------


class StockLine(Body):
    sku: AnySku
    location: Location = DEFAULT_LOCATION
    quantity: Units


class AdjustmentLine(Body):
    sku: AnySku
    location: Location = DEFAULT_LOCATION
    quantity: Annotated[SignedQuantity, Whole, Field(description="Units found (positive) or missing (negative).")]


class ReservedLine(Body):
    sku: AnySku
    quantity: Units


class ThresholdLine(Body):
    sku: AnySku
    threshold: Annotated[
        int, Whole, Field(ge=0, le=MAX_QUANTITY, description="Low at or below so many available units.")
    ]


Reference = Annotated[Text, Field(description="The sender's own name for this report: sent again, it is the same.")]


class DeliveryBody(Body):
    """Goods that have come, or are on their way."""

    reference: Reference
    lines: Annotated[list[StockLine], Field(min_length=1, max_length=MAX_LINES)]

    def received(self) -> StockReceiptReported:
        return StockReceiptReported(reference=self.reference, lines=_by_location(self.lines))

    def expected(self) -> StockExpectedReported:
        return StockExpectedReported(reference=self.reference, lines=_by_location(self.lines))


class AdjustmentBody(Body):
    """A count, or a write-off."""

    reference: Reference
    reason: Sentence
    lines: Annotated[list[AdjustmentLine], Field(min_length=1, max_length=MAX_LINES)]

    def adjusted(self) -> StockAdjustmentReported:
        lines = _by_location(self.lines)
        return StockAdjustmentReported(reference=self.reference, reason=self.reason, lines=lines)


class ReservationBody(Body):
    """A soft hold for a basket at the till."""

    reservation_id: Annotated[Text, Field(description="The shop's own name for it.")]
    lines: Annotated[list[ReservedLine], Field(min_length=1, max_length=MAX_LINES)]
    ttl_s: Annotated[int, Whole, Field(ge=1, le=86_400, description="How long, in seconds.")] = 900

    def reserved(self) -> ReservationReported:
        units: dict[str, int] = defaultdict(int)
        for line in self.lines:
            units[line.sku] += line.quantity
        return ReservationReported(reservation_id=self.reservation_id, lines=dict(units), ttl_s=self.ttl_s)


class ThresholdsBody(Body):
    reference: Reference
    thresholds: Annotated[list[ThresholdLine], Field(min_length=1, max_length=MAX_LINES)]

    @model_validator(mode="after")
    def _each_once(self) -> ThresholdsBody:
        if len({line.sku for line in self.thresholds}) < len(self.thresholds):
            raise ValueError("a SKU has two thresholds; send one for each")
        return self

    def wanted(self) -> LowStockThresholdReported:
        thresholds = {line.sku: line.threshold for line in self.thresholds}
        return LowStockThresholdReported(reference=self.reference, thresholds=thresholds)


def _by_location(lines: list[StockLine] | list[AdjustmentLine]) -> dict[str, dict[str, int]]:
    """Several lines of one SKU at one location are one quantity; the event has the bounds."""
    units: dict[str, dict[str, int]] = {}
    for line in lines:
        here = units.setdefault(line.location, {})
        here[line.sku] = here.get(line.sku, 0) + line.quantity
    return units
