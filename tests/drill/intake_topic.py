"""Publishes orders to the intake topic as a foreign client does: librdkafka, no code of ours."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from services.routing import INTAKE_TOPIC

_POLL_S = 0.02
# What the broker has not confirmed by then is published again: it may be there twice, which nobody must notice.
_PATIENCE_MS = 20_000


class IntakeTopic:
    """Used from one event loop; a thread of its own hears what the broker confirms."""

    def __init__(self, bootstrap: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "acks": "all",
                "linger.ms": 5,
                "delivery.timeout.ms": _PATIENCE_MS,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._hear, name="drill-topic", daemon=True)
        self._thread.start()

    async def publish(self, number: str, said: bytes) -> None:
        """Returns when the broker has it, however often that takes."""
        while not await self._try(number, said):
            await asyncio.sleep(0.2)

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    async def _try(self, number: str, said: bytes) -> bool:
        loop = asyncio.get_running_loop()
        confirmed: asyncio.Future[bool] = loop.create_future()

        def settle(done: bool) -> None:
            if not confirmed.done():
                confirmed.set_result(done)

        def heard(error: KafkaError | None, message: Message) -> None:
            loop.call_soon_threadsafe(settle, error is None)

        try:
            self._producer.produce(
                INTAKE_TOPIC, key=number.encode(), value=said, headers=_headers(number), on_delivery=heard
            )
        except (BufferError, KafkaException):
            return False
        return await confirmed

    def _hear(self) -> None:
        while not self._over.is_set():
            self._producer.poll(_POLL_S)


def _headers(number: str) -> list[tuple[str, Any]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"order.placed"),
        ("ce_source", b"/drill"),
        ("ce_id", number.encode()),
        ("content-type", b"application/json"),
    ]
