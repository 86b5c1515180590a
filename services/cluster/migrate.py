"""Moves a home into a cluster's database: the same log at the same positions, the same work done, the same left to do.

A consumer's position becomes the position of each of its slots: what it had handled, all of its slots have handled, and
what it had not, none of them has. So nothing is done twice and nothing is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from events.recorders.port import StoredRow
from events.recorders.postgres_restore import restore
from events.recorders.sqlite import SqliteRecorder
from events.slots import SLOTS, slot_name
from events.store import EventStore
from services.cluster.faults import RoleRefused
from services.reads import parked_events
from services.routing import CONSUMES
from services.wiring import database, locked

_PAGE_ROWS = 10_000

# Consumers whose work is divided into slots; the timekeepers' is not.
_BY_SLOTS = (*CONSUMES, "shipping.tracking")


class Migrated(NamedTuple):
    """What was moved."""

    events: int
    last_position: int
    consumers: int


def migrate(home: Path, url: str) -> Migrated:
    """Copy the log of a home where nobody works into an empty PostgreSQL database. The home stays as it is.

    Raises HomeInUse, RoleRefused, LogNotEmpty and StoreUnavailable, each in words; then nothing was moved.
    """
    if not database(home).exists():
        raise RoleRefused(f"there is no event store in {home}: name another --home")
    with locked(home.resolve()):
        recorder = SqliteRecorder(database(home))
        store = EventStore(recorder)
        try:
            _refuse_parked(store)
            head = store.last_position()
            tracked = _by_slots(store.tracked_positions(), head)
            return Migrated(restore(url, _rows(recorder), tracked), head, len(tracked))
        finally:
            store.close()


def _refuse_parked(store: EventStore) -> None:
    """They are kept per consumer, and would not be found under its slots' names."""
    parked = parked_events(store)
    if parked:
        raise RoleRefused(f"{len(parked)} events are parked: replay or drop them first (waybill parked list)")


def _by_slots(tracked: dict[str, int], head: int) -> dict[str, int]:
    found = {name: position for name, position in tracked.items() if name not in _BY_SLOTS}
    for name in _BY_SLOTS:
        for slot in range(SLOTS):
            found[slot_name(name, slot)] = tracked.get(name, 0)
    # What is in the log already is read from the log by whoever needs it: Kafka gets what comes from here on.
    return {name: position for name, position in {**found, "relay": head}.items() if position}


def _rows(recorder: SqliteRecorder) -> Iterator[StoredRow]:
    """Every row, in order of position."""
    position = 0
    while rows := recorder.after(position, limit=_PAGE_ROWS, topics=None, upto=None):
        yield from rows
        position = rows[-1][0]
