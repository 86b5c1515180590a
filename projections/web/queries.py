"""The query API: orders, stock, the summary, and the stream of its changes. Reads the projections, writes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Depends, Header, HTTPException, Query, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from events.money import minor_exponent
from projections.order_status import ORDER_STATUS, OrderReads
from projections.reader import MAX_PAGE_ROWS, Page
from projections.stock_levels import STOCK_LEVELS, StockReads
from projections.web import answers
from projections.web.live import Live
from projections.web.sources import Sources, Threads
from projections.web.summary import SummaryReader, amount, brief
from projections.web.tide import Tide

MinPosition = Annotated[
    int, Query(ge=0, le=2**63 - 1, description="Wait (at most 4 s) until the answer is as of this position.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE_ROWS)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before.")]
Filter = Annotated[str | None, Query(min_length=1, max_length=100)]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=30)]

ReadPage = Callable[[OrderReads, int, str | None], Page]

_AWAY: dict[int | str, dict[str, Any]] = {
    503: {"model": answers.Refusal, "description": "Redis is away, or `min_position` was not reached in time."}
}
# A stream that is not begun is refused in JSON. Given as a model, the framework would describe it as a stream as well.
_IN_JSON = {"content": {"application/json": {"schema": answers.Refusal.model_json_schema()}}}
_NO_STREAM: dict[int | str, dict[str, Any]] = {
    422: {"description": "The request is not understood.", **_IN_JSON},
    503: {"description": "Too many are watching: try again after `Retry-After` seconds.", **_IN_JSON},
}
_MISSING: dict[int | str, dict[str, Any]] = {404: {"model": answers.Refusal, "description": "There is no such thing."}}


class Queries:
    """What the routes share."""

    def __init__(self, sources: Sources, threads: Threads, live: Live) -> None:
        self.orders = OrderReads(sources.views)
        self.stock = StockReads(sources.views)
        self.summary = SummaryReader(sources)
        self.tide = Tide(sources.views, threads)
        self.threads = threads
        self.live = live


def queries_router(queries: Queries) -> APIRouter:
    router = APIRouter()
    _add_orders(router, queries)
    _add_stock(router, queries)
    _add_summary(router, queries)
    return router


def _add_orders(router: APIRouter, queries: Queries) -> None:
    reads, tide, run = queries.orders, queries.tide, queries.threads.run

    @router.get("/orders", response_model=answers.OrderPage, responses=_AWAY, tags=["orders"])
    async def list_orders(
        choice: Annotated[ReadPage, Depends(_choice)],
        limit: Limit = 50,
        cursor: Cursor = None,
        min_position: MinPosition = 0,
    ) -> Response:
        """Newest first: all, those of a status or hold, those of a channel's customer, or the one of a number."""
        await tide.wait_for(ORDER_STATUS, min_position)
        page = await run(choice, reads, limit, cursor)
        return _json({"orders": [brief(row) for row in page.rows], "next": page.next})

    @router.get("/orders/{order_id}", response_model=answers.Order, responses={**_MISSING, **_AWAY}, tags=["orders"])
    async def get_an_order(order_id: str, min_position: MinPosition = 0) -> Response:
        await tide.wait_for(ORDER_STATUS, min_position)
        return _json(_found(await run(_order, reads, order_id), "order"))

    @router.get(
        "/orders/{order_id}/timeline",
        response_model=answers.Timeline,
        responses={**_MISSING, **_AWAY},
        tags=["orders"],
    )
    async def get_a_timeline(order_id: str, min_position: MinPosition = 0) -> Response:
        """The latest events that concern the order, whoever wrote them."""
        await tide.wait_for(ORDER_STATUS, min_position)
        events = [{**entry, "facts": entry["facts"] or {}} for entry in await run(reads.timeline, order_id)]
        return _json(_found({"order_id": order_id, "events": events} if events else None, "order"))


# What a projection keeps in a row for its own sake.
_INTERNAL = frozenset({"rank", "entries"})


async def _choice(
    channel: Filter = None, number: Filter = None, customer: Filter = None, status: Filter = None, hold: Filter = None
) -> ReadPage:
    """Which orders are listed: at most one kind of filter."""
    filters = {"channel": channel, "number": number, "customer": customer, "status": status, "hold": hold}
    match [name for name, value in filters.items() if value is not None]:
        case []:
            return lambda reads, limit, cursor: reads.newest(limit, cursor)
        case ["channel", "number"]:
            return lambda reads, limit, cursor: _one(reads.find(str(channel), str(number)))
        case ["channel", "customer"]:
            return lambda reads, limit, cursor: reads.by_customer(str(channel), str(customer), limit, cursor)
        case ["status"]:
            return lambda reads, limit, cursor: reads.by_status(str(status), limit, cursor)
        case ["hold"]:
            return lambda reads, limit, cursor: reads.by_hold(str(hold), limit, cursor)
        case _:
            wanted = "channel and number, channel and customer, status, hold, or nothing for the newest"
            raise HTTPException(422, f"Choose one: {wanted}.")


def _one(row: dict[str, Any] | None) -> Page:
    return Page([row] if row is not None and row["placed_at"] is not None else [], None)


def _order(reads: OrderReads, order_id: str) -> dict[str, Any] | None:
    """None also for an order that we only heard of."""
    row = reads.get(order_id)
    if row is None or row["placed_at"] is None:
        return None
    currency = row["currency"]
    money = {"total": amount(row["total_minor"], currency), "exponent": minor_exponent(currency)}
    return {**_shown(row), **money, **reads.lines(order_id)}


def _add_stock(router: APIRouter, queries: Queries) -> None:
    reads, tide, run = queries.stock, queries.tide, queries.threads.run

    @router.get("/stock", response_model=answers.StockPage, responses=_AWAY, tags=["stock"])
    async def list_stock(
        low: bool = False, limit: Limit = 50, cursor: Cursor = None, min_position: MinPosition = 0
    ) -> Response:
        """By SKU: every article, or those at or below their threshold."""
        await tide.wait_for(STOCK_LEVELS, min_position)
        page = await run(reads.low if low else reads.all, limit, cursor)
        return _json({"stock": [_shown(row) for row in page.rows], "next": page.next})

    # A SKU may have slashes in it.
    @router.get("/stock/{sku:path}", response_model=answers.Stock, responses={**_MISSING, **_AWAY}, tags=["stock"])
    async def get_stock(sku: str, min_position: MinPosition = 0) -> Response:
        """What can be sold of it, by location, and its latest movements."""
        await tide.wait_for(STOCK_LEVELS, min_position)
        return _json(_found(await run(_stock, reads, sku.upper()), "SKU"))


def _stock(reads: StockReads, sku: str) -> dict[str, Any] | None:
    row = reads.get(sku)
    return None if row is None else {**_shown(row), "movements": reads.timeline(sku)}


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _INTERNAL}


def _add_summary(router: APIRouter, queries: Queries) -> None:
    @router.get("/summary", response_model=answers.Summary, responses=_AWAY, tags=["operations"])
    async def get_the_summary() -> Response:
        """Orders by state, revenue, the newest orders, low stock, and how far every consumer is."""
        return _json(await queries.threads.run(queries.summary.read))

    async def a_place() -> None:
        if queries.live.is_full:
            raise HTTPException(503, "Too many are watching. Try again later.", headers={"Retry-After": "30"})

    @router.get(
        "/events", response_class=EventSourceResponse, dependencies=[Depends(a_place)], responses=_NO_STREAM,
        tags=["operations"],
    )  # fmt: skip
    async def watch_the_summary(last_event_id: LastEventId = None) -> AsyncIterator[ServerSentEvent]:
        """Server-sent events: `summary` whenever it changed, at most twice a second; `trouble` in words.

        The id of a `summary` is the position that it shows. A comment every 15 s keeps the line open.
        """
        async with aclosing(queries.live.watch(last_event_id)) as events:
            async for event in events:
                yield event


def _found(answer: dict[str, Any] | None, thing: str) -> dict[str, Any]:
    if answer is None:
        raise HTTPException(404, f"There is no such {thing} (yet: give min_position to wait for what you wrote).")
    return answer


def _json(answer: dict[str, Any]) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json", headers={"Cache-Control": "no-store"})
