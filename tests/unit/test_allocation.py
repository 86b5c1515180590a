"""Goods are taken from as few locations as possible, then from where most is left, and the same way in every replay."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import Postings, Quantities
from services.inventory.allocation import allocate, available, shortage
from services.inventory.state import Bin, Bins

A, B = "A", "B"


def stock(**by_sku: dict[str, int]) -> dict[str, Bins]:
    """Units on hand by SKU and location."""
    return {sku: {place: Bin(on_hand=units) for place, units in bins.items()} for sku, bins in by_sku.items()}


def test_one_location_that_has_everything_sends_everything() -> None:
    bins = stock(A={"LDN": 10, "MAN": 3}, B={"LDN": 4, "MAN": 50})
    assert allocate({A: 6, B: 4}, bins) == {A: {"LDN": 6}, B: {"LDN": 4}}


def test_of_two_that_have_everything_the_fuller_one_sends() -> None:
    assert allocate({A: 2}, stock(A={"LDN": 5, "MAN": 9})) == {A: {"MAN": 2}}


def test_of_two_that_are_equally_full_the_name_decides() -> None:
    assert allocate({A: 2}, stock(A={"MAN": 5, "LDN": 5})) == {A: {"LDN": 2}}


def test_one_location_that_has_just_enough_goes_before_two_that_have_plenty() -> None:
    bins = stock(A={"LDN": 2, "MAN": 90}, B={"LDN": 1, "LBA": 90})
    assert allocate({A: 2, B: 1}, bins) == {A: {"LDN": 2}, B: {"LDN": 1}}


def test_two_locations_together_send_what_neither_has_alone() -> None:
    bins = stock(A={"LDN": 4, "MAN": 2}, B={"MAN": 2})
    assert allocate({A: 6, B: 2}, bins) == {A: {"LDN": 4, "MAN": 2}, B: {"MAN": 2}}


def test_a_line_that_must_be_split_is_taken_from_the_fuller_bin_first() -> None:
    assert allocate({A: 8}, stock(A={"LDN": 3, "MAN": 6, "LBA": 2})) == {A: {"MAN": 6, "LDN": 2}}


def test_what_is_promised_or_reserved_is_not_there() -> None:
    bins = {A: {"LDN": Bin(on_hand=9, allocated=4, reserved=3), "MAN": Bin(on_hand=2, incoming=50)}}
    assert available([A], bins) == {A: 4}
    assert shortage({A: 4}, bins) == {}
    assert shortage({A: 7}, bins) == {A: 3}
    assert allocate({A: 3}, bins) == {A: {"LDN": 2, "MAN": 1}}


def test_what_is_missing_is_counted_over_all_locations() -> None:
    bins = stock(A={"LDN": 4, "MAN": 2}, B={"MAN": 2})
    assert shortage({A: 7, B: 2}, bins) == {A: 1}
    assert shortage({A: 6, B: 9}, bins) == {B: 7}


def test_nothing_is_taken_for_nothing() -> None:
    assert allocate({}, {}) == {}


def test_many_locations_are_taken_largest_first() -> None:
    bins = stock(A={f"L{number}": number for number in range(1, 13)})
    assert allocate({A: 30}, bins) == {A: {"L12": 12, "L11": 11, "L10": 7}}


def test_the_choice_does_not_depend_on_the_order_in_which_locations_became_known() -> None:
    places = {"LDN": 4, "MAN": 4, "LBA": 4}
    answers = {
        tuple(sorted(allocate({A: 6}, stock(A=dict(order)))[A].items())) for order in permutations(places.items())
    }
    assert len(answers) == 1


def test_calling_it_although_something_is_short_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        allocate({A: 7}, stock(A={"LDN": 3, "MAN": 3}))


PLACES = ["LDN", "MAN", "LBA", "GLA"]
COUNTS = st.dictionaries(st.sampled_from(PLACES), st.integers(0, 6), max_size=4)


@given(wanted=st.dictionaries(st.sampled_from("ABC"), st.integers(1, 8), min_size=1), data=st.data())
def test_every_line_is_taken_in_full_from_what_is_there_and_from_no_more_places_than_needed(
    wanted: Quantities, data: st.DataObject
) -> None:
    bins = stock(**{sku: data.draw(COUNTS) for sku in wanted})
    if shortage(wanted, bins):
        return
    taken = allocate(wanted, bins)
    assert {sku: sum(by_place.values()) for sku, by_place in taken.items()} == wanted
    for sku, by_place in taken.items():
        for place, units in by_place.items():
            assert 0 < units <= bins[sku][place].on_hand
    assert len(_used(taken)) <= _fewest(wanted, bins)


def _used(taken: Postings) -> set[str]:
    return {place for by_place in taken.values() for place in by_place}


def _fewest(wanted: Quantities, bins: dict[str, Bins]) -> int:
    """The slow way: try every choice of places."""
    for size in range(1, len(PLACES) + 1):
        for chosen in combinations(PLACES, size):
            here = {sku: {place: one for place, one in bins[sku].items() if place in chosen} for sku in wanted}
            if not shortage(wanted, here):
                return size
    raise AssertionError("nothing was short")
