"""One generation of views as this process feeds it from the log: read, fold, commit rows and checkpoints together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, Protocol

from events.base import Event, Recorded
from events.codec import Unreadable
from events.feed import spellings
from projections.fold import Folder, Unfoldable
from projections.left_out import LeftOut
from projections.table import Projection
from projections.views import Batch, Commit, Move, Standing, TableChanges, Views

# Some events that no code of ours can take are faults of theirs; a batch full of them is a fault of ours: then stop.
_MAX_UNFOLDABLE = 20


Shares = dict[Folder, list[Recorded]]
"""The events that each table takes, in order."""


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
    """Projections of one generation, each at its checkpoint. After an exception its rows are spoilt: make another.

    One commit may be under way while the next events are read and decoded; it is waited for before those are folded,
    so that no row is loaded from the views that are still to be written there.
    """

    def __init__(
        self, log: Log, views: Views, projections: Sequence[Projection], standing: Standing, *, holder: str = ""
    ) -> None:
        self._log = log
        self._views = views
        self._fed = [_Fed(views, standing.generation, projection) for projection in projections]
        self._takers = _takers(self._fed)
        self._holder = holder
        self._under_way: Commit | None = None
        self.generation = standing.generation
        self.checkpoints = {one.name: standing.checkpoints.get(one.name, 0) for one in projections}

    @property
    def position(self) -> int:
        """Where the hindmost projection is, once what is under way is made."""
        return min(self.checkpoints.values())

    def advance(self, head: int, limit: int) -> int:
        """Apply at most `limit` events up to position `head`; how many there were, 0 if all of them can be seen.

        The hindmost projections go first; they join the others where those stand. Raises StaleWriter, ViewsHeld or
        ViewsUnavailable (also about the commit of the call before), and whatever the log raises.
        """
        while self.position < head:
            after = self.position
            upto = min([head, *(at for at in self.checkpoints.values() if at > after)])
            fed = [one for one in self._fed if self.checkpoints[one.name] == after]
            types = frozenset[str]().union(*(one.types for one in fed))
            events = self._log.read_after(after, limit=limit, types=types, upto=upto, on_unreadable="mark")
            # Where nothing more is relevant the checkpoint moves all the same: who waits for `upto` has it.
            reached = events[-1].position if len(events) == limit else upto
            self.settle()
            self._commit(fed, events, after, reached)
            if events:
                return len(events)
        self.settle()
        return 0

    @property
    def is_busy(self) -> bool:
        """Is a commit under way?"""
        return self._under_way is not None

    def settle(self) -> None:
        """Wait for the commit that is under way. Raises what came of it, unless it was made."""
        if self._under_way is not None:
            commit, self._under_way = self._under_way, None
            commit.wait()

    def _commit(self, fed: list[_Fed], events: list[Recorded], after: int, reached: int) -> None:
        shares = self._shares(events)
        tables = [changes for one in fed for changes in one.fold(shares)]
        moves = [Move(one.name, after, reached) for one in fed]
        self._under_way = self._views.commit(Batch(self.generation, moves, tables, self._holder))
        for one in fed:
            self.checkpoints[one.name] = reached

    def _shares(self, events: list[Recorded]) -> Shares:
        """Which events each table takes. What cannot be decoded goes to the projections that wanted it."""
        shares: Shares = defaultdict(list)
        for recorded in events:
            for folder in self._takers.get(type(recorded.event), ()):
                shares[folder].append(recorded)
            if type(recorded.event) is Unreadable:
                for one in self._fed:
                    if recorded.type in one.types:
                        shares[one.left_out].append(recorded)
        return shares


class _Fed:
    """One projection's tables, and the list of what they could not take."""

    def __init__(self, views: Views, generation: int, projection: Projection) -> None:
        self.name = projection.name
        self.types = spellings(projection.handles)
        self.left_out = Folder(views, generation, LeftOut(projection.name))
        self.folders = [Folder(views, generation, table) for table in projection.tables]

    def fold(self, shares: Shares) -> list[TableChanges]:
        """What the events change. One that a table cannot take is left out of all of them, listed and counted."""
        for _ in range(_MAX_UNFOLDABLE):
            try:
                return [folder.fold(shares[folder]) for folder in (*self.folders, self.left_out) if shares[folder]]
            except Unfoldable as fault:
                self._leave_out(fault, shares)
        raise RuntimeError(f"the projection {self.name} cannot take {_MAX_UNFOLDABLE} events of one batch")

    def _leave_out(self, fault: Unfoldable, shares: Shares) -> None:
        for folder in self.folders:
            folder.forget()
            shares[folder] = [recorded for recorded in shares[folder] if recorded is not fault.recorded]
        self.left_out.forget()
        shares[self.left_out].append(fault.recorded._replace(event=Unreadable(reason=str(fault))))
        shares[self.left_out].sort(key=lambda recorded: recorded.position)


def _takers(fed: list[_Fed]) -> dict[type[Event], list[Folder]]:
    takers: dict[type[Event], list[Folder]] = defaultdict(list)
    for one in fed:
        for folder in one.folders:
            for kind in folder.table.handles:
                takers[kind].append(folder)
    return dict(takers)
