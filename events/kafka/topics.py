"""Topics: made where they are missing, and looked at where they are there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from events.kafka.errors import FAULTS, KafkaRefused, KafkaTrouble, KafkaUnavailable, explain
from events.kafka.settings import KafkaSettings
from events.slots import SLOTS

# Creating a dozen topics takes a real broker under a second.
ANSWER_S = 10.0
_PAUSE_S = 0.5


def ensure_topics(
    settings: KafkaSettings,
    topics: Iterable[str],
    *,
    partitions: int = SLOTS,
    replication: int = 1,
    patience_s: float = 0.0,
    config: Mapping[str, str] | None = None,
) -> list[str]:
    """Create those that are missing. Several processes may do so at once; topics that are there are left as they are.

    `config` are Kafka's own settings of a topic, for those that are made. Returns in words what differs from what was
    asked for, and works all the same. Waits `patience_s` for a broker that is away.

    Raises KafkaUnavailable, KafkaRefused.
    """
    wanted = sorted(set(topics))
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return asyncio.run(_ensure(settings, wanted, partitions, replication, config or {}))
        except KafkaUnavailable:
            if time.monotonic() + _PAUSE_S >= deadline:
                raise
            time.sleep(_PAUSE_S)


async def _ensure(
    settings: KafkaSettings, wanted: list[str], partitions: int, replication: int, config: Mapping[str, str]
) -> list[str]:
    admin = AIOKafkaAdminClient(**settings.options(ANSWER_S))
    try:
        async with asyncio.timeout(ANSWER_S):
            await admin.start()
            there = await _partitions(admin, wanted)
            missing = [topic for topic in wanted if topic not in there]
            if missing:
                new = [NewTopic(topic, partitions, replication, topic_configs=dict(config)) for topic in missing]
                await _create(admin, new)
        return _remarks(there, partitions)
    except FAULTS as error:
        raise await explain(error, "topics", settings) from error
    finally:
        await admin.close()


async def _partitions(admin: AIOKafkaAdminClient, wanted: list[str]) -> dict[str, int]:
    # All topics are listed: asking for one by its name may create it, with however many partitions a broker likes.
    found = await admin.describe_topics()
    return {one["topic"]: len(one["partitions"]) for one in found if one["topic"] in wanted}


async def _create(admin: AIOKafkaAdminClient, missing: list[NewTopic]) -> None:
    answer = await admin.create_topics(missing)
    for topic, code, *message in answer.topic_errors:
        error = kafka.for_code(code)
        if error not in {kafka.NoError, kafka.TopicAlreadyExistsError}:
            raise _refusal(topic, error, message[0] if message else "")
    for one in missing:
        await _until_known(admin, one.name)


async def _until_known(admin: AIOKafkaAdminClient, topic: str) -> None:
    """A topic that was just made is not known everywhere at once. Bounded by who calls."""
    while topic not in await _partitions(admin, [topic]):
        await asyncio.sleep(_PAUSE_S / 10)


def _refusal(topic: str, error: type[Exception], message: str | None) -> KafkaTrouble:
    said = message or getattr(error, "description", "") or error.__name__
    return KafkaRefused(f"{topic}: the broker does not create this topic: {said}")


def _remarks(there: Mapping[str, int], partitions: int) -> list[str]:
    found = []
    for topic, count in sorted(there.items()):
        if count != partitions:
            effect = "work is shared all the same" if count > 1 else "only one process at a time can work on it"
            found.append(f"{topic} has {count} partitions, not {partitions}: {effect}")
    return found
