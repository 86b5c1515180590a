"""What tests of Kafka share: a log, its relay, and workers that handle each event of a slot once, as services do."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

from events.base import NewEvent, Recorded, Tracked, Write
from events.cloudevents import Headers
from events.kafka import GroupHooks, GroupTiming, KafkaGroup, KafkaPublisher, KafkaSettings
from events.order import OrderAccepted, OrderCompleted
from events.relay import PublishFailed, Relay, Route
from events.slots import Delivery, SlotFeed, SlotWindow, slot_name
from events.store import AlreadyTracked, EventStore, open_store
from tests.examples import NOON, ORDER

WORK = frozenset({OrderAccepted})

QUICK = GroupTiming(stall_s=2.0, answer_s=2.0)
"""For tests: a stuck consumer is noticed sooner."""


def by_stream(recorded: Recorded) -> str:
    return recorded.stream


def inbox(topic: str) -> Route:
    return Route(topic, WORK, by_stream)


def append_orders(store: EventStore, start: int, count: int) -> None:
    """One event for each of so many orders; their slots are mixed."""
    new = NewEvent(OrderAccepted(order_id=ORDER), NOON, ORDER, "request-1", "test")
    store.append([Write(f"order-{number}", 0, [new]) for number in range(start, start + count)])


@dataclass
class _Slot:
    window: SlotWindow
    feed: SlotFeed
    at: int
    tracked: int


class Workers:
    """A SlotOwner with one thread: for each event of its slots it writes another.

    Fenced by the slot's position alone: what it writes goes to streams of their own, so that no version stands in the
    way of doing something twice.
    """

    def __init__(self, store: EventStore, name: str = "test", *, batch: int = 100, pause_s: float = 0.0) -> None:
        self._store = store
        self._name = name
        self._batch = batch
        self.pause_s = pause_s
        self._lock = threading.Lock()  # held for as long as a batch takes
        self._stopping = threading.Event()
        self._slots: dict[int, _Slot] = {}
        self.silent_s = 3.0  # without anything delivered for so long, the log is looked into
        self._heard_s = time.monotonic()
        self.moves: list[tuple[str, frozenset[int]]] = []
        self.delivered_messages = 0
        self.refused = 0
        self.looks = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    # --- as the group sees them --------------------------------------------------------------------------------------

    def assigned(self, slots: frozenset[int]) -> None:
        with self._lock:
            self.moves.append(("assigned", slots))
            self._heard_s = time.monotonic()
            for slot in slots:
                at = self._store.tracked_position(slot_name(self._name, slot))
                window = SlotWindow(at)
                window.look(self._store.last_position())  # what is there already need not come from the broker
                self._slots[slot] = _Slot(window, SlotFeed(window, self._store, WORK, slot, by_stream), at, at)

    def revoked(self, slots: frozenset[int]) -> None:
        with self._lock:
            self.moves.append(("revoked", slots))
            for slot in slots:
                del self._slots[slot]

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        self.delivered_messages += len(deliveries)
        self._heard_s = time.monotonic()
        for one in deliveries:
            if one.slot in self._slots:
                self._slots[one.slot].window.add([one])

    def has_room(self, slot: int) -> bool:
        return not self._slots[slot].window.is_full

    def handled(self) -> dict[int, int]:
        return {slot: one.at for slot, one in list(self._slots.items())}

    # --- what they do ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        self._stopping.set()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._lock:
                done = sum(self._step(slot, one) for slot, one in self._slots.items())
                if time.monotonic() - self._heard_s > self.silent_s:
                    self._look()
            time.sleep(self.pause_s if done else 0.005)

    def _look(self) -> None:
        self.looks += 1
        self._heard_s = time.monotonic()
        for one in self._slots.values():
            one.window.look(self._store.last_position())

    def _step(self, slot: int, one: _Slot) -> int:
        page = one.feed.read(one.at, self._batch)
        events = page.beyond(one.at)
        if not events:
            one.at = max(one.at, page.reached)
            return 0
        try:
            self._store.append(_done(events), tracked=Tracked(slot_name(self._name, slot), page.reached, one.tracked))
            one.at = one.tracked = page.reached
        except AlreadyTracked:
            self.refused += 1
            one.at = one.tracked = self._store.tracked_position(slot_name(self._name, slot))
        one.window.forget_until(one.at)
        return len(events)


def _done(events: Sequence[Recorded]) -> list[Write]:
    done = [NewEvent(OrderCompleted(order_id=ORDER), NOON, ORDER, one.id, "test") for one in events]
    return [Write(f"done-{uuid4()}", 0, done)]


def outcome(store: EventStore) -> tuple[set[str], Counter[str]]:
    """The ids of all events to be handled, and how often each was."""
    wanted, found = set[str](), Counter[str]()
    for one in store.read_after(0, limit=1_000_000):
        if isinstance(one.event, OrderAccepted):
            wanted.add(one.id)
        else:
            found[one.causation_id] += 1
    return wanted, found


def assert_each_once(store: EventStore) -> None:
    wanted, found = outcome(store)
    assert set(found) == wanted, f"{len(wanted - set(found))} of {len(wanted)} were not handled"
    assert set(found.values()) <= {1}


def until(condition: Callable[[], object], timeout_s: float = 30.0, what: str = "it") -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {timeout_s} s"
        time.sleep(0.01)


class Heard(GroupHooks):
    """What a group told its operator."""

    def __init__(self) -> None:
        self.troubles: list[str] = []
        self.remade_because: list[str] = []
        self.messages = 0
        self.illegible = 0

    def trouble(self, words: str) -> None:
        self.troubles.append(words)

    def remade(self, words: str) -> None:
        self.remade_because.append(words)

    def delivered(self, messages: int, illegible: int) -> None:
        self.messages += messages
        self.illegible += illegible


@dataclass
class Process:
    """A member of the group and its workers, as a service's process has them."""

    workers: Workers
    group: KafkaGroup
    heard: Heard

    def close(self) -> None:
        """May be called twice."""
        self.group.close()
        self.workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def process(
    settings: KafkaSettings, topic: str, store: EventStore, *, timing: GroupTiming = QUICK, **options: Any
) -> Process:
    workers, heard = Workers(store, **options), Heard()
    group = KafkaGroup(settings, group=f"{topic}.group", topic=topic, owner=workers, timing=timing, hooks=heard)
    group.start()
    return Process(workers, group, heard)


@contextmanager
def relaying(settings: KafkaSettings, topic: str, store: EventStore) -> Iterator[list[str]]:
    """A relay in a thread of its own; what went wrong with it meanwhile."""
    publisher = KafkaPublisher(settings)
    relay = Relay(store, publisher, [inbox(topic)])
    stopping, failures = threading.Event(), list[str]()

    def run() -> None:
        while not stopping.is_set():
            try:
                if not relay.step():
                    store.wait(relay.position, 0.05)
            except PublishFailed as failed:
                failures.append(str(failed))
                time.sleep(0.1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield failures
    finally:
        stopping.set()
        thread.join(20)
        publisher.close()
        assert not thread.is_alive()


def shares(*processes: Process) -> list[frozenset[int]]:
    return [one.group.slots for one in processes]


def is_shared(*processes: Process) -> bool:
    """Whether each slot is one process's, and none has more than its part."""
    slots = sorted(slot for one in shares(*processes) for slot in one)
    return slots == list(range(12)) and max(map(len, shares(*processes))) <= -(-12 // len(processes)) + 1


def grown(bootstrap: str, topic: str, partitions: int) -> None:
    """Give a topic more partitions."""

    async def grow() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        await admin.start()
        try:
            await admin.create_partitions({topic: NewPartitions(partitions)})
        finally:
            await admin.close()

    asyncio.run(grow())


async def _partitions(bootstrap: str, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
        return len(found["partitions"])
    finally:
        await admin.close()


def records_in(bootstrap: str, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
    """Everything in a topic, partition by partition, in order of offset."""

    async def read() -> list[ConsumerRecord[bytes, bytes]]:
        found: list[ConsumerRecord[bytes, bytes]] = []
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest") as consumer:
            partitions = [TopicPartition(topic, one) for one in range(await _partitions(bootstrap, topic))]
            consumer.assign(partitions)
            for partition, end in (await consumer.end_offsets(partitions)).items():
                while await consumer.position(partition) < end:
                    for some in (await consumer.getmany(partition, timeout_ms=1_000)).values():
                        found += some
        return sorted(found, key=lambda one: (one.partition, one.offset))

    return asyncio.run(read())


def produce(bootstrap: str, topic: str, records: Sequence[tuple[Headers, bytes]]) -> None:
    """As some stranger does, into partition 0."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for headers, value in records:
                await producer.send_and_wait(topic, value, key=b"", partition=0, headers=headers)

    asyncio.run(send())


def main() -> None:
    """A process with a member of the group, to be stopped and killed: BOOTSTRAP TOPIC, and the store's URL on stdin.

    It is slow, so that it always has something on its hands.
    """
    bootstrap, topic = sys.argv[1:]
    store = open_store(sys.stdin.readline().strip())
    one = process(KafkaSettings(bootstrap), topic, store, batch=5, pause_s=0.1)
    sys.stdin.read()  # until whoever started us lets go, or is gone
    one.close()


if __name__ == "__main__":
    main()
