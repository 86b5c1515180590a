"""Runs consumers in turn, in one thread: the whole of the embedded mode's concurrency.

A consumer that meets an operating fault (the store or Redis away) is put off with a growing pause and tried again;
the others go on.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from services.runtime import metrics

log = logging.getLogger(__name__)


class Consumer(Protocol):
    """Whatever takes work in steps: workers, effects, timekeepers, projections."""

    name: str

    def step(self) -> int:
        """Do a bounded piece of work; how much it was, 0 if there was none."""
        ...


class StillFailing(Exception):
    """A consumer could not go on for longer than the caller was willing to wait."""


class _Pause:
    """Back-off of one consumer: 0.05 s, doubled at each failure up to 5 s."""

    def __init__(self) -> None:
        self.until = 0.0
        self.failures = 0
        self.since: float | None = None
        self.error: Exception | None = None

    def failed(self, now: float, error: Exception) -> None:
        self.failures += 1
        self.error = error
        self.since = self.since or now
        self.until = now + min(5.0, 0.05 * 2 ** min(self.failures - 1, 10))

    def succeeded(self) -> None:
        if self.failures:
            self.__init__()  # type: ignore[misc]


class Engine:
    """Steps every consumer until there is nothing left to do, or for ever."""

    # How long the engine sleeps at most when nobody rings: bounds how late appends of other processes are seen.
    IDLE_WAIT_S = 0.2

    # How soon it looks again while something is under way elsewhere that rings no bell.
    UNFINISHED_WAIT_S = 0.005
    # Followers wait for the others to be idle, but under steady load for no more than so many turns.
    TURNS_PER_FOLLOWER_STEP = 16

    def __init__(
        self,
        consumers: Sequence[Consumer],
        *,
        followers: Sequence[Consumer] = (),
        operating_faults: tuple[type[Exception], ...],
        bell: threading.Event,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`operating_faults` are retried, anything else ends the engine; `bell` is rung when there may be news.

        `followers` only look (projections): they wait until the consumers have nothing to do, because an order whose
        events they see together costs them one row instead of twenty.
        """
        self.consumers = [*consumers, *followers]
        self._leaders = list(consumers)
        self._followers = list(followers)
        self._turn = 0
        self._faults = operating_faults
        self._bell = bell
        self._clock_s = clock_s
        self._pauses = {consumer.name: _Pause() for consumer in self.consumers}
        self.turned_s = time.monotonic()
        """When the last turn began, on the monotonic clock: an engine that does not turn is stuck."""

    def failing(self) -> dict[str, Exception]:
        """Consumers that are put off now, and why."""
        return {name: pause.error for name, pause in self._pauses.items() if pause.error is not None}

    def next_try_s(self) -> float | None:
        """Seconds until the first of the consumers that are put off is tried again; None if none is."""
        until = [pause.until for pause in self._pauses.values() if pause.failures]
        return max(0.0, min(until) - self._clock_s()) if until else None

    def pump(self) -> int:
        """One turn: every consumer that is not put off makes one step; how much was done."""
        self._turn += 1
        self.turned_s = time.monotonic()
        done = sum([self._step(consumer) for consumer in self._leaders])
        if not done or self._turn % self.TURNS_PER_FOLLOWER_STEP == 0:
            done += sum([self._step(follower) for follower in self._followers])
        return done

    def run_until_idle(self, *, patience_s: float = 30.0, followers: bool = True) -> None:
        """Until no consumer finds anything to do and no call is open; `followers` False: they may still lag behind.

        Raises StillFailing if a consumer could not go on for `patience_s` seconds.
        """
        waited_for = self.consumers if followers else self._leaders
        while True:
            self._bell.clear()
            if self.pump():
                continue
            if not self._unfinished(waited_for):
                return
            self._give_up_after(patience_s)
            self._bell.wait(self.UNFINISHED_WAIT_S)

    def run(self, stop: threading.Event, *, next_due_s: Callable[[], float | None] = lambda: None) -> None:
        """Until `stop` is set (ring the bell after setting it)."""
        while not stop.is_set():
            self._bell.clear()
            if not self.pump():
                self._bell.wait(min(self.IDLE_WAIT_S, next_due_s() or self.IDLE_WAIT_S))

    def _step(self, consumer: Consumer) -> int:
        pause = self._pauses[consumer.name]
        now = self._clock_s()
        if now < pause.until:
            return 0
        try:
            done = consumer.step()
        except self._faults as error:
            pause.failed(now, error)
            metrics.step_failures.labels(consumer.name).inc()
            log.warning("%s is put off for %.2f s: %s", consumer.name, pause.until - now, error)
            return 0
        pause.succeeded()
        return done

    def _unfinished(self, waited_for: Sequence[Consumer]) -> bool:
        return bool(self.failing()) or any(getattr(consumer, "busy", 0) for consumer in waited_for)

    def _give_up_after(self, patience_s: float) -> None:
        now = self._clock_s()
        for name, pause in self._pauses.items():
            if pause.since is not None and now - pause.since > patience_s:
                raise StillFailing(f"{name} could not go on for {patience_s:g} s: {pause.error}") from pause.error
