"""A topic gets more partitions while messages are under way: events/kafka/sharing.py says why nothing is lost."""

from __future__ import annotations

import pytest

from deploy.local.servers import KafkaServer
from events.kafka import KafkaSettings
from tests.cluster.test_kafka_group import shop
from tests.kafka_tools import grown, records_in, until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_topic_may_get_more_partitions_under_load(
    real_kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KafkaSettings, "METADATA_MAX_AGE_S", 1.0)
    topic = topic_prefix + "t"
    with shop(real_kafka.bootstrap, topic, partitions=2) as one:
        first, second = one.start(), one.start()
        until(lambda: [len(each.group.slots) for each in (first, second)] == [6, 6])
        for partitions in (3, 5, 12, 20):
            one.sell(500)
            grown(real_kafka.bootstrap, topic, partitions)
            one.sell(500)

            def is_noticed(partitions: int = partitions) -> bool:
                one.sell(5)
                used = {record.partition for record in records_in(real_kafka.bootstrap, topic)}
                slots = sorted(slot for each in (first, second) for slot in each.group.slots)
                return len(used) == min(partitions, 12) and slots == list(range(12))

            until(is_noticed, what="using all partitions")
    used = {record.partition for record in records_in(real_kafka.bootstrap, topic)}
    assert used == set(range(12)), "slots lay in old partitions and in new ones"
