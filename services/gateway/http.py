"""Everything that changes something over HTTP, as one router. What it needs of the services, the wiring hands over.

orders_api.py     place, cancel, correct, hold and release orders
stock_api.py      receipts, announcements, adjustments, reservations, thresholds
warehouse_api.py  pick, pack, label, ship; the label and the packing slip
sandbox_api.py    what the buyer does at the sandbox provider
requests.py       the bodies, and the events they become; answers.py: what comes back
arrivals.py       taken once, however often it is sent; group_commit.py: many requests, one transaction
clerk.py          commands, decided on a desk of our own; door.py: what does not get in
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastapi import APIRouter

from events.store import EventStore
from services.gateway.clerk import Clerk
from services.gateway.group_commit import GroupCommit
from services.gateway.orders_api import OrderCommands, orders_router
from services.gateway.sandbox_api import SandboxBuyer, sandbox_router
from services.gateway.sender import Senders
from services.gateway.stock_api import stock_router
from services.gateway.warehouse_api import WarehouseCommands, warehouse_router


class Counters(NamedTuple):
    """Where the different kinds of requests are served.

    ring   something was appended: there is something to do
    """

    store: EventStore
    intake: GroupCommit
    orders: Clerk
    order_commands: OrderCommands
    warehouse: Clerk
    warehouse_commands: WarehouseCommands
    buyer: SandboxBuyer
    senders: Senders
    ring: Callable[[], object]


def commands_router(counters: Counters) -> APIRouter:
    router = APIRouter()
    router.include_router(orders_router(counters.intake, counters.orders, counters.order_commands, counters.senders))
    router.include_router(stock_router(counters.intake, counters.store, counters.senders, counters.ring))
    router.include_router(warehouse_router(counters.warehouse, counters.warehouse_commands, counters.senders))
    router.include_router(sandbox_router(counters.buyer))
    return router
