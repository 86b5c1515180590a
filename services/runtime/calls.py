"""Where calls to the outside run: an asyncio loop in a thread of its own, so that a slow provider holds up nobody.

The core stays synchronous: it hands over awaitables and collects what came of them. Which loop it is, is a port
(`Calls`): a simulation has one whose time is its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from events.base import Recorded
from services.runtime.decider import Directive

T = TypeVar("T")

Call = Callable[[Recorded], Awaitable[Directive]]
"""Carries out one intent and says what came of it, as a command. A failure to get an answer is an outcome too."""


class Finished(NamedTuple):
    """An intent whose call is over: the command to decide, or the unexpected error."""

    intent: Recorded
    directive: Directive | None
    error: Exception | None


class Calls(Protocol):
    """An asyncio loop, as the effects of one process see it."""

    def submit(self, start: Callable[[], None]) -> None:
        """Have the loop call this soon: there it may start tasks. Never waits."""

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Carry out one call and wait for it. Raises what it raises."""

    def time_s(self) -> float:
        """The loop's own clock: seconds since no matter when."""


class CallLoop:
    """One thread with one event loop, shared by all effects of a process."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="waybill-calls", daemon=True)
        self._thread.start()

    def submit(self, start: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(start)

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(call, self._loop).result()

    def time_s(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        """Stop the loop. Calls under way are abandoned: their intents are in the log, the next start takes them up."""
        self._loop.call_soon_threadsafe(self._cancel_all)
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._loop.close()

    def _cancel_all(self) -> None:
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        gathered = asyncio.gather(*tasks, return_exceptions=True)
        gathered.add_done_callback(lambda _: self._loop.stop())


class Lanes:
    """Runs calls concurrently, at most `lanes` at a time; finished ones wait to be collected.

    A lane is one task that takes call after call, so that a call which answers at once costs no task of its own.
    """

    # Longer than a thousand calls to a sandbox take, shorter than anybody notices.
    LINGER_S = 0.02

    def __init__(self, loop: Calls, call: Call, *, lanes: int, news: Callable[[], None]) -> None:
        """`news` is rung, from the loop's thread, when there is something to collect."""
        self._loop = loop
        self._call = call
        self._free = lanes
        self._news = news
        self._waiting: deque[Recorded] = deque()
        self._finished: deque[Finished] = deque()
        self._out = 0
        self._lingers_until_s: float | None = None

    def submit(self, intents: list[Recorded]) -> None:
        self._out += len(intents)
        self._waiting.extend(intents)
        self._loop.submit(self._open_lanes)

    def collect(self) -> list[Finished]:
        """Everything that has finished since the last time, in the order of finishing.

        While others are still out it waits a moment for them: answers that come together share a commit.
        """
        if not self._finished or (len(self._finished) < self._out and self._lingers()):
            return []
        self._lingers_until_s = None
        finished = [self._finished.popleft() for _ in range(len(self._finished))]
        self._out -= len(finished)
        return finished

    def _lingers(self) -> bool:
        now_s = self._loop.time_s()
        if self._lingers_until_s is None:
            self._lingers_until_s = now_s + self.LINGER_S
        return now_s < self._lingers_until_s

    def _open_lanes(self) -> None:
        for _ in range(min(self._free, len(self._waiting))):
            self._free -= 1
            task = asyncio.ensure_future(self._run_lane())
            task.add_done_callback(self._close_lane)

    def _close_lane(self, _: asyncio.Future[None]) -> None:
        self._free += 1
        self._news()

    async def _run_lane(self) -> None:
        while self._waiting:
            intent = self._waiting.popleft()
            try:
                finished = Finished(intent, await self._call(intent), None)
            except Exception as error:  # handed to the collector, which parks the intent
                finished = Finished(intent, None, error)
            self._finished.append(finished)
