"""Waiting until a projection shows a position: read your own writes."""

from __future__ import annotations

import asyncio
import time

from fastapi import HTTPException

from projections.catalogue import PROJECTIONS
from projections.reader import Progress
from projections.table import Projection
from projections.views import Views
from projections.web.sources import Threads

# Longer than the workers and projections need for anything but a large import; many HTTP clients give up after 5 s.
MAX_WAIT_S = 4.0
# A look is 0.1 ms of Redis. All who wait at the same moment share it.
_STEP_S = 0.01


class Tide:
    """Looks how far the projections are, once for all who wait."""

    def __init__(self, views: Views, threads: Threads, *, max_wait_s: float = MAX_WAIT_S) -> None:
        self._progress = Progress(views)
        self._threads = threads
        self._max_wait_s = max_wait_s
        self._look: asyncio.Future[dict[str, int]] | None = None

    async def wait_for(self, projection: Projection, position: int) -> None:
        """Raises 503 if the projection does not show the position in time, and ViewsUnavailable."""
        if position == 0:
            return
        deadline = time.monotonic() + self._max_wait_s
        while (at := (await self._checkpoints())[projection.name]) < position:
            if time.monotonic() >= deadline:
                raise self._too_early(position, at)
            await asyncio.sleep(_STEP_S)

    async def _checkpoints(self) -> dict[str, int]:
        if self._look is None or self._look.done():
            self._look = asyncio.ensure_future(self._threads.run(self._progress.checkpoints, PROJECTIONS))
        # One who gives up waiting must not take the answer away from the others.
        return await asyncio.shield(self._look)

    def _too_early(self, position: int, at: int) -> HTTPException:
        message = (
            f"Position {position} is not shown after {self._max_wait_s:g} seconds; the read model is at {at}. "
            "Ask again, or without min_position."
        )
        return HTTPException(503, message, headers={"Retry-After": "1"})
