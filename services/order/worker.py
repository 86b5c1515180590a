"""The order service's consumer. It has no deadlines of its own."""

from __future__ import annotations

from services.order.decider import DECIDER
from services.order.reactions import REACTIONS
from services.runtime.context import Context
from services.runtime.desk import Desk
from services.runtime.worker import Worker


def consumers(context: Context) -> list[Worker]:
    desk = Desk(context.store, DECIDER)
    return [
        Worker(
            context.name("order"),
            store=context.store,
            feed=context.feed(frozenset(REACTIONS)),
            desk=desk,
            reactions=REACTIONS,
            now=context.now,
            batch_size=context.settings.batch_events,
            waits_in="target",  # what the stock ledger says of one order shall not hold up the others
        )
    ]
