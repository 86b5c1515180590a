"""Keeps the live views up to date.

The checkpoint in Redis is the truth about how far a projection is. Whenever it is not what this process remembers
(Redis was emptied, restored, or written by another process), the process forgets its rows and goes on from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from projections.replica import Log, Replica
from projections.table import Projection
from projections.views import BUILDER_TTL_S, StaleWriter, Standing, Views, ViewsError, ViewsUnavailable

# Large enough that a commit's fixed cost (some 200 us) disappears, small enough to be on the page within 20 ms.
BATCH_EVENTS = 1000
# Losing against another writer so often in a row means that two servers work on one Redis.
_ATTEMPTS = 5


class ProjectionRunner:
    """Keeps the live generation up to date, step by step."""

    name = "projections"

    def __init__(self, log: Log, views: Views, projections: Sequence[Projection], *, limit: int = BATCH_EVENTS) -> None:
        """`limit`: events per step."""
        self._log = log
        self._views = views
        self._projections = tuple(projections)
        self._limit = limit
        self._replica: Replica | None = None

    @property
    def checkpoints(self) -> dict[str, int]:
        """How far each projection is, as this process has brought it; empty before its first step and after a fault."""
        replica = self._replica
        return {} if replica is None else dict(replica.checkpoints)

    def step(self) -> int:
        """Show the next events; how many there were, 0 if everything can be seen.

        Raises ViewsUnavailable (the next step goes on where this one began) and whatever the log raises.
        """
        for _ in range(_ATTEMPTS):
            try:
                self._replica = self._aligned(self._replica)
                return self._replica.advance(self._log.last_position(), self._limit)
            except StaleWriter:
                self._forget()
            except BaseException:
                self._forget()
                raise
        raise ViewsUnavailable("another process keeps writing to the same views")

    def _forget(self) -> None:
        """Only a step that went well leaves its rows to the next."""
        replica, self._replica = self._replica, None
        if replica is not None:
            with suppress(ViewsError):
                replica.settle()

    def _aligned(self, replica: Replica | None) -> Replica:
        """The rows in memory, if they are of the generation and the positions that the views have; else none.

        While a commit is under way nobody is asked: if the views are elsewhere, it will be refused.
        """
        if replica is not None and replica.is_busy:
            return replica
        standing = self._views.standing()
        if max(standing.checkpoints.values(), default=0) > self._log.last_position():
            standing = self._start_over(standing.generation)
        known = {one.name: standing.checkpoints.get(one.name, 0) for one in self._projections}
        if replica is not None and (replica.generation, replica.checkpoints) == (standing.generation, known):
            return replica
        return Replica(self._log, self._views, self._projections, standing)

    def _start_over(self, generation: int) -> Standing:
        """The views are ahead of the log: it was restored from a backup, and some of what they show never happened."""
        self._views.switch(generation, self._views.begin_generation("starting over", BUILDER_TTL_S))
        return self._views.standing()
