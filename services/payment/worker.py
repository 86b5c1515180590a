"""The payment service's consumers: the rules, the calls to the provider, and the deadlines."""

from __future__ import annotations

from datetime import timedelta

from events.payment import PaymentOutcomeUnknown
from services.payment.calls import INTENTS, PaymentCalls, is_open
from services.payment.decider import DECIDER
from services.payment.provider import PaymentProvider
from services.payment.reactions import DEADLINES, REACTIONS
from services.runtime.context import Context
from services.runtime.desk import Desk
from services.runtime.effects import Effects
from services.runtime.timekeeper import MOVES_CLOCKS, Timekeeper
from services.runtime.worker import Worker


def consumers(context: Context, provider: PaymentProvider) -> list[Worker | Effects | Timekeeper]:
    """Everything, in one process; in several, `workers` by slots and `timekeepers` in one of them."""
    desk = desk_of(context)
    return [*workers(context, desk, provider), *timekeepers(context, desk)]


def desk_of(context: Context) -> Desk:
    return Desk(context.store, DECIDER)


def workers(context: Context, desk: Desk, provider: PaymentProvider) -> list[Worker | Effects]:
    worker = Worker(
        context.name("payment"),
        store=context.store,
        feed=context.feed(frozenset(REACTIONS)),
        desk=desk,
        reactions=REACTIONS,
        now=context.now,
        batch_size=context.settings.batch_events,
    )
    return [worker, _effects(context, desk, provider)]


def _effects(context: Context, desk: Desk, provider: PaymentProvider) -> Effects:
    settings = context.settings
    action_ttl = timedelta(seconds=settings.action_ttl_s)
    call = PaymentCalls(provider, now=context.now, timeout_s=settings.call_timeout_s, action_ttl=action_ttl)
    return Effects(
        context.name("payment.calls"),
        store=context.store,
        feed=context.feed(INTENTS),
        desk=desk,
        call=call,
        is_open=is_open,
        loop=context.loop,
        now=context.now,
        news=context.news,
        lanes=settings.calls_at_once,
        unknown_outcomes=(PaymentOutcomeUnknown,),
    )


def timekeepers(context: Context, desk: Desk) -> list[Timekeeper]:
    timekeeper = Timekeeper(
        "payment.timekeeper",
        store=context.store,
        feed=context.feed(frozenset(DEADLINES) | MOVES_CLOCKS),
        desk=desk,
        sets_deadlines=DEADLINES,
        now=context.now,
    )
    return [timekeeper]
