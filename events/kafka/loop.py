"""asyncio in a thread of its own, with an end to every wait: the core is synchronous, aiokafka is not."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import Any, Protocol, TypeVar, cast

from events.kafka.errors import FAULTS

T = TypeVar("T")


class Client(Protocol):
    async def close(self) -> None: ...


class Stoppable(Protocol):
    async def stop(self) -> None: ...


class Abandoned(ConnectionError):
    """aiokafka cancelled what we were waiting for. A connection that breaks can do that to whoever waits for it."""

    def __init__(self) -> None:
        super().__init__("the connection broke")


class LoopThread:
    """A loop that others hand coroutines to."""

    # Of cancelled tasks only a broken one takes longer.
    CLOSE_S = 3.0

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, function: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(function)

    def run(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        """Its result. Raises what it raises, TimeoutError, and Abandoned."""
        future = self.submit(work)
        try:
            return future.result(timeout_s)
        except CancelledError:
            raise Abandoned from None
        finally:
            future.cancel()

    def close(self) -> None:
        """Whatever is still under way is cancelled."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self.CLOSE_S)

    def _run(self) -> None:
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(cancel_all_but(frozenset(), self.CLOSE_S / 2))
        finally:
            self._loop.close()


async def unabandoned(work: Coroutine[Any, Any, T]) -> T:
    """Its result. Raises what it raises, and Abandoned where somebody else than us cancelled it."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    finally:
        task.cancel()
    if task.cancelled():
        raise Abandoned
    return task.result()


async def in_thread(call: Callable[[], T], name: str) -> T:
    """What it returns or raises, from a thread of its own; the loop goes on meanwhile.

    Not in an executor: its threads would keep a process from ending while one of them hangs.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(cast(T, result))
        else:
            done.set_exception(error)

    def work() -> None:
        result: T | None = None
        error: BaseException | None = None
        try:
            result = call()
        except BaseException as raised:  # noqa: BLE001 - handed over to who waits
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return await done


Tasks = frozenset[asyncio.Task[Any]]


def tasks() -> Tasks:
    """All that this loop has under way."""
    return frozenset(asyncio.all_tasks())


async def stop(one: Stoppable, client: Client, timeout_s: float, *, before: Tasks) -> None:
    """aiokafka waits for answers while it stops; a broker that is away gives none, and some of its tasks stay behind.

    `client` has the connections; `before` are the tasks that were there before `one`. Takes up to twice `timeout_s`.
    """
    await bounded(one.stop(), timeout_s)
    await cancel_all_but(before, timeout_s / 2)
    await bounded(client.close(), timeout_s / 2)


async def bounded(work: Coroutine[Any, Any, None], timeout_s: float) -> None:
    """A farewell: as far as it gets."""
    with suppress(*FAULTS):  # we are done with it, in whatever state it is
        async with asyncio.timeout(timeout_s):
            await unabandoned(work)


async def cancel_all_but(these: Tasks, timeout_s: float) -> None:
    """Of this loop's tasks; the one that asks is spared."""
    others = tasks() - these - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=timeout_s)
