"""An asyncio loop without threads, sockets and real time: the scheduler steps it, its clock is the world's.

asyncio's own tasks, futures and timeouts run on it unchanged.
"""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from tests.simulation.clock import Clock

T = TypeVar("T")


# typeshed has some forty methods of it as abstract that nobody calls here.
_AnyLoop: Any = asyncio.AbstractEventLoop


class VirtualLoop(_AnyLoop):  # type: ignore[misc]
    """Only what tasks, sleeps and timeouts need of a loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._ready: deque[asyncio.Handle] = deque()
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._numbers = 0
        self._tasks: list[asyncio.Task[Any]] = []

    def time(self) -> float:
        return self._clock.s()

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return events._get_running_loop() is self

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._numbers += 1
        heapq.heappush(self._timers, (when, self._numbers, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """It is passed over when its time comes."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: str | None = None, context: Context | None = None) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=self, name=name, context=context)
        self._tasks = [one for one in self._tasks if not one.done()]
        self._tasks.append(task)
        return task

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise AssertionError(context.get("message"), context.get("exception"))

    # --- stepped by the scheduler ------------------------------------------------------------------------------------

    def turn(self) -> int:
        """Call everything that is ready now; how much that was."""
        self._ring()
        count = len(self._ready)
        running = events._get_running_loop()
        events._set_running_loop(self)
        try:
            for _ in range(count):
                handle = self._ready.popleft()
                if not handle.cancelled():
                    handle._run()
        finally:
            events._set_running_loop(running)
        return count

    def due_s(self) -> float | None:
        """Seconds until there is something to call."""
        if self._ready:
            return 0.0
        while self._timers and self._timers[0][2].cancelled():
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0][0] - self.time()) if self._timers else None

    def _ring(self) -> None:
        now = self.time()
        while self._timers and self._timers[0][0] <= now:
            _, _, handle = heapq.heappop(self._timers)
            if not handle.cancelled():
                self._ready.append(handle)

    def abandon(self) -> None:
        """The process is gone, with all calls that it had under way."""
        self._ready.clear()
        self._timers.clear()
        for task in self._tasks:
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            coroutine = task.get_coro()
            assert coroutine is not None
            coroutine.close()
        self._tasks.clear()


class VirtualCalls:
    """The port `Calls` over such a loop."""

    def __init__(self, loop: VirtualLoop, clock: Clock, wake: Callable[[], None]) -> None:
        """`wake` is called when the loop has something to do."""
        self._loop = loop
        self._clock = clock
        self._wake = wake

    def submit(self, start: Callable[[], None]) -> None:
        self._loop.call_soon(start)
        self._wake()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """The whole process waits, so the world's time passes with it."""
        task = self._loop.create_task(call)
        while not task.done():
            if not self._loop.turn():
                wait_s = self._loop.due_s()
                assert wait_s is not None, "the call waits for nothing"
                self._clock.us = self._clock.after_us(wait_s) + 1
        found: T = task.result()
        return found

    def time_s(self) -> float:
        return self._clock.s()
