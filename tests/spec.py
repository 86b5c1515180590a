"""Given these events, when this is asked, then exactly that happens: how a decider's tests read.

    spec = Spec(DECIDER)
    spec.given(PLACED, ACCEPTED).when(CancelOrder("changed my mind")).then(OrderCancellationRequested(...), ...)

Whatever a scenario is about, every step is also held to what all deciders promise: the same answer when asked again,
no change to the state they were shown, events that `evolve` takes and that the log can hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime
from difflib import ndiff
from functools import reduce
from typing import Any, Generic, TypeVar

from events.base import Event, NewEvent
from events.codec import decode, encode
from services.runtime.decider import Decider

C = TypeVar("C")
S = TypeVar("S")

_NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class Spec(Generic[C, S]):
    """Scenarios for one decider."""

    def __init__(self, decider: Decider[C, S]) -> None:
        self._decider = decider

    def given(self, *history: Event) -> Scenario[C, S]:
        return Scenario(self._decider, history)


class Scenario(Generic[C, S]):
    """What has happened so far."""

    def __init__(self, decider: Decider[C, S], history: Sequence[Event]) -> None:
        self._decider = decider
        self.state: S = reduce(decider.evolve, history, decider.initial)

    def when(self, *commands: C) -> Outcome[S]:
        """Ask all of this, one after the other."""
        state, happened = self.state, list[Event]()
        for command in commands:
            events = answer(self._decider, command, state)
            state = reduce(self._decider.evolve, events, state)
            happened += events
        return Outcome(happened, state)


class Outcome(Generic[S]):
    """What happened because of the commands, and the state after it."""

    def __init__(self, events: list[Event], state: S) -> None:
        self.events = events
        self.state = state

    def then(self, *expected: Event) -> Outcome[S]:
        """Exactly these events, in this order."""
        if self.events != list(expected):
            raise AssertionError("expected (-) is not what happened (+)\n" + _difference(expected, self.events))
        return self

    def then_nothing(self) -> Outcome[S]:
        return self.then()


def answer(decider: Decider[C, S], command: C, state: S) -> list[Event]:
    """What the decider says, after it has kept the promises that all deciders make."""
    before = deepcopy(state)
    events = decider.decide(command, state)
    assert events == decider.decide(command, state), f"two answers to {command}"
    reduce(decider.evolve, events, state)
    assert state == before, f"{command} changed the state it was shown"
    for event in events:
        assert through_the_log(event) == event, f"the log does not give back {event}"
    return events


def through_the_log(event: Event) -> Event:
    """The event as it is read again after it was written."""
    topic, state = encode(NewEvent(event, _NOON, "correlation", "causation", "test"), _NOON)
    return decode(1, "stream", 1, topic, state).event


def _difference(expected: Sequence[Event], happened: Sequence[Event]) -> str:
    def lines(events: Sequence[Event]) -> list[str]:
        return [_text(event) for event in events] or ["nothing"]

    return "\n".join(ndiff(lines(expected), lines(happened)))


def _text(event: Event) -> str:
    fields: dict[str, Any] = {name: getattr(event, name) for name in type(event).model_fields if name != "order_id"}
    return f"{type(event).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
