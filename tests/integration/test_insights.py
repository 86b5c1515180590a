"""Insights of a home: over HTTP, on the command line, and the hold that they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from events.order import OrderHeld
from events.store import utc_now
from services.gateway.insights_api import Insights
from services.outlook import insights_of
from services.runtime.settings import Settings
from services.wiring import open_home, open_reads
from tests.examples import HOLDER
from tests.insights import append, order
from tests.shop_server import SECRETS, ShopServer, shop_server


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    with shop_server(tmp_path_factory.mktemp("shop") / "home") as running:
        running.receive("opening stock", quantity=100)
        yield running


def test_what_goes_on_is_told_over_http_without_personal_data(shop: ShopServer) -> None:
    # given an article of which 12 units an hour are ordered, and a buyer with two orders
    done = [shop.place(f"insights-{number}") for number in range(2)]
    for order_id in done:
        shop.order_in(order_id, "completed")
    # when somebody asks
    answer = shop.get("/insights")
    # then it is as described, and says so
    assert answer.status_code == 200
    found = Insights.model_validate_json(answer.text)
    hour = found.clocks["wall"].hours[-1]
    assert hour.orders == {"web": 2}
    assert hour.revenue_minor == {"web": {"GBP": 2 * 18_80}}
    assert hour.placed_to_shipped.orders == 2
    assert [(one.sku, one.units_per_hour) for one in found.clocks["wall"].velocity] == [(HOLDER, 12)]
    [alert] = found.alerts
    assert (alert.kind, alert.available, alert.hours) == ("sells_out", 88, 7.33)  # type: ignore[union-attr]
    assert not any(secret in answer.text for secret in (*SECRETS, "17850"))


def test_what_came_since_is_told_the_next_time(shop: ShopServer) -> None:
    before = shop.get("/insights").json()["position"]
    shop.place("insights-later")
    assert shop.get("/insights").json()["position"] > before


def test_a_home_that_nobody_works_on_is_counted_as_well(tmp_path: Path) -> None:
    with open_home(tmp_path) as house:
        append(house.store, [(order(1), utc_now())])
        house.catch_up()
    with open_reads(tmp_path) as reads:
        found = insights_of(reads.store, reads.views, Settings())
    assert found is not None
    assert found["clocks"]["wall"]["hours"][-1]["orders"] == {"web": 1}


@pytest.mark.parametrize(("hold", "held"), [(True, 2), (False, 0)])
def test_too_many_orders_of_a_buyer_are_held_where_that_is_wanted(tmp_path: Path, hold: bool, held: int) -> None:
    settings = Settings(insights_hold=hold, insights_many_orders=3)
    with open_home(tmp_path, settings) as house:
        append(house.store, [(order(number, customer="C-1"), utc_now()) for number in range(5)])
        house.catch_up()
        events = house.store.read_after(0, limit=1_000)
        found = insights_of(house.store, house.views, settings)
    assert sum(isinstance(one.event, OrderHeld) and one.actor == "insights" for one in events) == held
    assert found is not None
    assert [(one["by"], one["in_excess"]) for one in found["alerts"]] == [("customer", 2)]
