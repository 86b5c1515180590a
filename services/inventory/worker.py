"""The inventory service's consumers: the ledger, and the deadlines of reservations."""

from __future__ import annotations

from services.inventory.decider import DECIDER
from services.inventory.reactions import DEADLINES, REACTIONS
from services.runtime.context import Context
from services.runtime.desk import Desk
from services.runtime.timekeeper import MOVES_CLOCKS, Timekeeper
from services.runtime.worker import Worker


def consumers(context: Context) -> list[Worker | Timekeeper]:
    """Everything, in one process; in several, `workers` by slots and `timekeepers` in one of them."""
    desk = desk_of(context)
    return [*workers(context, desk), *timekeepers(context, desk)]


def desk_of(context: Context) -> Desk:
    return Desk(context.store, DECIDER)


def workers(context: Context, desk: Desk) -> list[Worker]:
    worker = Worker(
        context.name("inventory"),
        store=context.store,
        feed=context.feed(frozenset(REACTIONS)),
        desk=desk,
        reactions=REACTIONS,
        now=context.now,
        batch_size=context.settings.batch_events,
    )
    return [worker]


def timekeepers(context: Context, desk: Desk) -> list[Timekeeper]:
    timekeeper = Timekeeper(
        "inventory.timekeeper",
        store=context.store,
        feed=context.feed(frozenset(DEADLINES) | MOVES_CLOCKS),
        desk=desk,
        sets_deadlines=DEADLINES,
        now=context.now,
    )
    return [timekeeper]
