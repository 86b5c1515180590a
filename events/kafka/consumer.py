"""aiokafka's consumer as a group member uses it: every wait ends, and none that is cut short loses anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor

from events.kafka.assignor import Assignor
from events.kafka.errors import FAULTS, KafkaRefused
from events.kafka.loop import stop, tasks
from events.kafka.settings import GroupTiming, KafkaSettings
from events.kafka.tolerant import read_any_header

Records = dict[int, list[Any]]
"""aiokafka's records, by partition."""


class Consumer:
    """One topic, one group. `partitions` is what the group gave us; None while it shares anew."""

    # What a worker takes at a time; at 8 us each, 16 ms of decoding between two looks at everything else.
    MAX_RECORDS = 2_000

    def __init__(
        self,
        settings: KafkaSettings,
        timing: GroupTiming,
        group: str,
        topic: str,
        assignor: Assignor | type[AbstractPartitionAssignor],
        *,
        begins: Literal["latest", "earliest"] = "latest",
        max_records: int = MAX_RECORDS,
    ) -> None:
        """`begins` is where a group without an offset does; `max_records` come with one poll."""
        self._settings = settings
        self._timing = timing
        self._group = group
        self._topic = topic
        self._assignor = assignor
        self._begins = begins
        self._max_records = max_records
        self._assigned = _Assigned()
        self._polling: asyncio.Future[Any] | None = None
        self._paused: frozenset[int] = frozenset()
        self._before = tasks()
        self._made: AIOKafkaConsumer | None = None

    def _make(self) -> AIOKafkaConsumer:
        timing = self._timing
        return AIOKafkaConsumer(
            group_id=self._group,
            enable_auto_commit=False,
            # Workers without an offset (a new group, or one that was away for a week) miss nothing by beginning with
            # the latest: the first message says what came before it, and that is read from the log.
            auto_offset_reset=self._begins,
            session_timeout_ms=round(timing.session_timeout_s * 1000),
            heartbeat_interval_ms=round(timing.heartbeat_s * 1000),
            partition_assignment_strategy=(self._assignor,),
            # Answered at once when there is anything; while there is nothing, twice a second.
            fetch_min_bytes=1,
            fetch_max_wait_ms=500,
            # A worker's batch is 1 to 2 MB; in all partitions together five of them may wait here.
            max_partition_fetch_bytes=1_048_576,
            fetch_max_bytes=10_485_760,
            # The relay uses no transactions, so there is nothing uncommitted to wait for.
            isolation_level="read_uncommitted",
            **self._settings.options(timing.request_timeout_s),
        )

    @property
    def partitions(self) -> frozenset[int] | None:
        return self._assigned.partitions

    @property
    def fetched(self) -> frozenset[int]:
        """Those of our partitions that are not paused."""
        return (self.partitions or frozenset()) - self._paused

    @property
    def times_shared(self) -> int:
        """How often the group has shared its partitions since we joined it."""
        return self._assigned.times

    async def join(self) -> None:
        """Raises what aiokafka raises, and KafkaRefused without the topic."""
        read_any_header()
        self._made = self._make()
        async with asyncio.timeout(self._timing.start_s):
            await self._consumer.start()
            # Asked for all: asking for one by its name may create it.
            if self._topic not in await self._consumer.topics():
                raise KafkaRefused(f"{self._topic}: the broker does not have this topic; it has to be created first")
        self._consumer.subscribe([self._topic], listener=self._assigned)

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        assert self._made is not None, "join first"
        return self._made

    async def poll(self) -> Records:
        """What there is; nothing after `poll_s`. Raises KafkaError."""
        # While the group shares anew `getmany` waits for as long as that takes, and must not be cancelled: it may have
        # taken something already.
        if self._polling is None:
            timeout_ms = round(self._timing.poll_s * 1000)
            self._polling = asyncio.ensure_future(
                self._consumer.getmany(timeout_ms=timeout_ms, max_records=self._max_records)
            )
        await asyncio.wait({self._polling}, timeout=self._timing.poll_s)
        if not self._polling.done():
            return {}
        polling, self._polling = self._polling, None
        return {one.partition: records for one, records in polling.result().items()}

    def count(self) -> int:
        """How many partitions the topic has, as far as we know: what we were given shows that there are more."""
        known = self._consumer.partitions_for_topic(self._topic) or ()
        return max(len(known), 1, *(one + 1 for one in self.partitions or ()))

    def pause(self, partitions: frozenset[int]) -> None:
        """Fetch nothing from these, and from all others again."""
        ours = self.partitions or frozenset()
        self._consumer.pause(*self._tps((partitions - self._paused) & ours))
        self._consumer.resume(*self._tps((self._paused - partitions) & ours))
        self._paused = partitions

    def shared_anew(self) -> None:
        """What was paused was so until the group shared anew."""
        self._paused = frozenset()

    async def skip_to_end(self) -> None:
        async with asyncio.timeout(self._timing.answer_s):
            await self._consumer.seek_to_end(*self._tps(self.partitions or ()))

    async def how_far(self, partitions: Iterable[int]) -> tuple[dict[int, int], dict[int, int]]:
        """Where we are, and where the broker is. Raises TimeoutError and what aiokafka raises."""
        tps = self._tps(partitions)
        async with asyncio.timeout(self._timing.answer_s):
            ends = await self._consumer.end_offsets(tps)
            positions = {one.partition: await self._consumer.position(one) for one in tps}
        return positions, {one.partition: end for one, end in ends.items()}

    async def commit(self, offsets: Mapping[int, int]) -> bool:
        """Whether it was done. aiokafka would try for as long as there is no coordinator."""
        with suppress(*FAULTS):  # shared anew meanwhile, or the broker is away: offsets are advice
            async with asyncio.timeout(self._timing.answer_s / 3):
                await self._consumer.commit({TopicPartition(self._topic, one): at for one, at in offsets.items()})
            return True
        return False

    async def leave(self) -> None:
        """Out of the group at once, so that others need not wait for our session to end."""
        if self._made is not None:
            # The connections are aiokafka's own business, unless it is stuck and does not close them.
            await stop(self._made, self._made._client, self._timing.answer_s / 2, before=self._before)

    def _tps(self, partitions: Iterable[int]) -> list[TopicPartition]:
        return [TopicPartition(self._topic, one) for one in partitions]


class _Assigned(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self) -> None:
        self.partitions: frozenset[int] | None = None
        self.times = 0

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        self.partitions = None

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        self.partitions = frozenset(one.partition for one in assigned)
        self.times += 1
