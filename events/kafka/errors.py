"""What can be wrong with Kafka, in words for whoever operates it.

KafkaTrouble
├── KafkaUnavailable   it cannot be reached, or does not answer: worth another try
└── KafkaRefused       it answers, and says no (papers, rights, topics, sizes): needs a person
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING

from aiokafka import errors as kafka
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.protocol.metadata import MetadataRequest

if TYPE_CHECKING:
    from events.kafka.settings import KafkaSettings


class KafkaTrouble(Exception):
    """See the module's docstring."""


class KafkaUnavailable(KafkaTrouble):
    """It cannot be reached, or does not answer."""


class KafkaRefused(KafkaTrouble):
    """It answers, and says no."""


FAULTS = (kafka.KafkaError, OSError, TimeoutError)
"""What aiokafka raises when something is wrong outside of this process."""

# A knock at a door is answered in milliseconds, or not at all.
_KNOCK_S = 3.0

# What aiokafka raises, and what it means; the first that fits. `{}` is the topic or the group that it is about.
_ANSWERS: tuple[tuple[tuple[type[BaseException], ...], type[KafkaTrouble], str], ...] = (
    (
        (
            kafka.TopicAuthorizationFailedError,
            kafka.GroupAuthorizationFailedError,
            kafka.ClusterAuthorizationFailedError,
        ),
        KafkaRefused,
        "the broker gives us no right to {}",
    ),
    (
        (kafka.UnknownTopicOrPartitionError,),
        KafkaRefused,
        "{}: the broker does not have this topic; it has to be created first",
    ),
    (
        (kafka.MessageSizeTooLargeError, kafka.RecordTooLargeError, kafka.RecordListTooLargeError),
        KafkaRefused,
        "{}: a message is larger than the broker takes (its message.max.bytes)",
    ),
    (
        (kafka.InconsistentGroupProtocolError,),
        KafkaRefused,
        "{}: somebody else is in this group, who shares partitions in another way",
    ),
    ((TimeoutError,), KafkaUnavailable, "{}: the broker did not answer in time"),
)
# The same for a connection that is not made. `{}` is the address.
_AT_THE_DOOR: tuple[tuple[tuple[type[BaseException], ...], type[KafkaTrouble], str], ...] = (
    (
        (kafka.SaslAuthenticationFailed, kafka.AuthenticationFailedError),
        KafkaRefused,
        "Kafka at {} refuses the user name or the password",
    ),
    (
        (kafka.UnsupportedSaslMechanismError, kafka.IllegalSaslStateError),
        KafkaRefused,
        "Kafka at {} does not take our SASL mechanism at this door",
    ),
    ((ssl.SSLCertVerificationError,), KafkaRefused, "Kafka at {}: nobody we trust vouches for its certificate"),
    ((ssl.SSLError,), KafkaRefused, "Kafka at {} does not speak TLS at this door"),
    ((socket.gaierror,), KafkaUnavailable, "Kafka at {}: nobody knows a machine of that name"),
    ((ConnectionRefusedError,), KafkaUnavailable, "Kafka at {}: nobody listens there"),
    ((TimeoutError,), KafkaUnavailable, "Kafka at {} does not answer"),
    # Brokers hang up on who comes without TLS or SASL where they expect it, and say nothing.
    (
        (Exception,),
        KafkaUnavailable,
        "Kafka at {} hangs up; is it TLS or SASL that it expects at this door?",
    ),
)


def in_words(error: BaseException, what: str) -> KafkaTrouble:
    """`what` is the topic or group that it is about."""
    if isinstance(error, KafkaTrouble):
        return error
    for errors, kind, words in _ANSWERS:
        if isinstance(error, errors):
            return kind(words.format(what))
    return KafkaUnavailable(f"{what}: {error}" if str(error) else f"{what}: {type(error).__name__}")


async def explain(error: BaseException, what: str, settings: KafkaSettings) -> KafkaTrouble:
    """aiokafka only says that no broker could be reached; knock at each door to find out why."""
    if not isinstance(error, kafka.KafkaConnectionError | kafka.NodeNotReadyError | TimeoutError):
        return in_words(error, what)
    doors = [_knock(host, port, settings) for host, port, _ in collect_hosts(settings.bootstrap)]
    found = [one for one in await asyncio.gather(*doors) if one]
    refusals = [one for one in found if isinstance(one, KafkaRefused)]
    return next(iter([*refusals, *found]), None) or in_words(error, what)


async def _knock(host: str, port: int, settings: KafkaSettings) -> KafkaTrouble | None:
    try:
        async with asyncio.timeout(_KNOCK_S):
            connection = await create_conn(host, port, request_timeout_ms=_KNOCK_S * 1000, **settings.papers())
            try:
                # A door for SASL opens for everybody, and closes with the first question of one without papers.
                await connection.send(MetadataRequest([]))
            finally:
                connection.close()
    except FAULTS as error:
        kind, words = next((kind, words) for errors, kind, words in _AT_THE_DOOR if isinstance(error, errors))
        return kind(words.format(f"{host}:{port}"))
    return None
