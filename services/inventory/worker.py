"""The inventory service's consumers: the ledger, and the deadlines of reservations."""

from __future__ import annotations

from services.inventory.decider import DECIDER
from services.inventory.reactions import DEADLINES, REACTIONS
from services.runtime.context import Context
from services.runtime.desk import Desk
from services.runtime.timekeeper import MOVES_CLOCKS, Timekeeper
from services.runtime.worker import Worker


def consumers(context: Context) -> list[Worker | Timekeeper]:
    desk = Desk(context.store, DECIDER)
    worker = Worker(
        "inventory",
        store=context.store,
        feed=context.feed(frozenset(REACTIONS)),
        desk=desk,
        reactions=REACTIONS,
        now=context.now,
        batch_size=context.settings.batch_events,
    )
    timekeeper = Timekeeper(
        "inventory.timekeeper",
        store=context.store,
        feed=context.feed(frozenset(DEADLINES) | MOVES_CLOCKS),
        desk=desk,
        sets_deadlines=DEADLINES,
        now=context.now,
    )
    return [worker, timekeeper]
