"""Kafka: how events travel. The only package that knows aiokafka; it asks nothing of the log and decides nothing.

Offsets are advice here. Exactly-once is kept by positions in the log: events/slots.py.
"""

from events.kafka.errors import KafkaRefused, KafkaTrouble, KafkaUnavailable
from events.kafka.group import KafkaGroup
from events.kafka.inlet import Inlet
from events.kafka.publisher import KafkaPublisher
from events.kafka.settings import GroupHooks, GroupTiming, KafkaSettings
from events.kafka.topics import ensure_topics

__all__ = [
    "GroupHooks",
    "GroupTiming",
    "Inlet",
    "KafkaGroup",
    "KafkaPublisher",
    "KafkaRefused",
    "KafkaSettings",
    "KafkaTrouble",
    "KafkaUnavailable",
    "ensure_topics",
]
