"""A simulated process: its consumers, its memory and its calls, all of which are gone when it dies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from events.store import CommitOutcomeUnknown, StoreUnavailable
from services.runtime.engine import Consumer, Engine
from tests.fakes import Crash
from tests.simulation.broker import Fetcher
from tests.simulation.clock import HOUR_S, Watch
from tests.simulation.faults import Fault
from tests.simulation.loop import VirtualCalls, VirtualLoop
from tests.simulation.scheduler import Actor
from tests.simulation.station import Part, Station
from tests.simulation.store import FaultyRecorder, SimStore

if TYPE_CHECKING:
    from tests.simulation.world import World

ENDS_THE_PROCESS = (Crash, CommitOutcomeUnknown)
"""After these a supervisor starts it again; anything else that ends it is a bug."""


class Process:
    """`hire` makes its consumers from what the log has, whenever it starts."""

    store: SimStore
    calls: VirtualCalls

    def __init__(
        self, world: World, name: str, hire: Callable[[Process], Sequence[Part]], *, is_one_too_many: bool = False
    ) -> None:
        self.world = world
        self.name = name
        self.watch = Watch(world.clock)
        self.alive = False
        self.starts = 0
        self._hire = hire
        self._is_one_too_many = is_one_too_many
        self._stalled_until_us = 0
        self._loop: VirtualLoop | None = None
        self._caller = Actor(self, lambda: 0)
        self._stations: list[Station] = []
        self._by_consumer: dict[int, Station] = {}

    @property
    def life(self) -> int:
        """Which of its lives it is in; 0 if it is dead."""
        return self.starts if self.alive else 0

    # --- life and death ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Try to; if the store is away, again a little later."""
        if self.alive or (self._is_one_too_many and self.world.faults.healed):
            return
        self.starts += 1
        if self.world.faults.strikes(Fault.CLOCK_SKEW, self.name):
            self.watch.error = timedelta(seconds=self.world.faults.draw(Fault.CLOCK_SKEW).uniform(-HOUR_S, HOUR_S))
        try:
            self._start()
        except (StoreUnavailable, Crash):
            self._abandon_calls()
            self._again_later()

    def _start(self) -> None:
        world = self.world
        self._loop = loop = VirtualLoop(world.clock)
        caller = self._caller = Actor(self, self._turn_loop, lambda: None if self.sleeps() else loop.due_s())
        self.calls = VirtualCalls(loop, world.clock, lambda: world.scheduler.wake(caller))
        self.store = SimStore(FaultyRecorder(world, self.name), now=self.watch)
        self._stations = [Station(self, part) for part in self._hire(self)]
        self._by_consumer = {id(station.part.consumer): station for station in self._stations}
        self.alive = True
        world.story.note(self.name, "starts")
        self.wake_all()

    def die(self, why: str) -> None:
        """Everything that it remembered is gone, and every call that it had under way."""
        if not self.alive:
            return
        self.world.story.note(self.name, "dies: {}", why)
        self.alive = False
        self.world.died(self)
        for actor in self._actors():
            actor.gone = True
        self._stations, self._by_consumer = [], {}
        self._abandon_calls()
        self._again_later()

    def _actors(self) -> list[Actor]:
        return [self._caller, *(station.actor for station in self._stations)]

    def _abandon_calls(self) -> None:
        if self._loop is not None:
            self._loop.abandon()

    def _again_later(self) -> None:
        self.world.scheduler.after(self.world.draw.choice((0.1, 3.0, 20.0, 300.0)), self.start)

    def recover(self) -> None:
        """The world heals: whoever should not be there leaves, everybody else works, by the right time."""
        self.watch.error = timedelta(0)
        self._stalled_until_us = 0
        if self._is_one_too_many:
            self.die("it was one too many")
        else:
            self.start()
        self.wake_all()

    def close(self) -> None:
        """The world is at its end."""
        self._abandon_calls()

    # --- what it hears -----------------------------------------------------------------------------------------------

    def log_grew(self, types: set[str]) -> None:
        for station in self._stations:
            station.log_grew(types)

    def request_came(self) -> None:
        for station in self._stations:
            station.request_came()

    def call_finished(self, consumer: object = None) -> None:
        """An answer is there, for this consumer; or nobody knows for whom."""
        for station in self._stations:
            if station.part.hears_calls and consumer in (None, station.part.consumer):
                station.call_finished()

    def wake(self, consumer: object, lag_s: float = 0.0) -> None:
        station = self._by_consumer.get(id(consumer))
        if station is not None and lag_s:
            self.world.scheduler.by(lag_s, station.actor)
        elif station is not None:
            self.world.scheduler.wake(station.actor)

    def wake_all(self) -> None:
        if self.alive:
            for actor in self._actors():
                self.world.scheduler.wake(actor)

    # --- work --------------------------------------------------------------------------------------------------------

    def step(self, engine: Engine) -> int:
        """A step of one of its consumers."""
        if self._stops():
            return 0
        try:
            if self.world.faults.strikes(Fault.CRASH, self.name):
                raise Crash
            return engine.pump()
        except ENDS_THE_PROCESS as error:
            self.die(type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever it is, it would have ended a real process
            self.world.breach(f"{self.name} ended with {type(error).__name__}: {error}")
        return 0

    def _turn_loop(self) -> int:
        assert self._loop is not None
        return 0 if self._stops() else self._loop.turn()

    def sleeps(self) -> bool:
        """Whether it is stopped, as by SIGSTOP: it goes on later as if nothing had happened."""
        return self.world.clock.us < self._stalled_until_us

    def _stops(self) -> bool:
        """Whether it sleeps, or begins to just now."""
        world = self.world
        if not self.sleeps() and world.faults.strikes(Fault.STALL, self.name):
            seconds = world.faults.draw(Fault.STALL).choice((0.5, 5.0, 40.0, 600.0))
            self._stalled_until_us = world.clock.after_us(seconds)
            world.fell_silent(self)
            world.scheduler.after(seconds, self.wake_all)
        return self.sleeps()

    # --- who works here ----------------------------------------------------------------------------------------------

    def consumers(self) -> list[Consumer]:
        """All of them, also those that work inside of others."""
        found: list[Consumer] = []
        for station in self._stations:
            found += [station.part.consumer, *getattr(station.part.consumer, "consumers", ())]
        return found

    def fetchers(self) -> list[Fetcher]:
        """Its memberships in the broker's groups."""
        return [one for one in self.consumers() if isinstance(one, Fetcher)]
