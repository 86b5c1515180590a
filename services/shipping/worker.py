"""The shipping service's consumers: the rules, the sandbox warehouse, labels, tracking, and the deadlines."""

from __future__ import annotations

from events.base import Address
from events.order import OrderCorrected, OrderPlaced, order_stream
from events.shipping import LabelOutcomeUnknown
from events.store import EventStore
from services.runtime.context import Context
from services.runtime.decider import Reactions
from services.runtime.desk import Desk
from services.runtime.effects import Effects
from services.runtime.poller import Poller
from services.runtime.settings import Warehouse
from services.runtime.timekeeper import MOVES_CLOCKS, Timekeeper
from services.runtime.worker import Worker
from services.shipping.calls import LABEL_INTENTS, TRACKED, LabelCalls, TrackingCalls, label_is_open, parcel_is_open
from services.shipping.carrier import Carrier
from services.shipping.decider import DECIDER
from services.shipping.reactions import DEADLINES, REACTIONS, SANDBOX_WAREHOUSE


def consumers(context: Context, carrier: Carrier) -> list[Worker | Effects | Poller | Timekeeper]:
    """Everything, in one process; in several, `workers` by slots and `timekeepers` in one of them."""
    desk = desk_of(context)
    return [*workers(context, desk, carrier), *timekeepers(context, desk)]


def desk_of(context: Context) -> Desk:
    return Desk(context.store, DECIDER)


def workers(context: Context, desk: Desk, carrier: Carrier) -> list[Worker | Effects | Poller]:
    found: list[Worker | Effects | Poller] = [_worker("shipping", context, desk, REACTIONS)]
    if context.settings.warehouse is Warehouse.SANDBOX:
        found.append(_worker("shipping.warehouse", context, desk, SANDBOX_WAREHOUSE))
    return [*found, _labels(context, desk, carrier), _tracking(context, desk, carrier)]


def address_of(store: EventStore, order_id: str) -> Address | None:
    """The address an order goes to now: as it was placed, or as it was corrected last."""
    address = None
    for recorded in store.read_stream(order_stream(order_id)):
        if isinstance(recorded.event, OrderPlaced | OrderCorrected):
            address = recorded.event.ship_to or address
    return address


def _worker(name: str, context: Context, desk: Desk, reactions: Reactions) -> Worker:
    return Worker(
        context.name(name),
        store=context.store,
        feed=context.feed(frozenset(reactions)),
        desk=desk,
        reactions=reactions,
        now=context.now,
        batch_size=context.settings.batch_events,
    )


def _labels(context: Context, desk: Desk, carrier: Carrier) -> Effects:
    def address(order_id: str) -> Address | None:
        return address_of(context.store, order_id)

    return Effects(
        context.name("shipping.labels"),
        store=context.store,
        feed=context.feed(LABEL_INTENTS),
        desk=desk,
        call=LabelCalls(carrier, address, now=context.now, timeout_s=context.settings.call_timeout_s),
        is_open=label_is_open,
        loop=context.loop,
        now=context.now,
        news=context.news,
        lanes=context.settings.calls_at_once,
        unknown_outcomes=(LabelOutcomeUnknown,),
    )


def _tracking(context: Context, desk: Desk, carrier: Carrier) -> Poller:
    return Poller(
        context.name("shipping.tracking"),
        store=context.store,
        feed=context.feed(TRACKED),
        desk=desk,
        call=TrackingCalls(carrier, timeout_s=context.settings.call_timeout_s),
        is_open=parcel_is_open,
        loop=context.loop,
        now=context.now,
        news=context.news,
        every_s=context.settings.tracking_every_s,
    )


def timekeepers(context: Context, desk: Desk) -> list[Timekeeper]:
    timekeeper = Timekeeper(
        "shipping.timekeeper",
        store=context.store,
        feed=context.feed(frozenset(DEADLINES) | MOVES_CLOCKS),
        desk=desk,
        sets_deadlines=DEADLINES,
        now=context.now,
    )
    return [timekeeper]
