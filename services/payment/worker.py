"""The payment service's consumers: the rules, the calls to the provider, and the deadlines."""

from __future__ import annotations

from datetime import timedelta

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
    desk = Desk(context.store, DECIDER)
    worker = Worker(
        "payment",
        store=context.store,
        feed=context.feed(frozenset(REACTIONS)),
        desk=desk,
        reactions=REACTIONS,
        now=context.now,
        batch_size=context.settings.batch_events,
    )
    return [worker, _effects(context, desk, provider), _timekeeper(context, desk)]


def _effects(context: Context, desk: Desk, provider: PaymentProvider) -> Effects:
    settings = context.settings
    action_ttl = timedelta(seconds=settings.action_ttl_s)
    call = PaymentCalls(provider, now=context.now, timeout_s=settings.call_timeout_s, action_ttl=action_ttl)
    return Effects(
        "payment.calls",
        store=context.store,
        feed=context.feed(INTENTS),
        desk=desk,
        call=call,
        is_open=is_open,
        loop=context.loop,
        now=context.now,
        news=context.news,
        lanes=settings.calls_at_once,
    )


def _timekeeper(context: Context, desk: Desk) -> Timekeeper:
    return Timekeeper(
        "payment.timekeeper",
        store=context.store,
        feed=context.feed(frozenset(DEADLINES) | MOVES_CLOCKS),
        desk=desk,
        sets_deadlines=DEADLINES,
        now=context.now,
    )
