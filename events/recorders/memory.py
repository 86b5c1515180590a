"""The log in this process's memory, for tests and simulations: nothing survives the process."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.popo import POPOProcessRecorder

from events.base import Tracked
from events.leadership import Leadership, SoleLeadership
from events.recorders.port import Batch, StoredRow, Tail
from events.store_errors import AlreadyTracked


class MemoryRecorder(POPOProcessRecorder):
    """The library's plain-objects recorder behind our port."""

    is_local = True
    is_shared = False

    def append(self, batch: Batch) -> Sequence[int]:
        with self._database_lock:
            self._check_tracking(batch.tracked)
            conflict = batch.conflict(self.versions(batch.expected))
            if conflict:
                raise conflict
            return self._write(batch)

    def _check_tracking(self, tracked: Tracked | None) -> None:
        if tracked and not tracked.follows(self._tracked(tracked.consumer)):
            raise AlreadyTracked(tracked.consumer, tracked.position)

    def _write(self, batch: Batch) -> Sequence[int]:
        events = [StoredEvent(*row) for row in batch.rows]
        tracking = Tracking(batch.tracked.consumer, batch.tracked.position) if batch.tracked else None
        try:
            positions = self.insert_events(events, tracking=tracking)
        except IntegrityError as error:
            raise batch.lost_race(self.versions(batch.written())) from error
        return positions or []

    def settle(self, batch: Batch) -> Sequence[int] | None:
        raise AssertionError("a commit in memory cannot be cut short")

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        with self._database_lock:
            end = len(self._stored_events) if upto is None else min(upto, len(self._stored_events))
            rows = self._rows(range(position, end))
            return list(islice((row for row in rows if topics is None or row[3] in topics), limit))

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        with self._database_lock:
            index = self._stored_events_index.get(stream, {})
            return list(self._rows(index[version] for version in range(after_version + 1, self._version(stream) + 1)))

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        return [row for stream in streams for row in self.stream(stream, 0)]

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        with self._database_lock:
            return {stream: version for stream in streams if (version := self._version(stream))}

    def last_position(self) -> int:
        return self.max_notification_id() or 0

    def verify(self, seen: Tail) -> Tail:
        raise AssertionError("the memory does not go back")

    def hear(self, on_news: Callable[[], None]) -> bool:
        return False  # nobody else can append

    def leadership(self, name: str) -> Leadership:
        return SoleLeadership()

    def tracked_positions(self) -> dict[str, int]:
        with self._database_lock:
            return {consumer: position for consumer, position in self._max_tracking_ids.items() if position}

    def close(self) -> None:
        """There is nothing to let go of."""

    def _version(self, stream: str) -> int:
        # `get`, because the library's index is a defaultdict that would keep every name ever asked for.
        index = self._stored_events_index.get(stream)
        return next(reversed(index)) if index else 0

    def _tracked(self, consumer: str) -> int:
        return self._max_tracking_ids.get(consumer) or 0

    def _rows(self, places: Iterable[int]) -> Iterator[StoredRow]:
        events: list[Any] = self._stored_events
        for place in places:
            stored = events[place]
            yield place + 1, stored.originator_id, stored.originator_version, stored.topic, stored.state
