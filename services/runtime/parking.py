"""Events that a consumer could not handle, kept in the log so that a restart knows them and a person can see them.

Only the stream of the failed event is parked for that consumer: what comes later in that stream waits behind it, so
that its order is kept; all other streams go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from pydantic import ValidationError

from events.base import Event, NewEvent, Recorded, Write
from events.runtime import EventParked, ParkedEventDropped, ParkedEventReplayed, parking_stream
from events.store import EventStore, StoreError
from services.runtime.decider import Cause
from services.runtime.desk import Batch


def in_words(error: Exception) -> str:
    """Why it could not be handled. Of what did not fit a field only the field is named: it may be personal data."""
    if isinstance(error, ValidationError):
        found = error.errors(include_url=False, include_input=False, include_context=False)[:5]
        places = (".".join(str(part) for part in one["loc"]) or error.title for one in found)
        problems = "; ".join(f"{place}: {one['msg']}" for place, one in zip(places, found, strict=True))
        return f"{type(error).__name__}: {problems}"
    return f"{type(error).__name__}: {error}"


class Parked(NamedTuple):
    """One parked event: where it is in the log, which stream waits with it, and why."""

    consumer: str
    position: int
    stream: str
    event_type: str
    reason: str


class Parking:
    """One consumer's parked events: a fold of the stream `parking-<consumer>`."""

    def __init__(self, store: EventStore, consumer: str) -> None:
        self._store = store
        self._consumer = consumer
        self._stream = parking_stream(consumer)
        self._version = 0
        self._events: dict[int, Parked] = {}
        self._streams: Counter[str] = Counter()
        self.refresh()

    def refresh(self) -> None:
        for recorded in self._store.read_stream(self._stream, after_version=self._version):
            self._apply(recorded.event)
            self._version = recorded.version

    def _apply(self, event: Event) -> None:
        match event:
            case EventParked():
                self._leave(event.position)
                parked = Parked(event.consumer, event.position, event.stream, event.event_type, event.reason)
                self._events[event.position] = parked
                self._streams[event.stream] += 1
            case ParkedEventReplayed() | ParkedEventDropped():
                self._leave(event.position)
            case _:
                raise AssertionError(f"{event.type} does not belong into a parking stream")

    def _leave(self, position: int) -> None:
        parked = self._events.pop(position, None)
        if parked is not None:
            self._streams[parked.stream] -= 1
            if not self._streams[parked.stream]:
                del self._streams[parked.stream]

    @property
    def is_empty(self) -> bool:
        return not self._events

    @property
    def count(self) -> int:
        return len(self._events)

    def has(self, position: int) -> bool:
        return position in self._events

    def entries(self) -> list[Parked]:
        return [self._events[position] for position in sorted(self._events)]

    def holds(self, stream: str) -> bool:
        """Whether something of this stream is parked, so that what follows in it must wait."""
        return stream in self._streams

    def write(self, events: list[Event], cause: Cause) -> Write:
        """The append that records these events in this parking; call `refresh` after it was committed."""
        # An event that cannot be read names no process; then the parking is the process.
        cause = cause._replace(correlation_id=cause.correlation_id or self._stream)
        new: list[NewEvent] = [cause.envelope(event) for event in events]
        return Write(self._stream, self._version, new)

    def parked(self, recorded: Recorded, reason: str, stream: str | None = None) -> EventParked:
        """`stream` is what waits with it; without it, the stream that it is of."""
        return EventParked(
            consumer=self._consumer,
            position=recorded.position,
            stream=stream or recorded.stream,
            event_type=recorded.type,
            reason=reason[:500],
        )

    def replayed(self, position: int) -> ParkedEventReplayed:
        stream = self._events[position].stream
        return ParkedEventReplayed(consumer=self._consumer, position=position, stream=stream)

    def replay(
        self, decide: Callable[[Recorded], Batch], cause_of: Callable[[Recorded], Cause], stream: str | None
    ) -> list[Parked]:
        """Decide parked events again, in order; what still fails stays parked. Returns those that were handled.

        The decisions and the note that the event is no longer parked are one append.
        """
        done: list[Parked] = []
        failed: set[str] = set()
        for parked in self.entries():
            if parked.stream in failed or (stream is not None and parked.stream != stream):
                continue
            [recorded] = self._store.read_after(parked.position - 1, limit=1, on_unreadable="mark")
            try:
                batch = decide(recorded)
            except StoreError:
                raise
            except Exception:  # what made it park is still there: it stays parked under its first reason
                failed.add(parked.stream)
                continue
            batch.commit(also=[self.write([self.replayed(parked.position)], cause_of(recorded))])
            self.refresh()
            done.append(parked)
        return done

    def drop(self, position: int, reason: str, *, actor: str, now: datetime) -> Parked:
        """Decide that a parked event shall not be handled. KeyError if it is not parked."""
        parked = self._events[position]
        dropped = ParkedEventDropped(
            consumer=self._consumer, position=position, stream=parked.stream, reason=reason[:500]
        )
        cause = Cause(now, parked.stream, f"{actor}:drop:{position}", actor)
        self._store.append([self.write([dropped], cause)])
        self.refresh()
        return parked
