"""Folds a batch of events into one table's rows, and says what changed.

The rows of one generation are kept decoded, as long as this process is the only one that changes them; the runner sees
to that. A row is loaded once, folded as often as there are events, and written once per batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

import orjson

from events.base import Recorded
from projections.table import Rows, Table
from projections.views import IndexEntry, TableChanges, Views


class Unfoldable(Exception):
    """A table could not take an event: a fault of ours. The rows in memory are spoilt."""

    def __init__(self, table: str, recorded: Recorded, error: Exception) -> None:
        super().__init__(f"the table {table} cannot take position {recorded.position}: {type(error).__name__}")
        self.recorded = recorded


class _Shown(NamedTuple):
    """What the views hold of a row beside the row itself."""

    indexed: dict[str, str]
    totals: dict[str, int]


_NOTHING = _Shown({}, {})


class Folder:
    """One table of one generation."""

    def __init__(self, views: Views, generation: int, table: Table[Any]) -> None:
        self._views = views
        self._generation = generation
        self._table = table
        self._rows: Rows[Any] = Rows(table.blank)
        self._shown: dict[str, _Shown] = {}

    def forget(self) -> None:
        """Load every row anew: what is in memory may not be what the views hold."""
        self._rows.clear()
        self._shown.clear()

    def fold(self, events: Iterable[Recorded]) -> TableChanges:
        """What the events change. Raises Unfoldable; then, and if the changes are not committed, `forget`."""
        mine = [recorded for recorded in events if type(recorded.event) in self._table.handles]
        changes = TableChanges(self._table.name, keep_entries=self._table.keep_entries)
        if mine:
            self._make_room()
            touched = self._touched(mine)
            self._load(touched)
            changes.entries = self._apply(mine)
            for key in touched:
                self._note(key, changes)
        return changes

    def _make_room(self) -> None:
        """Rows that were not touched for longest go first. Between batches, so that a batch may exceed the bound."""
        for key in list(islice(self._rows, max(0, len(self._rows) - self._table.cached_rows))):
            del self._rows[key]
            self._shown.pop(key, None)

    def _touched(self, events: list[Recorded]) -> dict[str, None]:
        """The keys in a dict, for the order: everything that is written is written in the order of the log."""
        touched: dict[str, None] = {}
        for recorded in events:
            touched.update(dict.fromkeys(self._table.keys(recorded.event)))
        return touched

    def _load(self, touched: dict[str, None]) -> None:
        rows, missing = self._rows, []
        for key in touched:
            row = rows.pop(key, None)
            if row is None:
                missing.append(key)
            else:
                rows[key] = row  # now the last that _make_room takes
        found = self._views.rows(self._generation, self._table.name, missing)
        for key, stored in zip(missing, found, strict=True):
            if stored is not None:
                row = rows[key] = orjson.loads(stored)
                self._shown[key] = _Shown(self._table.index(row), self._table.totals(row))

    def _apply(self, events: list[Recorded]) -> dict[str, list[bytes]]:
        table, rows = self._table, self._rows
        entries: dict[str, list[bytes]] = defaultdict(list)
        for recorded in events:
            try:
                table.apply(recorded, rows)
                for key, entry in table.entries(recorded):
                    entries[key].append(entry)
            except Exception as error:
                raise Unfoldable(table.name, recorded, error) from error
        return entries

    def _note(self, key: str, changes: TableChanges) -> None:
        """Put the row and the differences of its index entries and totals into the changes."""
        row, before = self._rows[key], self._shown.get(key)
        if row:
            after = _Shown(self._table.index(row), self._table.totals(row))
            changes.rows[key] = orjson.dumps(row)
            self._shown[key] = after
        else:
            after = _NOTHING
            if before is not None:
                changes.rows[key] = None
                del self._shown[key]
        if before != after:
            _compare(before or _NOTHING, after, changes)


def _compare(before: _Shown, after: _Shown, changes: TableChanges) -> None:
    for name, member in before.indexed.items():
        if after.indexed.get(name) != member:
            changes.unindexed.append(IndexEntry(name, member))
    for name, member in after.indexed.items():
        if before.indexed.get(name) != member:
            changes.indexed.append(IndexEntry(name, member))
    totals = changes.totals
    for name, part in before.totals.items():
        totals[name] = totals.get(name, 0) - part
    for name, part in after.totals.items():
        totals[name] = totals.get(name, 0) + part
