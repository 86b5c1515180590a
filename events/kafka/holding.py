"""The slots that are ours, and the one door to whoever works on them: never two calls at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from events.kafka.settings import GroupHooks
from events.slots import SlotOwner
from events.store_errors import StoreError


class Holding:
    """Outlives the consumer: what was ours stays ours until the group says otherwise."""

    RETRY_S = 0.5

    def __init__(self, owner: SlotOwner, hooks: GroupHooks) -> None:
        self.owner = owner
        self.slots: frozenset[int] = frozenset()
        self._hooks = hooks

    async def change(self, wanted: frozenset[int]) -> None:
        """Let go of what is not wanted, then take what is new. The loop goes on with its heartbeats meanwhile.

        Where the store is away nothing new is taken; ask again.
        """
        if wanted == self.slots:
            return
        kept = self.slots & wanted
        if kept != self.slots:
            await _in_thread(self.owner.revoked, self.slots - kept)
            self.slots = kept
        try:
            if wanted != kept:
                await _in_thread(self.owner.assigned, wanted - kept)
                self.slots = wanted
        except StoreError as error:
            self._hooks.trouble(f"slots {sorted(wanted - kept)} cannot be taken on yet: {error}")
            await asyncio.sleep(self.RETRY_S)
        self._hooks.holds(self.slots)


async def _in_thread(call: Callable[[frozenset[int]], None], slots: frozenset[int]) -> None:
    """Not in an executor: its threads would keep a process from ending while one of them hangs."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if done.cancelled():
            return
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)

    def work() -> None:
        error: BaseException | None = None
        try:
            call(slots)
        except BaseException as raised:  # noqa: BLE001 - handed over to who waits
            error = raised
        if not loop.is_closed():
            loop.call_soon_threadsafe(finish, error)

    threading.Thread(target=work, name="kafka-slots", daemon=True).start()
    await done
