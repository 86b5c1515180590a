"""Redis as the projector sees it: the in-memory views, away or emptied or restored from an old copy now and then."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING

from projections.memory_views import MemoryViews
from projections.views import Batch, Commit, Standing, ViewsUnavailable
from tests.simulation.faults import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World


class _NoReply:
    """The commit was made, and nobody said so."""

    def wait(self) -> None:
        raise ViewsUnavailable("no answer")


class FaultyViews:
    """One Redis; what it holds is `views`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._faults = world.faults
        self._copy: MemoryViews | None = None
        self.views = MemoryViews()

    def standing(self) -> Standing:
        strikes, draw = self._faults.strikes, self._faults.draw(Fault.VIEWS_STALE)
        if strikes(Fault.VIEWS_AWAY, "redis"):
            raise ViewsUnavailable("no answer")
        if strikes(Fault.VIEWS_FLUSHED, "redis"):
            self.views.flush()
        if self._faults.in_mix(Fault.VIEWS_STALE):
            if self._copy is not None and strikes(Fault.VIEWS_STALE, "redis"):
                self.views = self._copy
                self._copy = None
            elif draw.random() < 0.02:
                self._copy = _copied(self.views)
        return self.views.standing()

    def commit(self, batch: Batch) -> Commit:
        if self._faults.strikes(Fault.VIEWS_AWAY, "redis"):
            raise ViewsUnavailable("no answer")
        commit = self.views.commit(batch)
        return _NoReply() if self._faults.strikes(Fault.VIEWS_REPLY_LOST, "redis") else commit

    def rows(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        return self.views.rows(generation, table, keys)

    def texts(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        return self.views.texts(generation, table, keys)

    def page(
        self, generation: int, table: str, index: str, limit: int, *, after: str = "", descending: bool = False
    ) -> list[str]:
        return self.views.page(generation, table, index, limit, after=after, descending=descending)

    def totals(self, generation: int, table: str, fields: Sequence[str] = ()) -> dict[str, int]:
        return self.views.totals(generation, table, fields)

    def begin_generation(self, builder: str, ttl_s: float) -> int:
        return self.views.begin_generation(builder, ttl_s)

    def hold(self, holder: str, ttl_s: float) -> None:
        self.views.hold(holder, ttl_s)

    def differences(self, one: int, other: int) -> Iterator[tuple[int, list[str]]]:
        return self.views.differences(one, other)

    def switch(self, old: int, new: int, *, holder: str = "") -> None:
        self.views.switch(old, new, holder=holder)

    def close(self) -> None:
        self.views.close()


def _copied(views: MemoryViews) -> MemoryViews:
    """A copy as a backup would have it: what is live, and how far it is."""
    copy = MemoryViews()
    copy._generations = deepcopy(views._generations)
    copy._live, copy._highest = views._live, views._highest
    return copy
