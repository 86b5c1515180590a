"""Everything counted from one log, from wherever its events come: folded, watched, and reported.

What comes over a broker is taken as it comes where it follows without a gap on what was taken before; in all other
cases (the start, a gap, a silent broker) the log is read. So it does not matter what a broker loses, doubles or delays,
nor which part of the rows survived a crash.
"""

from __future__ import annotations

import secrets
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from events.base import Recorded
from events.slots import Delivery
from events.store import EventStore
from services.insights.alerts import Available
from services.insights.buyers import KEEP_MS, Buyers, Excess
from services.insights.counts import Journey
from services.insights.fold import KEEP_MIN, Fold, Rows
from services.insights.history import History, KnownJourneys
from services.insights.report import report
from services.insights.windows import MINUTE_MS

SOLE = "log"
"""The one source of whoever reads nothing but the log."""

_KEPT_HOURS = KEEP_MIN / 60
_WATCHED_HOURS = KEEP_MS / (60 * MINUTE_MS)


class Limits(NamedTuple):
    """From where on there is something to look at."""

    many_orders: int
    """Orders that one customer, or one address, may have within an hour."""
    sells_out_h: float


class Piece(NamedTuple):
    """A part of the log that was read, to be counted."""

    events: Sequence[Recorded]
    reached: int
    journeys: Mapping[str, Journey]
    is_last: bool
    """There was no more."""


class Insights:
    """Reading (`read`, `look_up`) may be done in another thread than the rest; never both at once."""

    READ_EVENTS = 5_000

    def __init__(
        self,
        store: EventStore,
        rows: Rows,
        limits: Limits,
        *,
        sources: Sequence[str] = (SOLE,),
        source_of: Callable[[Recorded], str] = lambda _: SOLE,
        key: bytes | None = None,
    ) -> None:
        """`rows` are kept by whoever owns them. `key` hashes customers and addresses; None: one that nobody knows."""
        self.limits = limits
        self._history = History(store)
        self._fold = Fold(rows)
        self._buyers = Buyers(limits.many_orders, key or secrets.token_bytes(32))
        self._known = KnownJourneys()
        self._sources = sources
        self._source_of = source_of
        self._excess: dict[str, Excess] = {}
        self._began: int | None = None
        self._is_primed = False

    # --- from the log ------------------------------------------------------------------------------------------------

    def read(self) -> Piece:
        """What the log has beyond what is counted: a bounded piece of it. Raises what the store raises."""
        if self._began is None:
            self._began = self._begin()
        after = self.reached if self._is_primed else self._began
        page = self._history.read(after, self.READ_EVENTS)
        return Piece(page.events, page.reached, self.look_up(page.events), len(page.events) < self.READ_EVENTS)

    def _begin(self) -> int:
        """Windows go on where the rows end; buyers are kept in memory alone, and are watched again from the start."""
        begin = self._history.begin(_KEPT_HOURS)
        counted = min(map(self._fold.position, self._sources))
        watched = self._history.begin(_WATCHED_HOURS)
        return max(begin, min(counted, watched, self._history.last_position()))

    def look_up(self, events: Sequence[Recorded]) -> dict[str, Journey]:
        """When the orders that have left now were placed, where that is not known."""
        return self._history.journeys(self._known.unknown(events))

    def count(self, piece: Piece) -> None:
        """For all sources at once."""
        by_source: dict[str, list[Recorded]] = defaultdict(list)
        for recorded in piece.events:
            by_source[self._source_of(recorded)].append(recorded)
        self._prepare(piece.events, piece.journeys)
        for source in self._sources:
            self._fold.take(source, by_source[source], piece.reached, self._known)
        self._began, self._is_primed = piece.reached, self._is_primed or piece.is_last

    def catch_up(self, most_events: int = sys.maxsize) -> int:
        """Read and count, up to the log's end or so many events; how many they were."""
        total = 0
        while total < most_events:
            piece = self.read()
            self.count(piece)
            total += len(piece.events)
            if piece.is_last:
                break
        return total

    # --- from a broker -----------------------------------------------------------------------------------------------

    def follows(self, source: str, deliveries: Iterable[Delivery]) -> bool:
        """Whether nothing is missing before or between these."""
        if not self._is_primed:
            return False
        at = self._fold.position(source)
        for one in deliveries:
            if one.position > at and one.previous > at:
                return False
            at = max(at, one.position)
        return True

    def take(self, source: str, deliveries: Sequence[Delivery], journeys: Mapping[str, Journey]) -> None:
        """Count what follows without a gap."""
        assert self.follows(source, deliveries)
        events = [one.recorded for one in deliveries if one.recorded is not None]
        self._prepare(events, journeys)
        reached = max((one.position for one in deliveries), default=0)
        self._fold.take(source, events, reached, self._known)

    def _prepare(self, events: Sequence[Recorded], journeys: Mapping[str, Journey]) -> None:
        for order_id, journey in journeys.items():
            self._known.setdefault(order_id, journey)
        self._known.note(events)
        for recorded in events:
            for one in self._buyers.take(recorded):
                self._excess[one.order.order_id] = one

    @property
    def is_primed(self) -> bool:
        """Whether it has been at the log's end: before that, what it has counted is a part, and no result."""
        return self._is_primed

    # --- out ---------------------------------------------------------------------------------------------------------

    @property
    def reached(self) -> int:
        """Up to which position everything is counted."""
        return min(map(self._fold.position, self._sources))

    def excess(self) -> list[Excess]:
        """Orders too many that were found since this was asked last."""
        found, self._excess = list(self._excess.values()), {}
        return found

    def report(self, now_ms: int, available: Callable[[Iterable[str]], Available]) -> dict[str, Any]:
        """See report.py."""
        return report(self._fold, self._buyers, now_ms, available=available, sells_out_h=self.limits.sells_out_h)
