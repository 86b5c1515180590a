"""What arrives from outside and is the first event of its stream: taken once, however often it is sent.

The stream's name follows from the sender's own reference. The same content again is known; another content under the
same reference is a conflict: for an order it is reported on the order's stream, never taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple

from events.base import Event, Recorded, Write
from events.order import OrderIntakeConflicted, OrderPlaced
from events.store import EventStore, VersionConflict
from services.runtime.decider import Cause

# Conflicts come only from somebody else who takes the same thing at this moment (an import of the same orders).
_ATTEMPTS = 5


class Arrival(NamedTuple):
    """An event that came in, the stream it shall begin, and why it is there."""

    stream: str
    event: Event
    cause: Cause


class Verdict(StrEnum):
    NEW = "new"
    KNOWN = "known"
    CONFLICTING = "conflicting"


class Outcome(NamedTuple):
    """What became of an arrival. `position` is where the first event of its stream is, whoever sent it."""

    verdict: Verdict
    position: int


class Arrivals:
    """Takes arrivals into the log."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    def take(self, batch: Sequence[Arrival]) -> list[Outcome]:
        """Append what is new of these in one transaction. Their streams must differ. Raises what the store raises."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._take(batch)
            except VersionConflict:
                continue
        return self._take(batch)

    def _take(self, batch: Sequence[Arrival]) -> list[Outcome]:
        histories = self._histories([arrival.stream for arrival in batch])
        writes = [write for arrival in batch for write in _writes(arrival, histories.get(arrival.stream))]
        begun = {recorded.stream: recorded.position for recorded in self._store.append(writes) if recorded.version == 1}
        return [
            Outcome(Verdict.NEW, begun[arrival.stream])
            if arrival.stream in begun
            else _judged(arrival, histories[arrival.stream])
            for arrival in batch
        ]

    def _histories(self, streams: list[str]) -> dict[str, list[Recorded]]:
        """Asking for versions first costs new arrivals one look into an index, and no reading."""
        existing = self._store.stream_versions(streams)
        return self._store.read_streams(list(existing)) if existing else {}


def _writes(arrival: Arrival, history: Sequence[Recorded] | None) -> list[Write]:
    if not history:
        return [Write(arrival.stream, 0, [arrival.cause.envelope(arrival.event)])]
    conflict = intake_conflict(arrival.event, history)
    return [] if conflict is None else [Write(arrival.stream, history[-1].version, [arrival.cause.envelope(conflict)])]


def _judged(arrival: Arrival, history: Sequence[Recorded]) -> Outcome:
    same = history[0].event == arrival.event
    return Outcome(Verdict.KNOWN if same else Verdict.CONFLICTING, history[0].position)


def intake_conflict(event: Event, history: Sequence[Recorded]) -> OrderIntakeConflicted | None:
    """What there is to report about an order that came before; None if it is the same, or was reported already."""
    if not isinstance(event, OrderPlaced) or history[0].event == event:
        return None
    received, accepted = digest(event), digest(history[0].event)
    conflict = OrderIntakeConflicted(order_id=event.order_id, received_digest=received, accepted_digest=accepted)
    return None if any(recorded.event == conflict for recorded in history) else conflict


def digest(event: Event) -> str:
    """Tells two contents apart without showing either."""
    return sha256(event.model_dump_json().encode()).hexdigest()
