"""What can be wrong with a broker from the start is said in words, and tried again until it is well."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from deploy.local.machine import Missing
from deploy.local.servers import KafkaServer
from events.kafka import KafkaPublisher, KafkaRefused, KafkaSettings, KafkaUnavailable, ensure_topics
from events.relay import Message, PublishFailed
from events.store import open_store
from tests.kafka_tools import process, until

pytestmark = pytest.mark.cluster

PASSWORD = SecretStr("correct horse")


@pytest.fixture(scope="module")
def guarded() -> Iterator[KafkaServer]:
    """A broker with a door that asks for a password."""
    with tempfile.TemporaryDirectory(prefix="waybill-kafka-") as folder:
        server = KafkaServer(Path(folder), tied=True, users={"waybill": PASSWORD.get_secret_value()})
        try:
            server.start()
        except Missing as missing:
            pytest.skip(str(missing))
        with server:
            yield server


def at_the_door(server: KafkaServer, password: SecretStr = PASSWORD) -> KafkaSettings:
    return KafkaSettings(server.sasl_bootstrap, "SASL_PLAINTEXT", user="waybill", password=password)


def test_a_password_opens_the_door(guarded: KafkaServer, topic_prefix: str) -> None:
    settings, topic = at_the_door(guarded), topic_prefix + "t"
    assert ensure_topics(settings, [topic]) == []
    publisher = KafkaPublisher(settings)
    publisher.publish([Message(topic, "", 0, 1, 0, None)])
    publisher.close()
    with process(settings, topic, open_store("memory:")) as one:
        until(lambda: one.group.trouble is None)


def test_a_wrong_password_is_said_everywhere_and_not_shown(guarded: KafkaServer) -> None:
    settings = at_the_door(guarded, SecretStr("battery staple"))
    with pytest.raises(KafkaRefused, match="refuses the user name or the password") as refused:
        ensure_topics(settings, ["t"])
    publisher = KafkaPublisher(settings)
    with pytest.raises(PublishFailed, match="refuses the user name or the password"):
        publisher.publish([Message("t", "", 0, 1, 0, None)])
    publisher.close()
    with process(settings, "t", open_store("memory:")) as one:
        until(lambda: "refuses the user name or the password" in str(one.group.trouble))
    assert "battery" not in f"{refused.value} {one.heard.troubles}"


def test_the_wrong_door_is_said(guarded: KafkaServer) -> None:
    scram = KafkaSettings(guarded.sasl_bootstrap, "SASL_PLAINTEXT", "SCRAM-SHA-256", "waybill", PASSWORD)
    with pytest.raises(KafkaRefused, match="does not take our SASL mechanism"):
        ensure_topics(scram, ["t"])
    with pytest.raises(KafkaUnavailable, match="TLS or SASL"):
        ensure_topics(KafkaSettings(guarded.sasl_bootstrap), ["t"])
    with pytest.raises((KafkaRefused, KafkaUnavailable), match="TLS"):
        ensure_topics(KafkaSettings(guarded.bootstrap, "SSL"), ["t"])


def test_topics_are_made_once_and_remarked_on(real_kafka: KafkaServer, topic_prefix: str) -> None:
    settings, topics = KafkaSettings(real_kafka.bootstrap), [topic_prefix + "a", topic_prefix + "b"]
    assert ensure_topics(settings, topics[:1], partitions=1) == []
    assert ensure_topics(settings, topics, partitions=6) == [
        f"{topics[0]} has 1 partitions, not 6: only one process at a time can work on it"
    ]
    assert ensure_topics(settings, topics, partitions=12) == [
        f"{topics[0]} has 1 partitions, not 12: only one process at a time can work on it",
        f"{topics[1]} has 6 partitions, not 12: work is shared all the same",
    ]


def test_what_a_broker_does_not_create_is_said(real_kafka: KafkaServer, topic_prefix: str) -> None:
    with pytest.raises(KafkaRefused, match="replication"):
        ensure_topics(KafkaSettings(real_kafka.bootstrap), [topic_prefix + "t"], replication=3)


def test_a_missing_topic_is_said_and_waited_for(real_kafka: KafkaServer, topic_prefix: str) -> None:
    settings, topic = KafkaSettings(real_kafka.bootstrap), topic_prefix + "t"
    with process(settings, topic, open_store("memory:")) as one:
        until(lambda: "does not have this topic" in str(one.group.trouble))
        ensure_topics(settings, [topic])
        until(lambda: one.group.trouble is None)


def test_a_broker_that_is_away_at_the_start_is_waited_for(own_kafka: KafkaServer) -> None:
    settings = KafkaSettings(own_kafka.bootstrap)
    ensure_topics(settings, ["t"])
    own_kafka.stop()
    with pytest.raises(KafkaUnavailable, match="nobody listens there"):
        ensure_topics(settings, ["t"])
    with process(settings, "t", open_store("memory:")) as one:
        until(lambda: "nobody listens there" in str(one.group.trouble))
        own_kafka.launch()
        assert ensure_topics(settings, ["t"], patience_s=30.0) == []
        until(lambda: one.group.trouble is None)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 3.0
