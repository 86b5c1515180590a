"""Bugs in the runtime and in the store: positions, fences, caches, parking, time."""

from __future__ import annotations

from typing import Any

from events import store
from events.base import Recorded, Tracked, Write
from events.codec import Unreadable
from events.feed import Page, StoreFeed
from events.recent import Recent
from events.store import CommitOutcomeUnknown, EventStore, StoreUnavailable
from services.gateway import arrivals
from services.gateway.arrivals import Arrivals, Outcome, Verdict
from services.runtime.desk import Batch, Desk
from services.runtime.effects import Effects
from services.runtime.timekeeper import Timekeeper
from services.runtime.worker import Worker
from tests.simulation.planted.bug import Bug, Patch

# --- positions -----------------------------------------------------------------------------------------------------


def _drop_the_tracking_row() -> list[Patch]:
    return [Patch(Worker, "_tracked_at", lambda self, reached: None)]


def _acknowledge_before_the_commit() -> list[Patch]:
    def commit(self: Any, batch: Batch, reached: int, behind: Any) -> None:
        self._store.append([], tracked=Tracked(self.name, reached))
        batch.commit()
        self.position = self._tracked = reached

    return [Patch(Worker, "_commit", commit)]


def _track_without_comparing() -> list[Patch]:
    return [Patch(Worker, "_tracked_at", lambda self, reached: Tracked(self.name, reached))]


def _commit_what_is_tracked_already() -> list[Patch]:
    honest = Batch.commit

    def commit(self: Batch, *, tracked: Tracked | None = None, also: Any = ()) -> list[Recorded]:
        try:
            return honest(self, tracked=tracked, also=also)
        except store.AlreadyTracked:
            return honest(self, also=also)

    return [Patch(Batch, "commit", commit)]


def _go_by_the_clock() -> list[Patch]:
    honest = StoreFeed.read

    def read(self: Any, after: int, limit: int) -> Page:
        page = honest(self, after, limit)
        before = self._store.read_after(after - 1, limit=1, on_unreadable="mark") if after else []
        seen = before[0].recorded_at if before else None
        events = [one for one in page.events if seen is None or one.recorded_at > seen]
        return Page(events, page.reached)

    return [Patch(StoreFeed, "read", read)]


# --- fences --------------------------------------------------------------------------------------------------------


def _skip_the_expected_version() -> list[Patch]:
    honest = Batch.commit

    def commit(self: Any, *, tracked: Tracked | None = None, also: Any = ()) -> list[Recorded]:
        heads = self._desk.store.stream_versions(list(self._writes))
        self._undecided.clear()
        for stream, write in self._writes.items():
            self._writes[stream] = Write(stream, heads.get(stream, 0), write.events)
        return honest(self, tracked=tracked, also=also)

    return [Patch(Batch, "commit", commit)]


def _do_not_fence_the_undecided() -> list[Patch]:
    return [Patch(Batch, "_refrained", lambda self: [])]


def _decide_on_a_stale_cache() -> list[Patch]:
    return [Patch(Desk, "refresh", lambda self, streams: None)]


def _cache_what_was_not_committed() -> list[Patch]:
    honest = Batch.commit

    def commit(self: Any, *, tracked: Tracked | None = None, also: Any = ()) -> list[Recorded]:
        self._desk._held.update(self._now)
        return honest(self, tracked=tracked, also=also)

    return [Patch(Batch, "commit", commit)]


def _miss_the_appends_of_others() -> list[Patch]:
    honest = Recent.extend

    def extend(self: Any, events: Any, sizes: Any) -> None:
        if events:
            self.last_position = events[0].position - 1
        honest(self, events, sizes)

    return [Patch(Recent, "extend", extend)]


# --- outcomes ------------------------------------------------------------------------------------------------------


def _take_a_lost_commit_for_made() -> list[Patch]:
    def settle(self: Any, batch: Any, fault: CommitOutcomeUnknown) -> list[int]:
        head = self._log.last_position()
        return [head + 1 + place for place in range(len(batch.rows))]

    return [Patch(EventStore, "_settle", settle)]


def _acknowledge_what_was_not_written() -> list[Patch]:
    honest = Arrivals.take

    def take(self: Any, batch: Any) -> list[Outcome]:
        try:
            return honest(self, batch)
        except StoreUnavailable:
            return [Outcome(Verdict.NEW, 0) for _ in batch]

    return [Patch(Arrivals, "take", take)]


def _take_everything_as_known() -> list[Patch]:
    """Whatever comes under a number that is there is the same order: the other one is lost without a word."""
    honest = arrivals._judged

    def judged(arrival: Any, history: Any) -> Outcome:
        return honest(arrival, history)._replace(verdict=Verdict.KNOWN)

    return [Patch(arrivals, "_judged", judged)]


# --- parking, deadlines, effects -----------------------------------------------------------------------------------


def _swallow_what_cannot_be_read() -> list[Patch]:
    honest = Worker._react

    def react(self: Any, recorded: Recorded) -> Any:
        return [] if isinstance(recorded.event, Unreadable) else honest(self, recorded)

    return [Patch(Worker, "_react", react)]


def _forget_deadlines_at_a_restart() -> list[Patch]:
    def track(self: Any) -> None:
        if self.position > self._tracked:
            self._store.append([], tracked=Tracked(self.name, self.position))
            self._tracked = self.position

    return [Patch(Timekeeper, "_track", track)]


def _drop_a_deadline_when_the_store_is_away() -> list[Patch]:
    honest = Timekeeper._issue

    def issue(self: Any, pending: Any, now: Any) -> None:
        try:
            honest(self, pending, now)
        except StoreUnavailable:
            return

    return [Patch(Timekeeper, "_issue", issue)]


def _leave_no_pause_where_clocks_differ() -> list[Patch]:
    """A bug that there really was, and that this simulator found."""
    return [Patch(Timekeeper, "_by_our_watch", lambda self, recorded, due_at: due_at)]


def _track_past_open_intents() -> list[Patch]:
    def advance(self: Any, closing: Any) -> Tracked | None:
        return Tracked(self.name, self.position) if self.position > self._tracked else None

    return [Patch(Effects, "_advance", advance)]


def _lose_answers_when_the_store_is_away() -> list[Patch]:
    honest = Effects._record

    def record(self: Any) -> int:
        try:
            return honest(self)
        except StoreUnavailable:
            self._unrecorded = []
            raise

    return [Patch(Effects, "_record", record)]


BUGS = [
    Bug("drop the tracking row", _drop_the_tracking_row),
    Bug("acknowledge before the commit", _acknowledge_before_the_commit),
    Bug("track a position without comparing it", _track_without_comparing),
    Bug("commit again what is tracked already", _commit_what_is_tracked_already),
    Bug("go by the clock, not by position", _go_by_the_clock),
    Bug("skip the expected version", _skip_the_expected_version),
    Bug("do not fence a decision to do nothing", _do_not_fence_the_undecided),
    Bug("decide on a stale cache", _decide_on_a_stale_cache),
    Bug("cache what was not committed", _cache_what_was_not_committed),
    Bug("miss what others append", _miss_the_appends_of_others),
    Bug("take a lost commit for made", _take_a_lost_commit_for_made),
    Bug("acknowledge what was not written", _acknowledge_what_was_not_written),
    Bug("take any content for the same order", _take_everything_as_known),
    Bug("swallow what cannot be read", _swallow_what_cannot_be_read),
    Bug("forget deadlines at a restart", _forget_deadlines_at_a_restart),
    Bug("drop a deadline when the store is away", _drop_a_deadline_when_the_store_is_away),
    Bug("leave no pause where clocks differ", _leave_no_pause_where_clocks_differ),
    Bug("track past intents that are open", _track_past_open_intents),
    Bug("lose answers when the store is away", _lose_answers_when_the_store_is_away),
]
