"""One generation of views as this process feeds it from the log: read, fold, commit rows and checkpoints together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

import orjson

from events.base import Recorded
from events.codec import Unreadable
from events.feed import spellings
from projections.fold import Folder, Unfoldable
from projections.reader import UNREADABLE_KEY, unreadable_table
from projections.table import Projection
from projections.views import Batch, Move, Standing, TableChanges, Views

# Some events that no code of ours can take are faults of theirs; a batch full of them is a fault of ours: then stop.
_MAX_UNFOLDABLE = 20
_KEEP_UNREADABLE = 100


class Log(Protocol):
    """What is needed of the event store."""

    def read_after(
        self,
        position: int,
        *,
        limit: int,
        types: frozenset[str] | None = None,
        upto: int | None = None,
        on_unreadable: Literal["raise", "mark"] = "raise",
    ) -> list[Recorded]: ...

    def last_position(self) -> int: ...


class Replica:
    """Projections of one generation, each at its checkpoint. After an exception its rows are spoilt: make another."""

    def __init__(
        self, log: Log, views: Views, projections: Sequence[Projection], standing: Standing, *, holder: str = ""
    ) -> None:
        self._log = log
        self._views = views
        self._fed = [_Fed(views, standing.generation, projection) for projection in projections]
        self._holder = holder
        self.generation = standing.generation
        self.checkpoints = {one.name: standing.checkpoints.get(one.name, 0) for one in projections}

    @property
    def position(self) -> int:
        """Where the hindmost projection is."""
        return min(self.checkpoints.values())

    def advance(self, head: int, limit: int) -> int:
        """Apply at most `limit` events up to position `head`; how many there were, 0 if all projections are there.

        The hindmost projections go first; they join the others where those stand. Raises StaleWriter, ViewsHeld,
        ViewsUnavailable, and whatever the log raises.
        """
        while self.position < head:
            after = self.position
            upto = min([head, *(at for at in self.checkpoints.values() if at > after)])
            fed = [one for one in self._fed if self.checkpoints[one.name] == after]
            types = frozenset[str]().union(*(one.types for one in fed))
            events = self._log.read_after(after, limit=limit, types=types, upto=upto, on_unreadable="mark")
            # Where nothing more is relevant the checkpoint moves all the same: who waits for `upto` has it.
            reached = events[-1].position if len(events) == limit else upto
            self._commit(fed, events, after, reached)
            if events:
                return len(events)
        return 0

    def _commit(self, fed: list[_Fed], events: list[Recorded], after: int, reached: int) -> None:
        tables = [table for one in fed for table in one.fold(events)]
        moves = [Move(one.name, after, reached) for one in fed]
        self._views.commit(Batch(self.generation, moves, tables, self._holder))
        for one in fed:
            self.checkpoints[one.name] = reached


class _Fed:
    """One projection's tables."""

    def __init__(self, views: Views, generation: int, projection: Projection) -> None:
        self.name = projection.name
        self.types = spellings(projection.handles)
        self._folders = [Folder(views, generation, table) for table in projection.tables]

    def fold(self, events: list[Recorded]) -> list[TableChanges]:
        """What the events change. Those that cannot be decoded, or folded, are left out, and listed and counted."""
        left_out = [
            _LeftOut(recorded, recorded.event.reason)
            for recorded in events
            if isinstance(recorded.event, Unreadable) and recorded.type in self.types
        ]
        for _ in range(_MAX_UNFOLDABLE):
            try:
                tables = [folder.fold(events) for folder in self._folders]
            except Unfoldable as fault:
                self._forget()
                left_out.append(_LeftOut(fault.recorded, str(fault)))
                events = [recorded for recorded in events if recorded is not fault.recorded]
            else:
                return [*tables, self._listed(left_out)] if left_out else tables
        raise RuntimeError(f"the projection {self.name} can take none of many events: {left_out[-1].reason}")

    def _forget(self) -> None:
        for folder in self._folders:
            folder.forget()

    def _listed(self, left_out: list[_LeftOut]) -> TableChanges:
        return TableChanges(
            unreadable_table(self.name),
            entries={UNREADABLE_KEY: [_mark(one) for one in sorted(left_out, key=lambda one: one.recorded.position)]},
            keep_entries=_KEEP_UNREADABLE,
            totals={UNREADABLE_KEY: len(left_out)},
        )


class _LeftOut(NamedTuple):
    recorded: Recorded
    reason: str


def _mark(one: _LeftOut) -> bytes:
    recorded = one.recorded
    mark = {"position": recorded.position, "stream": recorded.stream, "type": recorded.type, "reason": one.reason}
    return orjson.dumps(mark)
