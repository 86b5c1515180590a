"""What `publish` returned from, a real broker has: in order, in its partition, through kills and pauses."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.local.servers import KafkaServer
from events.cloudevents import read_delivery
from events.kafka import KafkaPublisher, KafkaSettings, ensure_topics
from events.relay import Message, PublishFailed, Relay
from events.slots import Delivery
from events.store import EventStore, open_store
from tests.kafka_tools import append_orders, inbox, records_in, relaying, until

pytestmark = pytest.mark.cluster


@contextmanager
def publishing(bootstrap: str, topic: str, *, partitions: int = 12) -> Iterator[KafkaPublisher]:
    settings = KafkaSettings(bootstrap)
    ensure_topics(settings, [topic], partitions=partitions)
    publisher = KafkaPublisher(settings)
    try:
        yield publisher
    finally:
        publisher.close()


def log(count: int) -> EventStore:
    store = open_store("memory:")
    append_orders(store, 0, count)
    return store


def deliveries_in(bootstrap: str, topic: str) -> dict[int, list[Delivery]]:
    """By partition; without the marks, which come when they like."""
    found: dict[int, list[Delivery]] = defaultdict(list)
    for one in records_in(bootstrap, topic):
        delivery = read_delivery(one.headers, one.value)
        if delivery.recorded:
            found[one.partition].append(delivery)
    return found


def marks_in(bootstrap: str, topic: str) -> list[int]:
    found = [read_delivery(one.headers, one.value) for one in records_in(bootstrap, topic)]
    return [one.position for one in found if one.recorded is None]


@pytest.mark.parametrize("partitions", [1, 5, 12])
def test_a_slot_lies_in_its_partition_in_the_order_of_the_log(
    real_kafka: KafkaServer, topic_prefix: str, partitions: int
) -> None:
    topic, store = topic_prefix + "t", log(3_000)
    with publishing(real_kafka.bootstrap, topic, partitions=partitions) as publisher:
        relay = Relay(store, publisher, [inbox(topic)])
        while relay.step():
            pass
    found = deliveries_in(real_kafka.bootstrap, topic)
    assert sorted(one.position for some in found.values() for one in some) == list(range(1, 3_001))
    assert all(one.slot % partitions == partition for partition, some in found.items() for one in some)
    assert all(one.position < other.position for some in found.values() for one, other in pairwise(some))
    events = {one.position: one for one in store.read_after(0, limit=5_000)}
    assert all(one.recorded == events[one.position] for some in found.values() for one in some)


def test_a_broker_that_is_killed_again_and_again_loses_nothing(own_kafka: KafkaServer) -> None:
    store, topic = log(0), "t"
    ensure_topics(KafkaSettings(own_kafka.bootstrap), [topic])
    stopping = threading.Event()

    def load() -> None:
        number = 0
        while not stopping.wait(0.01):
            append_orders(store, number, 20)
            number += 20

    loading = threading.Thread(target=load)
    with relaying(KafkaSettings(own_kafka.bootstrap), topic, store) as failures:
        loading.start()
        for _ in range(3):
            time.sleep(0.5)
            own_kafka.kill()
            own_kafka.start()
        stopping.set()
        loading.join()
        until(lambda: store.tracked_position("relay") == store.last_position())
    assert failures
    found = deliveries_in(own_kafka.bootstrap, topic)
    arrived = {one.position for some in found.values() for one in some}
    assert arrived == set(range(1, store.last_position() + 1))
    for some in found.values():  # an event may come again, but never for the first time after a later one of its slot
        first = list(dict.fromkeys(one.position for one in some))
        assert first == sorted(first)


def test_a_broker_that_does_not_answer_fails_the_publish_in_time(own_kafka: KafkaServer) -> None:
    topic = "t"
    with publishing(own_kafka.bootstrap, topic) as publisher:
        publisher.publish([Message(topic, "", 0, 1, 0, None)])
        own_kafka.pause()
        began_s = time.monotonic()
        with pytest.raises(PublishFailed, match="answer"):
            publisher.publish([Message(topic, "", 0, 2, 1, None)])
        took_s = time.monotonic() - began_s
        assert took_s < KafkaPublisher.TIMEOUT_S + KafkaPublisher.EXPLAIN_S + 4
        own_kafka.resume()
        publisher.publish([Message(topic, "", 0, 3, 2, None)])
    positions = marks_in(own_kafka.bootstrap, topic)
    assert positions in ([1, 3], [1, 2, 3])


def test_a_producer_that_sends_no_more_is_made_anew(real_kafka: KafkaServer, topic_prefix: str) -> None:
    topic = topic_prefix + "t"
    with publishing(real_kafka.bootstrap, topic) as publisher:
        publisher.publish([Message(topic, "", 0, 1, 0, None)])
        assert publisher._line is not None
        assert publisher._line._producer is not None
        publisher._line._producer._sender.sender_task.cancel()  # as after a restart: it lives, and says nothing
        with pytest.raises(PublishFailed):
            publisher.publish([Message(topic, "", 0, 2, 1, None)])
        publisher.publish([Message(topic, "", 0, 3, 2, None)])
    assert marks_in(real_kafka.bootstrap, topic) == [1, 3]


def test_what_a_broker_refuses_for_its_size_is_said(tmp_path: Path) -> None:
    with (
        KafkaServer(tmp_path, tied=True, options={"message.max.bytes": 500}) as server,
        publishing(server.bootstrap, "t", partitions=1) as publisher,
        pytest.raises(PublishFailed, match="larger than the broker"),
    ):
        Relay(log(100), publisher, [inbox("t")]).step()


def test_a_topic_that_is_missing_is_said(real_kafka: KafkaServer, topic_prefix: str) -> None:
    publisher = KafkaPublisher(KafkaSettings(real_kafka.bootstrap), timeout_s=2.0)
    with pytest.raises(PublishFailed, match="does not have this topic"):
        publisher.publish([Message(topic_prefix + "nowhere", "", 0, 1, 0, None)])
    publisher.close()
