"""What the event store needs of a database. Rows in, rows out: encoding and decoding are the store's job."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple, Protocol

from events.base import Tracked
from events.leadership import Leadership
from events.store_errors import VersionConflict

Row = tuple[str, int, str, bytes]
"""stream, version, topic, state"""

StoredRow = tuple[int, str, int, str, bytes]
"""position, stream, version, topic, state"""


class Tail(NamedTuple):
    """The row that was last when a process looked; `digest` is the SHA-256 of its state. Position 0: there was none."""

    position: int
    stream: str
    version: int
    digest: bytes


NO_TAIL = Tail(0, "", 0, b"")


class Batch(NamedTuple):
    """What one append writes, and what must hold for it to be written.

    rows      new events, each stream's in order of version
    expected  stream -> the version that it must be at, whether it is written to or only watched; streams of which the
              store knows that version to exist are left out, the primary key of their rows is fence enough
    tracked   recorded in the same transaction, if it `follows` what the log has of the consumer so far
    tail      must still be in the log; for recorders that are not local
    """

    rows: list[Row]
    expected: dict[str, int]
    tracked: Tracked | None
    tail: Tail = NO_TAIL

    def conflict(self, actual: dict[str, int]) -> VersionConflict | None:
        """The first stream that is not at its expected version; `actual` leaves out what does not exist."""
        return _first_conflict(self.expected, actual)

    def written(self) -> dict[str, int]:
        """The streams that are written to, and the version before their first row."""
        before: dict[str, int] = {}
        for stream, version, _, _ in self.rows:
            before.setdefault(stream, version - 1)
        return before

    def lost_race(self, actual: dict[str, int]) -> VersionConflict:
        """Which stream's rows the primary key refused, given the versions that the streams are really at."""
        conflict = _first_conflict(self.written(), actual)
        assert conflict is not None, "the database refused rows that conflict with nothing"
        return conflict


def _first_conflict(expected: dict[str, int], actual: dict[str, int]) -> VersionConflict | None:
    for stream, version in expected.items():
        if actual.get(stream, 0) != version:
            return VersionConflict(stream, version, actual.get(stream, 0))
    return None


class Recorder(Protocol):
    """One log's database. Safe to use from several threads. Every method may raise StoreUnavailable.

    Positions are given out in order of commit: whoever has read up to a position never misses an earlier one.
    """

    is_local: bool
    """Whether what was committed stays for as long as we look: no server behind it that could fail over and go back."""
    is_shared: bool
    """Whether other processes may write to the same log."""

    def append(self, batch: Batch) -> Sequence[int]:
        """Write all of it or nothing; returns the rows' positions.

        Raises StoreWentBack before AlreadyTracked before VersionConflict, because redelivered work meets the last two.
        Raises CommitOutcomeUnknown when the commit failed and may still happen: ask `settle`.
        """

    def settle(self, batch: Batch) -> Sequence[int] | None:
        """After an unknown outcome: the rows' positions if the batch is in the log, None if it never will be."""

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        """Rows after a position, in order, up to and including `upto`."""

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        """One stream's rows in order of version."""

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        """Rows of several streams, each stream's in order of version."""

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        """The latest version of each of the streams that exist."""

    def last_position(self) -> int:
        """The last position in the log; 0 if it is empty."""

    def verify(self, seen: Tail) -> Tail:
        """The log's tail now. Raises StoreWentBack if what was `seen` is not in it. Not for local recorders."""

    def tracked_positions(self) -> dict[str, int]:
        """How far every consumer has got."""

    def hear(self, on_news: Callable[[], None]) -> bool:
        """Have `on_news` called, in another thread, whenever anybody has appended; False if nobody can tell us."""

    def leadership(self, name: str) -> Leadership:
        """A candidature for being the only process of this log that does what `name` stands for."""

    def close(self) -> None:
        """Let go of the database. May be called twice."""
