"""A consumer's work in twelve parts: slots. Each has workers and a tracked position of its own; one owner at a time.

A slot follows from an event's key (its order, or its stock pool), so that one order's events are always in one slot. It
never changes, unlike the number of partitions of a topic: they only carry slots, and may be more or fewer tomorrow.

The log stays the truth. What a broker delivers is taken as it comes only where it follows without a gap on what was
there before; each delivery says what came before it. Where something is missing (lost, expired, never published) it is
read from the log, where it is older or known it is passed over. So a broker may lose, double and delay at will.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import islice
from typing import NamedTuple, Protocol
from zlib import crc32

from events.base import Event, Recorded
from events.feed import Page, spellings
from events.store import EventStore

SLOTS = 12
"""Never to be changed for a log: tracked positions are kept per slot. As many as twelve processes share a service's
work; the divisors of twelve share it evenly."""

Key = Callable[[Recorded], str]
"""What an event is routed by. Must not raise for an event that cannot be decoded."""


def slot_of(key: str) -> int:
    """The same in every process and for ever, unlike `hash`."""
    return crc32(key.encode()) % SLOTS


def slot_name(consumer: str, slot: int) -> str:
    """The name under which a consumer's slot is tracked and parked: "order/07"."""
    return f"{consumer}/{slot:02d}"


def without_slot(name: str) -> str:
    """The consumer behind such a name, whoever did its work."""
    return name.partition("/")[0]


class Delivery(NamedTuple):
    """What a broker says of one slot: between `previous` and `position` nothing of it lies in the log.

    `recorded` is the event at `position`; None for a mark, which only says that there was nothing.
    """

    slot: int
    position: int
    previous: int
    recorded: Recorded | None


class SlotWindow:
    """What is known of one slot beyond `since` and up to `upto`: complete, in order, bounded. Used from two threads."""

    def __init__(self, since: int, *, max_events: int = 4_000) -> None:
        """`max_events`: two batches of a worker, some 8 MB."""
        self._lock = threading.Lock()
        self._max_events = max_events
        self._events: list[Recorded] = []
        self.since = since
        self.upto = since

    def add(self, deliveries: Sequence[Delivery]) -> None:
        with self._lock:
            for one in deliveries:
                self._add(one)
            self._drop(len(self._events) - self._max_events)

    def _add(self, one: Delivery) -> None:
        if one.position <= self.upto:
            return  # delivered again
        if one.previous > self.upto:
            # A gap: what lies in it is in the log. What we hold before it would not be complete any more.
            self._events.clear()
            self.since = one.previous
        if one.recorded is not None:
            self._events.append(one.recorded)
        self.upto = one.position

    def look(self, head: int) -> None:
        """Nothing was delivered for long: whatever there is up to the log's head shall be read from the log."""
        with self._lock:
            if head > self.upto:
                self._events.clear()
                self.since = self.upto = head

    def forget_until(self, position: int) -> None:
        """Nobody needs what lies before this position any more."""
        with self._lock:
            self._drop(bisect_right(self._events, position, key=_position))

    def after(self, position: int) -> tuple[int, int, list[Recorded]]:
        """`since`, `upto` and the events after this position, as of one moment."""
        with self._lock:
            first = bisect_right(self._events, position, key=_position)
            return self.since, self.upto, self._events[first:]

    @property
    def is_full(self) -> bool:
        """No room without dropping what may still be needed: stop delivering for a while."""
        return len(self._events) >= self._max_events // 2

    def _drop(self, count: int) -> None:
        if count > 0:
            self.since = self._events[count - 1].position
            del self._events[:count]


def _position(recorded: Recorded) -> int:
    return recorded.position


class SlotFeed:
    """One consumer's feed of one slot: from the window, and from the log what the window does not have."""

    def __init__(
        self, window: SlotWindow, store: EventStore, classes: frozenset[type[Event]], slot: int, key: Key
    ) -> None:
        self._window = window
        self._log = SlotOfLog(store, classes, slot, key)
        self._types = spellings(classes)

    def read(self, after: int, limit: int) -> Page:
        since, upto, events = self._window.after(after)
        if after < since:
            return self._log.read_upto(after, limit, since)
        wanted = list(islice((one for one in events if one.type in self._types), limit))
        return Page(wanted, wanted[-1].position if len(wanted) == limit else max(after, upto))


class SlotOfLog:
    """The events of one slot as the log has them: for whoever fell behind, or has no broker."""

    # The log knows no slots: of what is read, a twelfth is kept.
    READ_EVENTS = 5_000

    def __init__(self, store: EventStore, classes: frozenset[type[Event]], slot: int, key: Key) -> None:
        self._store = store
        self._types = spellings(classes)
        self._slot = slot
        self._key = key

    def read(self, after: int, limit: int) -> Page:
        return self.read_upto(after, limit, self._store.last_position())

    def read_upto(self, after: int, limit: int, upto: int) -> Page:
        """A bounded piece of what lies after one position and up to and including another."""
        if upto <= after:
            return Page([], after)
        events = self._store.read_after(
            after, limit=self.READ_EVENTS, types=self._types, upto=upto, on_unreadable="mark"
        )
        reached = events[-1].position if len(events) == self.READ_EVENTS else upto
        mine = list(islice((one for one in events if slot_of(self._key(one)) == self._slot), limit))
        return Page(mine, mine[-1].position if len(mine) == limit else reached)


class SlotOwner(Protocol):
    """Whoever works on the slots that a broker hands out. Called from the broker's thread, one call at a time."""

    def assigned(self, slots: frozenset[int]) -> None:
        """These are ours from now on."""

    def revoked(self, slots: frozenset[int]) -> None:
        """These are ours no longer. Returns when nobody here works on them any more."""

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        """News of slots that are ours; of others it is passed over."""

    def has_room(self, slot: int) -> bool:
        """False: deliver nothing of this slot for a while."""

    def handled(self) -> dict[int, int]:
        """Up to which position each slot has been handled by all of its consumers, in the log and for good."""
