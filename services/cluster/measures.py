"""How a process is, for its probes and its metrics: measured when somebody asks, from any thread."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from events.slots import without_slot
from events.store import EventStore, StoreError, utc_now
from services.cluster.leaders import Led
from services.cluster.members import Members
from services.runtime import metrics
from services.runtime.engine import Consumer, Engine

# The longest step: an append that waits for the table's lock and then for a commit's outcome takes some 20 s.
STUCK_AFTER_S = 60.0


class Inlet(Protocol):
    """Something that takes in what others send, beside the engine."""

    @property
    def topic(self) -> str: ...

    @property
    def trouble(self) -> str | None: ...


class Measures:
    """Of one process: its engine, and what runs beside it."""

    def __init__(
        self,
        store: EventStore,
        engine: Engine,
        inlets: Sequence[Inlet] = (),
        gauges: Sequence[Callable[[], None]] = (),
    ) -> None:
        """`gauges` are the roles' own, to be set before the metrics are read."""
        self._store = store
        self._engine = engine
        self._inlets = inlets
        self._gauges = gauges
        self._told: frozenset[str] = frozenset()

    def alive(self) -> dict[str, str]:
        """Trouble that only a restart mends."""
        still_s = time.monotonic() - self._engine.turned_s
        return {"engine": f"has not turned for {still_s:.0f} s"} if still_s > STUCK_AFTER_S else {}

    def ready(self) -> dict[str, str]:
        """What keeps it from working now."""
        troubles = {name: str(error) for name, error in self._engine.failing().items()} | self.alive()
        troubles |= {inlet.topic: inlet.trouble for inlet in self._inlets if inlet.trouble is not None}
        try:
            self._store.last_position()
        except StoreError as error:
            troubles["store"] = str(error)
        return troubles

    def set_gauges(self) -> None:
        """As of now; what cannot be asked stays as it was."""
        for one in self._engine.consumers:
            if isinstance(one, Members):
                metrics.slots.labels(one.name).set(len(one.slots))
            if isinstance(one, Led):
                metrics.leads.labels(one.name).set(one.leads)
        working = list(_working(self._engine.consumers))
        positions = _positions(working)
        self._forget_all_but(frozenset(positions))
        _set_counts(working)
        for set_gauge in self._gauges:
            set_gauge()
        try:
            self._set_lags(positions)
        except StoreError:
            return  # /readyz says so

    def _forget_all_but(self, names: frozenset[str]) -> None:
        """Consumers that work elsewhere now: how far they were when they worked here is of no interest."""
        for name in self._told - names:
            for gauge in (metrics.lag, metrics.lag_s, metrics.parked_now, metrics.outcome_unknown):
                gauge.remove(name)
        self._told = names

    def _set_lags(self, positions: dict[str, int]) -> None:
        head, now = self._store.last_position(), utc_now()
        metrics.log_position.set(head)
        for name, position in positions.items():
            metrics.lag.labels(name).set(max(0, head - position))
            missed = self._store.read_after(position, limit=1, upto=head, on_unreadable="mark")
            age_s = (now - missed[0].recorded_at).total_seconds() if missed else 0.0
            metrics.lag_s.labels(name).set(max(0.0, age_s))


def _working(consumers: Sequence[Consumer]) -> Iterator[Consumer]:
    """Those that do the work here now, out of their groups."""
    for group in consumers:
        yield from getattr(group, "consumers", (group,))


def _positions(consumers: Sequence[Consumer]) -> dict[str, int]:
    """How far each consumer is; of one with several slots, or several projections, the hindmost."""
    found: dict[str, list[int]] = defaultdict(list)
    for one in consumers:
        found[without_slot(one.name)] += _positions_of(one)
    return {name: min(positions) for name, positions in found.items() if positions}


def _positions_of(one: Consumer) -> list[int]:
    if hasattr(one, "checkpoints"):
        return list(one.checkpoints.values())
    return [one.position] if hasattr(one, "position") else []


def _set_counts(consumers: Sequence[Consumer]) -> None:
    """What consumers know of themselves: their parked events, and calls whose outcome nobody knows."""
    parked: dict[str, int] = defaultdict(int)
    unknown: dict[str, int] = defaultdict(int)
    for one in consumers:
        if hasattr(one, "parking"):
            parked[without_slot(one.name)] += one.parking.count
        if hasattr(one, "unknown"):
            unknown[without_slot(one.name)] += one.unknown
    for gauge, counts in ((metrics.parked_now, parked), (metrics.outcome_unknown, unknown)):
        for name, count in counts.items():
            gauge.labels(name).set(count)
