"""The event store: the one log that is the truth. Everything else can be rebuilt from it.

It appends to several streams in one transaction, together with a consumer's position, and gives out positions in
order of commit, so that a reader who follows the log misses nothing. What an event means is not its job.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Literal

from events.base import NewEvent, Recorded, Tracked, Write
from events.codec import decode, decode_or_mark, encode
from events.heads import Heads
from events.leadership import Leadership
from events.news import News
from events.recent import Recent
from events.recorders.port import Batch, Recorder, Row, StoredRow
from events.store_errors import (
    AlreadyTracked,
    CommitOutcomeUnknown,
    StoreError,
    StoreUnavailable,
    StoreWentBack,
    VersionConflict,
)
from events.whole_log import WholeLog

__all__ = [
    "AlreadyTracked",
    "CommitOutcomeUnknown",
    "EventStore",
    "StoreError",
    "StoreUnavailable",
    "StoreWentBack",
    "VersionConflict",
    "open_store",
    "utc_now",
]

Now = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class EventStore:
    """One log, safe to use from several threads; other processes may append to it and read it at the same time."""

    # The embedded pipeline reads what it wrote a moment ago: 8 MB are about 20,000 events, 40 of its batches.
    RECENT_BYTES = 8_000_000
    # Asking what became of a commit: ten times over about five seconds, the time that a database takes to restart.
    SETTLE_ATTEMPTS = 10
    SETTLE_PAUSE_S = 0.5

    def __init__(
        self, recorder: Recorder, *, now: Now = utc_now, appended: Callable[[float], object] = lambda seconds: None
    ) -> None:
        """`now` is asked once per append, for `recorded_at`; `appended` is told how many seconds each took."""
        self._recorder = recorder
        self._now = now
        self._appended = appended
        self._recorded_at = _latest_recorded_at(recorder)
        self._appending = threading.Lock()
        self._log = WholeLog(recorder)
        self._news = News()
        self._recent = Recent(self.RECENT_BYTES)
        self._heads = Heads()

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
        """Write all events and the consumer's position, or nothing; returns them recorded, in the order given.

        A write without events only demands that its stream is still at the expected version. A stream may occur
        twice, if its second write expects the version that the first one leads to.

        Raises VersionConflict, AlreadyTracked (which wins if both are so), StoreUnavailable (nothing was written),
        CommitOutcomeUnknown and StoreWentBack.
        """
        if not writes and tracked is None:
            return []
        began_s = time.perf_counter()
        expected = _expected(writes)
        with self._appending:
            expected = self._heads.unproven(expected, writes)
            recorded_at = self._next_recorded_at()
            rows = [row for write in writes for row in _rows(write, recorded_at)]
            positions = self._commit(Batch(rows, expected, tracked))
            events = chain.from_iterable(write.events for write in writes)
            recorded = _recorded(positions, rows, events, recorded_at)
            self._recent.extend(recorded, [len(state) for _, _, _, state in rows])
            self._heads.note(recorded)
        self._appended(time.perf_counter() - began_s)
        if recorded:
            self._news.announce()
        return recorded

    def _next_recorded_at(self) -> datetime:
        """The time of an append; it stands still rather than going back with the clock."""
        self._recorded_at = max(self._recorded_at, self._now())
        return self._recorded_at

    def _commit(self, batch: Batch) -> Sequence[int]:
        try:
            return self._log.append(batch)
        except CommitOutcomeUnknown as fault:
            return self._settle(batch, fault)

    def _settle(self, batch: Batch, fault: CommitOutcomeUnknown) -> Sequence[int]:
        """The commit was cut short: look whether it is in the log, and report what is true."""
        for attempt in range(self.SETTLE_ATTEMPTS):
            if attempt:
                time.sleep(self.SETTLE_PAUSE_S)
            try:
                positions = self._log.settle(batch)
            except (StoreUnavailable, CommitOutcomeUnknown):
                continue
            if positions is None:
                raise StoreUnavailable(f"nothing was written, try again: {fault}") from fault
            return positions
        raise fault

    # --- reading -------------------------------------------------------------------------------------------------

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]:
        """One stream's events in order of version. Raises CodecError for what cannot be decoded."""
        return _decoded(self._log.recorder.stream(stream, after_version))

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]:
        """Several streams' events, each in order of version; streams that do not exist are absent."""
        found: dict[str, list[Recorded]] = {}
        for recorded in _decoded(self._log.recorder.streams(streams)):
            found.setdefault(recorded.stream, []).append(recorded)
        return found

    def stream_versions(self, streams: Collection[str]) -> dict[str, int]:
        """The latest version of each of the streams that exist."""
        return self._log.recorder.versions(streams)

    def read_after(
        self,
        position: int,
        *,
        limit: int,
        types: frozenset[str] | None = None,
        upto: int | None = None,
        on_unreadable: Literal["raise", "mark"] = "raise",
    ) -> list[Recorded]:
        """Events after a position, in order, up to and including `upto`. Fewer than `limit` means: there are no more.

        `types` are spellings as the log holds them, old ones included. What cannot be decoded raises CodecError, or
        comes back with an `Unreadable` in the event's place.
        """
        assert limit > 0
        recorder = self._log.recorder
        reach = self._recent.after(position, limit=limit, types=types, upto=upto)
        events, reached = reach or ([], position)
        if len(events) < limit and (upto is None or reached < upto):
            rows = recorder.after(reached, limit=limit - len(events), topics=types, upto=upto)
            events += _decoded(rows, on_unreadable)
        return events

    def last_position(self) -> int:
        """The last position in the log; 0 if it is empty."""
        return self._log.last_position()

    def tracked_position(self, consumer: str) -> int:
        """How far the consumer has got; 0 if it never tracked anything."""
        return self.tracked_positions().get(consumer, 0)

    def tracked_positions(self) -> dict[str, int]:
        """How far every consumer has got."""
        return self._log.recorder.tracked_positions()

    def wait(self, after: int, timeout_s: float) -> bool:
        """Until there is something after that position, or the time is over; whether there is."""
        return self._news.wait(self._log.recorder, lambda: self._has_news(after), timeout_s)

    def _has_news(self, after: int) -> bool:
        return self._recent.last_position > after or self.last_position() > after

    def leadership(self, name: str) -> Leadership:
        """A candidature for being the only process on this log that does what `name` stands for."""
        return self._recorder.leadership(name)

    def close(self) -> None:
        """Let go of the database, after the append that is under way. May be called twice."""
        with self._appending:
            self._recorder.close()


def open_store(
    url: str, *, now: Now = utc_now, appended: Callable[[float], object] = lambda seconds: None
) -> EventStore:
    """The store behind a URL: "memory:", "sqlite:///path/to/file.db" or "postgresql://user@host/database".

    After "sqlite:///" comes a path as it is, relative or absolute. Raises StoreUnavailable if it cannot be opened.
    """
    recorder = _recorder(url)
    try:
        return EventStore(recorder, now=now, appended=appended)
    except StoreUnavailable:
        recorder.close()
        raise


def _recorder(url: str) -> Recorder:
    # Imported here: a command that only needs one database should not wait for the libraries of all three.
    scheme, _, rest = url.partition(":")
    if url == "memory:":
        from events.recorders.memory import MemoryRecorder

        return MemoryRecorder()
    if scheme == "sqlite" and rest.startswith("///") and len(rest) > len("///"):
        from events.recorders.sqlite import SqliteRecorder

        return SqliteRecorder(Path(rest.removeprefix("///")))
    if scheme in {"postgresql", "postgres"}:
        from events.recorders.postgres import open_postgres

        return open_postgres(url)
    # The URL is not quoted: it may hold a password.
    raise StoreUnavailable('the store\'s URL is none of "memory:", "sqlite:///path/to/file.db", "postgresql://…"')


def _latest_recorded_at(recorder: Recorder) -> datetime:
    """Where the log's time stands: a clock that was set back must not take it back."""
    last = recorder.last_position()
    rows = recorder.after(last - 1, limit=1, topics=None, upto=last) if last else []
    return max((one.recorded_at for one in _decoded(rows, "mark")), default=datetime.min.replace(tzinfo=UTC))


def _expected(writes: Iterable[Write]) -> dict[str, int]:
    """What each stream must be at before the append."""
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for stream, expected, events in writes:
        if after.setdefault(stream, expected) != expected:
            raise VersionConflict(stream, expected, after[stream])
        before.setdefault(stream, expected)
        after[stream] = expected + len(events)
    return before


def _rows(write: Write, recorded_at: datetime) -> list[Row]:
    stream, expected, events = write
    return [(stream, version, *encode(new, recorded_at)) for version, new in enumerate(events, expected + 1)]


def _recorded(
    positions: Sequence[int], rows: Sequence[Row], events: Iterable[NewEvent], at: datetime
) -> list[Recorded]:
    new = tuple.__new__  # what Recorded(...) comes to, without a function in between
    return [
        new(Recorded, (position, stream, version, topic, event, occurred_at, at, correlation, causation, actor, clock))
        for position, (stream, version, topic, _), (event, occurred_at, correlation, causation, actor, clock) in zip(
            positions, rows, events, strict=True
        )
    ]


def _decoded(rows: Iterable[StoredRow], on_unreadable: Literal["raise", "mark"] = "raise") -> list[Recorded]:
    read = decode if on_unreadable == "raise" else decode_or_mark
    return [read(*row) for row in rows]
