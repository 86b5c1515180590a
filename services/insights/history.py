"""What the log is asked: where the last hours begin, what lies there, and when an order was placed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta

from events.base import Recorded
from events.feed import Page, spellings
from events.order import OrderLinesShipped, OrderPlaced, order_stream
from events.store import EventStore
from services.insights.counts import COUNTED, Journey
from services.insights.windows import event_ms

_TYPES = spellings(frozenset(COUNTED))

# Clocks of the processes that write to one log differ by less than this.
_SKEW = timedelta(minutes=10)


class History:
    """The log, as far as insights read it."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def last_position(self) -> int:
        return self._store.last_position()

    def begin(self, hours: float) -> int:
        """The position before the last so many hours of the log, by the time at which it took events in.

        Counted back from its newest event, so that a log that was left alone shows what it showed. 22 short reads for
        five million events.
        """
        head = self._store.last_position()
        newest = self._after(head - 1)
        if newest is None:
            return 0
        since = newest.recorded_at - timedelta(hours=hours) - _SKEW
        low, high = 0, head
        while low < high:
            middle = (low + high) // 2
            found = self._after(middle)
            if found is None or found.recorded_at >= since:
                high = middle
            else:
                low = found.position
        return low

    def _after(self, position: int) -> Recorded | None:
        found = self._store.read_after(max(0, position), limit=1, on_unreadable="mark")
        return found[0] if found else None

    def read(self, after: int, limit: int) -> Page:
        """What is counted, up to the log's end as it is now."""
        head = self._store.last_position()
        if head <= after:
            return Page([], after)
        events = self._store.read_after(after, limit=limit, types=_TYPES, upto=head, on_unreadable="mark")
        return Page(events, events[-1].position if len(events) == limit else head)

    def journeys(self, order_ids: Collection[str]) -> dict[str, Journey]:
        """Of those that exist."""
        histories = self._store.read_streams([order_stream(order_id) for order_id in order_ids]) if order_ids else {}
        known = KnownJourneys()
        for history in histories.values():
            known.note(history)
        return dict(known)


class KnownJourneys(OrderedDict[str, Journey]):
    """Journeys of the latest orders: what is not in here can be asked of the log. 200 bytes each."""

    MOST = 200_000

    def note(self, events: Iterable[Recorded]) -> None:
        """Events of an order in the order of the log, its placing first; again, if need be."""
        for recorded in events:
            event = recorded.event
            if isinstance(event, OrderPlaced):
                self.setdefault(event.order_id, Journey(event_ms(recorded)))
            elif isinstance(event, OrderLinesShipped):
                journey = self.get(event.order_id)
                if journey is not None and journey.first_shipped is None:
                    self[event.order_id] = journey._replace(first_shipped=recorded.position)
        while len(self) > self.MOST:
            self.popitem(last=False)

    def unknown(self, events: Sequence[Recorded]) -> set[str]:
        """The orders of which these events tell that something has left, and nothing else is known."""
        placed = {one.event.order_id for one in events if isinstance(one.event, OrderPlaced)}
        shipped = {one.event.order_id for one in events if isinstance(one.event, OrderLinesShipped)}
        return {order_id for order_id in shipped - placed if order_id not in self}
