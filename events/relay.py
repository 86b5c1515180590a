"""The relay: what is in the log goes out to a broker, in order, each event at least once.

It tails the log from its own checkpoint. Nothing else publishes, so there are no dual writes: what was committed will
be published, even if everything falls over in between; what was not committed never is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, Protocol

from events.base import Event, Recorded, Tracked
from events.feed import spellings
from events.slots import SLOTS, Key, slot_of
from events.store import AlreadyTracked, EventStore


class Route(NamedTuple):
    """Events of these classes go to this topic, in order per key."""

    topic: str
    classes: frozenset[type[Event]]
    key: Key


class Message(NamedTuple):
    """One event on its way to one topic, or a mark (`recorded` None). What `previous` vouches for: events/slots.py."""

    topic: str
    key: str
    slot: int
    position: int
    previous: int
    recorded: Recorded | None


class PublishFailed(Exception):
    """The broker did not confirm all messages: some may be there. They will be published again."""


class Publisher(Protocol):
    """A broker, as the relay sees it."""

    def publish(self, messages: Sequence[Message]) -> None:
        """Returns when the broker has all of them for good, in this order per topic and slot. Raises PublishFailed."""


class Relay:
    """Publishes the log. One is enough; two at a time only publish everything twice."""

    name = "relay"
    BATCH = 1_000
    # A mark tells a quiet slot's consumers that nothing was lost: after three seconds without one they look into the
    # log themselves (services/cluster). 60 small messages a second.
    MARK_EVERY_S = 1.0

    def __init__(
        self,
        store: EventStore,
        publisher: Publisher,
        routes: Sequence[Route],
        *,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._routes = [_Routed(one.topic, spellings(one.classes), one.key) for one in routes]
        self._clock_s = clock_s
        self._marked_s = clock_s()
        self._last: dict[tuple[str, int], int] = {}
        self.position = self._start = store.tracked_position(self.name)

    def step(self) -> int:
        """Publish the next events; how many there were. Raises PublishFailed and what the store raises."""
        head = self._store.last_position()
        events = self._store.read_after(self.position, limit=self.BATCH, upto=head, on_unreadable="mark")
        if events:
            self._publish(events)
        if self._clock_s() >= self._marked_s + self.MARK_EVERY_S:
            self._mark()
        return len(events)

    def _publish(self, events: Sequence[Recorded]) -> None:
        last = dict(self._last)
        self._publisher.publish([message for recorded in events for message in self._messages(recorded, last)])
        self._last = last
        self.position = events[-1].position
        self._track()

    def _messages(self, recorded: Recorded, last: dict[tuple[str, int], int]) -> list[Message]:
        found = []
        for route in self._routes:
            if recorded.type in route.types:
                key = route.key(recorded)
                slot = slot_of(key)
                # What lies before our start we have not seen: for that we do not vouch.
                previous = last.get((route.topic, slot), self._start)
                found.append(Message(route.topic, key, slot, recorded.position, previous, recorded))
                last[route.topic, slot] = recorded.position
        return found

    def _mark(self) -> None:
        self._marked_s = self._clock_s()
        last = {(route.topic, slot): self.position for route in self._routes for slot in range(SLOTS)}
        marks = [
            Message(topic, "", slot, self.position, previous, None)
            for topic, slot in last
            if (previous := self._last.get((topic, slot), self._start)) < self.position
        ]
        if marks:
            self._publisher.publish(marks)
            self._last = last

    def _track(self) -> None:
        """What was published after the last tracked position is published again after a crash, which harms nobody."""
        with suppress(AlreadyTracked):  # another relay is further on: both publish the same
            self._store.append([], tracked=Tracked(self.name, self.position))


class _Routed(NamedTuple):
    topic: str
    types: frozenset[str]
    key: Key
