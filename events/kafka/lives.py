"""A thread in which something lives on a broker. Whatever ends it is told, and it is made anew, until it is closed."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any

from events.kafka.errors import FAULTS, KafkaTrouble, explain
from events.kafka.loop import LoopThread, unabandoned
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings


class Lives(ABC):
    """Give it a life, and it has as many of them as it takes."""

    def __init__(
        self, name: str, what: str, settings: KafkaSettings, timing: GroupTiming | None, hooks: GroupHooks | None
    ) -> None:
        """`name` is the thread's; `what` it is about, in a complaint."""
        self.settings = settings
        self.timing = timing or GroupTiming()
        self.hooks = hooks or GroupHooks()
        self.closing = asyncio.Event()
        self.trouble: str | None = "not started"
        """What is wrong and being retried; None: we are a member of our group, and the broker answers."""
        self._name = name
        self._what = what
        self._loop: LoopThread | None = None
        self._living: Future[None] | None = None

    @abstractmethod
    async def live(self) -> None:
        """Until `closing` is set. Raises what means that this life is over, and another one must begin."""

    async def end(self) -> None:  # noqa: B027 - most have nothing to do then
        """What is to be done when it is closed between two lives."""

    def start(self) -> None:
        """Returns at once; a broker that is away is waited for."""
        assert self._loop is None
        self.trouble = "not a member of the group yet"
        self._loop = LoopThread(self._name)
        self._living = self._loop.submit(self._live_on())

    def close(self) -> None:
        """Leave the group at once, end the thread. May be called twice.

        Takes as long as what is under way, at most `drain_s`, and then up to `answer_s` for saying farewell.
        """
        loop, self._loop = self._loop, None
        if loop is None or self._living is None:
            return
        loop.call(self.closing.set)
        with suppress(TimeoutError):  # the broker finds out by itself, when our session ends
            self._living.result(self.timing.drain_s + 2 * self.timing.answer_s)
        loop.close()
        self.trouble = "closed"

    async def unless_closing(self, work: Coroutine[Any, Any, None]) -> None:
        """A broker that does not answer must not hold up a process that is to end."""
        working, closing = asyncio.ensure_future(work), asyncio.ensure_future(self.closing.wait())
        await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if working.done():
            working.result()

    async def rest(self, pause_s: float) -> None:
        """So long, or until it is closed."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.closing.wait(), pause_s)

    async def _live_on(self) -> None:
        pause_s = self.timing.retry_s
        while not self.closing.is_set():
            began_s = time.monotonic()
            try:
                await unabandoned(self.live())
                return
            except Exception as fault:  # noqa: BLE001 - whatever it is: told, and tried again
                if time.monotonic() - began_s > self.timing.stall_s:
                    pause_s = self.timing.retry_s
                await self._tell(fault)
            await self.rest(pause_s)
            pause_s = min(2 * pause_s, self.timing.retry_most_s)
        await self.end()

    async def _tell(self, fault: Exception) -> None:
        words = await self._in_words(fault)
        self.trouble = words
        self.hooks.trouble(words)
        self.hooks.remade(words)

    async def _in_words(self, fault: Exception) -> str:
        if not isinstance(fault, (KafkaTrouble, *FAULTS)):
            return where(fault)
        try:
            return str(await explain(fault, self._what, self.settings))
        except KafkaTrouble as refused:
            return str(refused)


def where(fault: Exception) -> str:
    """Of a mistake of ours or aiokafka's. What it says is not repeated: it may quote an event."""
    frames: list[Any] = list(extract_tb(fault.__traceback__)[-1:])
    return f"{type(fault).__name__} " + ", ".join(f"in {Path(one.filename).name}:{one.lineno}" for one in frames)
