"""Effects on the outside world: intent -> call -> outcome.

The intent is an event, its id the idempotency key. The outcome is decided like any other command and appended in a
transaction of its own. Calls finish in any order, so the tracked position stays before the oldest intent that is still
open: after a crash it is read again, and whoever already has an outcome is left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from events.base import Event, Recorded, Tracked
from events.codec import CodecError
from events.feed import Feed
from events.slots import without_slot
from events.store import AlreadyTracked, EventStore, StoreError, VersionConflict
from services.runtime import metrics
from services.runtime.calls import Call, Calls, Finished, Lanes
from services.runtime.decider import Cause, Directive, caused_by
from services.runtime.desk import Batch, Desk
from services.runtime.parking import Parked, Parking, in_words
from services.runtime.worker import Now

IsOpen = Callable[[object, Recorded], bool]
"""Whether the stream's state still waits for the outcome of this intent."""


class Effects:
    """Consumes intents and carries them out."""

    # Enough to keep `lanes` busy between two steps; bounds what a crash has to ask about again.
    MAX_OPEN = 1_000
    # As a worker: so that a restart does not read again what never concerned us.
    IDLE_POSITIONS_PER_COMMIT = 10_000

    def __init__(
        self, name: str, *, store: EventStore, feed: Feed, desk: Desk, call: Call, is_open: IsOpen,
        loop: Calls, now: Now, news: Callable[[], None], lanes: int = 64,
        unknown_outcomes: tuple[type[Event], ...] = (),
    ) -> None:  # fmt: skip
        """`unknown_outcomes` are the events which say that nobody knows what became of a call."""
        self.name = name
        self._actor = without_slot(name)
        self.position = store.tracked_position(name)
        self.parking = Parking(store, name)
        self._tracked = self.position
        self._store = store
        self._feed = feed
        self._desk = desk
        self._call = call
        self._loop = loop
        self._is_open = is_open
        self._now = now
        self._open: dict[int, Recorded] = {}
        self._unrecorded: list[Finished] = []
        self._unknown_outcomes = unknown_outcomes
        self._unknown: set[str] = set()
        self._lanes = Lanes(loop, call, lanes=lanes, news=news)

    @property
    def busy(self) -> int:
        """Intents whose outcome is not in the log yet."""
        return len(self._open)

    @property
    def unknown(self) -> int:
        """Streams with a call whose outcome is unknown, of those that were recorded here. After a restart they are
        found again when the next question about them has no answer either."""
        return len(self._unknown)

    def step(self) -> int:
        """Start new calls and record finished ones; how many of both."""
        done = self._start() + self._record()
        if not self._open and self.position - self._tracked >= self.IDLE_POSITIONS_PER_COMMIT:
            self._track_idly()
        return done

    def _start(self) -> int:
        room = self.MAX_OPEN - len(self._open)
        if room <= 0:
            return 0
        page = self._feed.read(self.position, room)
        events = page.beyond(self.position)
        with suppress(CodecError):  # each is looked at by itself below
            self._desk.load(recorded.stream for recorded in events)
        intents = [recorded for recorded in events if self._wanted(recorded)]
        self._open.update((recorded.position, recorded) for recorded in intents)
        self.position = page.reached
        if intents:
            metrics.effect_calls.labels(self._actor).inc(len(intents))
            self._lanes.submit(intents)
        return len(events)

    def _wanted(self, recorded: Recorded) -> bool:
        if self.parking.has(recorded.position):
            return False
        try:
            return self._is_open(self._desk.state_with(recorded), recorded)
        except CodecError as error:
            # No call can be made of it: its outcome is that it is parked.
            self._open[recorded.position] = recorded
            self._unrecorded.append(Finished(recorded, None, error))
            return False

    def _record(self) -> int:
        # Kept until the store has them: a store that is away for a while must not lose an answer. What it took before
        # it went away is closed, and not recorded again.
        finished = [one for one in self._unrecorded if one.intent.position in self._open] + self._lanes.collect()
        self._unrecorded = finished
        if not finished:
            return 0
        self._commit([one for one in finished if one.error is None])
        for one in finished:
            if one.error is not None:
                self._park(one.intent, in_words(one.error))
        self._unrecorded = []
        return len(finished)

    def _commit(self, finished: list[Finished]) -> None:
        if not finished:
            return
        try:
            self._commit_with_retries(finished)
        except StoreError:
            raise
        except Exception as error:
            if len(finished) == 1:
                self._park(finished[0].intent, in_words(error))
                return
            middle = len(finished) // 2
            self._commit(finished[:middle])
            self._commit(finished[middle:])

    def _commit_with_retries(self, finished: list[Finished], attempts: int = 10) -> None:
        for attempt in range(1, attempts + 1):
            batch = self._desk.batch()
            try:
                self._decide(batch, finished)
                self._close(batch, [one.intent.position for one in finished])
                return
            except VersionConflict:
                metrics.conflicts.labels(self._actor).inc()
                if attempt == attempts:
                    raise
                self._desk.refresh(batch.touched())

    def _decide(self, batch: Batch, finished: list[Finished]) -> None:
        now = self._now()
        self._desk.load(one.directive.stream for one in finished if one.directive)
        for one in finished:
            assert one.directive is not None
            batch.decide(one.directive, caused_by(one.intent, self._actor, now))

    def _close(self, batch: Batch, positions: list[int]) -> None:
        tracked = self._advance(set(positions))
        try:
            recorded = batch.commit(tracked=tracked)
        except AlreadyTracked:
            # Another process of our name is further on; the outcomes stand by themselves, fenced by their streams.
            recorded = batch.commit()
        self._unknown.difference_update(batch.touched())
        self._unknown.update(one.stream for one in recorded if isinstance(one.event, self._unknown_outcomes))
        for position in positions:
            self._open.pop(position, None)
        if tracked:
            self._tracked = tracked.position
        metrics.batch_events.labels(self._actor).observe(batch.size)

    def _advance(self, closing: set[int]) -> Tracked | None:
        still_open = [position for position in self._open if position not in closing]
        watermark = min(still_open) - 1 if still_open else self.position
        return Tracked(self.name, watermark) if watermark > self._tracked else None

    def _track_idly(self) -> None:
        with suppress(AlreadyTracked):  # another process of our name is further on
            self._store.append([], tracked=Tracked(self.name, self.position))
        self._tracked = self.position

    # --- parking ---------------------------------------------------------------------------------------------------

    def _park(self, intent: Recorded, reason: str) -> None:
        """An intent whose call or outcome failed in an unforeseen way: kept, shown, and asked about no more."""
        metrics.effect_failures.labels(self._actor).inc()
        self.parking.refresh()
        cause = Cause(self._now(), intent.correlation_id, intent.id, self._actor)
        write = self.parking.write([self.parking.parked(intent, reason)], cause)
        try:
            self._store.append([write], tracked=self._advance({intent.position}))
        except AlreadyTracked:
            self._store.append([write])  # another process of our name is further on
        self._open.pop(intent.position, None)
        self.parking.refresh()
        metrics.parked.labels(self._actor).inc()

    def replay_parked(self, stream: str | None = None) -> list[Parked]:
        """Call again for parked intents and record what comes of it. Returns those that have an outcome now."""
        return self.parking.replay(self._call_again, self._cause_of, stream)

    def _call_again(self, intent: Recorded) -> Batch:
        batch = self._desk.batch()
        self._desk.refresh([intent.stream])
        if self._is_open(self._desk.state_with(intent), intent):
            batch.decide(self._loop.run(self._answer(intent)), self._cause_of(intent))
        return batch

    async def _answer(self, intent: Recorded) -> Directive:
        return await self._call(intent)

    def _cause_of(self, recorded: Recorded) -> Cause:
        return caused_by(recorded, self._actor, self._now())
