"""The floor of the pipeline benchmark: the same bytes appended and read back by a bare loop.

No events, no decisions, no projections: `sqlite3` and tuples, as bare as plain Python gets. It is what our pipeline
would take if everything but the database were free, and every event were read once.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import cycle, groupby
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from events.recorders.sqlite_file import PRAGMAS, WRITER_CACHE_KIB

READ_PAGE = 1000
DEFAULT_BATCH_SIZES = (500,)
SETTINGS = ("journal_mode=WAL", *PRAGMAS, f"cache_size=-{WRITER_CACHE_KIB}")
"""Those of the event store."""

_COLUMNS = "originator_id, originator_version, topic, state"

Row = tuple[str, int, str, bytes]


class FloorResult(NamedTuple):
    """`events` and `bytes` (of stream names, types and states) were each written once and read once."""

    orders: int
    events: int
    bytes: int
    seconds: float
    append_s: float
    read_s: float

    @property
    def orders_per_s(self) -> float:
        return self.orders / self.seconds


def run_floor(
    source_db: Path, folder: Path, orders: int, *, batch_sizes: Sequence[int] = DEFAULT_BATCH_SIZES
) -> FloorResult:
    """Copies the log of a finished store into a fresh file in `folder`, and reads it back.

    `batch_sizes` says how many events each commit takes; when they are used up they are used again.
    """
    rows, schema = _load(source_db)
    batches = list(_batches(rows, batch_sizes))
    folder.mkdir(parents=True, exist_ok=True)
    with closing(_connect(folder / "floor.db")) as db:
        db.execute(schema)
        started = perf_counter()
        _append(db, batches)
        appended = perf_counter()
        count = _read_back(db)
        finished = perf_counter()
    assert count == len(rows), "the floor must read back what it wrote"
    size = sum(len(stream) + len(topic) + len(state) for stream, _, topic, state in rows)
    return FloorResult(orders, count, size, finished - started, appended - started, finished - appended)


def commit_sizes(source_db: Path) -> list[int]:
    """How many events each commit of a finished store took: the store stamps those of one commit with one time."""
    rows, _ = _load(source_db)
    stamps = (json.loads(state)["recorded_at"] for _, _, _, state in rows)
    return [sum(1 for _ in commit) for _, commit in groupby(stamps)]


def _load(source_db: Path) -> tuple[list[Row], str]:
    with closing(sqlite3.connect(f"file:{source_db}?mode=ro", uri=True)) as source:
        schema = source.execute("SELECT sql FROM sqlite_master WHERE name = 'stored_events'").fetchone()[0]
        return source.execute(f"SELECT {_COLUMNS} FROM stored_events ORDER BY rowid").fetchall(), schema


def _batches(rows: list[Row], sizes: Sequence[int]) -> Iterator[list[Row]]:
    first = 0
    for size in cycle(sizes):
        if first >= len(rows):
            return
        yield rows[first : first + size]
        first += size


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None)
    for setting in SETTINGS:
        db.execute(f"PRAGMA {setting}")
    return db


def _append(db: sqlite3.Connection, batches: list[list[Row]]) -> None:
    for batch in batches:
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO stored_events VALUES (?,?,?,?)", batch)
        db.execute("COMMIT")


def _read_back(db: sqlite3.Connection) -> int:
    position = count = 0
    page = f"SELECT rowid, {_COLUMNS} FROM stored_events WHERE rowid > ? ORDER BY rowid LIMIT {READ_PAGE}"
    while rows := db.execute(page, (position,)).fetchall():
        position = rows[-1][0]
        count += len(rows)
    return count
