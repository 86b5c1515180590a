"""What tests put in the place of the world: a store that fails on command, a clock that is set, a stuttering feed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

from events.base import Event, NewEvent, Recorded, Tracked, Write
from events.feed import Page, StoreFeed
from events.recorders.memory import MemoryRecorder
from events.recorders.port import Recorder
from events.store import EventStore, StoreUnavailable
from tests.examples import NOON, new_event


class Crash(BaseException):
    """The process is gone: nobody catches this, as nobody catches a kill -9."""


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


class FaultyStore(EventStore):
    """A store that can be told to die, to go away, or to let somebody else in first.

    Several of them on one recorder are several processes on one log. `appends` counts those that were tried.
    """

    def __init__(self, recorder: Recorder | None = None, *, now: Callable[[], datetime] | None = None) -> None:
        super().__init__(recorder or MemoryRecorder(), now=now or Clock())
        self.appends = 0
        self.away = False
        self.before_append: Callable[[int], None] = lambda number: None
        """Called with the number of the append, from 1; what it raises is raised instead of appending."""
        self.after_append: Callable[[int], None] = lambda number: None
        """The same, when all is in the log already."""

    def append(self, writes: Sequence[Write], *, tracked: Tracked | None = None) -> list[Recorded]:
        self._must_be_there()
        self.appends += 1
        number = self.appends
        self.before_append(number)
        recorded = super().append(writes, tracked=tracked)
        self.after_append(number)
        return recorded

    def dies_at(self, number: int, when: Literal["before", "after"]) -> None:
        """Raise Crash before or after the append with this number is in the log."""

        def die(at: int) -> None:
            if at == number:
                raise Crash

        if when == "before":
            self.before_append = die
        else:
            self.after_append = die

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]:
        self._must_be_there()
        return super().read_stream(stream, after_version=after_version)

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]:
        self._must_be_there()
        return super().read_streams(streams)

    def last_position(self) -> int:
        self._must_be_there()
        return super().last_position()

    def tracked_positions(self) -> dict[str, int]:
        self._must_be_there()
        return super().tracked_positions()

    def _must_be_there(self) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")


class StutteringFeed:
    """Delivers what it has delivered before, again and again, in front of what is new."""

    def __init__(self, store: EventStore, classes: frozenset[type[Event]]) -> None:
        self._feed = StoreFeed(store, classes)

    def read(self, after: int, limit: int) -> Page:
        return self._feed.read(0, 100_000)


def write(store: EventStore, stream: str, *events: Event, clock: str = "wall", at: datetime = NOON) -> list[Recorded]:
    """Append events to the end of a stream, as another service would."""
    version = store.stream_versions([stream]).get(stream, 0)
    new: list[NewEvent] = [new_event(event, clock=clock, at=at) for event in events]
    return store.append([Write(stream, version, new)])


def history(store: EventStore, stream: str) -> list[Event]:
    """What happened in a stream."""
    return [recorded.event for recorded in store.read_stream(stream)]


def types(store: EventStore, stream: str) -> list[str]:
    """What happened in a stream, by name: "order.placed", not "order.placed.v2"."""
    return [recorded.type.rpartition(".v")[0] for recorded in store.read_stream(stream)]


def spoil(store: EventStore, recorder: MemoryRecorder, stream: str, topic: str, state: bytes = b"{}") -> int:
    """Put something into the log that cannot be decoded; returns its position."""
    from eventsourcing.persistence import StoredEvent

    version = store.stream_versions([stream]).get(stream, 0) + 1
    positions = recorder.insert_events([StoredEvent(stream, version, topic, state)])
    assert positions is not None
    return positions[0]
