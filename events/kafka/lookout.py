"""Whether a consumer gets what there is: what arrives tells, and where nothing does, the broker is asked."""

from __future__ import annotations

import time

from events.kafka.consumer import Consumer
from events.kafka.errors import FAULTS, KafkaUnavailable
from events.kafka.progress import Finding, Watch
from events.kafka.settings import GroupTiming


class Stuck(KafkaUnavailable):
    """The consumer lives and gets nothing, perhaps because of what is at its offset."""


class Lookout:
    """One consumer's."""

    def __init__(self, consumer: Consumer, timing: GroupTiming, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic
        self._watch = Watch(timing.stall_s, timing.answer_s, time.monotonic())
        self.is_well = False
        """The group has given us our share (of whatever size), and if it is one, the broker has answered since."""

    def began(self) -> None:
        """We have another share: nothing can have come of it yet."""
        self._watch.progress(time.monotonic())

    def arrived(self) -> None:
        """Something came."""
        self._watch.progress(time.monotonic())
        self.is_well = True

    async def look_now_and_then(self) -> None:
        """Only while we have a share. Raises KafkaUnavailable and Stuck, after two looks in a row that say so."""
        partitions = self._consumer.fetched
        if not partitions:
            self.arrived()
        elif self._watch.is_due(time.monotonic()) or not self.is_well:
            await self._look(partitions)

    async def _look(self, partitions: frozenset[int]) -> None:
        try:
            positions, ends = await self._consumer.how_far(partitions)
            self.is_well = True
        except FAULTS:
            positions, ends = None, {}
        finding = self._watch.looked(positions, ends, time.monotonic())
        if finding is Finding.SILENT:
            raise KafkaUnavailable(f"{self._topic}: {finding.value}")
        if finding is Finding.STUCK:
            raise Stuck(f"{self._topic}: {finding.value}")
