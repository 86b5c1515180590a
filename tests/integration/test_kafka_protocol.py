"""Kafka's protocol against librdkafka's mock cluster: PyPI alone, no durability, one member per group.

What needs a real broker is in tests/cluster.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

from events.base import Recorded
from events.cloudevents import read_delivery
from events.kafka import KafkaPublisher, KafkaSettings
from events.relay import Message, PublishFailed
from events.store import open_store
from tests.kafka_tools import append_orders, assert_each_once, outcome, process, relaying, until

TOPIC = "inbox"
PARTITIONS = 4
"""What the mock cluster gives each topic."""


@pytest.fixture
def broker() -> Iterator[str]:
    """The address of a mock cluster of one broker."""
    owner = Producer({"bootstrap.servers": "127.0.0.1:1", "test.mock.num.brokers": 1, "log_level": 0})
    [one] = owner.list_topics(timeout=10).brokers.values()
    owner.list_topics(TOPIC, timeout=10)  # asking for it makes it
    yield f"{one.host}:{one.port}"
    del owner


def test_each_event_is_published_and_handled_once(broker: str) -> None:
    store, settings = open_store("memory:"), KafkaSettings(broker)
    with process(settings, TOPIC, store) as one, relaying(settings, TOPIC, store) as failures:
        until(lambda: one.group.trouble is None)
        assert one.group.slots == frozenset(range(12))
        append_orders(store, 0, 2_000)
        until(lambda: outcome(store)[1].total() == 2_000)
        assert failures == one.heard.troubles == []
        until(lambda: one.heard.messages >= 2_000)
        began_s = time.monotonic()
        one.close()
        assert time.monotonic() - began_s < 3.0
    assert one.workers.moves[-1] == ("revoked", frozenset(range(12)))
    assert_each_once(store)


def test_another_library_reads_ours(broker: str) -> None:
    store, settings = open_store("memory:"), KafkaSettings(broker)
    append_orders(store, 0, 100)
    with relaying(settings, TOPIC, store):
        until(lambda: store.tracked_position("relay") == 100)
    consumer = Consumer({"bootstrap.servers": broker, "group.id": "theirs"})
    consumer.assign([TopicPartition(TOPIC, one, OFFSET_BEGINNING) for one in range(PARTITIONS)])
    found: dict[int, Recorded] = {}
    while len(found) < 100:
        message = consumer.poll(10)
        assert message is not None
        assert message.error() is None
        headers: Any = message.headers()
        delivery = read_delivery(headers, message.value())
        if delivery.recorded:
            found[delivery.position] = delivery.recorded
            assert message.partition() == delivery.slot % PARTITIONS
            assert message.key() == delivery.recorded.stream.encode()
    consumer.close()
    assert [found[position] for position in sorted(found)] == store.read_after(0, limit=100)


def test_a_new_group_begins_with_the_log_not_with_the_topic(broker: str) -> None:
    store, settings = open_store("memory:"), KafkaSettings(broker)
    append_orders(store, 0, 500)
    with relaying(settings, TOPIC, store):
        until(lambda: store.tracked_position("relay") == 500)
        with process(settings, TOPIC, store) as one:
            until(lambda: outcome(store)[1].total() == 500)
            until(lambda: one.group.trouble is None)
            append_orders(store, 500, 100)
            until(lambda: outcome(store)[1].total() == 600)
            assert one.heard.messages < 300
    assert_each_once(store)


def test_nobody_at_home_is_said(free_port: int) -> None:
    settings = KafkaSettings(f"127.0.0.1:{free_port}")
    publisher = KafkaPublisher(settings)
    with pytest.raises(PublishFailed, match="nobody listens there"):
        publisher.publish([Message(TOPIC, "", 0, 1, 0, None)])
    publisher.close()
    with process(settings, TOPIC, open_store("memory:")) as one:
        until(lambda: "nobody listens there" in str(one.group.trouble))
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 3.0


def test_a_name_that_nobody_knows_is_said() -> None:
    publisher = KafkaPublisher(KafkaSettings("kafka.invalid:9092"), timeout_s=2.0)
    with pytest.raises(PublishFailed, match=r"nobody knows a machine of that name|does not answer"):
        publisher.publish([Message(TOPIC, "", 0, 1, 0, None)])
    publisher.close()
