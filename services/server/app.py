"""The HTTP application of a house: the gateway's commands, the projections' queries, the page. Wires it, no more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, NamedTuple

from fastapi import FastAPI

from events.base import Address, Contact
from events.order import OrderCorrected, OrderPlaced, order_stream
from events.payment import PaymentActionRequired, PaymentInitiated, payment_stream
from events.store import EventStore, utc_now
from projections.web.live import Live
from projections.web.page import page_router, static_files
from projections.web.queries import Queries, queries_router
from projections.web.sources import Sources, Threads
from projections.web.summary import SummaryReader
from services.gateway.answers import Refusal
from services.gateway.arrivals import Arrivals
from services.gateway.clerk import Clerk
from services.gateway.door import Door
from services.gateway.group_commit import GroupCommit
from services.gateway.http import Counters, commands_router
from services.gateway.insights_api import insights_router
from services.gateway.orders_api import OrderCommands
from services.gateway.sandbox_api import SandboxBuyer
from services.gateway.sender import ACTOR, Senders
from services.gateway.warehouse_api import Paper, Step, WarehouseCommands
from services.order.commands import CancelOrder, CorrectOrder, HoldOrder, ReleaseHold
from services.order.decider import DECIDER as ORDER
from services.order.validation import address_problems
from services.outlook import outlook
from services.payment.commands import AskProvider
from services.payment.decider import DECIDER as PAYMENT
from services.runtime.decider import Cause
from services.runtime.desk import Desk
from services.runtime.settings import Warehouse
from services.server.faults import add_fault_handlers, in_words
from services.server.operations import Operations, operations_router
from services.shipping.commands import PackParcel, PickItems, RequestLabel, ShipParcel
from services.shipping.decider import DECIDER as SHIPPING
from services.shipping.documents import find_parcel
from services.shipping.papers import label_pdf, packing_slip_pdf
from services.shipping.state import FulfillmentState, Stage
from services.wiring import House


class Application(NamedTuple):
    """What the server runs, and what it must close so that it can stop."""

    asgi: Door
    api: FastAPI
    live: Live


def build(house: House, is_running: Callable[[], bool]) -> Application:
    """`is_running`: whether the engine works."""
    threads = Threads()
    by_hand = ["shipping.warehouse"] if house.settings.warehouse is Warehouse.MANUAL else []
    operations = Operations(house.store, house.views, house.engine, is_running, left_to_people=by_hand)
    sources = Sources(house.views, house.store.last_position, operations.consumers)
    live = Live(SummaryReader(sources), threads, in_words=in_words)
    insights = outlook(house.store, house.views, house.settings)
    intake = GroupCommit(Arrivals(house.store), ring=house.bell.set)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await live.close()
        await intake.close()
        insights.close()
        threads.close()

    api = _api(lifespan)
    api.include_router(commands_router(_counters(house, intake)))
    api.include_router(operations_router(operations, threads))
    api.include_router(queries_router(Queries(sources, threads, live)))
    api.include_router(insights_router(insights.seen))
    api.include_router(page_router())
    api.mount("/static", static_files())
    return Application(Door(api, max_body_bytes=house.settings.max_body_bytes), api, live)


def _api(lifespan: Any) -> FastAPI:
    api = FastAPI(
        title="Waybill",
        version=version("waybill"),
        description="Orders, stock and fulfillment. Amounts are exact decimal text; positions are places in the log.",
        # The framework's own pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        responses={422: {"model": Refusal, "description": "The request is not understood."}},
        # Spans and logs of its own would carry bodies and messages that quote them.
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    add_fault_handlers(api)
    return api


def _counters(house: House, intake: GroupCommit) -> Counters:
    return Counters(
        store=house.store,
        intake=intake,
        orders=Clerk(Desk(house.store, ORDER), ring=house.bell.set),
        order_commands=_order_commands(house.store),
        warehouse=Clerk(Desk(house.store, SHIPPING), ring=house.bell.set),
        warehouse_commands=_warehouse_commands(house),
        buyer=_buyer(house),
        senders=Senders(utc_now),
        ring=house.bell.set,
    )


# --- orders --------------------------------------------------------------------------------------------------------


def _order_commands(store: EventStore) -> OrderCommands:
    def correct(order_id: str, contact: Contact | None, ship_to: Address | None) -> CorrectOrder:
        order = _as_corrected(store, order_id, contact, ship_to)
        return CorrectOrder(contact, ship_to, address_problems(order) if order else [])

    return OrderCommands(cancel=CancelOrder, hold=HoldOrder, release=ReleaseHold, correct=correct)


def _as_corrected(
    store: EventStore, order_id: str, contact: Contact | None, ship_to: Address | None
) -> OrderPlaced | None:
    """The order as it would stand: as it was placed, with every correction since, and these."""
    placed: OrderPlaced | None = None
    for recorded in store.read_stream(order_stream(order_id)):
        if isinstance(recorded.event, OrderPlaced):
            placed = recorded.event
        elif placed is not None and isinstance(recorded.event, OrderCorrected):
            placed = _corrected(placed, recorded.event.contact, recorded.event.ship_to)
    return placed and _corrected(placed, contact, ship_to)


def _corrected(order: OrderPlaced, contact: Contact | None, ship_to: Address | None) -> OrderPlaced:
    ship_to = ship_to or order.ship_to
    country = ship_to.country if ship_to else order.country
    return order.model_copy(update={"contact": contact or order.contact, "ship_to": ship_to, "country": country})


# --- the warehouse -------------------------------------------------------------------------------------------------

_STEPS = {Step.PICK: PickItems, Step.PACK: PackParcel, Step.LABEL: RequestLabel, Step.SHIP: ShipParcel}


def _warehouse_commands(house: House) -> WarehouseCommands:
    def paper(kind: Paper, fulfillment_id: str) -> bytes | None:
        parcel = find_parcel(house.store, fulfillment_id)
        if parcel is None:
            return None
        return label_pdf(parcel.label()) if kind is Paper.LABEL else packing_slip_pdf(parcel.packing_slip())

    by_hand = house.settings.warehouse is Warehouse.MANUAL
    return WarehouseCommands(lambda step: _STEPS[step](), _too_early, paper, by_hand)


def _too_early(step: Step, state: FulfillmentState) -> str | None:
    """Why nothing came of a step; None where it was done before."""
    if state.stage is Stage.CANCELLED:
        return "The fulfillment was cancelled: put the goods back."
    if step is Step.PACK and state.stage is Stage.OPEN:
        return "The goods are not picked yet."
    if step is Step.LABEL and state.stage in (Stage.OPEN, Stage.PICKED):
        return "The goods are not packed yet; packing asks for the label by itself."
    if step is Step.SHIP and state.stage in (Stage.OPEN, Stage.PICKED):
        return "The goods are not packed yet."
    if step is Step.SHIP and state.stage is Stage.PACKED:
        return "The parcel has no label yet: wait for the carrier, or ask it again if it refused."
    return None


# --- the sandbox ---------------------------------------------------------------------------------------------------


def _buyer(house: House) -> SandboxBuyer:
    clerk = Clerk(Desk(house.store, PAYMENT), ring=house.bell.set)

    def act(order_id: str, at_provider: Callable[[str], bool]) -> bool | None:
        stream = payment_stream(order_id)
        history = [recorded.event for recorded in house.store.read_stream(stream)]
        if not any(isinstance(event, PaymentInitiated) for event in history):
            return None
        references = [event.reference for event in history if isinstance(event, PaymentActionRequired)]
        if not references or not at_provider(references[-1]):
            return False
        # What a webhook of a real provider would have us do: ask it.
        clerk.execute(stream, AskProvider, Cause(utc_now(), order_id, f"sandbox:{references[-1]}", ACTOR))
        return True

    return SandboxBuyer(
        complete=lambda order_id: act(order_id, house.buyer.complete_action),
        fail=lambda order_id: act(order_id, house.buyer.fail_action),
    )
