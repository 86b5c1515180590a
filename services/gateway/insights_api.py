"""Insights over HTTP: what was counted, as JSON. Whoever counts, hands it over."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from services.gateway.answers import documented, not_found


class Window(BaseModel):
    """What happened from its start to just before its end, by channel."""

    start: datetime
    end: datetime
    orders: dict[str, int]
    revenue_minor: Annotated[dict[str, dict[str, int]], Field(description="As ordered; by channel and currency.")]
    declines: Annotated[int, Field(description="Authorizations that the payment provider refused.")]


class Took(BaseModel):
    """From placing an order to its first parcel. Right to within 5 %."""

    orders: Annotated[int, Field(description="Orders whose first parcel left in this window.")]
    p50_s: float | None
    p95_s: float | None


class Hour(Window):
    placed_to_shipped: Took


class Pace(BaseModel):
    sku: str
    units_per_hour: Annotated[int, Field(description="Units ordered within the last hour.")]


class Clock(BaseModel):
    """The windows of one clock: the wall's, or that of an imported history."""

    as_of: datetime
    late: Annotated[int, Field(description="Events that came more than a day late, and are in no window.")]
    minutes: Annotated[list[Window], Field(description="The last hour's minutes in which anything happened.")]
    hours: Annotated[list[Hour], Field(description="Hours that begin every five minutes; the last is under way.")]
    velocity: Annotated[list[Pace], Field(description="The 100 fastest articles.")]


class SellsOut(BaseModel):
    """At the last hour's pace, it is gone in so many hours."""

    kind: Literal["sells_out"]
    sku: str
    units_per_hour: int
    available: int
    hours: float


class ManyOrders(BaseModel):
    """A customer, or an address, with more orders within the hour than one may have."""

    kind: Literal["many_orders"]
    by: Literal["customer", "address"]
    buyer: Annotated[str, Field(description="A pseudonym, for as long as the process that counts lives.")]
    orders: int
    in_excess: int
    order_ids: Annotated[list[str], Field(description="The latest ten of those in excess.")]


class Insights(BaseModel):
    """What is going on now, and what had better be looked at. Computed from the log; never the state of record."""

    as_of: datetime
    position: Annotated[int, Field(description="Everything up to here is counted.")]
    clocks: dict[str, Clock]
    alerts: list[SellsOut | ManyOrders]


def insights_router(ask: Callable[[], bytes | None]) -> APIRouter:
    """`ask`: an `Insights` in JSON; None: nobody has counted yet."""
    router = APIRouter(tags=["insights"])

    @router.get("/insights", response_model=Insights, responses=documented(404, 503))
    async def tell_insights() -> Response:
        """Windows over the last hours, the pace of articles, alerts."""
        found = await run_in_threadpool(ask)
        if found is None:
            raise not_found("Nothing was counted yet: the role `insights` has to run (docs/cluster.md).")
        return Response(found, media_type="application/json")

    return router
