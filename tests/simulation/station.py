"""A consumer at its place in a process: the engine that steps it, and what wakes it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from events.relay import PublishFailed
from events.store import StoreUnavailable, VersionConflict
from projections.views import ViewsUnavailable
from services.runtime.calls import Lanes
from services.runtime.engine import Consumer, Engine
from tests.simulation.clock import HOUR_S, SECOND_US
from tests.simulation.scheduler import Actor

if TYPE_CHECKING:
    from tests.simulation.process import Process

OPERATING_FAULTS = (StoreUnavailable, VersionConflict, ViewsUnavailable, PublishFailed)
"""As services/cluster/process.py has them."""


# No outage of the world lasts so long.
PATIENCE_S = 3 * HOUR_S


class Part(NamedTuple):
    """One consumer of a process, and what it hears of.

    types        what the log must grow by for it to have something to do; None: no matter what
    lag_s        so many seconds pass before it hears that the log grew
    patience_s   so many seconds after the log grew it looks by itself, whatever it was told
    """

    consumer: Consumer
    follows_log: bool = True
    hears_calls: bool = False
    hears_requests: bool = False
    types: frozenset[str] | None = None
    lag_s: float = 0.0
    patience_s: float | None = None


class Station:
    """Steps one consumer with an engine of its own, so that the scheduler chooses who of a process is next."""

    def __init__(self, process: Process, part: Part) -> None:
        self.part = part
        self._process = process
        self._scheduler = process.world.scheduler
        self._clock = process.world.clock
        self._engine = Engine(
            [part.consumer], operating_faults=OPERATING_FAULTS, bell=threading.Event(), clock_s=process.world.clock.s
        )
        self._look_at_us: int | None = None
        self._failing_since_s: float | None = None
        self._heard = False
        self.actor = Actor(process, lambda: process.step(self._engine), self._due_s)

    def log_grew(self, types: set[str]) -> None:
        part = self.part
        if not getattr(part.consumer, "leads", True):
            return  # whoever stands by is woken when the lead is free
        if part.follows_log and (part.types is None or not part.types.isdisjoint(types)):
            if part.lag_s:
                self._scheduler.by(part.lag_s, self.actor)
            else:
                self._scheduler.wake(self.actor)
        if part.patience_s is not None and self._look_at_us is None:
            self._look_at_us = self._clock.after_us(part.patience_s)
            self._scheduler.by(part.patience_s, self.actor)

    def call_finished(self) -> None:
        if getattr(self.part.consumer, "busy", 1):
            self._heard = True
            self._scheduler.wake(self.actor)

    def request_came(self) -> None:
        if self.part.hears_requests:
            self._scheduler.wake(self.actor)

    def _due_s(self) -> float | None:
        """When it has to look again although nobody tells it to."""
        if self._process.sleeps():
            return None  # all are woken when it goes on
        next_try_s = self._engine.next_try_s()
        self._note_failure(next_try_s is not None)
        if next_try_s is not None:
            return next_try_s + 0.001
        if self._heard:
            self._heard = False
            return Lanes.LINGER_S + 0.001  # an answer may be waiting for others to share a commit with
        due_s, look_s = _due_of(self.part.consumer), self._look_s()
        return look_s if due_s is None else due_s if look_s is None else min(look_s, due_s)

    def _look_s(self) -> float | None:
        if self._look_at_us is not None and self._clock.us >= self._look_at_us:
            self._look_at_us = None  # it has looked just now
        return None if self._look_at_us is None else (self._look_at_us - self._clock.us) / SECOND_US

    def _note_failure(self, fails: bool) -> None:
        world = self._process.world
        if not fails:
            self._failing_since_s = None
        elif self._failing_since_s is None:
            self._failing_since_s = world.clock.s()
        elif world.clock.s() - self._failing_since_s > PATIENCE_S:
            [(name, error)] = self._engine.failing().items()
            world.breach(f"{self._process.name}: {name} cannot go on: {error}")


def _due_of(consumer: object) -> float | None:
    """When the first of the deadlines of a consumer, or of those that work in it, is due."""
    found = [getattr(one, "next_due_s", _never)() for one in (consumer, *getattr(consumer, "consumers", ()))]
    return min((due_s for due_s in found if due_s is not None), default=None)


def _never() -> None:
    """Most consumers have no deadlines."""
