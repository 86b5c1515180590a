"""Twelve slots over partitions, partitions over the members of a group."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from aiokafka.cluster import ClusterMetadata
from hypothesis import given
from hypothesis import strategies as st

from events.kafka.assignor import Assignor
from events.kafka.sharing import Claim, partition_of, share, slots_of
from events.slots import SLOTS

NOTHING = Claim(0, frozenset())

MEMBERS = st.dictionaries(
    st.text("abc", min_size=1, max_size=3),
    st.builds(Claim, st.integers(0, 3), st.frozensets(st.integers(0, 30))),
    min_size=1,
    max_size=14,
)


def claims_of(shares: Mapping[str, list[int]]) -> dict[str, Claim]:
    return {member: Claim(1, frozenset(some)) for member, some in shares.items()}


# --- slots and partitions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partitions", [1, 2, 3, 5, 6, 12, 20])
def test_each_slot_is_carried_by_one_partition(partitions: int) -> None:
    carried = [slot for one in range(partitions) for slot in slots_of([one], partitions)]
    assert sorted(carried) == list(range(SLOTS))
    assert all(slot in slots_of([partition_of(slot, partitions)], partitions) for slot in range(SLOTS))


def test_partitions_beyond_the_twelfth_carry_nothing() -> None:
    assert slots_of(range(12, 20), 20) == frozenset()


# --- partitions and members ------------------------------------------------------------------------------------------


@given(st.integers(0, 30), MEMBERS)
def test_each_partition_has_one_member_and_shares_are_even(partitions: int, claims: dict[str, Claim]) -> None:
    shares = share(partitions, claims)
    assert sorted(one for some in shares.values() for one in some) == list(range(min(partitions, SLOTS)))
    assert shares.keys() == claims.keys()
    sizes = [len(some) for some in shares.values()]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(1, 12), st.sets(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=12))
def test_nothing_moves_while_nobody_comes_or_goes(partitions: int, members: set[str]) -> None:
    before = share(partitions, dict.fromkeys(members, NOTHING))
    assert share(partitions, claims_of(before)) == before


@given(st.sets(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=12))
def test_who_comes_takes_no_more_than_its_share(members: set[str]) -> None:
    *old, new = sorted(members)
    before = share(12, dict.fromkeys(old, NOTHING))
    after = share(12, claims_of(before) | {new: NOTHING})
    moved = sum(len(set(before[member]) - set(after[member])) for member in old)
    assert moved == len(after[new])


@given(st.sets(st.text("abc", min_size=1, max_size=3), min_size=2, max_size=12))
def test_who_leaves_leaves_the_others_what_they_have(members: set[str]) -> None:
    before = share(12, dict.fromkeys(members, NOTHING))
    gone = min(members)
    after = share(12, {member: claim for member, claim in claims_of(before).items() if member != gone})
    assert all(set(before[member]) <= set(after[member]) for member in after)


def test_of_two_who_claim_the_same_the_later_one_had_it() -> None:
    zombie, owner = Claim(3, frozenset({0, 1})), Claim(4, frozenset({0, 1}))
    assert share(4, {"a": zombie, "b": owner}) == {"a": [2, 3], "b": [0, 1]}


# --- as aiokafka calls it --------------------------------------------------------------------------------------------


class Topic(ClusterMetadata):  # type: ignore[misc]
    """A cluster with one topic."""

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(4))


def test_members_tell_each_other_what_they_have() -> None:
    one, two = Assignor(), Assignor()
    for leader in (one, two, one):
        found = leader.assign(Topic(), {"1": one.metadata(["t"]), "2": two.metadata(["t"])})
        one.on_assignment(found["1"])
        two.on_assignment(found["2"])
        assert [sorted(some.claim.partitions) for some in (one, two)] == [[0, 1], [2, 3]]
    assert one.claim.generation == two.claim.generation == 3


def test_a_member_of_another_make_is_given_its_share() -> None:
    ours, theirs = Assignor().metadata(["t"]), Assignor().metadata(["t"])
    theirs.user_data = b"\x00\x01"
    found = Assignor().assign(Topic(), {"1": ours, "2": theirs})
    assert {len(one.partitions()) for one in found.values()} == {2}
