"""How a process is, for its probes and its metrics: measured when somebody asks, from any thread."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence

from events.slots import without_slot
from events.store import EventStore, StoreError, utc_now
from services.cluster.leaders import Led
from services.cluster.members import Members
from services.runtime import metrics
from services.runtime.engine import Consumer, Engine

# The longest step: an append that waits for the table's lock and then for a commit's outcome takes some 20 s.
STUCK_AFTER_S = 60.0


class Measures:
    """Of one process's engine."""

    def __init__(self, store: EventStore, engine: Engine) -> None:
        self._store = store
        self._engine = engine

    def alive(self) -> dict[str, str]:
        """Trouble that only a restart mends."""
        still_s = time.monotonic() - self._engine.turned_s
        return {"engine": f"has not turned for {still_s:.0f} s"} if still_s > STUCK_AFTER_S else {}

    def ready(self) -> dict[str, str]:
        """What keeps it from working now."""
        troubles = {name: str(error) for name, error in self._engine.failing().items()} | self.alive()
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
        try:
            self._set_lags()
        except StoreError:
            return  # /readyz says so

    def _set_lags(self) -> None:
        head, now = self._store.last_position(), utc_now()
        for name, position in _positions(self._engine.consumers).items():
            metrics.lag.labels(name).set(max(0, head - position))
            missed = self._store.read_after(position, limit=1, upto=head, on_unreadable="mark")
            age_s = (now - missed[0].recorded_at).total_seconds() if missed else 0.0
            metrics.lag_s.labels(name).set(max(0.0, age_s))


def _positions(consumers: Sequence[Consumer]) -> dict[str, int]:
    """How far each consumer is; of one with several slots, the hindmost."""
    found: dict[str, list[int]] = defaultdict(list)
    for group in consumers:
        for one in getattr(group, "consumers", (group,)):
            position = getattr(one, "position", None)
            if position is not None:
                found[without_slot(one.name)].append(position)
    return {name: min(positions) for name, positions in found.items()}
