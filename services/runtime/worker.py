"""A worker: feed -> react -> decide -> append, with its own position in the same transaction.

Exactly-once is decided by the store: a batch of which a part was tracked already changes nothing. A failure that
belongs to one event is found by halving the batch, and parks that event's stream only; a failure of the store is
raised to the engine, which waits and comes back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from events.base import Recorded, Tracked, Write
from events.codec import Unreadable
from events.feed import Feed
from events.slots import without_slot
from events.store import AlreadyTracked, EventStore, StoreError, VersionConflict
from services.runtime import metrics
from services.runtime.decider import Cause, Directive, Reactions, caused_by
from services.runtime.desk import Batch, Desk
from services.runtime.parking import Parked, Parking, in_words

Now = Callable[[], datetime]


class UnreadableEvent(Exception):
    """The feed delivered an event that could not be decoded."""


class _Waiting(NamedTuple):
    """An event that is parked, and the stream that waits with it."""

    event: Recorded
    stream: str


class Worker:
    """Consumes one feed for one service."""

    # An idle position is not worth a commit of its own; after so many irrelevant events it is, so that a restart
    # does not read them all again.
    IDLE_POSITIONS_PER_COMMIT = 10_000
    # Conflicts come from commands over HTTP that hit the same stream. Each retry has re-read the winner's events.
    CONFLICT_ATTEMPTS = 10

    def __init__(
        self,
        name: str,
        *,
        store: EventStore,
        feed: Feed,
        desk: Desk,
        reactions: Reactions,
        now: Now,
        batch_size: int = 500,
        waits_in: Literal["source", "target"] = "source",
    ) -> None:
        """`name` is the consumer's name in the store's tracking; `batch_size` counts events.

        `waits_in` says what waits behind an event that cannot be handled: the stream that it comes from, or the one
        that it is for. The latter where one source, like the stock ledger, tells of many orders.
        """
        self.name = name
        self._actor = without_slot(name)
        self.position = store.tracked_position(name)
        self.parking = Parking(store, name)
        self._tracked = self.position
        self._store = store
        self._feed = feed
        self._desk = desk
        self._reactions = reactions
        self._now = now
        self._batch_size = batch_size
        self._waits_in = waits_in

    def step(self) -> int:
        """Handle one batch; the number of events it took from the feed (0: nothing new)."""
        page = self._feed.read(self.position, self._batch_size)
        events = page.beyond(self.position)
        if events:
            self._handle(events, page.reached)
        elif page.reached - self._tracked >= self.IDLE_POSITIONS_PER_COMMIT:
            self._handle([], page.reached)
        else:
            self.position = max(self.position, page.reached)
        return len(events)

    def _handle(self, events: Sequence[Recorded], reached: int) -> None:
        try:
            self._commit_with_retries(events, reached)
        except AlreadyTracked:
            self._go_on_from_the_log()
        except StoreError:
            raise
        except Exception as error:
            self._halve(events, reached, error)

    def _go_on_from_the_log(self) -> None:
        """Another process of our name was faster, or our own commit's reply was lost: the log's word counts."""
        self._desk.forget()
        self.parking.refresh()
        self.position = self._tracked = self._store.tracked_position(self.name)

    def _halve(self, events: Sequence[Recorded], reached: int, error: Exception) -> None:
        if len(events) == 1:
            self._park(events[0], reached, in_words(error))
            return
        middle = len(events) // 2
        half_way = events[middle - 1].position
        self._handle(events[:middle], half_way)
        if self._tracked == half_way:  # else another process has handled some of this: it is read again from there
            self._handle(events[middle:], reached)

    def _commit_with_retries(self, events: Sequence[Recorded], reached: int) -> None:
        for attempt in range(1, self.CONFLICT_ATTEMPTS + 1):
            batch = self._desk.batch()
            try:
                behind = self._decide(batch, events)
                self._commit(batch, reached, behind)
                return
            except VersionConflict:
                metrics.conflicts.labels(self._actor).inc()
                if attempt == self.CONFLICT_ATTEMPTS:
                    raise
                self._desk.refresh(batch.touched())
                self.parking.refresh()

    def _decide(self, batch: Batch, events: Sequence[Recorded]) -> list[_Waiting]:
        """Decide all events of the batch; returns those that must wait behind a parked one of their stream."""
        behind = [] if self.parking.is_empty else self._behind(events)
        waiting = {recorded.position for recorded, _ in behind}
        now = self._now()
        planned = [
            (directive, caused_by(recorded, self._actor, now))
            for recorded in events
            if recorded.position not in waiting
            for directive in self._react(recorded)
        ]
        self._desk.load((directive.stream for directive, _ in planned), seen=events)
        for directive, cause in planned:
            batch.decide(directive, cause)
        return behind

    def _behind(self, events: Sequence[Recorded]) -> list[_Waiting]:
        found = []
        for recorded in events:
            stream = recorded.stream
            if not self.parking.holds(stream):
                stream = self._stream_of(recorded, self._react(recorded))
            if self.parking.holds(stream):
                found.append(_Waiting(recorded, stream))
        return found

    def _stream_of(self, recorded: Recorded, directives: Sequence[Directive]) -> str:
        return directives[0].stream if directives and self._waits_in == "target" else recorded.stream

    def _react(self, recorded: Recorded) -> Sequence[Directive]:
        if isinstance(recorded.event, Unreadable):
            raise UnreadableEvent(recorded.event.reason)
        return list(self._reactions[type(recorded.event)](recorded))

    def _commit(self, batch: Batch, reached: int, behind: list[_Waiting]) -> None:
        also = [self._park_write(behind, "waits behind a parked event of its stream")] if behind else []
        batch.commit(tracked=self._tracked_at(reached), also=also)
        self.position = self._tracked = reached
        metrics.batch_events.labels(self._actor).observe(batch.size)
        if behind:
            self.parking.refresh()

    def _tracked_at(self, reached: int) -> Tracked:
        """The append is refused if a twin (a zombie, or our heir) has handled a part of this batch.

        That we are ahead of it is not enough: it may have done the first half, and our decisions may rest on states
        that have its work in them, so that no version conflict tells. What it did must not be done again. So the store
        compares, in the append's own transaction, where no twin can come in between.
        """
        return Tracked(self.name, reached, after=self._tracked)

    # --- parking ---------------------------------------------------------------------------------------------------

    def _park(self, recorded: Recorded, reached: int, reason: str) -> None:
        try:
            self.parking.refresh()
            write = self._park_write([_Waiting(recorded, self._stream_to_park(recorded))], reason)
            self._store.append([write], tracked=self._tracked_at(reached))
        except AlreadyTracked:
            self._go_on_from_the_log()
            return
        self.position = self._tracked = reached
        self.parking.refresh()
        metrics.parked.labels(self._actor).inc()

    def _stream_to_park(self, recorded: Recorded) -> str:
        try:
            return self._stream_of(recorded, self._react(recorded))
        except Exception:  # the very reason why it is parked: nobody knows whom it is for
            return recorded.stream

    def _park_write(self, waiting: list[_Waiting], reason: str) -> Write:
        first = waiting[0].event
        cause = Cause(self._now(), first.correlation_id, first.id, self._actor)
        return self.parking.write([self.parking.parked(event, reason, stream) for event, stream in waiting], cause)

    def replay_parked(self, stream: str | None = None) -> list[Parked]:
        """Handle parked events again, in order; what still fails stays. Returns those that were handled."""
        return self.parking.replay(self._decide_again, self._cause_of, stream)

    def _decide_again(self, recorded: Recorded) -> Batch:
        batch = self._desk.batch()
        directives = self._react(recorded)
        self._desk.refresh(directive.stream for directive in directives)
        for directive in directives:
            batch.decide(directive, self._cause_of(recorded))
        return batch

    def _cause_of(self, recorded: Recorded) -> Cause:
        return caused_by(recorded, self._actor, self._now())
