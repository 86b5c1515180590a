"""Insights, put together with what they need of others: stock from the read models, holds from the order service.

In a cluster one process counts (`waybill run insights`), all others look at its board. In a home whoever asks counts,
from the log's last day: nothing runs for it while nobody asks, but for the holds, where they are wanted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import orjson

from events.leadership import SoleLeadership
from events.store import EventStore, utc_now
from projections.stock_levels import StockReads
from projections.views import Views
from services.insights.alerts import Available
from services.insights.board import Board
from services.insights.buyers import Excess
from services.insights.consumer import InsightsConsumer, NoTables
from services.insights.fold import Rows
from services.insights.holds import Holder
from services.insights.insights import Insights, Limits
from services.insights.redis_board import RedisBoard
from services.insights.windows import to_ms
from services.order.commands import HoldOrder
from services.order.decider import DECIDER as ORDER
from services.runtime.desk import Desk
from services.runtime.engine import Consumer
from services.runtime.settings import Settings


def limits(settings: Settings) -> Limits:
    return Limits(settings.insights_many_orders, settings.insights_sells_out_h)


def available_in(views: Views) -> Callable[[Iterable[str]], Available]:
    """What can be sold now. Raises ViewsUnavailable."""
    return StockReads(views).available


def holding(store: EventStore, settings: Settings, ring: Callable[[], object]) -> Callable[[Excess], object] | None:
    """How an order in excess is held; None where that is not wanted. `ring`: there is something to do."""
    if not settings.insights_hold:
        return None
    holder = Holder(store, Desk(store, ORDER), HoldOrder, utc_now)

    def hold(excess: Excess) -> None:
        if holder.ask(excess):
            ring()

    return hold


def board_of(settings: Settings) -> Board:
    """A cluster's. Raises BoardUnavailable if its address is none."""
    assert settings.redis_url is not None
    return RedisBoard(settings.redis_url.get_secret_value())


def watch(store: EventStore, settings: Settings, ring: Callable[[], object]) -> list[Consumer]:
    """A home's own consumer: it holds orders, where that is wanted, and shows nothing."""
    hold = holding(store, settings, ring)
    if hold is None:
        return []

    def make(rows: Rows) -> Insights:
        return Insights(store, rows, limits(settings))

    def nothing(_: Iterable[str]) -> Available:
        return {}

    return [
        InsightsConsumer(
            SoleLeadership(), NoTables, make, board=None, available=nothing, hold=hold, now=utc_now, quiet_s=0.0
        )
    ]


class Outlook(Protocol):
    """What is asked for insights, from any thread."""

    def seen(self) -> bytes | None:
        """A report in JSON; None: nobody has counted yet. Raises BoardUnavailable, and what the store and views do."""

    def close(self) -> None: ...


class Counted:
    """Counted when it is asked for, from where it was left."""

    def __init__(self, store: EventStore, views: Views, settings: Settings) -> None:
        self._insights = Insights(store, {}, limits(settings))
        self._available = available_in(views)
        self._one_at_a_time = threading.Lock()

    def seen(self) -> bytes:
        with self._one_at_a_time:
            self._insights.catch_up()
            return orjson.dumps(self._insights.report(to_ms(utc_now()), self._available))

    def close(self) -> None:
        """There is nothing to let go of."""


def outlook(store: EventStore, views: Views, settings: Settings) -> Outlook:
    """A cluster's board, or a home's own count."""
    in_a_cluster = settings.kafka is not None and settings.redis_url is not None
    return board_of(settings) if in_a_cluster else Counted(store, views, settings)


def insights_of(store: EventStore, views: Views, settings: Settings) -> dict[str, Any] | None:
    """For the command line."""
    asked = outlook(store, views, settings)
    try:
        found = asked.seen()
    finally:
        asked.close()
    return None if found is None else dict(orjson.loads(found))
