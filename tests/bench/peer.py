"""Runs the peer of the pipeline benchmark: the same steps on the `eventsourcing` library alone, by its own runners.

The library is used the way its documentation tells, and set up to be fast: where there was a choice, the cheaper way
is taken for it (tests/bench/peer_system.py says where). Only durability is not up for choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic, perf_counter
from typing import NamedTuple
from uuid import UUID

from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteFactory
from eventsourcing.system import (
    MultiThreadedRunner,
    NewMultiThreadedRunner,
    NewSingleThreadedRunner,
    Runner,
    SingleThreadedRunner,
)
from eventsourcing.utils import Environment, EnvType, get_topic

from events.order import OrderPlaced
from events.recorders.sqlite_file import PRAGMAS, WRITER_CACHE_KIB
from tests.bench.orders import stock_for
from tests.bench.peer_domain import Fulfillment, Order
from tests.bench.peer_system import PROJECTIONS, SERVICES, SYSTEM, Inventory, Orders, OrderStatus, Shipping, StockLevels

RUNNERS: dict[str, type[Runner[UUID]]] = {
    "single": SingleThreadedRunner,
    "multi": MultiThreadedRunner,
    "new-single": NewSingleThreadedRunner,
    "new-multi": NewMultiThreadedRunner,
}
FASTEST = "new-single"
"""Of the library's four runners (measured: see docs/decisions.md)."""

INTAKE_BATCH = 50
"""Orders per intake transaction: fewer or more were slower."""
CACHED_AGGREGATES = 10_000
"""More than are under way at any time, so that an order is folded from the database at most once."""
TIMEOUT_S = 300.0
SYNCHRONOUS_FULL = 2
"""How SQLite answers when asked for `synchronous`."""


class PeerResult(NamedTuple):
    """`seconds` is from the first order in until the last is delivered and both projections have seen it."""

    runner: str
    orders: int
    events: int
    seconds: float

    @property
    def orders_per_s(self) -> float:
        return self.orders / self.seconds


class SafePool(SQLiteConnectionPool):
    """The library's pool, held to the durability of ours: a write-ahead log, synced at every commit."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        cursor = connection.cursor()
        for setting in (*PRAGMAS, f"cache_size=-{WRITER_CACHE_KIB}"):
            cursor.execute(f"PRAGMA {setting}")
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone()[0] == SYNCHRONOUS_FULL, "the peer must be as durable as ours"
        cursor.execute("PRAGMA journal_mode")
        assert cursor.fetchone()[0] == "wal", "the peer must keep the same journal as ours"
        return connection


class SafeSqliteFactory(SQLiteFactory):
    """The library's SQLite persistence on a `SafePool`."""

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self.datastore.pool = SafePool(db_name=self.datastore.pool.db_name)


def run_peer(orders: Sequence[OrderPlaced], folder: Path, *, runner: str = FASTEST) -> PeerResult:
    """Takes the orders through the peer's whole pipeline, with its database files in `folder` (new or empty).

    Raises RuntimeError if the pipeline fails or does not finish within TIMEOUT_S.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with RUNNERS[runner](SYSTEM, _environment(folder)) as running:
        running.get(Inventory).open(stock_for(orders))
        before = _events(running)
        started = perf_counter()
        for first in range(0, len(orders), INTAKE_BATCH):
            running.get(Orders).place(orders[first : first + INTAKE_BATCH])
        _wait_until_delivered(running, len(orders))
        seconds = perf_counter() - started
        _verify(running, orders)
        return PeerResult(runner, len(orders), _events(running) - before, seconds)


def _environment(folder: Path) -> dict[str, str]:
    """One database file per service. A service alone writes its file, so its cache need not ask the file for news."""
    env = {
        "PERSISTENCE_MODULE": get_topic(SafeSqliteFactory),
        "AGGREGATE_CACHE_MAXSIZE": str(CACHED_AGGREGATES),
        "AGGREGATE_CACHE_FASTFORWARD": "n",
        "DEEPCOPY_FROM_AGGREGATE_CACHE": "n",
    }
    for service in SERVICES:
        env[f"{service.name.upper()}_SQLITE_DBNAME"] = str(folder / f"{service.name.lower()}.db")
    for projection in PROJECTIONS:
        env[f"{projection.name.upper()}_PERSISTENCE_MODULE"] = "eventsourcing.popo"
    return env


def _events(running: Runner[UUID]) -> int:
    return sum(running.get(service).recorder.max_notification_id() or 0 for service in SERVICES)


def _wait_until_delivered(running: Runner[UUID], count: int) -> None:
    """The single-threaded runners are done by now; the threads of the others are waited for."""
    status, stock = running.get(OrderStatus), running.get(StockLevels)
    give_up_at = monotonic() + TIMEOUT_S
    while status.delivered < count or stock.shipped_orders < count:
        if isinstance(running, MultiThreadedRunner | NewMultiThreadedRunner) and running.watch_for_errors(0.002):
            raise RuntimeError("the peer's pipeline failed")
        if monotonic() > give_up_at:
            raise RuntimeError(f"the peer delivered {status.delivered} of {count} orders within {TIMEOUT_S} s")


def _verify(running: Runner[UUID], orders: Sequence[OrderPlaced]) -> None:
    """Every order was completed and delivered, in the log and in the projection, and all of its units have left."""
    status, stock = running.get(OrderStatus), running.get(StockLevels)
    for placed in orders:
        order: Order = running.get(Orders).repository.get(Order.create_id(placed.channel, placed.number))
        parcel: Fulfillment = running.get(Shipping).repository.get(order.fulfillment_id)
        assert (order.status, parcel.status) == ("completed", "delivered"), placed.number
        assert status.orders[order.id]["status"] == "delivered", placed.number
    left = [units for lines in stock.on_hand.values() for units in lines.values()]
    assert sum(left) == len(left), "one unit of every article was left over at the start"
    assert not any(units for at in stock.allocated.values() for units in at.values())
