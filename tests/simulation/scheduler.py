"""Who is next: one actor at a time, drawn among those that may have something to do; time goes on when nobody has."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

from tests.simulation.clock import Clock


class Actor:
    """Something that works in steps. It sleeps when a step found nothing to do, until it is woken or its time comes."""

    __slots__ = ("act", "due_s", "due_us", "gone", "owner", "ready")

    def __init__(self, owner: object, act: Callable[[], int], due_s: Callable[[], float | None] = lambda: None) -> None:
        """`act` says how much was done; `due_s` in how many seconds there is something to do again, if nobody wakes it.

        Of one `owner` only one actor works at a time: a process is one thread.
        """
        self.owner = owner
        self.act = act
        self.due_s = due_s
        self.due_us: int | None = None
        self.ready = False
        self.gone = False


class Scheduler:
    """Deterministic: everything follows from the draw."""

    # Real steps take between some microseconds and some milliseconds.
    def __init__(self, clock: Clock, draw: Random) -> None:
        self._clock = clock
        self._draw = draw
        self._pace_us = draw.choice((200, 1_000, 5_000))
        self._ready: list[Actor] = []
        self._timers: list[tuple[int, int, Actor | Callable[[], None]]] = []
        self._numbers = 0
        self._working: list[object] = []
        self.turns = 0
        self.stopped = False

    def wake(self, actor: Actor) -> None:
        if not actor.ready and not actor.gone:
            actor.ready = True
            self._ready.append(actor)

    def at(self, us: int, what: Actor | Callable[[], None]) -> None:
        """Wake the actor, or call the function, when this time has come."""
        self._numbers += 1
        heapq.heappush(self._timers, (us, self._numbers, what))

    def after(self, seconds: float, what: Actor | Callable[[], None]) -> None:
        self.at(self._clock.after_us(seconds), what)

    def by(self, seconds: float, actor: Actor) -> None:
        """Wake the actor then, unless it will be woken before."""
        due_us = self._clock.after_us(seconds)
        if actor.due_us is None or due_us < actor.due_us:
            actor.due_us = due_us
            self.at(due_us, actor)

    def run(self, *, until_us: int, max_turns: int) -> bool:
        """Until nobody has anything to do before that time, or it is `stopped`; False: `max_turns` were not enough."""
        for _ in range(max_turns):
            if self.stopped:
                return True
            if not self._turn_of_anybody(until_us):
                self._clock.us = max(self._clock.us, until_us)
                return True
        return False

    def interlude(self) -> None:
        """In the midst of one process's step, others make some of theirs."""
        for _ in range(1 + int(self._draw.random() * 4)):
            actor = self._draw_ready()
            if actor is None:
                return
            self._let_act(actor)

    def _turn_of_anybody(self, until_us: int) -> bool:
        if not self._ready and not self._wait(until_us):
            return False
        self._ring()
        actor = self._draw_ready()
        if actor is not None:
            self._clock.us += int(self._draw.random() * self._pace_us)
            self._let_act(actor)
        return True

    def _wait(self, until_us: int) -> bool:
        if not self._timers or self._timers[0][0] > until_us:
            return False
        self._clock.us = max(self._clock.us, self._timers[0][0])
        return True

    def _ring(self) -> None:
        """Everything whose time has come."""
        while self._timers and self._timers[0][0] <= self._clock.us:
            us, _, what = heapq.heappop(self._timers)
            if not isinstance(what, Actor):
                what()
            elif what.due_us == us:  # else it was woken before, and has its next time
                what.due_us = None
                self.wake(what)

    def _draw_ready(self) -> Actor | None:
        """One of those that are ready, unless its owner is in the midst of a step."""
        ready = self._ready
        for _ in range(min(4, len(ready))):
            place = int(self._draw.random() * len(ready))
            actor = ready[place]
            if actor.gone:
                ready[place] = ready[-1]
                ready.pop()
            elif actor.owner not in self._working:
                ready[place] = ready[-1]
                ready.pop()
                actor.ready = False
                return actor
            if not ready:
                break
        return None

    def _let_act(self, actor: Actor) -> None:
        self.turns += 1
        self._working.append(actor.owner)
        try:
            done = actor.act()
        finally:
            self._working.pop()
        if actor.gone:
            return
        if done:
            self.wake(actor)
        elif (due_s := actor.due_s()) is not None:
            self.by(due_s, actor)
