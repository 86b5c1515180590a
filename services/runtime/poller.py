"""Asks the outside about open things again and again until they are closed (where is the parcel?).

A question has no effect, so it needs no intent; the answer is decided like any other command. The tracked position
stays before the oldest open thing: a restart reads on there.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from events.base import WALL_CLOCK, Recorded, Tracked
from events.codec import CodecError, Unreadable
from events.feed import Feed
from events.slots import without_slot
from events.store import AlreadyTracked, EventStore, StoreError, VersionConflict
from services.runtime import metrics
from services.runtime.calls import Call, Calls, Finished, Lanes
from services.runtime.decider import caused_by
from services.runtime.desk import Desk
from services.runtime.effects import IsOpen
from services.runtime.worker import Now


class Poller:
    """Polls everything its feed names, at most `MAX_OUT` questions at a time."""

    MAX_OUT = 1_000
    # A parcel that was not delivered in this time will not be: carriers close their books earlier.
    MAX_AGE = timedelta(days=90)
    # Whoever takes over has all open things to take up, and none of them is due soon: new work beside it must not wait
    # for that. In steady work no page is that large.
    LARGE_PAGE = 100
    PAUSE_AFTER_LARGE_PAGE = timedelta(seconds=1)

    def __init__(
        self, name: str, *, store: EventStore, feed: Feed, desk: Desk, call: Call, is_open: IsOpen,
        loop: Calls, now: Now, news: Callable[[], None], every_s: float, lanes: int = 16,
    ) -> None:  # fmt: skip
        """`every_s`: seconds between two questions about the same thing."""
        self.name = name
        self._actor = without_slot(name)
        self.position = store.tracked_position(name)
        self._tracked = self.position
        self._store = store
        self._feed = feed
        self._desk = desk
        self._is_open = is_open
        self._now = now
        self._every = timedelta(seconds=every_s)
        self._take_up_at = datetime.min.replace(tzinfo=UTC)
        self._due: list[tuple[datetime, int]] = []
        self._open: dict[int, Recorded] = {}
        self._out: set[int] = set()
        self._unreadable: set[int] = set()
        self._unrecorded: list[Finished] = []
        self._lanes = Lanes(loop, call, lanes=lanes, news=news)

    @property
    def busy(self) -> int:
        """Questions that are out now."""
        return len(self._out)

    def step(self) -> int:
        """Take up new things, ask about those whose time has come, record answers; how many of all."""
        done = self._take_up() + self._record()
        self._ask()
        return done

    def next_due_s(self) -> float | None:
        return max(0.0, (self._due[0][0] - self._now()).total_seconds()) if self._due else None

    def _take_up(self) -> int:
        now = self._now()
        if now < self._take_up_at <= now + self.PAUSE_AFTER_LARGE_PAGE:  # later than that: the clock was set back
            return 0
        page = self._feed.read(self.position, self.MAX_OUT)
        events = page.beyond(self.position)
        with suppress(CodecError):  # each is looked at by itself below
            self._desk.load(recorded.stream for recorded in events)
        # Nobody can be asked about what cannot be read. Whoever acts on it parks it; here a later start tries again.
        self._unreadable |= {one.position for one in events if isinstance(one.event, Unreadable)}
        found = [one for one in events if one.position not in self._unreadable and self._still_open(one)]
        for recorded in found:
            self._open[recorded.position] = recorded
            # What an imported history is about has long arrived; today's takes its time.
            due = now + self._every if recorded.clock == WALL_CLOCK else now
            heapq.heappush(self._due, (due, recorded.position))
        self.position = page.reached
        if len(events) >= self.LARGE_PAGE and all(one.clock == WALL_CLOCK for one in events):
            self._take_up_at = now + self.PAUSE_AFTER_LARGE_PAGE
        if not self._open:
            self._track()
        return len(events)

    def _still_open(self, recorded: Recorded) -> bool:
        try:
            return self._is_open(self._desk.state_with(recorded), recorded)
        except CodecError:
            return True  # its stream cannot be read now; its next turn sees

    def _ask(self) -> None:
        now = self._now()
        asked: list[Recorded] = []
        while self._due and self._due[0][0] <= now and len(self._out) < self.MAX_OUT:
            _, position = heapq.heappop(self._due)
            self._out.add(position)
            asked.append(self._open[position])
        if asked:
            metrics.effect_calls.labels(self._actor).inc(len(asked))
            self._lanes.submit(asked)

    def _record(self) -> int:
        # Kept until all of it is done, for the store may go away in between.
        finished = [one for one in self._unrecorded if one.intent.position in self._out] + self._lanes.collect()
        self._unrecorded = finished
        if not finished:
            return 0
        self._commit([one for one in finished if one.error is None])
        for one in finished:
            self._settle(one)
        self._unrecorded = []
        self._track()
        return len(finished)

    def _commit(self, finished: list[Finished]) -> None:
        """What cannot be recorded is counted, and asked about again at its next turn."""
        try:
            self._commit_with_retries(finished)
        except StoreError:
            raise
        except Exception:
            if len(finished) == 1:
                metrics.effect_failures.labels(self._actor).inc()
                return
            middle = len(finished) // 2
            self._commit(finished[:middle])
            self._commit(finished[middle:])

    def _commit_with_retries(self, finished: list[Finished], attempts: int = 10) -> None:
        for attempt in range(1, attempts + 1):
            batch = self._desk.batch()
            try:
                self._desk.load(one.directive.stream for one in finished if one.directive)
                now = self._now()
                for one in finished:
                    if one.directive is not None:
                        at = one.directive.occurred_at or now
                        batch.decide(one.directive, caused_by(one.intent, self._actor, at)._replace(occurred_at=at))
                batch.commit()
                return
            except VersionConflict:
                metrics.conflicts.labels(self._actor).inc()
                if attempt == attempts:
                    raise
                self._desk.refresh(batch.touched())

    def _settle(self, one: Finished) -> None:
        """Close it, or put it back for its next turn."""
        position, now = one.intent.position, self._now()
        too_old = now - one.intent.recorded_at > self.MAX_AGE
        closed = too_old or not self._still_open(one.intent)
        self._out.discard(position)
        if one.error is not None:
            metrics.effect_failures.labels(self._actor).inc()
        if closed:
            self._open.pop(position, None)
        else:
            heapq.heappush(self._due, (now + self._every, position))

    def _track(self) -> None:
        waits = self._open.keys() | self._unreadable
        watermark = min(waits) - 1 if waits else self.position
        # Written rarely: it only bounds what a restart reads again.
        if watermark - self._tracked < 1_000:
            return
        try:
            self._store.append([], tracked=Tracked(self.name, watermark))
        except AlreadyTracked:
            watermark = self._store.tracked_position(self.name)
        self._tracked = watermark
