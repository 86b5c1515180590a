"""Amounts are integers, and a line is rounded once, half up."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events import money
from events.money import line_total_minor, minor_exponent


@pytest.mark.parametrize(
    ("quantity", "unit_price", "exponent", "total"),
    [
        (6, "2.55", 2, 1530),
        (1, "0.005", 2, 1),
        (1, "0.0049", 2, 0),
        (3, "0.001", 2, 0),
        (5, "0.001", 2, 1),
        (7, "120", 0, 840),
        (1, "120.5", 0, 121),
        (2, "1.2345", 3, 2469),
        (1, "-0.5", 2, -50),
        (-1, "0.005", 2, -1),
        (10_000_000, "999999999999.999999", 2, 10**21 - 1000),
    ],
)
def test_a_line_is_rounded_once_half_up(quantity: int, unit_price: str, exponent: int, total: int) -> None:
    assert line_total_minor(quantity, unit_price, exponent) == total


@given(
    quantity=st.integers(-10_000_000, 10_000_000),
    unit_price=st.from_regex(r"-?[0-9]{1,12}(\.[0-9]{1,6})?", fullmatch=True),
    exponent=st.sampled_from([0, 2, 3]),
)
def test_it_agrees_with_decimal_arithmetic(quantity: int, unit_price: str, exponent: int) -> None:
    exact = Decimal(unit_price) * quantity
    expected = exact.scaleb(exponent).quantize(Decimal(1), rounding=ROUND_HALF_UP)
    assert line_total_minor(quantity, unit_price, exponent) == int(expected)


@pytest.mark.parametrize(("currency", "exponent"), [("GBP", 2), ("JPY", 0), ("KWD", 3), ("IQD", 3), ("EUR", 2)])
def test_the_minor_unit_of_a_currency(currency: str, exponent: int) -> None:
    assert minor_exponent(currency) == exponent


@pytest.mark.parametrize("currency", ["", "gbp", "XXX", "XTS", "ZZZ", "GB"])
def test_what_nobody_pays_in_is_no_currency(currency: str) -> None:
    assert minor_exponent(currency) is None


def test_every_currency_has_one_exponent() -> None:
    listed = (money._TWO_DECIMALS + " " + money._NO_DECIMALS + " " + money._THREE_DECIMALS).split()
    assert len(listed) == len(set(listed)) == 156
    assert all(len(code) == 3 and code.isupper() and minor_exponent(code) is not None for code in listed)
