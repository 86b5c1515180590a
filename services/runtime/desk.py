"""Where commands are decided: cached states, a batch of decisions, one append.

A desk keeps the latest states of a service's streams in memory (bounded) and a `Batch` collects decisions against
them. Nothing in the cache changes until the store has taken the batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any, NamedTuple

from events.base import Event, NewEvent, Recorded, Tracked, Write
from events.store import EventStore, VersionConflict
from services.runtime.decider import Cause, Decider, Directive


class _Held(NamedTuple):
    version: int
    state: Any


class Desk:
    """Decides commands for one service's streams."""

    def __init__(self, store: EventStore, decider: Decider[Any, Any], *, max_streams: int = 20_000) -> None:
        """`max_streams` bounds the cache: 20,000 order states are about 40 MB."""
        self.store = store
        self._decider = decider
        self._max_streams = max_streams
        self._held: OrderedDict[str, _Held] = OrderedDict()

    def state(self, stream: str) -> Any:
        """The stream's state as this desk last saw it; loaded if it is not in the cache."""
        return self.held(stream).state

    def state_with(self, recorded: Recorded) -> Any:
        """The state of the event's stream with that event in it, also if another desk has written it."""
        if self.held(recorded.stream).version < recorded.version:
            self.refresh([recorded.stream])
        return self.state(recorded.stream)

    def held(self, stream: str) -> _Held:
        if stream not in self._held:
            self.load([stream])
        self._held.move_to_end(stream)
        return self._held[stream]

    def load(self, streams: Iterable[str], *, seen: Iterable[Recorded] = ()) -> None:
        """Bring the states of these streams into the cache, with as few reads as possible.

        The first event of a stream, where it is among those just `seen`, is taken for all of its history. If more has
        been appended since, the version check of the next append will tell.
        """
        missing = {stream for stream in streams if stream not in self._held}
        if not missing:
            return
        nothing = _Held(0, self._decider.initial)
        for recorded in seen:
            if recorded.version == 1 and recorded.stream in missing:
                self._held[recorded.stream] = self._fold(nothing, (recorded,))
        unseen = [stream for stream in missing if stream not in self._held]
        histories = self.store.read_streams(unseen) if unseen else {}
        for stream in unseen:
            self._held[stream] = self._fold(nothing, histories.get(stream, ()))
        self._shrink(keep=len(missing))

    def refresh(self, streams: Iterable[str]) -> None:
        """Somebody else wrote to these streams: read what is new in each of them."""
        for stream in streams:
            if stream in self._held:
                held = self._held[stream]
                self._held[stream] = self._fold(held, self.store.read_stream(stream, after_version=held.version))

    def forget(self) -> None:
        """Drop the cache: the store's word is all that counts after an unclear failure."""
        self._held.clear()

    def batch(self) -> Batch:
        return Batch(self)

    def execute(self, directive: Directive, cause: Cause, *, attempts: int = 5) -> list[Recorded]:
        """Decide one command and append what follows; on a version conflict decide again on the newer state."""
        for _ in range(attempts - 1):
            try:
                return self._execute_once(directive, cause)
            except VersionConflict:
                self.refresh([directive.stream])
        return self._execute_once(directive, cause)

    def _execute_once(self, directive: Directive, cause: Cause) -> list[Recorded]:
        batch = self.batch()
        batch.decide(directive, cause)
        return batch.commit()

    def _fold(self, held: _Held, history: Iterable[Recorded]) -> _Held:
        version, state = held
        evolve = self._decider.evolve
        for recorded in history:
            state = evolve(state, recorded.event)
            version = recorded.version
        return _Held(version, state)

    def _shrink(self, keep: int) -> None:
        bound = max(self._max_streams, keep)
        while len(self._held) > bound:
            self._held.popitem(last=False)


class Batch:
    """Decisions on their way into the log: all of them, or none."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._rules = desk._decider
        self._now: dict[str, _Held] = {}
        self._writes: dict[str, Write] = {}
        self._undecided: dict[str, int] = {}

    def decide(self, directive: Directive, cause: Cause) -> None:
        """Decide one command against the state that the batch has reached."""
        stream, command, _ = directive
        held = self._now.get(stream) or self._desk.held(stream)
        events = self._rules.decide(command, held.state)
        if events:
            self._take(stream, held, events, [cause.envelope(event) for event in events])
        else:
            self._undecided.setdefault(stream, held.version)

    def _take(self, stream: str, held: _Held, events: list[Event], new: list[NewEvent]) -> None:
        state = held.state
        for event in events:
            state = self._rules.evolve(state, event)
        if stream in self._writes:
            self._writes[stream].events.extend(new)
        else:
            self._writes[stream] = Write(stream, held.version, new)
        self._now[stream] = _Held(held.version + len(events), state)

    @property
    def size(self) -> int:
        return sum(len(write.events) for write in self._writes.values())

    def commit(self, *, tracked: Tracked | None = None, also: Iterable[Write] = ()) -> list[Recorded]:
        """Append everything in one transaction, with the consumer's position. Raises what the store raises."""
        writes = [*self._writes.values(), *self._refrained(), *also]
        if not writes and tracked is None:
            return []
        recorded = self._desk.store.append(writes, tracked=tracked)
        self._desk._held.update(self._now)
        return recorded

    def touched(self) -> list[str]:
        """Every stream whose state was consulted."""
        return [*self._writes, *(stream for stream in self._undecided if stream not in self._writes)]

    def _refrained(self) -> list[Write]:
        """A decision to do nothing is fenced as well: it must not rest on a state that is no longer the newest."""
        return [Write(stream, version, []) for stream, version in self._undecided.items() if stream not in self._writes]
