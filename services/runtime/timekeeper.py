"""Deadlines: what shall be asked of a stream when a time has come.

Time is data. A deadline is on an event already; the timekeeper remembers it and issues an ordinary command when it is
due, which the decider answers with [] if it no longer matters. Whose time counts is the event's `clock`: today's for
the wall clock, the newest order's for an imported history, so that importing last year expires nothing today.

Nothing of its own is stored: the tracked position stays before the oldest open deadline, and a restart reads on there.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from events.base import WALL_CLOCK, Event, Recorded, Tracked
from events.codec import Unreadable
from events.feed import Feed
from events.order import OrderAccepted
from events.slots import without_slot
from events.store import AlreadyTracked, EventStore, StoreError
from services.runtime import metrics
from services.runtime.decider import Cause, Deadline, SetsDeadlines
from services.runtime.desk import Desk
from services.runtime.parking import Parking, in_words
from services.runtime.worker import Now

MOVES_CLOCKS: frozenset[type[Event]] = frozenset({OrderAccepted})
"""What moves the clock of an imported history: it carries the time of its order, and is cheaper to read than that."""


class _Pending(NamedTuple):
    due_at: datetime
    position: int
    nth: int
    source: Recorded
    deadline: Deadline


class Timekeeper:
    """Keeps one service's deadlines."""

    BATCH = 500
    # Streams whose last question is remembered: 2 MB. To forget one costs no more than a question that comes early.
    MAX_ASKED = 10_000

    def __init__(
        self, name: str, *, store: EventStore, feed: Feed, desk: Desk, sets_deadlines: SetsDeadlines, now: Now
    ) -> None:  # fmt: skip
        """The feed must also carry MOVES_CLOCKS."""
        self.name = name
        self._actor = without_slot(name)
        self.position = store.tracked_position(name)
        self.parking = Parking(store, name)
        self._tracked = self.position
        self._store = store
        self._feed = feed
        self._desk = desk
        self._sets_deadlines = sets_deadlines
        self._now = now
        self._clocks: dict[str, datetime] = {}
        self._unread_clocks_until = self.position
        self._pending: dict[str, list[_Pending]] = {}
        self._asked_at: dict[str, datetime] = {}

    def step(self) -> int:
        """Take note of new deadlines and issue what is due; how many of both."""
        noted = self._note()
        issued = self._issue_due()
        if issued or self._store_is_far_ahead():
            self._track()
        return noted + issued

    def next_due_s(self) -> float | None:
        """Seconds until the next deadline on the wall clock; None if there is none."""
        pending = self._pending.get(WALL_CLOCK)
        return max(0.0, (pending[0].due_at - self._now()).total_seconds()) if pending else None

    def _note(self) -> int:
        page = self._feed.read(self.position, self.BATCH)
        events = page.beyond(self.position)
        found: list[tuple[str, _Pending]] = []
        for recorded in events:
            self._move_clock(recorded)
            for nth, deadline in enumerate(self._deadlines(recorded)):
                clock = deadline.clock or recorded.clock
                if clock != WALL_CLOCK:
                    self._read_earlier_clocks()
                due_at = self._by_our_watch(recorded, deadline.due_at) if clock == WALL_CLOCK else deadline.due_at
                found.append((clock, _Pending(due_at, recorded.position, nth, recorded, deadline)))
        # All or nothing: if the store goes away in between, the whole page is read again.
        for clock, pending in found:
            heapq.heappush(self._pending.setdefault(clock, []), pending)
        self.position = page.reached
        return len(events)

    def _by_our_watch(self, recorded: Recorded, due_at: datetime) -> datetime:
        """When it is due. Pauses between questions are kept, also if a watch that is behind ours has set their ends:
        else two machines whose clocks differ by more than the longest pause would ask without any.
        """
        asked_at = self._asked_at.get(recorded.stream)
        return due_at if asked_at is None else max(due_at, asked_at + (due_at - recorded.recorded_at))

    def _move_clock(self, recorded: Recorded) -> None:
        if isinstance(recorded.event, OrderAccepted) and recorded.clock != WALL_CLOCK:
            so_far = self._clocks.get(recorded.clock, recorded.occurred_at)
            self._clocks[recorded.clock] = max(recorded.occurred_at, so_far)

    def _read_earlier_clocks(self) -> None:
        """What moved the clocks before the place where this process began to read. Only where somebody asks: it
        costs some 10 us per imported order."""
        after = 0
        while after < self._unread_clocks_until:
            page = self._feed.read(after, 10 * self.BATCH)
            for recorded in page.events:
                self._move_clock(recorded)
            after = page.reached
        self._unread_clocks_until = 0

    def _deadlines(self, recorded: Recorded) -> Iterable[Deadline]:
        if isinstance(recorded.event, Unreadable):
            self._park(recorded, recorded.event.reason)
        find = self._sets_deadlines.get(type(recorded.event))
        return find(recorded) if find else ()

    def _issue_due(self) -> int:
        issued = 0
        for clock, heap in self._pending.items():
            now = self._time_of(clock)
            while heap and now is not None and heap[0].due_at <= now:
                self._issue(heap[0], now)
                heapq.heappop(heap)  # only now: if the store is away, it stays due
                issued += 1
        return issued

    def _time_of(self, clock: str) -> datetime | None:
        return self._now() if clock == WALL_CLOCK else self._clocks.get(clock)

    def _issue(self, pending: _Pending, now: datetime) -> None:
        source = pending.source
        self._note_asked(source.stream)
        at = _happens_at(pending, now)
        cause = Cause(at, source.correlation_id, source.id, self._actor, source.clock)
        try:
            self._desk.execute(pending.deadline.directive(at), cause)
        except StoreError:
            raise
        except Exception as error:
            self._park(source, in_words(error))
        else:
            self._take_out_of_parking(source, cause)

    def _note_asked(self, stream: str) -> None:
        if len(self._asked_at) >= self.MAX_ASKED:
            self._asked_at.clear()
        self._asked_at[stream] = self._now()

    def _park(self, source: Recorded, reason: str) -> None:
        """Kept and shown. The tracked position stays before it, so that every start tries it again."""
        self.parking.refresh()
        if self.parking.has(source.position):
            return
        cause = Cause(self._now(), source.correlation_id, source.id, self._actor)
        self._store.append([self.parking.write([self.parking.parked(source, reason)], cause)])
        self.parking.refresh()
        metrics.parked.labels(self._actor).inc()

    def _take_out_of_parking(self, source: Recorded, cause: Cause) -> None:
        if self.parking.has(source.position):
            self._store.append([self.parking.write([self.parking.replayed(source.position)], cause)])
            self.parking.refresh()

    def _store_is_far_ahead(self) -> bool:
        return self.position - self._tracked >= 10_000

    def _track(self) -> None:
        pending = [pending.position for heap in self._pending.values() for pending in heap]
        oldest = min([*pending, *(parked.position for parked in self.parking.entries())], default=None)
        watermark = self.position if oldest is None else oldest - 1
        if watermark <= self._tracked:
            return
        try:
            self._store.append([], tracked=Tracked(self.name, watermark))
        except AlreadyTracked:
            watermark = self._store.tracked_position(self.name)
        self._tracked = watermark


def _happens_at(pending: _Pending, now: datetime) -> datetime:
    """In an imported history it happens when it was due, not when the next order came along."""
    if pending.source.clock == WALL_CLOCK:
        return now
    # A deadline of today's world (asking a provider again) still leads to something in the history's own time.
    return pending.source.occurred_at if pending.deadline.clock == WALL_CLOCK else pending.due_at
