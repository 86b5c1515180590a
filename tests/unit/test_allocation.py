"""Goods are taken from as few locations as possible, then from where most is left, and the same way in every replay."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import Quantities
from services.inventory.allocation import allocate, available, shortage

A, B = "A", "B"


def test_one_location_that_has_everything_sends_everything() -> None:
    stock = {"LDN": {A: 10, B: 4}, "MAN": {A: 3, B: 50}}
    assert allocate({A: 6, B: 4}, stock) == {"LDN": {A: 6, B: 4}}


def test_of_two_that_have_everything_the_fuller_one_sends() -> None:
    assert allocate({A: 2}, {"LDN": {A: 5}, "MAN": {A: 9}}) == {"MAN": {A: 2}}


def test_of_two_that_are_equally_full_the_name_decides() -> None:
    assert allocate({A: 2}, {"MAN": {A: 5}, "LDN": {A: 5}}) == {"LDN": {A: 2}}


def test_what_the_order_does_not_want_does_not_make_a_location_fuller() -> None:
    assert allocate({A: 2}, {"LDN": {A: 5}, "MAN": {A: 4, B: 99}}) == {"LDN": {A: 2}}


def test_one_location_that_has_just_enough_goes_before_two_that_have_plenty() -> None:
    stock = {"LDN": {A: 2, B: 1}, "MAN": {A: 90}, "LBA": {B: 90}}
    assert allocate({A: 2, B: 1}, stock) == {"LDN": {A: 2, B: 1}}


def test_two_locations_together_send_what_neither_has_alone() -> None:
    assert allocate({A: 6, B: 2}, {"LDN": {A: 4}, "MAN": {A: 2, B: 2}}) == {"LDN": {A: 4}, "MAN": {A: 2, B: 2}}


def test_a_line_that_must_be_split_is_taken_from_where_most_is_first() -> None:
    assert allocate({A: 8}, {"LDN": {A: 3}, "MAN": {A: 6}, "LBA": {A: 2}}) == {"MAN": {A: 6}, "LDN": {A: 2}}


def test_what_is_missing_is_counted_over_all_locations() -> None:
    stock = {"LDN": {A: 4}, "MAN": {A: 2, B: 2}}
    assert available([A, B, "C"], stock) == {A: 6, B: 2}
    assert shortage({A: 7, B: 2}, stock) == {A: 1}
    assert shortage({A: 6, B: 9}, stock) == {B: 7}
    assert shortage({A: 6, "C": 3}, stock) == {"C": 3}
    assert shortage({A: 6, B: 2}, stock) == {}


def test_nothing_is_taken_for_nothing() -> None:
    assert allocate({}, {}) == {}
    assert allocate({}, {"LDN": {A: 1}}) == {}


def test_many_locations_are_taken_largest_first() -> None:
    stock = {f"L{number}": {A: number} for number in range(1, 13)}
    assert allocate({A: 30}, stock) == {"L12": {A: 12}, "L11": {A: 11}, "L10": {A: 7}}


def test_the_choice_does_not_depend_on_the_order_in_which_locations_became_known() -> None:
    places = {"LDN": {A: 4}, "MAN": {A: 4}, "LBA": {A: 4}}
    answers = [allocate({A: 6}, dict(order)) for order in permutations(places.items())]
    assert all(answer == answers[0] for answer in answers)


def test_calling_it_although_something_is_short_is_our_own_mistake() -> None:
    with pytest.raises(AssertionError):
        allocate({A: 7}, {"LDN": {A: 3}, "MAN": {A: 3}})


PLACES = ["LDN", "MAN", "LBA", "GLA"]
STOCK = st.dictionaries(
    st.sampled_from(PLACES), st.dictionaries(st.sampled_from("ABC"), st.integers(0, 6), max_size=3), max_size=4
)


@given(wanted=st.dictionaries(st.sampled_from("ABC"), st.integers(1, 8), min_size=1), stock=STOCK)
def test_every_line_is_taken_in_full_from_what_is_there_and_from_no_more_places_than_needed(
    wanted: Quantities, stock: dict[str, Quantities]
) -> None:
    if shortage(wanted, stock):
        return
    taken = allocate(wanted, stock)
    assert {sku: sum(lines.get(sku, 0) for lines in taken.values()) for sku in wanted} == wanted
    for place, lines in taken.items():
        assert lines
        assert all(0 < units <= stock[place][sku] for sku, units in lines.items())
    assert len(taken) <= _fewest(wanted, stock)


def _fewest(wanted: Quantities, stock: dict[str, Quantities]) -> int:
    """The slow way: try every choice of places."""
    for size in range(1, len(PLACES) + 1):
        for chosen in combinations(PLACES, size):
            if not shortage(wanted, {place: lines for place, lines in stock.items() if place in chosen}):
                return size
    raise AssertionError("nothing was short")
