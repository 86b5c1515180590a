"""Which partition carries which slot, and which member of a group gets which partitions. Pure.

Twelve slots never change; partitions do. What lies in a partition from the time before their number was changed is
delivered to whoever has that partition now, who need not be the owner of the slot:

- The owner gets the slot's new messages from another partition. They say what came before them, so that it notices
  that something is missing, and reads it from the log. What comes late is passed over by its position.
- Whoever does not own the slot passes it over.
- Until all members have noticed the new number, a slot may have two owners, or none. With two, the store takes what one
  of them does and refuses the other. With none, it waits until they have (KafkaSettings.METADATA_MAX_AGE_S).

So nothing is lost and nothing is done twice; tests/cluster/test_kafka_layout.py does it on a real broker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from events.slots import SLOTS


def partition_of(slot: int, partitions: int) -> int:
    """Of a topic with so many partitions, the one that carries this slot. Those beyond the twelfth carry nothing."""
    return slot % partitions


def slots_of(mine: Iterable[int], partitions: int) -> frozenset[int]:
    """The slots that these partitions carry, of a topic that has so many."""
    mine = frozenset(mine)
    return frozenset(slot for slot in range(SLOTS) if partition_of(slot, partitions) in mine)


class Claim(NamedTuple):
    """What a member had until now, and when it was given to it: the later claim is the true one."""

    generation: int
    partitions: frozenset[int]


def share(partitions: int, claims: Mapping[str, Claim]) -> dict[str, list[int]]:
    """Every partition that carries a slot to one of the members; as even as can be, and with as few moves.

    A slot that moves costs its new owner the states that the old one had in memory: for the stock ledger all of it.
    """
    useful = range(min(partitions, SLOTS))
    shares = _kept(useful, claims)
    least, more = divmod(len(useful), len(claims))
    by_what_they_keep = sorted(shares, key=lambda member: (-len(shares[member]), member))
    limits = {member: least + (place < more) for place, member in enumerate(by_what_they_keep)}
    for member, limit in limits.items():
        del shares[member][limit:]
    kept = {partition for share in shares.values() for partition in share}
    free = [partition for partition in useful if partition not in kept]
    for member, limit in limits.items():
        wanted = limit - len(shares[member])
        shares[member] += free[:wanted]
        del free[:wanted]
    return {member: sorted(share) for member, share in shares.items()}


def _kept(useful: range, claims: Mapping[str, Claim]) -> dict[str, list[int]]:
    shares: dict[str, list[int]] = {member: [] for member in sorted(claims)}
    for partition in useful:
        claimants = [member for member, claim in claims.items() if partition in claim.partitions]
        if claimants:
            shares[min(claimants, key=lambda member: (-claims[member].generation, member))].append(partition)
    return shares
