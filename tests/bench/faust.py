"""Events per second through Faust and through aiokafka's batches, with the same trivial work per event: a real broker,
one topic, one process, one arm after the other.

Why the order pipeline reads Kafka in batches, and Faust has the analytics beside it: per event, Faust's own machinery
(a message, an event, an acknowledgement, a turn of the loop for each) costs many times what the work does, and `take()`
puts that machinery's results together again without saving it.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import faust
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from deploy.local.servers import KafkaServer
from events.kafka import KafkaSettings, ensure_topics

TOPIC = "bench"
# As large as an event of an order is on average.
_VALUE = b'{"order_id":"' + b"x" * 36 + b'","lines":{"LDN":{"85123A":6,"22139":2}},"note":"' + b"y" * 120 + b'"}'
_TYPES = (b"order.placed.v2", b"order.accepted.v1", b"payment.declined.v1")
_TAKE = 1_000
_TIMEOUT_S = 300.0


class Pace(NamedTuple):
    events_per_s: float
    cpu_us: float
    """Processor time for each event, of this process."""


class Work:
    """What is done with each event, in every arm: a count by type, and the position that was reached."""

    def __init__(self, events: int) -> None:
        self._left = events
        self._events = events
        self.done = asyncio.Event()
        self._counts: Counter[bytes] = Counter()
        self._position = 0
        self._began = (0.0, 0.0)

    def take(self, headers: Mapping[str, bytes]) -> None:
        if self._left == self._events:
            self._began = time.perf_counter(), time.process_time()
        self._counts[headers["ce_type"]] += 1
        self._position = max(self._position, int(headers["ce_position"]))
        self._left -= 1
        if not self._left:
            self.pace = self._pace()
            self.done.set()

    def _pace(self) -> Pace:
        assert self._position == self._events, "every event is to be seen, in every arm"
        wall_s, cpu_s = time.perf_counter() - self._began[0], time.process_time() - self._began[1]
        return Pace(self._events / wall_s, cpu_s / self._events * 1e6)


async def _through_aiokafka(bootstrap: str, work: Work) -> None:
    consumer = AIOKafkaConsumer(TOPIC, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        while not work.done.is_set():
            for records in (await consumer.getmany(timeout_ms=200, max_records=_TAKE)).values():
                for record in records:
                    work.take(dict(record.headers))
    finally:
        await consumer.stop()


async def _through_faust(bootstrap: str, work: Work) -> None:
    async def one_by_one(stream: Any) -> None:
        async for event in stream.events():
            work.take(event.headers)

    await _with_agent(bootstrap, work, one_by_one)


async def _through_faust_take(bootstrap: str, work: Work) -> None:
    async def by_batches(stream: Any) -> None:
        async for batch in stream.take_events(_TAKE, within=0.5):
            for event in batch:
                work.take(event.headers)

    await _with_agent(bootstrap, work, by_batches)


async def _with_agent(bootstrap: str, work: Work, agent: Callable[[Any], Awaitable[None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        app = faust.App(
            f"bench-{uuid4().hex}",
            broker=f"kafka://{bootstrap}",
            consumer_auto_offset_reset="earliest",
            datadir=folder,
            loop=asyncio.get_running_loop(),
            store="memory://",
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )
        topic = app.topic(TOPIC, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)
        app.agent(topic)(agent)
        starting = asyncio.ensure_future(app.start())
        try:
            await work.done.wait()
        finally:
            starting.cancel()
            with suppress(asyncio.CancelledError, TimeoutError):
                await asyncio.wait_for(app.stop(), 10)


ARMS: dict[str, Callable[[str, Work], Awaitable[None]]] = {
    "faust": _through_faust,
    "faust_take": _through_faust_take,
    "aiokafka": _through_aiokafka,
}


def run_faust(*, events: int, rounds: int, as_json: bool) -> None:
    """Prints the medians over the rounds, in each of which every arm reads the same topic from its beginning."""
    found: dict[str, list[Pace]] = {name: [] for name in ARMS}
    with tempfile.TemporaryDirectory() as folder, KafkaServer(Path(folder), tied=True) as kafka:
        ensure_topics(KafkaSettings(kafka.bootstrap), [TOPIC], partitions=1)
        asyncio.run(_fill(kafka.bootstrap, events))
        for number in range(rounds):
            for name, arm in ARMS.items():
                pace = asyncio.run(_timed(arm, kafka.bootstrap, events))
                found[name].append(pace)
                print(f"{number + 1}: {name}: {pace.events_per_s:,.0f} events/s, {pace.cpu_us:.0f} us", file=sys.stderr)
    summary = {
        **{f"{name}_events_per_s": round(_median(paces, "events_per_s")) for name, paces in found.items()},
        **{f"{name}_cpu_us": round(_median(paces, "cpu_us"), 1) for name, paces in found.items()},
        "events": events,
    }
    print(json.dumps(summary) if as_json else "\n".join(f"{name:24} {value:>12,}" for name, value in summary.items()))


async def _timed(arm: Callable[[str, Work], Awaitable[None]], bootstrap: str, events: int) -> Pace:
    work = Work(events)
    async with asyncio.timeout(_TIMEOUT_S):
        await arm(bootstrap, work)
    return work.pace


def _median(paces: list[Pace], field: str) -> float:
    return float(statistics.median(getattr(pace, field) for pace in paces))


async def _fill(bootstrap: str, events: int) -> None:
    """As many headers as the relay writes, of which two are looked at."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, linger_ms=20, max_batch_size=256_000)
    await producer.start()
    try:
        for position in range(1, events + 1):
            headers = [(f"ce_other{number}", b"x" * 24) for number in range(11)]
            headers += [("ce_type", _TYPES[position % 3]), ("ce_position", b"%d" % position)]
            await producer.send(TOPIC, _VALUE, partition=0, headers=headers)
        await producer.flush()
    finally:
        await producer.stop()
