"""One life of a group member: from joining to leaving, or until something is wrong with it."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

from aiokafka.errors import KafkaError

from events.cloudevents import Illegible, read_delivery
from events.codec import Unreadable
from events.kafka.assignor import Assignor
from events.kafka.consumer import Consumer, Records
from events.kafka.errors import KafkaUnavailable
from events.kafka.holding import Holding
from events.kafka.lookout import Lookout, Stuck
from events.kafka.progress import Offsets
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings
from events.kafka.sharing import slots_of
from events.slots import Delivery


class Asleep(KafkaUnavailable):
    """This process stood still for longer than its session: others have its slots by now."""


class Seat(NamedTuple):
    """What stays the same over all lives of a member."""

    settings: KafkaSettings
    timing: GroupTiming
    hooks: GroupHooks
    group: str
    topic: str
    source: str
    holding: Holding
    assignor: Assignor


class Member:
    """All of it runs in one loop; only the workers are elsewhere."""

    # In a row. A single one (a leader that moved, a batch with a flipped bit) is over with the next.
    MAX_POLL_FAULTS = 5

    def __init__(self, seat: Seat, *, skip_ahead: bool) -> None:
        """`skip_ahead`: an earlier life got stuck. Go on with what comes from now on; the log has what was before."""
        self._seat = seat
        self._timing = seat.timing
        self._owner = seat.holding.owner
        self.skip_ahead = skip_ahead
        self._consumer = Consumer(seat.settings, seat.timing, seat.group, seat.topic, seat.assignor)
        self._offsets = Offsets()
        self._committing: asyncio.Future[None] | None = None
        self._times_shared = 0
        self._poll_faults = 0
        self._awake_s = self._commit_at_s = self._shared_s = time.monotonic()
        self._lookout = Lookout(self._consumer, seat.timing, seat.topic)

    @property
    def is_well(self) -> bool:
        return self._lookout.is_well

    async def join(self) -> None:
        """Raises what aiokafka raises, and KafkaRefused."""
        await self._consumer.join()
        self._awake_s = self._shared_s = time.monotonic()

    async def turn(self) -> None:
        """Take what there is, or wait for it a moment. Raises what means the end of this life."""
        records = await self._poll()
        self._expect_to_be_awake()
        if await self._follow():
            self._deliver(records)
            self._make_room()
            self._commit_now_and_then()
            await self._lookout.look_now_and_then()

    async def farewell(self) -> None:
        """Before the workers let go: how far they are."""
        await self._commit()

    async def leave(self) -> None:
        await self._consumer.leave()

    # --- what comes in -----------------------------------------------------------------------------------------------

    async def _poll(self) -> Records:
        try:
            records = await self._consumer.poll()
        except KafkaError as error:
            self._poll_faults += 1
            if self._poll_faults >= self.MAX_POLL_FAULTS:
                raise Stuck(f"{self._seat.topic}: {error}") from error
            await asyncio.sleep(self._timing.poll_s)
            return {}
        self._poll_faults = 0
        return records

    def _deliver(self, records: Records) -> None:
        if not records:
            return
        found: list[Delivery] = []
        for partition, some in records.items():
            deliveries = [one for record in some if (one := self._read(record)) is not None]
            self._offsets.delivered(partition, some[0].offset, some[-1].offset + 1, deliveries)
            found += deliveries
        self._owner.delivered(found)
        total = sum(len(some) for some in records.values())
        self._seat.hooks.delivered(total, total - len(found))
        self._lookout.arrived()

    def _read(self, record: Any) -> Delivery | None:
        try:
            delivery = read_delivery(record.headers, record.value, self._seat.source)
        except Illegible:
            # Counted, and passed over: if it was one of ours, the next one says that something came before it.
            return None
        if delivery.recorded is not None and isinstance(delivery.recorded.event, Unreadable):
            # Garbled on its way, or from a newer version: let the log say which.
            return Delivery(delivery.slot, delivery.position, delivery.position, None)
        return delivery

    # --- whose slots -------------------------------------------------------------------------------------------------

    def _expect_to_be_awake(self) -> None:
        slept_s, self._awake_s = time.monotonic() - self._awake_s, time.monotonic()
        if slept_s > self._timing.session_timeout_s:
            raise Asleep(f"{self._seat.group}: this process stood still for {slept_s:.0f} s")

    async def _follow(self) -> bool:
        """Let go of the slots that we no longer have, take those that are new; False while that is not known.

        Until the group has shared anew we keep what we have: most of it will still be ours, and all members would stand
        still while they wait for one that died. Should somebody else begin before we let go, the store takes what one
        of us does and refuses the other, as it must for a process that was asleep.
        """
        partitions = self._consumer.partitions
        if partitions is None:
            if time.monotonic() - self._shared_s > 2 * self._timing.session_timeout_s:
                raise KafkaUnavailable(f"{self._seat.group}: the group does not get done with sharing its partitions")
            return False
        if self._times_shared != self._consumer.times_shared:
            await self._begin(partitions)
        await self._seat.holding.change(slots_of(partitions, self._consumer.count()))
        self._shared_s = self._awake_s = time.monotonic()  # the workers may have taken their time
        return True

    async def _begin(self, partitions: frozenset[int]) -> None:
        self._times_shared = self._consumer.times_shared
        self._offsets.keep(partitions)
        self._consumer.shared_anew()
        self._lookout.began()
        if self.skip_ahead and partitions:
            await self._consumer.skip_to_end()
            self.skip_ahead = False

    def _make_room(self) -> None:
        """Stop fetching for slots that are behind, so that what waits for them is bounded."""
        full = {slot for slot in self._seat.holding.slots if not self._owner.has_room(slot)}
        count, partitions = self._consumer.count(), self._consumer.partitions or ()
        self._consumer.pause(frozenset(one for one in partitions if full & slots_of([one], count)))

    # --- how far -----------------------------------------------------------------------------------------------------

    def _commit_now_and_then(self) -> None:
        if self._committing is not None and self._committing.done():
            committing, self._committing = self._committing, None
            committing.result()
        if self._committing is None and time.monotonic() >= self._commit_at_s:
            self._commit_at_s = time.monotonic() + self._timing.commit_every_s
            self._committing = asyncio.ensure_future(self._commit())

    async def _commit(self) -> None:
        handled = dict.fromkeys(self._seat.holding.slots, 0) | self._owner.handled()
        offsets = self._offsets.to_commit(handled)
        if offsets and await self._consumer.commit(offsets):
            self._offsets.committed(offsets)
