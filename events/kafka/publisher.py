"""The relay's broker: what `publish` returned from, Kafka has for good, in order for each topic and slot."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from events.cloudevents import SOURCE, Wire, Writer
from events.kafka.errors import FAULTS, KafkaTrouble, explain, in_words
from events.kafka.loop import LoopThread, stop
from events.kafka.settings import KafkaSettings
from events.kafka.sharing import partition_of
from events.relay import Message, PublishFailed


class KafkaPublisher:
    """See Publisher. For one thread; connects when the first message comes.

    After any failure the producer is thrown away and made anew with the next attempt: aiokafka can be stuck after a
    broker's restart, or past saving (a sequence number that the broker has lost), without saying so.
    """

    # A broker restarts in three to four seconds. The relay tries again anyway, and should see meanwhile that it is to
    # stop, or leads no longer.
    TIMEOUT_S = 5.0
    # Time to find out and say what is wrong, after that.
    EXPLAIN_S = 5.0
    # Uncompressed, of one partition: far below the 1 MB that a broker takes, enough for compression to pay.
    BATCH_BYTES = 256_000

    def __init__(self, settings: KafkaSettings, *, source: str = SOURCE, timeout_s: float = TIMEOUT_S) -> None:
        self._settings = settings
        self._writer = Writer(source)
        self._timeout_s = timeout_s
        self._line: _Line | None = None

    def publish(self, messages: Sequence[Message]) -> None:
        """See Publisher. Raises PublishFailed, at the latest after `timeout_s` and EXPLAIN_S."""
        wires = [self._writer.write(message) for message in messages]
        line = self._line = self._line or _Line(self._settings, self._timeout_s)
        try:
            line.send(wires)
        except KafkaTrouble as trouble:
            self.close()
            raise PublishFailed(str(trouble)) from trouble

    def close(self) -> None:
        """May be called twice; `publish` would connect again."""
        line, self._line = self._line, None
        if line is not None:
            line.close()


class _Line:
    """One producer from its start to its first failure."""

    STOP_S = 1.0  # everything was confirmed, or is published again: there is nothing to wait for

    def __init__(self, settings: KafkaSettings, timeout_s: float) -> None:
        self._settings = settings
        self._timeout_s = timeout_s
        self._loop = LoopThread("kafka-publisher")
        self._producer: AIOKafkaProducer | None = None

    def send(self, wires: Sequence[Wire]) -> None:
        """Raises KafkaTrouble."""
        topics = ", ".join(sorted({wire.topic for wire in wires}))
        try:
            self._loop.run(self._send(wires), self._timeout_s)
        except FAULTS as error:
            raise self._explained(error, topics) from error

    def _explained(self, error: Exception, topics: str) -> KafkaTrouble:
        try:
            return self._loop.run(explain(error, topics, self._settings), KafkaPublisher.EXPLAIN_S)
        except FAULTS as also:
            return in_words(also, topics)

    def close(self) -> None:
        if self._producer is not None:
            self._loop.run(
                stop(self._producer, self._producer.client, self.STOP_S, before=frozenset()), 3 * self.STOP_S
            )
        self._loop.close()

    async def _send(self, wires: Sequence[Wire]) -> None:
        producer = self._producer or await self._start()
        counts = {topic: len(await producer.partitions_for(topic)) for topic in {wire.topic for wire in wires}}
        by_partition: dict[tuple[str, int], list[Wire]] = defaultdict(list)
        for wire in wires:
            by_partition[wire.topic, partition_of(wire.slot, counts[wire.topic])].append(wire)
        sent = [_send_partition(producer, topic, number, some) for (topic, number), some in by_partition.items()]
        # All are waited for, so that none fails unheard after the first.
        for outcome in await asyncio.gather(*sent, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _start(self) -> AIOKafkaProducer:
        producer = self._producer = AIOKafkaProducer(
            # Idempotent: what is sent again within one producer's life is not written twice, and stays in order.
            enable_idempotence=True,
            acks="all",
            # A fifteenth of the bytes, most of which are headers that are alike; 25 us of processor time a message
            # with it and without (lz4: 30).
            compression_type="zstd",
            max_batch_size=KafkaPublisher.BATCH_BYTES,
            # What is wrong is to be known before our patience ends.
            **self._settings.options(self._timeout_s * 0.8),
        )
        await producer.start()
        return producer


async def _send_partition(producer: AIOKafkaProducer, topic: str, partition: int, wires: Sequence[Wire]) -> None:
    """In batches of our own making: a future for each of 50 messages an order would cost more than its encoding."""
    confirmed: list[asyncio.Future[Any]] = []
    batch = producer.create_batch()
    for wire in wires:
        if batch.append(timestamp=None, key=wire.key, value=wire.value, headers=wire.headers) is None:  # it is full
            confirmed.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(timestamp=None, key=wire.key, value=wire.value, headers=wire.headers)
    confirmed.append(await producer.send_batch(batch, topic, partition=partition))
    for outcome in await asyncio.gather(*confirmed, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome
