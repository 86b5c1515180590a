"""What others send us over a topic: taken in batches, refused with a reason, never lost, never in anybody's way.

An offset is committed when the store has what came before it, and the broker what was refused of it. So everything
comes at least once, and whoever takes it must know again what he has (events/incoming.py).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor

from events.incoming import Incoming, Rejected, Take
from events.kafka.consumer import Consumer, Records
from events.kafka.errors import KafkaUnavailable
from events.kafka.lives import Lives
from events.kafka.lookout import Lookout
from events.kafka.loop import in_thread
from events.kafka.rejects import RejectsTopic
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings
from events.store_errors import StoreError


class Inlet(Lives):
    """A member of a consumer group; several share the topic's partitions. In a thread of its own until `close`."""

    # A transaction's worth. What was refused of it is sent on together.
    MAX_BATCH = 500

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        group: str,
        topic: str,
        rejected: str,
        take: Take,
        timing: GroupTiming | None = None,
        hooks: GroupHooks | None = None,
    ) -> None:
        """`rejected` is the topic for what `take` refuses. `take` is called in threads, never twice at a time."""
        super().__init__(f"kafka-{group}", f"{group} on {topic}", settings, timing, hooks)
        self._group = group
        self._topic = topic
        self._rejected = rejected
        self._take = take

    async def live(self) -> None:
        # The partitions of this topic are whatever they are, and carry no slots: they are dealt out in turn.
        consumer = Consumer(
            self.settings,
            self.timing,
            self._group,
            self._topic,
            RoundRobinPartitionAssignor,
            begins="earliest",
            max_records=self.MAX_BATCH,
        )
        rejects = RejectsTopic(self.settings, self._rejected)
        try:
            await self.unless_closing(consumer.join())
            life = _Life(self, consumer, rejects)
            while not self.closing.is_set():
                await life.turn()
        finally:
            await rejects.close()
            await consumer.leave()

    async def take(self, messages: Sequence[Incoming]) -> Sequence[Rejected] | None:
        """What was refused; None if it was closed before the store could be reached. The broker is kept waiting."""
        pause_s = self.timing.retry_s
        while not self.closing.is_set():
            try:
                return await in_thread(partial(self._take, messages), "kafka-intake")
            except StoreError as fault:
                self.trouble = f"{self._topic}: {len(messages)} messages wait for the store: {fault}"
                self.hooks.trouble(self.trouble)
            await self.rest(pause_s)
            pause_s = min(2 * pause_s, self.timing.retry_most_s)
        return None

    @property
    def topic(self) -> str:
        return self._topic


class _Life:
    """One consumer, from its joining on."""

    def __init__(self, inlet: Inlet, consumer: Consumer, rejects: RejectsTopic) -> None:
        self._inlet = inlet
        self._consumer = consumer
        self._rejects = rejects
        self._lookout = Lookout(consumer, inlet.timing, inlet.topic)
        self._offsets: dict[int, int] = {}
        self._times_shared = 0
        self._shared_s = time.monotonic()

    async def turn(self) -> None:
        """Take what there is, or wait for it a moment. Raises what means the end of this life."""
        records = await self._consumer.poll()
        self._follow()
        if records and not await self._handle(records):
            return
        if self._offsets and await self._consumer.commit(self._offsets):
            self._offsets = {}
        if self._consumer.partitions is not None:
            await self._lookout.look_now_and_then()
        if self._lookout.is_well:
            self._inlet.trouble = None

    def _follow(self) -> None:
        """What is not committed when the group shares anew comes again, to whoever has it then."""
        now_s = time.monotonic()
        if self._consumer.partitions is None:
            if now_s - self._shared_s > 2 * self._inlet.timing.session_timeout_s:
                raise KafkaUnavailable(f"{self._inlet.topic}: the group does not get done with sharing its partitions")
        else:
            self._shared_s = now_s
        if self._times_shared != self._consumer.times_shared:
            self._times_shared = self._consumer.times_shared
            self._offsets = {}
            self._lookout.began()

    async def _handle(self, records: Records) -> bool:
        messages = _messages(records)
        rejected = await self._inlet.take(messages)
        if rejected is None:
            return False
        await self._rejects.send(rejected)
        self._offsets |= {partition: some[-1].offset + 1 for partition, some in records.items()}
        self._inlet.hooks.delivered(len(messages), len(rejected))
        self._shared_s = time.monotonic()  # taking it may have been long
        self._lookout.arrived()
        return True


def _messages(records: Records) -> list[Incoming]:
    return [
        Incoming(one.topic, one.partition, one.offset, one.key, one.value, one.headers)
        for some in records.values()
        for one in some
    ]
