"""What the page's figures are made of: amounts as text, and the columns of the chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projections.web.chart import MAX_COLUMNS, chart
from projections.web.summary import amount

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (1250, "GBP", "12.50"),
        (5, "GBP", "0.05"),
        (0, "GBP", "0.00"),
        (-5, "GBP", "-0.05"),
        (-1250, "GBP", "-12.50"),
        (500, "JPY", "500"),
        (1250, "KWD", "1.250"),
        (10**15, "GBP", "10000000000000.00"),
        (1250, "XXX", None),
        (1250, None, None),
    ],
)
def test_an_amount_is_exact_text_in_major_units(minor: int, currency: str | None, text: str | None) -> None:
    assert amount(minor, currency) == text


def order(at: datetime, captured: int = 100, currency: str = "GBP", refunded: int = 0) -> dict[str, Any]:
    return {"placed_at": at.isoformat(), "currency": currency, "captured_minor": captured, "refunded_minor": refunded}


def newest_first(*ages: timedelta) -> list[dict[str, Any]]:
    return [order(NOON - age) for age in ages]


def test_no_orders_are_no_chart() -> None:
    assert chart([]) == {
        "currency": None,
        "exponent": None,
        "width_s": 0,
        "at": [],
        "orders": [],
        "revenue_minor": [],
    }


def test_every_order_stands_in_one_column_and_no_time_is_left_out() -> None:
    ages = [timedelta(minutes=minutes) for minutes in (0, 1, 1, 90, 200)]
    drawn = chart(newest_first(*ages))
    assert drawn["width_s"] == 300
    assert sum(drawn["orders"]) == 5
    assert sum(drawn["revenue_minor"]) == 500
    assert drawn["at"] == list(range(drawn["at"][0], drawn["at"][-1] + 1, 300))
    assert drawn["at"][-1] <= NOON.timestamp() < drawn["at"][-1] + 300


@pytest.mark.parametrize(
    ("span", "width_s"),
    [(timedelta(0), 5), (timedelta(minutes=20), 30), (timedelta(hours=9), 900), (timedelta(days=10), 21_600)],
)
def test_the_columns_are_as_narrow_as_fits(span: timedelta, width_s: int) -> None:
    drawn = chart(newest_first(timedelta(0), span))
    assert drawn["width_s"] == width_s
    assert len(drawn["at"]) <= MAX_COLUMNS + 1


def test_what_lies_before_a_long_gap_is_not_drawn() -> None:
    """Today's orders beside an imported history of 2010."""
    old = [order(datetime(2010, 12, 1, 8, number, tzinfo=UTC)) for number in (9, 5, 1)]
    assert sum(chart([*newest_first(timedelta(0), timedelta(hours=1)), *old])["orders"]) == 2


def test_revenue_is_in_the_currency_of_most_and_less_what_was_refunded() -> None:
    rows = [order(NOON, 500, "JPY"), order(NOON, 100), order(NOON, 100, refunded=30)]
    drawn = chart(rows)
    assert (drawn["currency"], drawn["exponent"], drawn["orders"], drawn["revenue_minor"]) == ("GBP", 2, [3], [170])
