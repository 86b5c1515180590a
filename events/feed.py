"""How a consumer gets its events: a feed. Tracking what was handled is not its job; the consumer's append does that."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from events.base import Event, Recorded
from events.codec import UPCASTERS
from events.store import EventStore


class Page(NamedTuple):
    """Events in order of position, and how far the feed has looked: everything up to `reached` is in or irrelevant."""

    events: list[Recorded]
    reached: int

    def beyond(self, position: int) -> list[Recorded]:
        """The events after this position; a feed that delivers something again delivers it first."""
        if not self.events or self.events[0].position > position:
            return self.events
        return [recorded for recorded in self.events if recorded.position > position]


class Feed(Protocol):
    """Events after a position, in order, each at least once."""

    def read(self, after: int, limit: int) -> Page: ...


class StoreFeed:
    """Tails the store. An event that cannot be decoded is handed on as `Unreadable`, so that it can be parked."""

    def __init__(self, store: EventStore, classes: frozenset[type[Event]]) -> None:
        self._store = store
        self._types = spellings(classes)

    def read(self, after: int, limit: int) -> Page:
        head = self._store.last_position()
        if head <= after:
            return Page([], after)
        events = self._store.read_after(after, limit=limit, types=self._types, upto=head, on_unreadable="mark")
        return Page(events, events[-1].position if len(events) == limit else head)


def spellings(classes: frozenset[type[Event]]) -> frozenset[str]:
    """All spellings under which the log may hold events of these classes.

    Old ones, because upcasters lift them; and the next one, because during an upgrade a newer process may have written
    it already: it must be parked here, not passed by.
    """
    current = {cls.type for cls in classes}
    names = {_name_and_version(spelling)[0] for spelling in current}
    old = {spelling for spelling in UPCASTERS if _name_and_version(spelling)[0] in names}
    return frozenset(current | old | {_next(spelling) for spelling in current})


def _next(spelling: str) -> str:
    name, version = _name_and_version(spelling)
    return f"{name}.v{version + 1}"


def _name_and_version(spelling: str) -> tuple[str, int]:
    name, _, version = spelling.rpartition(".v")
    return name, int(version)
