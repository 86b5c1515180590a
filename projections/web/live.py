"""Pushes the summary to whoever watches: made once for all, when something moved, at most twice a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, NamedTuple

import orjson
from fastapi.sse import ServerSentEvent

from projections.web.sources import Threads
from projections.web.summary import SummaryReader

# Twice a second is as fast as people read numbers.
EVERY_S = 0.5
# Each costs a connection and one message's buffer. A shop's screens are a dozen.
MAX_WATCHERS = 100
# A watcher that is quietly gone (a laptop that was closed) gives its place back; the others reconnect by themselves.
MAX_WATCH_S = 3_600.0
# How soon a browser comes back after the connection was lost, in milliseconds.
_RETRY_MS = 2_000


class _Message(NamedTuple):
    """`number` counts messages; `event_id` is the position that the summary shows."""

    number: int
    event: str
    event_id: str | None
    text: str


class Live:
    """Lives on one asyncio loop. Slow watchers miss messages, never the newest one: nothing queues up for them."""

    def __init__(
        self,
        summary: SummaryReader,
        threads: Threads,
        *,
        in_words: Callable[[Exception], str],
        every_s: float = EVERY_S,
    ) -> None:
        """`in_words` says of a fault what watchers shall be told: they stay, and it is tried again."""
        self._summary = summary
        self._threads = threads
        self._in_words = in_words
        self._every_s = every_s
        self._watchers = 0
        self._closed = False
        self._newest: _Message | None = None
        self._news = asyncio.Condition()
        self._maker: asyncio.Task[None] | None = None

    @property
    def is_full(self) -> bool:
        return self._watchers >= MAX_WATCHERS

    async def watch(self, last_event_id: str | None) -> AsyncGenerator[ServerSentEvent, None]:
        """The summary now, unless the watcher has this one, and then whenever it changes."""
        until = time.monotonic() + MAX_WATCH_S
        seen = 0
        self._enter()
        try:
            yield ServerSentEvent(retry=_RETRY_MS)
            while (message := await self._after(seen, until - time.monotonic())) is not None:
                if seen or last_event_id is None or message.event_id != last_event_id:
                    yield ServerSentEvent(event=message.event, id=message.event_id, raw_data=message.text)
                seen = message.number
        finally:
            self._watchers -= 1

    async def close(self) -> None:
        """Send every watcher away."""
        self._closed = True
        async with self._news:
            self._news.notify_all()
        if self._maker is not None:
            self._maker.cancel()

    def _enter(self) -> None:
        self._watchers += 1
        if self._maker is None or self._maker.done():
            self._newest = None  # it may be hours old
            self._maker = asyncio.create_task(self._make())

    async def _after(self, number: int, patience_s: float) -> _Message | None:
        """The newest message, once it is newer than that; None if we close, or the watcher has watched long enough."""

        def is_there() -> bool:
            return self._closed or (self._newest is not None and self._newest.number > number)

        try:
            async with asyncio.timeout(patience_s), self._news:
                await self._news.wait_for(is_there)
        except TimeoutError:
            return None
        return None if self._closed else self._newest

    async def _make(self) -> None:
        """As long as anybody watches."""
        number, shown = 0, None
        while self._watchers:
            try:
                signature: object = await self._threads.run(self._summary.signature)
                if signature != shown:
                    number += 1
                    await self._publish(_summary(number, await self._threads.run(self._summary.read)))
            except Exception as fault:  # noqa: BLE001 - told to everybody who watches, and tried again
                signature = self._in_words(fault)
                if signature != shown:
                    number += 1
                    await self._publish(_trouble(number, str(signature)))
            shown = signature
            await asyncio.sleep(self._every_s)

    async def _publish(self, message: _Message) -> None:
        async with self._news:
            self._newest = message
            self._news.notify_all()


def _summary(number: int, summary: dict[str, Any]) -> _Message:
    return _Message(number, "summary", str(summary["position"]), orjson.dumps(summary).decode())


def _trouble(number: int, message: str) -> _Message:
    return _Message(number, "trouble", None, orjson.dumps({"message": message}).decode())
