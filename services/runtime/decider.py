"""What a service's rules look like to the runtime: a decider, and the reactions that feed it commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar

from events.base import WALL_CLOCK, Event, NewEvent, Recorded

C = TypeVar("C")
S = TypeVar("S")


class Decider(NamedTuple, Generic[C, S]):
    """The rules of one kind of stream. Pure: no clock, no random, no I/O; time and ids arrive in the command.

    decide   what happens because of this command; a refusal is an event too; [] means "already done"
    evolve   the state after one more event; it never refuses
    """

    initial: S
    decide: Callable[[C, S], list[Event]]
    evolve: Callable[[S, Any], S]


class Directive(NamedTuple):
    """A command and the stream whose decider shall answer it.

    `occurred_at` is when it happened in the world, where the command reports something that has its own time.
    """

    stream: str
    command: Any
    occurred_at: datetime | None = None


React = Callable[[Recorded], Iterable[Directive]]
"""What an event makes a service do. Pure."""

Reactions = dict[type[Event], React]
"""Routing as a table: event class -> reaction. What is not in it does not concern the consumer."""


class Deadline(NamedTuple):
    """At `due_at`, ask this. The command is built with the time at which it is issued.

    `clock` None: the event's own. What concerns the world of today (asking a provider again) names the wall clock.
    """

    due_at: datetime
    directive: Callable[[datetime], Directive]
    clock: str | None = None


SetsDeadlines = dict[type[Event], Callable[[Recorded], Iterable[Deadline]]]
"""Which events set deadlines, and which. Pure."""


class Cause(NamedTuple):
    """Why we decide: becomes the envelope of every event that follows from it."""

    occurred_at: datetime
    correlation_id: str
    causation_id: str
    actor: str
    clock: str = WALL_CLOCK

    def envelope(self, event: Event) -> NewEvent:
        # What is about an order belongs to its process, whatever set it off (a receipt serves an order that waits).
        process = getattr(event, "order_id", None) or self.correlation_id
        return NewEvent(event, self.occurred_at, process, self.causation_id, self.actor, self.clock)


def caused_by(recorded: Recorded, actor: str, now: datetime) -> Cause:
    """The cause that an event is to whoever reacts to it.

    What follows from an imported history happens in that history's time, not in today's.
    """
    occurred_at = now if recorded.clock == WALL_CLOCK else recorded.occurred_at
    return Cause(occurred_at, recorded.correlation_id, recorded.id, actor, recorded.clock)
