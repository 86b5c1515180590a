"""The shop: sends orders when they are due, whatever became of those before, and notes every acknowledgement.

An open loop: a slow answer does not make the next order wait. What was not acknowledged is sent again, to the other
door, until it is, as real shops do; so at the end every order is acknowledged, and must be there.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from itertools import count
from typing import Any

import aiohttp

from tests.drill.intake_topic import IntakeTopic
from tests.drill.orders import Body, Sending, Via
from tests.drill.receipts import Receipts, content

# A door that is paused says nothing: a shop does not wait for it longer than this.
ATTEMPT_S = 2.5
RETRY_S = 0.2
_HANG_UP_AFTER_S = 0.003
_CONNECTIONS = 300  # below what one gateway takes
_TAKEN, _TAKEN_BEFORE, _CONFLICT = 201, 200, 409
_LATER = (429, 503)


class Shop(threading.Thread):
    """A thread with an event loop. `send` and `begin` may be called from any other."""

    def __init__(self, gateways: Sequence[str], topic: IntakeTopic | None, *, seed: int) -> None:
        super().__init__(name="drill-shop", daemon=True)
        self.receipts = Receipts()
        self._doors = tuple(gateways)
        self._topic = topic
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._session: aiohttp.ClientSession | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self.sent = 0
        """Orders of the stream that were sent so far."""

    @property
    def waiting(self) -> int:
        """Orders and deliveries that are on their way: sent, and not acknowledged yet."""
        return len(self._tasks)

    def run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._close())
        self._loop.close()

    def start(self) -> None:
        super().start()
        self._ready.wait()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self.join()

    def send(self, sending: Sending) -> None:
        self._soon(lambda: self._deliver(sending))

    def deliver_stock(self, receipt: Body) -> None:
        """Send it until it is taken."""
        self._soon(lambda: self._receive(receipt))

    def begin(self, sendings: Sequence[Sending], rate: float) -> None:
        """Send these, so many a second, from now on."""
        self._soon(lambda: self._stream(sendings, rate))

    # --- in the loop -------------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=ATTEMPT_S)
        self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)

    async def _close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._session is not None
        await self._session.close()

    def _soon(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._loop.call_soon_threadsafe(lambda: self._spawn(work()))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self.receipts.wrong.append(f"the shop itself failed: {task.exception()!r}")

    async def _stream(self, sendings: Sequence[Sending], rate: float) -> None:
        began_s = time.monotonic()
        for number, sending in enumerate(sendings):
            await asyncio.sleep(max(0.0, began_s + number / rate - time.monotonic()))
            self._spawn(self._deliver(sending))
            self.sent += 1

    async def _deliver(self, sending: Sending) -> None:
        contents = [content(sending.body)] * sending.copies
        if sending.rival is not None:
            contents.append(content(sending.rival))
            self._chance.shuffle(contents)
        await asyncio.gather(*(self._one(sending, said) for said in contents))

    async def _one(self, sending: Sending, said: bytes) -> None:
        if sending.via is Via.TOPIC:
            assert self._topic is not None
            await self._topic.publish(sending.body["number"], said)
            self.receipts.taken[sending.order_id].add(said)
            return
        if sending.hangs_up:
            await self._hang_up("/orders", said)
        status, took_s = await self._until_answered("/orders", said)
        self._note(status, sending.order_id, said, took_s)

    async def _receive(self, receipt: Body) -> None:
        status, _ = await self._until_answered("/stock/receipts", content(receipt))
        if status not in (_TAKEN, _TAKEN_BEFORE):
            self.receipts.wrong.append(f"a delivery of stock was answered {status}")

    async def _hang_up(self, path: str, said: bytes) -> None:
        """Send it, and be gone before the answer is there."""
        try:
            await asyncio.wait_for(self._post(self._chance.choice(self._doors), path, said), _HANG_UP_AFTER_S)
        except (TimeoutError, aiohttp.ClientError, OSError):
            return

    async def _until_answered(self, path: str, said: bytes) -> tuple[int, float]:
        """What was answered in the end, and the seconds that the attempt took that was."""
        first = self._chance.randrange(len(self._doors))
        for attempt in count(first):
            self.receipts.attempts += 1
            began_s = time.monotonic()
            try:
                status = await self._post(self._doors[attempt % len(self._doors)], path, said)
            except (TimeoutError, aiohttp.ClientError, OSError):
                status = _LATER[0]
            if status not in _LATER:
                return status, time.monotonic() - began_s
            self.receipts.unanswered += 1
            await asyncio.sleep(RETRY_S)
        raise AssertionError("attempts do not run out")

    async def _post(self, door: str, path: str, said: bytes) -> int:
        assert self._session is not None
        headers = {"Content-Type": "application/json"}
        async with self._session.post(door + path, data=said, headers=headers) as answer:
            await answer.read()
            return answer.status

    def _note(self, status: int, order_id: str, said: bytes, took_s: float) -> None:
        if status in (_TAKEN, _TAKEN_BEFORE):
            self.receipts.taken[order_id].add(said)
            self.receipts.accept_s.append(took_s)
        elif status == _CONFLICT:
            self.receipts.refused[order_id].add(said)
        else:
            self.receipts.wrong.append(f"{order_id} was answered {status}")
