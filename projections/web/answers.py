"""The shapes of what queries answer, for the API's description. Tests hold the real answers against them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Amount = Annotated[str | None, Field(description="Exact decimal text in major units; none for an unknown currency.")]


class Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(Answer):
    code: str
    where: str
    message: str


class Fulfillment(Answer):
    """One location's part of an order."""

    state: str
    location: str | None
    units: int
    carrier: str | None
    tracking_number: str | None
    tracking_status: str | None
    tracked_at: str | None
    label: Annotated[str | None, Field(description="What keeps the parcel from having its label.")]


class OrderLine(Answer):
    sku: str
    quantity: int
    unit_price: str
    description: str


class Charge(Answer):
    kind: str
    amount_minor: int
    description: str


class OrderBrief(Answer):
    """An order in a list."""

    order_id: str
    channel: str
    number: str
    status: str
    holds: list[str]
    payment: str | None
    currency: str
    total: Amount
    units: int
    placed_at: str
    updated_position: int


class Order(Answer):
    """An order as of `updated_position`. It never shows a contact or an address."""

    order_id: str
    channel: str
    number: str
    customer: str | None
    currency: str
    country: str
    total: Amount
    total_minor: int
    exponent: Annotated[int | None, Field(description="How many decimals the currency's minor unit has.")]
    status: str
    holds: list[str]
    problems: list[Problem]
    conflicts: Annotated[int, Field(description="How often its number came again with another content.")]
    payment: str | None
    payment_unknown: Annotated[str | None, Field(description="The operation whose outcome the provider owes us.")]
    authorized_minor: int
    captured_minor: int
    refunded_minor: int
    fulfillments: dict[str, Fulfillment]
    units: dict[str, int]
    lines: list[OrderLine]
    charges: list[Charge]
    placed_at: str
    updated_position: int


class OrderPage(Answer):
    orders: list[OrderBrief]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; none if this is the last.")]


class TimelineEntry(Answer):
    position: int
    type: str
    occurred_at: str
    recorded_at: str
    facts: dict[str, Any]


class Timeline(Answer):
    """The order's latest events, oldest first."""

    order_id: str
    events: list[TimelineEntry]


class Balance(Answer):
    on_hand: int
    reserved: int
    allocated: int
    incoming: int
    available: int


class StockBrief(Answer):
    sku: str
    locations: dict[str, Balance]
    totals: Balance
    backordered: int
    threshold: int | None
    low: bool
    updated_position: int


class Movement(Answer):
    position: int
    occurred_at: str
    movement: str
    reference: str
    location: str
    units: int


class Stock(StockBrief):
    """One article, and its latest movements, oldest first."""

    movements: list[Movement]


class StockPage(Answer):
    stock: list[StockBrief]
    next: Annotated[str | None, Field(description="The `cursor` of the next page; none if this is the last.")]


class Consumer(Answer):
    name: str
    lag: Annotated[int, Field(description="Positions that it has still to handle.")]
    parked: Annotated[int, Field(description="Events that it could not handle.")]
    trouble: Annotated[str | None, Field(description="Why it is put off at the moment.")]


class LowStock(Answer):
    sku: str
    available: int
    incoming: int
    backordered: int
    threshold: int | None


class Chart(Answer):
    """The newest orders over the time they were placed, in columns of `width_s` seconds that begin `at`."""

    currency: str | None
    exponent: int | None
    width_s: int
    at: list[int]
    orders: list[int]
    revenue_minor: list[int]


class Summary(Answer):
    position: int
    orders: int
    by_status: dict[str, int]
    by_hold: dict[str, int]
    revenue: Annotated[dict[str, Amount], Field(description="Captured less refunded, by currency.")]
    units_shipped: int
    skus: int
    low_stock: int
    backordered_units: int
    parked: int
    consumers: list[Consumer]
    newest: list[OrderBrief]
    low: list[LowStock]
    chart: Chart


class Refusal(Answer):
    """Why a request was refused."""

    message: str
    problems: list[dict[str, str]] = []
