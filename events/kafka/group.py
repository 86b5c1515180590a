"""A member of one service's consumer group, on one inbox topic: it hands out the slots that the group gives it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from traceback import extract_tb
from typing import Any

from events.cloudevents import SOURCE
from events.kafka.assignor import Assignor
from events.kafka.errors import FAULTS, KafkaTrouble, explain
from events.kafka.holding import Holding
from events.kafka.loop import LoopThread, unabandoned
from events.kafka.member import Asleep, Member, Seat, Stuck
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings
from events.slots import SlotOwner


class KafkaGroup:
    """Runs in a thread of its own from `start` to `close`, whatever happens to the broker meanwhile.

    A consumer that gets nothing although there is something, or fails again and again, is thrown away and made anew.
    Its slots are kept over that: the log is read where the broker gives nothing. They are let go of when the group
    gives them to somebody else, when this process has slept for longer than its session, and on `close`.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topic: str,
        owner: SlotOwner,
        source: str = SOURCE,
        timing: GroupTiming | None = None,
        hooks: GroupHooks | None = None,
    ) -> None:
        """`owner` is called from threads of the group's, never by two at a time. `source` says whose messages we read:
        those of another log, left behind in the topic, are passed over."""
        self._settings = settings
        self._timing = timing = timing or GroupTiming()
        self._hooks = hooks = hooks or GroupHooks()
        self._holding = Holding(owner, hooks)
        self._seat = Seat(settings, timing, hooks, group, topic, source, self._holding, Assignor())
        self._closing = asyncio.Event()
        self._loop: LoopThread | None = None
        self._lives: Future[None] | None = None
        self._trouble: str | None = "not started"

    @property
    def slots(self) -> frozenset[int]:
        """What is ours at this moment."""
        return self._holding.slots

    @property
    def trouble(self) -> str | None:
        """What is wrong and being retried; None: we are a member, and the broker answers."""
        return self._trouble

    def start(self) -> None:
        """Returns at once; a broker that is away is waited for."""
        assert self._loop is None
        self._trouble = "not a member of the group yet"
        self._loop = LoopThread(f"kafka-{self._seat.group}")
        self._lives = self._loop.submit(self._live_on())

    def close(self) -> None:
        """Let go of all slots, leave the group at once, end the thread. May be called twice.

        Takes as long as the workers need, at most `drain_s`, and then up to `answer_s` for saying farewell.
        """
        loop, self._loop = self._loop, None
        if loop is None or self._lives is None:
            return
        loop.call(self._closing.set)
        with suppress(TimeoutError):  # the broker finds out by itself, when our session ends
            self._lives.result(self._timing.drain_s + 2 * self._timing.answer_s)
        loop.close()
        self._trouble = "closed"

    async def _live_on(self) -> None:
        pause_s, skip_ahead = self._timing.retry_s, False
        while not self._closing.is_set():
            began_s = time.monotonic()
            member = Member(self._seat, skip_ahead=skip_ahead)
            fault = await self._live(member)
            if fault is None:
                return
            skip_ahead = member.skip_ahead or isinstance(fault, Stuck)
            if time.monotonic() - began_s > self._timing.stall_s:
                pause_s = self._timing.retry_s
            await self._tell(fault)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
            pause_s = min(2 * pause_s, self._timing.retry_most_s)
        await self._let_go()

    async def _live(self, member: Member) -> Exception | None:
        """One consumer's life; what ended it, None for `close`."""
        try:
            await unabandoned(self._serve(member))
            await self._let_go()
        except Asleep as fault:
            await self._holding.change(frozenset())
            return fault
        except Exception as fault:  # noqa: BLE001 - whatever it is: told, and tried again
            return fault
        finally:
            await member.leave()
        return None

    async def _serve(self, member: Member) -> None:
        await self._unless_closing(member.join())
        while not self._closing.is_set():
            await member.turn()
            if member.is_well:
                self._trouble = None
        await member.farewell()

    async def _unless_closing(self, work: Coroutine[Any, Any, None]) -> None:
        """A broker that does not answer must not hold up a process that is to end."""
        working, closing = asyncio.ensure_future(work), asyncio.ensure_future(self._closing.wait())
        await asyncio.wait({working, closing}, return_when=asyncio.FIRST_COMPLETED)
        closing.cancel()
        if working.done():
            working.result()

    async def _let_go(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._holding.change(frozenset()), self._timing.drain_s)
            return
        self._hooks.trouble(f"{self._seat.group}: the workers did not let go of their slots in time")

    async def _tell(self, fault: Exception) -> None:
        words = await self._in_words(fault)
        self._trouble = words
        self._hooks.trouble(words)
        self._hooks.remade(words)

    async def _in_words(self, fault: Exception) -> str:
        if not isinstance(fault, (KafkaTrouble, *FAULTS)):
            return _where(fault)
        try:
            return str(await explain(fault, f"{self._seat.group} on {self._seat.topic}", self._settings))
        except KafkaTrouble as refused:
            return str(refused)


def _where(fault: Exception) -> str:
    """Of a mistake of ours or aiokafka's. What it says is not repeated: it may quote an event."""
    frames: list[Any] = list(extract_tb(fault.__traceback__)[-1:])
    return f"{type(fault).__name__} " + ", ".join(f"in {Path(one.filename).name}:{one.lineno}" for one in frames)
