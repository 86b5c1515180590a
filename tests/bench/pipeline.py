"""The pipeline benchmark: ours, the peer and the floor, on the same machine in the same minutes.

- ours: orders in, until all workers are idle and the projections have caught up
- the peer: the same steps on the `eventsourcing` library with its own runner (tests/bench/peer.py)
- the floor: the bytes that ours wrote, appended in commits of the same sizes and read back once (tests/bench/floor.py)

All three on SQLite files with a write-ahead log and synchronous=FULL. They take turns, so that a slow minute of the
machine hits each of them, and every figure is a median over the rounds.
"""

from __future__ import annotations

import gc
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from events.base import NewEvent, Write
from events.gateway import StockReceiptReported, report_stream
from events.order import OrderPlaced, order_stream
from tests.bench.floor import FloorResult, commit_sizes, run_floor
from tests.bench.orders import real_orders, stock_for, uniform_orders
from tests.bench.peer import PeerResult, run_peer

PEER_ORDERS = 300
"""The peer is slow: so many orders take it three seconds, and more of them are no faster."""
UNIFORM_ORDERS = 500
"""Orders of a single line and of 200 lines whose costs are compared."""
MANY_LINES = 200
INTAKE_BATCH = 500
"""Orders per intake transaction."""
LOCATION = "LDN"


class OursResult(NamedTuple):
    """`events` counts what was written for these orders; `database` is the store's file, closed and complete."""

    orders: int
    events: int
    seconds: float
    database: Path

    @property
    def orders_per_s(self) -> float:
        return self.orders / self.seconds


class Round(NamedTuple):
    """One turn of everybody."""

    ours: OursResult
    peer: PeerResult
    floor: FloorResult
    one_line: OursResult
    many_lines: OursResult
    verify_events_per_s: float
    rebuild_events_per_s: float


def run_pipeline(*, orders: int, rounds: int, as_json: bool) -> None:
    """Measures, prints a table and, if asked for, one JSON object as the last line."""
    measured: list[Round] = []
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="waybill-bench-") as folder:
            measured.append(_round(orders, Path(folder)))
    figures = _figures(measured)
    Console().print(_table(figures))
    if as_json:
        print(json.dumps(figures))


def run_ours(orders: Sequence[OrderPlaced], folder: Path) -> OursResult:
    """Takes the orders through our whole pipeline, in a new home in `folder`. Raises AssertionError if one is stuck."""
    from services.wiring import open_home

    with open_home(folder) as home:
        now = datetime.now(UTC)
        receipt = StockReceiptReported(reference="opening", lines={LOCATION: stock_for(orders)})
        home.store.append([_write(report_stream("receipt", "opening"), receipt, "opening", now)])
        home.engine.run_until_idle()
        before = home.store.last_position()
        writes = [_write(order_stream(order.order_id), order, order.order_id, now) for order in orders]
        gc.collect()
        started = perf_counter()
        for first in range(0, len(writes), INTAKE_BATCH):
            home.store.append(writes[first : first + INTAKE_BATCH])
            home.keep_up()  # as the importer does, so that no backlog builds up in memory
        home.catch_up()
        seconds = perf_counter() - started
        events = home.store.last_position() - before
        done = home.store.read_after(before, limit=2 * len(orders), types=frozenset({"order.completed.v1"}))
        assert len(done) == len(orders), f"{len(done)} of {len(orders)} orders were completed"
    return OursResult(len(orders), events, seconds, folder / "waybill.db")


def _write(stream: str, event: StockReceiptReported | OrderPlaced, correlation_id: str, now: datetime) -> Write:
    # On a clock of its own, as an imported history: parcels arrive at once, so that delivery is in the measured time.
    return Write(stream, 0, [NewEvent(event, now, correlation_id, "bench", "bench", "bench")])


def _round(orders: int, folder: Path) -> Round:
    ours = run_ours(real_orders(orders), folder / "ours")
    peer = run_peer(real_orders(min(orders, PEER_ORDERS)), folder / "peer")
    floor = run_floor(ours.database, folder / "floor", orders, batch_sizes=commit_sizes(ours.database))
    return Round(
        ours,
        peer,
        floor,
        one_line=run_ours(uniform_orders(UNIFORM_ORDERS, 1), folder / "one"),
        many_lines=run_ours(uniform_orders(UNIFORM_ORDERS, MANY_LINES), folder / "many"),
        verify_events_per_s=_events_per_s("verify", folder / "ours"),
        rebuild_events_per_s=_events_per_s("rebuild", folder / "ours"),
    )


def _events_per_s(command: str, home: Path) -> float:
    """What `waybill verify` or `waybill rebuild` says of its own speed, as a user runs it."""
    waybill = shutil.which("waybill", path=str(Path(sys.executable).parent))
    assert waybill is not None, "the waybill command is not installed beside this Python"
    run = subprocess.run(
        [waybill, command, "--home", str(home), "--json"], check=True, stdout=subprocess.PIPE, text=True, timeout=600
    )
    return float(json.loads(run.stdout.splitlines()[-1])["events_per_s"])


def _figures(rounds: Sequence[Round]) -> dict[str, Any]:
    ours, peer, floor = (
        median(result.orders_per_s for result in results)
        for results in ([r.ours for r in rounds], [r.peer for r in rounds], [r.floor for r in rounds])
    )
    events = rounds[0].floor.events
    return {
        "orders_per_s": round(ours, 1),
        "peer_orders_per_s": round(peer, 1),
        "ratio": round(ours / peer, 2),
        "floor_orders_per_s": round(floor, 1),
        "of_floor": round(ours / floor, 3),
        "lines_200_vs_1": round(median(r.many_lines.seconds / r.one_line.seconds for r in rounds), 2),
        "events_per_order": round(rounds[0].ours.events / rounds[0].ours.orders, 2),
        "events_per_s": round(median(r.ours.events / r.ours.seconds for r in rounds)),
        "verify_events_per_s": round(median(r.verify_events_per_s for r in rounds)),
        "rebuild_events_per_s": round(median(r.rebuild_events_per_s for r in rounds)),
        "floor_append_us_per_event": round(median(r.floor.append_s for r in rounds) / events * 1e6, 2),
        "floor_read_us_per_event": round(median(r.floor.read_s for r in rounds) / events * 1e6, 2),
        "peer_runner": rounds[0].peer.runner,
        "peer_events_per_order": round(rounds[0].peer.events / rounds[0].peer.orders, 2),
        "orders": rounds[0].ours.orders,
        "rounds": len(rounds),
    }


def _table(figures: dict[str, Any]) -> Table:
    table = Table(title="Orders per second, the whole pipeline", title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("to reach", justify="right")
    for what, key, goal in _ROWS:
        value = figures[key]
        table.add_row(what, f"{value:,}" if isinstance(value, int | float) else value, goal)
    return table


_ROWS = (
    ("ours, orders/s", "orders_per_s", ""),
    ("the peer, orders/s", "peer_orders_per_s", ""),
    ("ours / the peer", "ratio", ">= 15"),
    ("the floor, orders/s", "floor_orders_per_s", ""),
    ("ours / the floor", "of_floor", ">= 0.35"),
    ("an order of 200 lines / of one line", "lines_200_vs_1", "<= 5"),
    ("verify, events/s", "verify_events_per_s", ">= 50,000"),
    ("rebuild, events/s", "rebuild_events_per_s", ">= 50,000"),
    ("ours, events/s", "events_per_s", ""),
    ("ours, events per order", "events_per_order", ""),
    ("the peer, events per order", "peer_events_per_order", ""),
    ("the peer's runner", "peer_runner", ""),
    ("the floor, us to append an event", "floor_append_us_per_event", ""),
    ("the floor, us to read an event", "floor_read_us_per_event", ""),
    ("orders in a round", "orders", ""),
    ("rounds", "rounds", ""),
)
