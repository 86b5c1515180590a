"""Where messages go that were not taken: as they came, with the reason beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka

from events.incoming import Rejected
from events.kafka.errors import FAULTS, KafkaRefused, explain
from events.kafka.loop import bounded
from events.kafka.settings import KafkaSettings

TOO_LARGE = (kafka.MessageSizeTooLargeError, kafka.RecordTooLargeError, kafka.RecordListTooLargeError)

# A sentence; the rest of it would be of no more use.
_MAX_REASON = 500


class RejectsTopic:
    """Lives on the loop of who uses it."""

    # A batch of rejects takes a broker milliseconds.
    TIMEOUT_S = 5.0
    STOP_S = 1.0  # everything was confirmed, or is sent again: there is nothing to wait for

    def __init__(self, settings: KafkaSettings, topic: str) -> None:
        self._settings = settings
        self._topic = topic
        self._producer: AIOKafkaProducer | None = None

    async def send(self, rejected: Sequence[Rejected]) -> None:
        """Returns when the broker has all of them for good. Raises KafkaTrouble."""
        if not rejected:
            return
        try:
            async with asyncio.timeout(self.TIMEOUT_S):
                await self._send_all(rejected)
        except FAULTS as fault:
            raise await explain(fault, self._topic, self._settings) from fault

    async def _send_all(self, rejected: Sequence[Rejected]) -> None:
        producer = self._producer or await self._start()
        # All are waited for, so that none fails unheard after the first.
        for outcome in await asyncio.gather(*(self._send(producer, one) for one in rejected), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def close(self) -> None:
        """Before the consumer on the same loop leaves: with it go all tasks that a stuck producer left behind."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await bounded(producer.stop(), self.STOP_S)
            await bounded(producer.client.close(), self.STOP_S)

    async def _start(self) -> AIOKafkaProducer:
        producer = self._producer = AIOKafkaProducer(
            acks="all",
            # Not idempotent: a message that is refused for its size would leave a gap in the numbers of those that
            # follow. A reject that is written twice harms nobody.
            enable_idempotence=False,
            # It is the broker who says what is too large.
            max_request_size=104_857_600,
            **self._settings.options(self.TIMEOUT_S * 0.8),
        )
        await producer.start()
        # Asked for all: asking for one by its name may create it, or be answered only when somebody else does.
        if self._topic not in (await producer.client.fetch_all_metadata()).topics():
            raise KafkaRefused(f"{self._topic}: the broker does not have this topic; it has to be created first")
        return producer

    async def _send(self, producer: AIOKafkaProducer, one: Rejected) -> None:
        for form in _forms(one):
            try:
                await producer.send_and_wait(self._topic, form.value, form.key, headers=form.headers)
                return
            except TOO_LARGE:
                continue
        raise KafkaRefused(f"{self._topic}: the broker takes not even a reason for a reject: see its max.message.bytes")


class _Form(NamedTuple):
    key: bytes | None
    value: bytes
    headers: list[tuple[str, Any]]


def _forms(one: Rejected) -> Iterator[_Form]:
    """All of it; where that is too large for the topic, as much as may fit. The whole is where it came from."""
    message = one.message
    about = [
        ("waybill-reason", one.reason[:_MAX_REASON].encode("utf-8", "replace")),
        ("waybill-topic", message.topic.encode()),
        ("waybill-partition", b"%d" % message.partition),
        ("waybill-offset", b"%d" % message.offset),
    ]
    yield _Form(message.key, message.value or b"", [*message.headers, *about])
    yield _Form(message.key, b"", [*message.headers, *about, ("waybill-left-out", b"value")])
    yield _Form(None, b"", [*about, ("waybill-left-out", b"key, value, headers")])
