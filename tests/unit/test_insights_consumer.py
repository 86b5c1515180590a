"""The consumer: takes what a broker brings, reads what it does not, and shows nothing that is half counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import Recorded
from events.leadership import SoleLeadership
from events.order import Hold, OrderHeld, order_stream
from events.payment import PaymentDeclined
from events.slots import SLOTS, Delivery, slot_of
from events.store import EventStore, open_store
from services.insights.board import MemoryBoard
from services.insights.consumer import InsightsConsumer, TablesUnavailable
from services.insights.fold import Rows
from services.insights.history import History
from services.insights.holds import Holder
from services.insights.insights import Insights, Limits
from services.insights.windows import to_ms
from services.order.commands import HoldOrder
from services.order.decider import DECIDER
from services.runtime.desk import Desk
from tests.examples import HOUR, NOON
from tests.insights import MINUTE, append, order, shipped

SOURCES = tuple(f"{name}/{slot:02}" for name in ("order", "payment") for slot in range(SLOTS))


def source_of(recorded: Recorded) -> str:
    return f"{recorded.type.partition('.')[0]}/{slot_of(recorded.stream):02}"


class Broker:
    """Tables in memory that outlive their consumer, and deliveries that a test gives."""

    def __init__(self) -> None:
        self.kept: Rows | None = {}
        self.trouble: str | None = None
        self.waiting: list[tuple[str, Delivery]] = []
        self.closed = 0

    def rows(self) -> Rows | None:
        return self.kept

    def deliveries(self) -> Sequence[tuple[str, Delivery]]:
        found, self.waiting = self.waiting, []
        return found

    def close(self) -> None:
        self.closed += 1


class Shop:
    """A log, a broker, a consumer, and clocks that only a test moves."""

    def __init__(self, many_orders: int = 20) -> None:
        self.store: EventStore = open_store("memory:")
        self.broker = Broker()
        self.board = MemoryBoard()
        self.now: datetime = NOON
        self.clock_s = 0.0
        self.reads = 0
        self.lead = SoleLeadership()
        self.holder = Holder(self.store, Desk(self.store, DECIDER), HoldOrder, lambda: self.now)
        self._limits = Limits(many_orders, 24.0)
        self.consumer = self.another()

    def another(self) -> InsightsConsumer:
        """A consumer, as after a restart."""
        return InsightsConsumer(
            self.lead,
            lambda: self.broker,
            self.insights,
            board=self.board,
            available=lambda _: {},
            hold=self.holder.ask,
            now=lambda: self.now,
            clock_s=lambda: self.clock_s,
        )

    def insights(self, rows: Rows) -> Insights:
        return Insights(self.store, rows, self._limits, sources=SOURCES, source_of=source_of)

    def seen(self) -> dict[str, Any]:
        """What the board shows when it is next due."""
        self.clock_s += 1.0
        self.consumer.step()
        found = self.board.seen()
        assert found is not None
        return dict(orjson.loads(found))

    def counted(self) -> dict[str, Any]:
        """The same, folded directly from the log."""
        insights = Insights(self.store, {}, self._limits)
        insights.catch_up()
        return dict(orjson.loads(orjson.dumps(insights.report(to_ms(self.now), lambda _: {}))))

    def deliver(self, *positions: int) -> None:
        """The messages of these positions, as a relay that has published everything before them would write them."""
        last: dict[str, int] = {}
        messages = {}
        for recorded in self.store.read_after(0, limit=1_000):
            source = source_of(recorded)
            slot = int(source[-2:])
            messages[recorded.position] = source, Delivery(slot, recorded.position, last.get(source, 0), recorded)
            last[source] = recorded.position
        self.broker.waiting += [messages[position] for position in positions]


@pytest.fixture
def shop() -> Shop:
    shop = Shop()
    shop.consumer.step()
    return shop


def orders(count: int, start: int = 0, **fields: Any) -> list[tuple[Any, datetime]]:
    return [(order(number, **fields), NOON - HOUR / 2 + number * MINUTE / 10) for number in range(start, start + count)]


def same_windows(found: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(found["clocks"] == other["clocks"])


# --- where events come from ------------------------------------------------------------------------------------------


def test_what_is_in_the_log_is_counted_when_it_begins() -> None:
    shop = Shop()
    append(shop.store, orders(5))
    shop.consumer.step()
    assert same_windows(shop.seen(), shop.counted())
    assert shop.seen()["position"] == 5


def test_what_is_delivered_is_counted(shop: Shop) -> None:
    append(shop.store, orders(5))
    shop.deliver(1, 2, 3, 4, 5)
    found = shop.seen()
    assert same_windows(found, shop.counted())
    assert sum(found["clocks"]["wall"]["hours"][-1]["orders"].values()) == 5


def test_what_is_delivered_again_changes_nothing(shop: Shop) -> None:
    append(shop.store, orders(5))
    shop.deliver(1, 2, 3, 4, 5)
    shop.seen()
    shop.deliver(1, 2, 3, 4, 5)
    assert same_windows(shop.seen(), shop.counted())


def test_what_is_missing_is_read_from_the_log(shop: Shop) -> None:
    # given events of one slot, of which the second never comes
    append(
        shop.store, [(order(1), NOON - HOUR), (shipped(order(1).order_id), NOON), (shipped(order(1).order_id), NOON)]
    )
    shop.deliver(1, 3)
    assert same_windows(shop.seen(), shop.counted())
    assert shop.seen()["position"] == 3


def test_a_broker_that_brings_nothing_is_not_waited_for(shop: Shop) -> None:
    append(shop.store, orders(5))
    shop.clock_s += InsightsConsumer.QUIET_S
    assert same_windows(shop.seen(), shop.counted())


def test_the_journey_of_an_order_that_was_placed_long_ago_is_looked_up(shop: Shop) -> None:
    # given an order that was placed before everything that is counted
    append(shop.store, [(order(1), NOON - 30 * HOUR)])
    shop.consumer = shop.another()
    append(shop.store, [(shipped(order(1).order_id), NOON)])
    shop.deliver(2)
    took = shop.seen()["clocks"]["wall"]["hours"][-1]["placed_to_shipped"]
    assert took["orders"] == 1
    assert took["p50_s"] == pytest.approx(30 * 3_600, rel=0.05)


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_whatever_a_broker_loses_doubles_and_delays_the_result_is_the_logs(data: st.DataObject) -> None:
    # given a log that grows while a broker brings what it likes, and a process that is killed now and then
    shop = Shop()
    number = 0
    for _ in range(data.draw(st.integers(1, 5))):
        fresh = orders(data.draw(st.integers(0, 4)), number)
        number += len(fresh)
        append(shop.store, fresh)
        if fresh:
            ids = [event.order_id for event, _ in fresh]
            append(shop.store, [(shipped(ids[0]), NOON), (PaymentDeclined(order_id=ids[-1], reason="no"), NOON)])
        head = shop.store.last_position()
        if head:
            shop.deliver(*data.draw(st.lists(st.integers(1, head), max_size=8)))
        if data.draw(st.booleans()):
            shop.consumer = shop.another()
        shop.consumer.step()
    # then, as soon as it was quiet for a moment, the board shows what the log says
    shop.clock_s += InsightsConsumer.QUIET_S
    assert same_windows(shop.seen(), shop.counted())


# --- what may go wrong -----------------------------------------------------------------------------------------------


def test_a_restart_goes_on_from_its_rows(shop: Shop) -> None:
    append(shop.store, orders(5))
    shop.deliver(1, 2, 3, 4, 5)
    before = shop.seen()
    shop.consumer = shop.another()
    shop.consumer.step()
    assert same_windows(shop.seen(), before)


def test_without_tables_it_begins_anew_from_the_log(shop: Shop) -> None:
    append(shop.store, orders(5))
    before = shop.seen()
    shop.broker.kept = {}
    shop.consumer = shop.another()
    shop.clock_s += InsightsConsumer.QUIET_S
    shop.consumer.step()
    assert same_windows(shop.seen(), shop.counted())
    assert before["position"] <= shop.seen()["position"]


def test_until_the_tables_are_there_it_is_not_ready_and_shows_nothing() -> None:
    shop = Shop()
    shop.broker.kept = None
    with pytest.raises(TablesUnavailable, match="being read"):
        shop.consumer.step()
    assert shop.board.seen() is None


def test_a_faust_that_does_not_get_its_tables_is_made_anew() -> None:
    shop = Shop()
    shop.broker.kept = None
    for _ in range(2):
        with pytest.raises(TablesUnavailable):
            shop.consumer.step()
        shop.clock_s += InsightsConsumer.PATIENCE_S
    assert shop.broker.closed == 1


def test_a_faust_that_has_ended_is_made_anew(shop: Shop) -> None:
    append(shop.store, orders(5))
    shop.broker.trouble = "Faust has ended: the broker has gone"
    with pytest.raises(TablesUnavailable, match="the broker has gone"):
        shop.consumer.step()
    shop.broker.trouble = None
    shop.consumer.step()
    assert same_windows(shop.seen(), shop.counted())


def test_who_does_not_lead_stands_by(shop: Shop) -> None:
    shop.lead.close()
    shop.consumer.step()
    assert shop.broker.closed == 1
    assert not shop.consumer.consumers


def test_a_long_log_is_counted_in_pieces_and_shown_when_it_is_whole(monkeypatch: Any) -> None:
    monkeypatch.setattr(Insights, "READ_EVENTS", 4)
    shop = Shop()
    append(shop.store, orders(10))
    shown = []
    for _ in range(3):
        shop.consumer.step()
        shown.append(shop.board.seen() is not None)
    assert shown == [False, False, True]
    assert same_windows(shop.seen(), shop.counted())


# --- the log's last hours --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_the_log_is_read_from_where_its_last_hours_begin(count: int) -> None:
    # a log in memory takes everything in at the time of the test: all of it is of the last hour
    store = open_store("memory:")
    append(store, orders(count))
    assert History(store).begin(1) == 0


def test_what_is_older_is_not_read(shop: Shop) -> None:
    append(shop.store, orders(9))
    history = History(_Aged(shop.store))  # type: ignore[arg-type]
    assert history.begin(2.5) == 6  # 7, 8 and 9 are of the last two and a half hours, and some minutes


class _Aged:
    """A log of which each event was taken in an hour after the one before."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.last_position = store.last_position

    def read_after(self, position: int, **options: Any) -> list[Recorded]:
        found = self._store.read_after(position, **options)
        return [one._replace(recorded_at=NOON + one.position * HOUR) for one in found]


# --- holds -----------------------------------------------------------------------------------------------------------


def holds(store: EventStore) -> Iterator[Recorded]:
    for recorded in store.read_after(0, limit=1_000):
        if isinstance(recorded.event, OrderHeld) and recorded.event.hold is Hold.MANUAL:
            yield recorded


def test_orders_beyond_the_limit_are_held_once() -> None:
    # given a customer with five orders in a few minutes, of whom three are allowed
    shop = Shop(many_orders=3)
    append(shop.store, orders(5, customer="C-1"))
    shop.consumer.step()
    # when everything comes again, and the process is started again
    shop.deliver(1, 2, 3, 4, 5)
    shop.consumer.step()
    shop.consumer = shop.another()
    shop.consumer.step()
    # then the two that are too many are held, once each
    assert sorted(one.stream for one in holds(shop.store)) == sorted(
        order_stream(order(number).order_id) for number in (3, 4)
    )
    [alert] = shop.seen()["alerts"]
    assert (alert["kind"], alert["orders"], alert["in_excess"]) == ("many_orders", 5, 2)


def test_no_personal_data_is_in_rows_or_on_the_board() -> None:
    shop = Shop(many_orders=1)
    append(shop.store, orders(5, customer="C-4711"))
    shop.consumer.step()
    everything = f"{shop.broker.kept} {shop.seen()}"
    assert not any(word in everything for word in ("C-4711", "Example Street", "Zo", "SW1A"))
