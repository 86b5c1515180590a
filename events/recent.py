"""The events that this process appended last, so that its consumers read them back without SQL and without decoding."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from heapq import merge
from itertools import islice
from typing import NamedTuple

from events.base import Recorded


class Reach(NamedTuple):
    """What was found after a position, and up to which position nothing else is to be found."""

    events: list[Recorded]
    reached: int


class Recent:
    """A window over the end of the log: contiguous positions, bounded by bytes. Holds only what is committed.

    Indexed by type, because a dozen consumers each look for a few types among everything that was appended.
    """

    def __init__(self, max_bytes: int) -> None:
        """`max_bytes` counts encoded bytes; as objects they take about eight times as much."""
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._events: list[Recorded] = []
        self._sizes: list[int] = []
        self._positions_of: dict[str, list[int]] = {}
        self._bytes = 0
        self.last_position = 0
        """The last position that this process appended; 0 if it appended nothing."""

    def extend(self, events: Sequence[Recorded], sizes: Sequence[int]) -> None:
        """Take in what was committed just now; `sizes` are encoded bytes."""
        if not events:
            return
        first, last = events[0].position, events[-1].position
        assert last - first == len(events) - 1, "one append's positions are contiguous"
        with self._lock:
            if first != self.last_position + 1:
                # Another process appended in between: what we hold is no longer the end of the log.
                self._drop(len(self._events))
            self.last_position = last
            self._events.extend(events)
            self._sizes.extend(sizes)
            self._bytes += sum(sizes)
            index = self._positions_of
            for event in events:
                index.setdefault(event[3], []).append(event[0])
            self._shrink()

    def after(self, position: int, *, limit: int, types: frozenset[str] | None, upto: int | None) -> Reach | None:
        """The events after a position, as far as the window goes; None if it does not begin early enough."""
        with self._lock:
            if not self._events or not self._events[0].position <= position + 1 <= self._events[-1].position:
                return None
            first = self._events[0].position
            last = self._events[-1].position if upto is None else min(upto, self._events[-1].position)
            wanted = range(position + 1, last + 1) if types is None else self._find(types, position, last)
            found = [self._events[at - first] for at in islice(wanted, limit)]
        return Reach(found, found[-1].position if len(found) == limit else max(last, position))

    def _find(self, types: frozenset[str], position: int, last: int) -> Iterable[int]:
        """Positions of these types after `position`, up to `last`, in order."""
        runs = []
        for name in types:
            positions = self._positions_of.get(name)
            if positions and positions[-1] > position:
                runs.append(positions[bisect_right(positions, position) : bisect_right(positions, last)])
        return runs[0] if len(runs) == 1 else merge(*runs)

    def _shrink(self) -> None:
        excess, count = self._bytes - self._max_bytes, 0
        while excess > 0:
            excess -= self._sizes[count]
            count += 1
        # A quarter more than needed: dropping moves the rest of the list, so it should not happen at every append.
        if count:
            self._drop(min(len(self._events), count + len(self._events) // 4))

    def _drop(self, count: int) -> None:
        if not count:
            return
        dropped = self._events[count - 1].position
        self._bytes -= sum(self._sizes[:count])
        del self._events[:count]
        del self._sizes[:count]
        for positions in self._positions_of.values():
            del positions[: bisect_right(positions, dropped)]
