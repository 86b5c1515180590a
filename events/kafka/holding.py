"""The slots that are ours, and the one door to whoever works on them: never two calls at a time."""

from __future__ import annotations

import asyncio
from functools import partial

from events.kafka.loop import in_thread
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
            await in_thread(partial(self.owner.revoked, self.slots - kept), "kafka-slots")
            self.slots = kept
        try:
            if wanted != kept:
                await in_thread(partial(self.owner.assigned, wanted - kept), "kafka-slots")
                self.slots = wanted
        except StoreError as error:
            self._hooks.trouble(f"slots {sorted(wanted - kept)} cannot be taken on yet: {error}")
            await asyncio.sleep(self.RETRY_S)
        self._hooks.holds(self.slots)
