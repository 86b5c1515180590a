"""The PostgreSQL benchmark: our recorder beside psycopg alone, and an empty table beside one of millions of events.

- psycopg: one transaction per batch with the table's EXCLUSIVE lock and one insert of `unnest` in binary arrays
- ours: the same lock and rows, and also what an append must see to: the log's tail, the consumer's position, the
  version of every stream, the announcement

Both write the same rows into tables of the same shape on one server with its delivered settings (fsync and all). They
take turns batch by batch, so that a slow moment of the machine hits both, and every figure is a median over batches.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from itertools import islice
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from rich.console import Console
from rich.table import Table

from events.base import Tracked, Write
from events.recorders.port import NO_TAIL, Batch, Row
from events.recorders.postgres import PostgresRecorder, open_postgres
from events.store import EventStore
from tests.postgres import PostgresServer, server_programs
from tests.stores import accepted, payment_requested

BATCHES = (50, 200, 500, 2_000)
EVENTS_PER_ROUND = 20_000
"""What each side appends in batches of one size: half a second, ten batches of the largest."""
WARM_UP = 5
"""Batches of each side that are not counted: connections, prepared statements, a table that begins to grow."""
PAGE = 1_000
RARE = "shipping.parcel_lost.v1"
"""One event in 10,000 of the millions."""
STEADY_BATCHES = 600
"""After a checkpoint every page is written to the log whole once. So many batches touch most pages of the index."""
AS_DEPLOYED = ("shared_buffers=1GB", "max_wal_size=8GB", "checkpoint_timeout=30min", "wal_compression=lz4")
"""Settings for a log of millions of events: with the delivered ones, whole pages double what an append writes."""
GOAL_OF_PSYCOPG = 0.5
GOAL_OF_EMPTY = 0.9
_SIZE_ON_FULL = 500

_STATE = (
    b'{"occurred_at":"2026-03-02T12:00:00Z","recorded_at":"2026-03-02T12:00:00.123456Z","correlation_id":'
    b'"00000000-0000-5000-8000-000000000001","causation_id":"order-00000000-0000-5000-8000-000000000001/3","actor":'
    b'"payment","data":{"order_id":"00000000-0000-5000-8000-000000000001","amount_minor":1250,"currency":"GBP",'
    b'"reference":"pay_12345"}}'
)
_TOPICS = ("order.payment_requested.v1", "order.accepted.v1")

# Streams of ten events, as an order's are on average; their names in no order, as those of orders are.
_FILL = """
INSERT INTO stored_events (originator_id, originator_version, topic, state)
SELECT 'order-' || md5((n / 10)::text)::uuid, n %% 10 + 1,
    CASE WHEN n %% 10000 = 0 THEN %s ELSE %s END, %b FROM generate_series(%s::bigint, %s::bigint) AS n ORDER BY n
"""


Append = Callable[[list[Row]], int]
"""Appends rows; returns how many."""


class Sides(NamedTuple):
    """Both sides, which are given the same rows in turn."""

    psycopg: Append
    ours: Append


def run_postgres(*, rounds: int, stored: int, as_json: bool) -> None:
    """Measures, prints a table and, if asked for, one JSON object as the last line.

    `stored`: so many events for the second half of it, or 0 to leave it out.
    """
    programs = server_programs()
    assert programs is not None, "no PostgreSQL server on this machine (Debian: apt-get install postgresql)"
    with PostgresServer(programs, durable=True) as server:
        figures: dict[str, Any] = {str(size): _compare(server.new_database, size, rounds) for size in BATCHES}
    if stored:
        with PostgresServer(programs, durable=True, settings=AS_DEPLOYED) as server:
            figures["stored"] = _empty_and_full(server.new_database, stored, rounds)
    Console().print(_table(figures))
    if as_json:
        print(json.dumps(figures))


# --- ours beside psycopg ---------------------------------------------------------------------------------------------


def _compare(new_database: Callable[[], str], size: int, rounds: int) -> dict[str, float]:
    recorder, theirs = open_postgres(new_database()), new_database()
    open_postgres(theirs).close()  # makes the same tables
    with psycopg.connect(theirs, autocommit=True) as connection:
        batches = list(islice(_batches(size), max(2 * WARM_UP, rounds * EVENTS_PER_ROUND // size)))
        appending = Sides(_by_psycopg(connection), _by_us(recorder))
        took = [(_seconds(appending.psycopg, rows), _seconds(appending.ours, rows)) for rows in batches][WARM_UP:]
    recorder.close()
    return {
        "ours": round(median(size / ours for _, ours in took)),
        "psycopg": round(median(size / bare for bare, _ in took)),
        "ratio": round(median(bare / ours for bare, ours in took), 2),
    }


def _seconds(append: Append, rows: list[Row]) -> float:
    started = perf_counter()
    count = append(rows)
    took = perf_counter() - started
    assert count == len(rows)
    return took


def _by_psycopg(connection: psycopg.Connection) -> Append:
    insert = (
        "INSERT INTO stored_events (originator_id, originator_version, topic, state)"
        " SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) RETURNING notification_id"
    )

    def append(rows: list[Row]) -> int:
        with connection.transaction():
            connection.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
            columns = [list(column) for column in zip(*rows, strict=True)]
            return len(connection.execute(insert, columns).fetchall())

    return append


def _by_us(recorder: PostgresRecorder) -> Append:
    """As a worker appends: nothing is taken for known, its own position goes with it."""
    tail, tracked = recorder.verify(NO_TAIL), recorder.tracked_positions().get("bench", 0)

    def append(rows: list[Row]) -> int:
        nonlocal tail, tracked
        expected: dict[str, int] = {}
        for stream, version, _, _ in rows:
            expected.setdefault(stream, version - 1)
        positions = recorder.append(Batch(rows, expected, Tracked("bench", tracked + 1, after=tracked), tail))
        tracked += 1
        return len(positions)

    return append


def _by_store(recorder: PostgresRecorder) -> Append:
    """What a worker pays for: events in, recorded events out. Streams that it wrote itself are not asked about."""
    store = EventStore(recorder)

    def append(rows: list[Row]) -> int:
        # Beside the streams of the other runs; the rows only say which ones, and where they stand.
        heads = {f"{stream}/s": version - 1 for stream, version, _, _ in reversed(rows)}
        writes = [Write(stream, version, [payment_requested(), accepted()]) for stream, version in heads.items()]
        after = store.tracked_position("bench-store")
        return len(store.append(writes, tracked=Tracked("bench-store", after + 1, after)))

    return append


def _batches(size: int) -> Iterator[list[Row]]:
    """Two events for each of many streams; every second batch goes on with the streams of the one before."""
    draw = random.Random(size)  # the same in every run
    while True:
        streams = [f"order-{UUID(int=draw.getrandbits(128))}" for _ in range(size // 2)]
        for version in (1, 3):
            yield [(stream, version + nth, _TOPICS[nth], _STATE) for stream in streams for nth in range(2)]


# --- an empty table beside a full one --------------------------------------------------------------------------------


def _empty_and_full(new_database: Callable[[], str], stored: int, rounds: int) -> dict[str, Any]:
    empty, full = open_postgres(new_database()), open_postgres(url := new_database())
    _fill(url, stored)
    recorders = _ratio_of_full(_by_us(empty), _by_us(full), rounds)
    stores = _ratio_of_full(_by_store(empty), _by_store(full), rounds)
    head = full.last_position()
    page = [_read_s(full, after, {_TOPICS[0]}) for after in range(0, head - 2 * PAGE, head // 50)]
    everything = [_read_s(full, after, None) for after in range(0, head - 2 * PAGE, head // 50)]
    rare = _rare_events_per_s(full, head)
    empty.close()
    full.close()
    return {
        "events": stored,
        "append_of_empty": stores,
        "recorder_alone_of_empty": recorders,
        "read_events_per_s": round(PAGE / median(everything)),
        "read_by_type_events_per_s": round(PAGE / median(page)),
        "search_events_per_s": rare,
    }


def _ratio_of_full(on_empty: Append, on_full: Append, rounds: int) -> float:
    batches = islice(_batches(_SIZE_ON_FULL), STEADY_BATCHES + rounds * EVENTS_PER_ROUND // _SIZE_ON_FULL)
    took = [(_seconds(on_empty, rows), _seconds(on_full, rows)) for rows in batches][STEADY_BATCHES:]
    return round(median(one for one, _ in took) / median(other for _, other in took), 2)


def _read_s(recorder: PostgresRecorder, after: int, topics: set[str] | None) -> float:
    started = perf_counter()
    rows = recorder.after(after, limit=PAGE, topics=topics, upto=None)
    took = perf_counter() - started
    assert len(rows) == PAGE
    return took


def _rare_events_per_s(recorder: PostgresRecorder, head: int) -> int:
    """A consumer of a rare type that starts from the beginning: events passed by in a second."""
    started = perf_counter()
    found = recorder.after(0, limit=head, topics={RARE}, upto=head)
    took = perf_counter() - started
    assert found
    return round(head / took)


def _fill(url: str, stored: int) -> None:
    step = 100_000
    with psycopg.connect(url, autocommit=True) as connection:
        for first in range(0, stored, step):
            last = min(first + step, stored) - 1
            connection.execute(_FILL, (RARE, _TOPICS[0], _STATE, first, last))
        connection.execute("VACUUM ANALYZE stored_events")
        connection.execute("CHECKPOINT")


# --- saying it -------------------------------------------------------------------------------------------------------


def _table(figures: dict[str, Any]) -> Table:
    table = Table(title="Events per second, appended to PostgreSQL", title_justify="left")
    for column in ("batch", "psycopg", "ours", "ours / psycopg", "to reach"):
        table.add_column(column, justify="right")
    for size in map(str, BATCHES):
        one = figures[size]
        table.add_row(size, f"{one['psycopg']:,}", f"{one['ours']:,}", f"{one['ratio']}", f">= {GOAL_OF_PSYCOPG}")
    for what, value in figures.get("stored", {}).items():
        goal = f">= {GOAL_OF_EMPTY}" if what == "append_of_empty" else ""
        table.add_row(what.replace("_", " "), "", f"{value:,}", "", goal)
    return table
