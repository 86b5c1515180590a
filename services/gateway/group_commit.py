"""Many requests, one transaction: what arrives while one append is under way shares the next one.

Nobody waits for others to come: the first request starts an append at once. Under load the batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from events.store import StoreError, VersionConflict
from services.gateway.arrivals import Arrival, Arrivals, Outcome


class IntakeOverloaded(Exception):
    """More is waiting to be taken than can be held. Send it again a little later."""


class GroupCommit:
    """Lives on one asyncio loop; the appends run in a thread of its own, which nothing else can fill up."""

    # Where the gain of larger transactions ends, and few enough that the first of them is answered soon.
    MAX_BATCH = 200
    # At some 10,000 orders/s that is half a second's worth; orders of two lines take about 15 MB.
    MAX_WAITING = 5_000

    def __init__(self, arrivals: Arrivals, *, ring: Callable[[], object], max_batch: int = MAX_BATCH) -> None:
        """`ring` is called after each append: there is something to do."""
        self._arrivals = arrivals
        self._ring = ring
        self._max_batch = max_batch
        self._waiting: deque[tuple[Arrival, asyncio.Future[Outcome]]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, "waybill-intake")

    async def take(self, arrival: Arrival) -> Outcome:
        """The outcome, once it is in the log. Raises IntakeOverloaded and what the store raises."""
        if len(self._waiting) >= self.MAX_WAITING:
            raise IntakeOverloaded
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((arrival, future))
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._take_all())
        outcome: Outcome = await future
        return outcome

    async def close(self) -> None:
        """After the appends that are under way."""
        if self._pump is not None:
            await self._pump
        self._thread.shutdown()

    async def _take_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch = self._next_batch()
            arrivals = [arrival for arrival, _ in batch]
            outcomes = await loop.run_in_executor(self._thread, self._take, arrivals)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                _settle(future, outcome)

    def _next_batch(self) -> list[tuple[Arrival, asyncio.Future[Outcome]]]:
        """The oldest, at most `max_batch`, up to the first double: that one comes next and finds itself known."""
        batch: dict[str, tuple[Arrival, asyncio.Future[Outcome]]] = {}
        while self._waiting and len(batch) < self._max_batch:
            stream = self._waiting[0][0].stream
            if stream in batch:
                break
            batch[stream] = self._waiting.popleft()
        return list(batch.values())

    def _take(self, batch: Sequence[Arrival]) -> Sequence[Outcome | Exception]:
        """All in one transaction; if that fails for the sake of one of them, each alone."""
        try:
            outcomes: Sequence[Outcome | Exception] = self._arrivals.take(batch)
        except Exception as error:  # noqa: BLE001 - handed to whoever waits for it
            is_of_all = isinstance(error, StoreError) and not isinstance(error, VersionConflict)
            if is_of_all or len(batch) == 1:
                return [error] * len(batch)
            return [outcome for arrival in batch for outcome in self._take([arrival])]
        self._ring()
        return outcomes


def _settle(future: asyncio.Future[Outcome], outcome: Outcome | Exception) -> None:
    if future.cancelled():
        return  # nobody waits for the answer any more; what was taken stays taken
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
