"""A member of one service's consumer group, on one inbox topic: it hands out the slots that the group gives it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from events.cloudevents import SOURCE
from events.kafka.assignor import Assignor
from events.kafka.holding import Holding
from events.kafka.lives import Lives
from events.kafka.lookout import Stuck
from events.kafka.member import Asleep, Member, Seat
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings
from events.slots import SlotOwner


class KafkaGroup(Lives):
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
        super().__init__(f"kafka-{group}", f"{group} on {topic}", settings, timing, hooks)
        self._holding = Holding(owner, self.hooks)
        self._seat = Seat(settings, self.timing, self.hooks, group, topic, source, self._holding, Assignor())
        self._skip_ahead = False

    @property
    def slots(self) -> frozenset[int]:
        """What is ours at this moment."""
        return self._holding.slots

    async def live(self) -> None:
        member = Member(self._seat, skip_ahead=self._skip_ahead)
        try:
            await self._serve(member)
            await self.end()
        except Stuck:
            self._skip_ahead = True
            raise
        except Asleep:
            await self._holding.change(frozenset())
            raise
        finally:
            await member.leave()

    async def end(self) -> None:
        """Let go of all slots."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._holding.change(frozenset()), self.timing.drain_s)
            return
        self.hooks.trouble(f"{self._seat.group}: the workers did not let go of their slots in time")

    async def _serve(self, member: Member) -> None:
        await self.unless_closing(member.join())
        while not self.closing.is_set():
            await member.turn()
            self._skip_ahead = member.skip_ahead
            if member.is_well:
                self.trouble = None
        await member.farewell()
