"""Our way of sharing partitions, as aiokafka asks for it. Every member sends what it has; one of them shares."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment as Assignment
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata as Metadata

from events.kafka.sharing import Claim, share

_VERSION = 0
NOTHING = Claim(0, frozenset())


class Assignor:
    """One member's. aiokafka's own sticky assignor keeps what it has on its class, for all groups of a process."""

    name = "waybill"

    def __init__(self) -> None:
        self.claim = NOTHING

    def metadata(self, topics: Iterable[str]) -> Metadata:
        return Metadata(_VERSION, list(topics), _packed(self.claim))

    def on_assignment(self, assignment: Assignment) -> None:
        partitions = frozenset(one.partition for one in assignment.partitions())
        self.claim = Claim(_unpacked(assignment.user_data).generation, partitions)

    def assign(self, cluster: ClusterMetadata, members: Mapping[str, Metadata]) -> dict[str, Assignment]:
        """Called where we are the one who shares. A group has one topic."""
        [topic] = {topic for one in members.values() for topic in one.subscription}
        claims = {member: _unpacked(one.user_data) for member, one in members.items()}
        generation = Claim(1 + max(claim.generation for claim in claims.values()), frozenset())
        shares = share(len(cluster.partitions_for_topic(topic) or ()), claims)
        return {
            member: Assignment(_VERSION, [(topic, partitions)] if partitions else [], _packed(generation))
            for member, partitions in shares.items()
        }


def _packed(claim: Claim) -> bytes:
    return orjson.dumps([claim.generation, sorted(claim.partitions)])


def _unpacked(raw: bytes | None) -> Claim:
    """A member of another make has no claim that we can read."""
    try:
        generation, partitions = orjson.loads(raw or b"")
        return Claim(int(generation), frozenset(partitions))
    except (ValueError, TypeError):
        return NOTHING
