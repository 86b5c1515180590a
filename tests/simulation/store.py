"""The database as one process sees it: the shared log, and what can go wrong on the way there and back."""

from __future__ import annotations

from asyncio import events
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from events.leadership import Leadership
from events.recorders.memory import MemoryRecorder
from events.recorders.port import NO_TAIL, Batch, StoredRow, Tail
from events.store import CommitOutcomeUnknown, EventStore, StoreUnavailable
from tests.fakes import Crash
from tests.simulation.faults import Fault, Faults

if TYPE_CHECKING:
    from tests.simulation.leads import SimLead
    from tests.simulation.world import World


class SimStore(EventStore):
    """The product's store; it only does not sleep while it asks what became of a commit."""

    SETTLE_PAUSE_S = 0.0

    def __init__(self, recorder: FaultyRecorder, *, now: Callable[[], datetime]) -> None:
        super().__init__(recorder, now=now)
        self.recorder = recorder


class FaultyRecorder:
    """One process's connection to the log."""

    is_shared = True

    def __init__(self, world: World, whose: str) -> None:
        self._world = world
        self._log: MemoryRecorder = world.recorder
        self._faults: Faults = world.faults
        self._whose = whose
        self._away_until_us = 0
        self._lost: tuple[Batch, Sequence[int] | None] | None = None
        self.leads: list[SimLead] = []
        self.is_local = world.store_is_local

    # --- writing -----------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Sequence[int]:
        self._must_be_there()
        strikes, whose = self._faults.strikes, self._whose
        if strikes(Fault.STORE_AWAY, whose):
            raise StoreUnavailable("the database does not answer")
        if strikes(Fault.CRASH_BEFORE_APPEND, whose):
            raise Crash
        if strikes(Fault.RACE, whose):
            self._world.scheduler.interlude()
        if strikes(Fault.COMMIT_LOST, whose):
            self._lost = batch, None
            raise CommitOutcomeUnknown("the connection broke at the commit")
        positions = self._log.append(batch)
        self._world.appended(self._whose, batch, positions)
        if strikes(Fault.CRASH_AFTER_APPEND, whose):
            raise Crash
        if strikes(Fault.COMMIT_REPLY_LOST, whose):
            self._lost = batch, positions
            raise CommitOutcomeUnknown("the connection broke at the commit")
        return positions

    def settle(self, batch: Batch) -> Sequence[int] | None:
        assert self._lost is not None
        lost, positions = self._lost
        assert lost.rows == batch.rows
        if self._faults.strikes(Fault.COMMIT_NOT_SETTLED, self._whose):
            raise StoreUnavailable("the database does not answer")
        return positions

    # --- reading -----------------------------------------------------------------------------------------------------

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        self._before_reading()
        return self._log.after(position, limit=limit, topics=topics, upto=upto)

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        self._before_reading()
        return self._log.stream(stream, after_version)

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        self._before_reading()
        return self._log.streams(sorted(streams))

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        self._before_reading()
        return self._log.versions(streams)

    def last_position(self) -> int:
        self._must_have_recovered()
        return self._log.last_position()

    def verify(self, seen: Tail) -> Tail:
        """This log never goes back, but whoever asks is answered."""
        self._before_reading()
        position = self._log.last_position()
        if not position:
            return NO_TAIL
        [(_, stream, version, _, state)] = self._log.after(position - 1, limit=1, topics=None, upto=None)
        return Tail(position, stream, version, sha256(state).digest())

    def tracked_positions(self) -> dict[str, int]:
        self._before_reading()
        return self._log.tracked_positions()

    def hear(self, on_news: Callable[[], None]) -> bool:
        """Whoever waits for news is woken by the scheduler."""
        return False

    def leadership(self, name: str) -> Leadership:
        self.leads.append(self._world.leadership(name, self._whose))
        return self.leads[-1]

    def close(self) -> None:
        """There is nothing to let go of."""

    def _before_reading(self) -> None:
        self._must_be_there()
        if self._faults.strikes(Fault.STORE_READ_AWAY, self._whose):
            raise StoreUnavailable("the database does not answer")
        # In the loop of the calls nobody would notice that the process is gone.
        if events._get_running_loop() is None and self._faults.strikes(Fault.CRASH_READING, self._whose):
            raise Crash

    def _must_be_there(self) -> None:
        self._must_have_recovered()
        if self._faults.strikes(Fault.STORE_OUTAGE, self._whose):
            away_s = self._faults.draw(Fault.STORE_OUTAGE).choice((0.3, 5.0, 60.0, 300.0))
            self._away_until_us = self._world.clock.after_us(away_s)
            raise StoreUnavailable("the database does not answer")

    def _must_have_recovered(self) -> None:
        if self._world.clock.us < self._away_until_us and not self._faults.healed:
            raise StoreUnavailable("the database does not answer")
