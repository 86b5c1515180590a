"""The summary is made once for all who watch, whoever is slow, and a fault is told instead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import orjson
from fastapi.sse import ServerSentEvent

from projections.memory_views import MemoryViews
from projections.web.live import Live
from projections.web.sources import Sources, Threads
from projections.web.summary import SummaryReader


class Numbers(SummaryReader):
    """A summary that is a number; `fault` is raised instead of giving it."""

    def __init__(self) -> None:
        super().__init__(Sources(MemoryViews(), lambda: 0, list))
        self.number = 1
        self.fault: Exception | None = None
        self.times_made = 0

    def signature(self) -> tuple[object, ...]:
        if self.fault is not None:
            raise self.fault
        return (self.number,)

    def read(self) -> dict[str, Any]:
        self.times_made += 1
        return {"position": self.number}


def run(scenario: Callable[[Live, Numbers], Coroutine[Any, Any, None]]) -> Numbers:
    numbers = Numbers()

    async def main() -> None:
        threads = Threads()
        live = Live(numbers, threads, in_words=lambda fault: f"{fault} is away", every_s=0.01)
        async with asyncio.timeout(10):
            await scenario(live, numbers)
        await live.close()
        threads.close()

    asyncio.run(main())
    return numbers


async def next_of(watcher: Any) -> tuple[str | None, str | None, Any]:
    """The next event that says something: its name, its id, its data."""
    event: ServerSentEvent = await anext(watcher)
    while event.raw_data is None:
        event = await anext(watcher)
    return event.event, event.id, orjson.loads(event.raw_data)


def test_all_who_watch_get_the_same_summary_made_once() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        watchers = [live.watch(None) for _ in range(5)]
        for watcher in watchers:
            assert await next_of(watcher) == ("summary", "1", {"position": 1})
        numbers.number = 2
        for watcher in watchers:
            assert await next_of(watcher) == ("summary", "2", {"position": 2})

    assert run(scenario).times_made == 2


def test_who_is_slow_misses_messages_but_never_the_newest() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        slow, quick = live.watch(None), live.watch(None)
        await next_of(slow)
        for number in range(2, 6):
            numbers.number = number
            while (await next_of(quick))[1] != str(number):
                pass
        assert (await next_of(slow))[1] == "5"

    run(scenario)


def test_who_has_the_newest_is_told_of_the_next() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        watcher = live.watch("1")
        waiting = asyncio.ensure_future(next_of(watcher))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        numbers.number = 2
        assert (await waiting)[1] == "2"

    run(scenario)


def test_a_fault_is_told_once_and_then_its_end() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        watcher = live.watch(None)
        await next_of(watcher)
        numbers.fault = RuntimeError("Redis")
        assert await next_of(watcher) == ("trouble", None, {"message": "Redis is away"})
        waiting = asyncio.ensure_future(next_of(watcher))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        numbers.fault = None
        assert (await waiting)[0] == "summary"

    run(scenario)


def test_nothing_is_made_while_nobody_watches() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        watcher = live.watch(None)
        await next_of(watcher)
        await watcher.aclose()
        await asyncio.sleep(0.05)
        made = numbers.times_made
        numbers.number = 2
        await asyncio.sleep(0.05)
        assert numbers.times_made == made
        assert (await next_of(live.watch(None)))[1] == "2", "not what was true when the last one left"

    run(scenario)


def test_closing_sends_everybody_away() -> None:
    async def scenario(live: Live, numbers: Numbers) -> None:
        watcher = live.watch(None)
        await next_of(watcher)
        waiting = asyncio.ensure_future(anext(watcher, None))
        await asyncio.sleep(0.02)
        await live.close()
        assert await waiting is None

    run(scenario)
