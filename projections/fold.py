"""Folds a batch of events into one table's rows, and says what changed.

The rows of one generation are kept decoded, as long as this process is the only one that changes them; the runner sees
to that. A row is loaded once, folded as often as there are events, and written once per batch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from typing import Any

import orjson

from events.base import Recorded
from projections.table import Rows, Table, Timelines, page_key
from projections.views import IndexEntry, TableChanges, Views


class Unfoldable(Exception):
    """A table could not take an event: a fault of ours. The rows in memory are spoilt."""

    def __init__(self, table: str, recorded: Recorded, error: Exception) -> None:
        super().__init__(f"the table {table} cannot take position {recorded.position}: {type(error).__name__}")
        self.recorded = recorded


_Shown = tuple[dict[str, str], dict[str, int]]
"""What the views hold of a row beside the row itself: its index entries and its part of the totals."""

_NOTHING: _Shown = ({}, {})


class Folder:
    """One table of one generation."""

    def __init__(self, views: Views, generation: int, table: Table[Any]) -> None:
        self._views = views
        self._generation = generation
        self.table = table
        self._rows: Rows[Any] = Rows(table.blank)
        self._shown: dict[str, _Shown] = {}

    def forget(self) -> None:
        """Load every row anew: what is in memory may not be what the views hold."""
        self._rows.clear()
        self._shown.clear()

    def fold(self, events: list[Recorded]) -> TableChanges:
        """What events of the types that the table handles change in it.

        Raises Unfoldable. Then, and if the changes are not committed, `forget`.
        """
        self._make_room()
        # A dict, for the order: everything is written in the order of the log.
        touched = dict.fromkeys(self.table.keys([recorded.event for recorded in events]))
        self._load(touched)
        timelines = self._apply(events)
        changes = TableChanges(self.table.name)
        for key, entries in timelines.items():
            self._add_entries(key, entries, changes)
        for key in touched:
            self._note(key, changes)
        return changes

    def _make_room(self) -> None:
        """Rows that were not touched for longest go first. Between batches, so that a batch may exceed the bound."""
        for key in list(islice(self._rows, max(0, len(self._rows) - self.table.cached_rows))):
            del self._rows[key]
            self._shown.pop(key, None)

    def _load(self, touched: Iterable[str]) -> None:
        rows, missing = self._rows, []
        for key in touched:
            row = rows.pop(key, None)
            if row is None:
                missing.append(key)
            else:
                rows[key] = row  # now the last that _make_room takes
        found = self._views.rows(self._generation, self.table.name, missing)
        for key, stored in zip(missing, found, strict=True):
            if stored is not None:
                row = rows[key] = orjson.loads(stored)
                self._shown[key] = self.table.index(row), self.table.totals(row)

    def _apply(self, events: list[Recorded]) -> Timelines:
        apply, rows = self.table.apply, self._rows
        timelines: Timelines = defaultdict(list)
        for recorded in events:
            try:
                apply(recorded, rows, timelines)
            except Exception as error:
                raise Unfoldable(self.table.name, recorded, error) from error
        return timelines

    def _add_entries(self, key: str, entries: list[bytes], changes: TableChanges) -> None:
        """To the row's last page, or to new ones where it is full; the oldest pages go."""
        row, size = self._rows[key], self.table.page_entries
        before = row["entries"]
        after = row["entries"] = before + len(entries)
        first, last = before // size, (after - 1) // size
        if first == last and before % size:
            changes.texts[page_key(key, first)] = b"".join(entries)
            return
        kept = max(0, last - self.table.pages + 1)
        for page in range(max(first, kept), last + 1):
            part = entries[max(0, page * size - before) : (page + 1) * size - before]
            changes.texts[page_key(key, page)] = b"".join(part)
        oldest, newest = max(0, (before - 1) // size - self.table.pages + 1), -(-before // size)
        changes.dropped += [page_key(key, page) for page in range(oldest, min(kept, newest))]

    def _note(self, key: str, changes: TableChanges) -> None:
        """Put the row and the differences of its index entries and totals into the changes."""
        row, before = self._rows[key], self._shown.get(key)
        if row:
            # A copy: orjson's own result keeps the end of a kilobyte that it was written in, and thousands of them
            # make the memory allocator eight times slower than the encoding (0.3 to 2.4 us per row).
            changes.rows[key] = bytes(memoryview(orjson.dumps(row)))
            after = self.table.index(row), self.table.totals(row)
            if after != before:
                self._shown[key] = after
                _compare(before or _NOTHING, after, changes)
        elif before is not None:
            changes.removed.append(key)
            del self._shown[key]
            _compare(before, _NOTHING, changes)


def _compare(before: _Shown, after: _Shown, changes: TableChanges) -> None:
    changes.unindexed += [IndexEntry(*entry) for entry in before[0].items() if entry not in after[0].items()]
    changes.indexed += [IndexEntry(*entry) for entry in after[0].items() if entry not in before[0].items()]
    totals = changes.totals
    for name, part in before[1].items():
        totals[name] = totals.get(name, 0) - part
    for name, part in after[1].items():
        totals[name] = totals.get(name, 0) + part
