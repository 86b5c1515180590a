"""`waybill audit replay` and the history behind `waybill order show --at`: the log as it is, and nobody is called."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest

from events.base import Contact, Recorded
from events.inventory import stock_stream
from events.order import OrderKey, order_stream
from events.payment import payment_stream
from events.store import EventStore, open_store
from projections.order_row import FOLDS, blank_order
from services.audit import replay as replay_module
from services.audit.order_history import order_history
from services.audit.replay import ReplayRefused, replay
from services.audit.verify import verify
from services.runtime.settings import Warehouse
from tests.examples import BELL, HOLDER, HOUR, LONDON, NOON, placed
from tests.trading_day import Shop, everything_happens, open_shop

ROOT = Path(__file__).resolve().parent.parent.parent
PERSONAL = ("Quine", "zoe@example.org", "7946 0018", "Example Street", "SW1A")


@pytest.fixture(scope="module")
def day() -> Iterator[tuple[Shop, dict[str, str]]]:
    with open_shop() as shop:
        yield shop, everything_happens(shop)


def _lines(store: EventStore, **wanted: Any) -> list[str]:
    lines: list[str] = []
    assert replay(store, write_line=lines.append, **wanted) == len(lines)
    return lines


# --- what is printed -----------------------------------------------------------------------------------------------


def test_one_line_for_each_event_in_order(day: tuple[Shop, dict[str, str]]) -> None:
    store = day[0].store
    lines = _lines(store)
    assert len(lines) == store.last_position()
    assert [int(line.split()[0]) for line in lines] == list(range(1, len(lines) + 1))
    assert not any("\n" in line for line in lines)


def test_a_line_of_text(day: tuple[Shop, dict[str, str]]) -> None:
    shop, orders = day
    [captured] = [one for one in shop.store.read_stream(payment_stream(orders["plain"])) if "captured" in one.type]
    [line] = _lines(shop.store, from_position=captured.position, to_position=captured.position)
    position, recorded_at, occurred_at, event_id, spelling, *facts = line.split()
    assert int(position) == captured.position
    assert datetime.fromisoformat(recorded_at) == captured.recorded_at
    assert datetime.fromisoformat(occurred_at) == captured.occurred_at == NOON
    assert (event_id, spelling) == (captured.id, "payment.captured.v1")
    assert "amount_minor=2558" in facts


def test_a_line_of_json_is_the_whole_event(day: tuple[Shop, dict[str, str]]) -> None:
    store = day[0].store
    log = store.read_after(0, limit=10_000)
    found = [json.loads(line) for line in _lines(store, json=True, personal_data=True)]
    assert [one["position"] for one in found] == [one.position for one in log]
    for line, recorded in zip(found, log, strict=True):
        assert type(recorded.event).model_validate_json(json.dumps(line["data"])) == recorded.event
        assert datetime.fromisoformat(line["recorded_at"]) == recorded.recorded_at
        envelope = ("id", "stream", "version", "type", "correlation_id", "causation_id", "actor", "clock")
        assert {name: line[name] for name in envelope} == {name: getattr(recorded, name) for name in envelope}


@pytest.mark.parametrize("as_json", [False, True])
def test_personal_data_is_sealed_unless_it_is_asked_for(day: tuple[Shop, dict[str, str]], as_json: bool) -> None:
    store = day[0].store
    assert any(isinstance(getattr(one.event, "contact", None), Contact) for one in store.read_after(0, limit=100))
    sealed = "\n".join(_lines(store, json=as_json))
    assert not [word for word in PERSONAL if word in sealed]
    assert "…" in sealed
    opened = "\n".join(_lines(store, json=as_json, personal_data=True))
    assert not [word for word in PERSONAL if word not in opened]


def test_from_and_to_are_included(day: tuple[Shop, dict[str, str]]) -> None:
    store = day[0].store
    everything = _lines(store)
    assert _lines(store, from_position=10, to_position=12) == everything[9:12]
    assert _lines(store, from_position=540) == everything[539:]
    assert _lines(store, to_position=3) == everything[:3]
    assert _lines(store, to_position=1_000_000) == everything
    assert _lines(store, from_position=1_000_000) == []


@pytest.mark.parametrize("long_stream", [10_000, 10])
def test_one_stream(day: tuple[Shop, dict[str, str]], monkeypatch: pytest.MonkeyPatch, long_stream: int) -> None:
    """A short one is read as it is, a long one out of the pages of the log: the lines are the same."""
    store = day[0].store
    monkeypatch.setattr(replay_module, "_LONG_STREAM", long_stream)
    ledger = [one.position for one in store.read_stream(stock_stream())]
    assert [int(line.split()[0]) for line in _lines(store, stream=stock_stream())] == ledger
    some = _lines(store, stream=stock_stream(), from_position=ledger[3], to_position=ledger[5])
    assert [int(line.split()[0]) for line in some] == ledger[3:6]


def test_refuses_an_unknown_stream_and_a_range_the_wrong_way_round(day: tuple[Shop, dict[str, str]]) -> None:
    store = day[0].store
    with pytest.raises(ReplayRefused, match="there is no stream 'order-x'"):
        _lines(store, stream="order-x")
    with pytest.raises(ReplayRefused, match="--to 2 comes before --from 3"):
        _lines(store, from_position=3, to_position=2)


def test_what_cannot_be_read_is_a_line_too(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_shop(f"sqlite:///{path}") as shop:
        shop.place(placed())
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stored_events SET topic = 'order.abducted.v1'")
    with closing(open_store(f"sqlite:///{path}")) as store:
        [text], [line] = _lines(store), _lines(store, json=True)
    assert "order.abducted.v1" in text
    assert "unreadable: " in text
    assert json.loads(line)["position"] == 1
    assert "no such event type" in json.loads(line)["unreadable"]
    assert "Quine" not in text + line


def test_ends_where_the_log_ended_when_it_began(tmp_path: Path) -> None:
    """While somebody writes: neither endless nor cut short."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_shop(url, warehouse=Warehouse.SANDBOX) as shop, closing(open_store(url)) as reader:
        shop.receive("delivery-1", {LONDON: {HOLDER: 100, BELL: 100}})
        end = shop.store.last_position()
        lines: list[str] = []

        def write_line(line: str) -> None:
            lines.append(line)
            shop.buy(f"during-{len(lines)}")

        replay(reader, write_line=write_line)
        assert len(lines) == end < shop.store.last_position()


# --- nobody is called ----------------------------------------------------------------------------------------------


class Untouchable:
    """Stands in for every provider and carrier: whoever is called, raises."""

    def __getattr__(self, name: str) -> NoReturn:
        raise AssertionError(f"somebody called {name}")


def test_looking_back_calls_no_provider_and_writes_nothing(tmp_path: Path) -> None:
    """Orders that wait for the provider's and the carrier's answer, and everything that reads them."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_shop(url) as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 100, BELL: 100}})
        in_doubt = shop.buy("in-doubt", token="tok_timeout_after_charge")
        to_be_labelled = shop.buy("to-be-labelled")
        shop.pack(to_be_labelled)
        before = shop.store.last_position(), shop.store.tracked_positions()
    untouchable: Any = Untouchable()
    with open_shop(url, provider=untouchable, carrier=untouchable) as shop:
        assert _lines(shop.store, json=True)
        assert order_history(shop.store, in_doubt)
        assert order_history(shop.store, to_be_labelled)
        assert verify(shop.store).ok
        assert (shop.store.last_position(), shop.store.tracked_positions()) == before
        # The proof that they would have been called: who works on, asks the provider what became of it.
        shop.wait(HOUR)
        assert shop.store.last_position() > before[0]


@pytest.mark.parametrize("module", ["replay", "order_history", "verify"])
def test_knows_nobody_who_could_be_called(module: str) -> None:
    """Not even indirectly: the auditor's modules load nothing of the services."""
    code = (
        f"import sys, services.audit.{module}\n"
        "print([name for name in sys.modules if name.startswith(('services.', 'projections'))"
        " and not name.startswith('services.audit')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- as it stood then ----------------------------------------------------------------------------------------------


def _concerning(log: list[Recorded], order_id: str) -> list[Recorded]:
    return [one for one in log if getattr(one.event, "order_id", None) == order_id]


def test_everything_that_concerns_an_order(day: tuple[Shop, dict[str, str]]) -> None:
    shop, orders = day
    log = shop.store.read_after(0, limit=10_000)
    for order_id in orders.values():
        assert order_history(shop.store, order_id) == _concerning(log, order_id)


def test_at_every_position(day: tuple[Shop, dict[str, str]]) -> None:
    shop, orders = day
    log = shop.store.read_after(0, limit=10_000)
    for name in ("backordered", "half-cancelled", "given-up"):
        concerning = _concerning(log, orders[name])
        for position in range(concerning[0].position - 1, concerning[-1].position + 1):
            found = order_history(shop.store, orders[name], position=position)
            assert found == [one for one in concerning if one.position <= position]


def test_at_a_time_means_what_was_recorded_by_then(tmp_path: Path) -> None:
    """The order below happened at noon of the shop's clock; the log took its steps in one after the other."""
    times = iter(NOON + timedelta(days=400, seconds=number) for number in range(10_000))
    store = open_store("memory:", now=lambda: next(times))
    with open_shop(store=store) as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 100, BELL: 100}})
        order_id = shop.buy("1")
        shop.send(order_id)
        everything = order_history(store, order_id)
        assert {one.occurred_at for one in everything} == {NOON}
        assert order_history(store, order_id, at=NOON + timedelta(days=1)) == []
        for moment in sorted({one.recorded_at for one in everything}):
            found = order_history(store, order_id, at=moment)
            assert found == [one for one in everything if one.recorded_at <= moment]
            # Without an offset it is UTC.
            assert order_history(store, order_id, at=moment.replace(tzinfo=None)) == found


def test_the_order_as_it_stood(day: tuple[Shop, dict[str, str]]) -> None:
    """Folded by the projection's own fold, the history up to a position is the row as it was then."""
    shop, orders = day
    order_id = orders["cancelled"]
    statuses: list[str | None] = []
    for recorded in order_history(shop.store, order_id):
        row = blank_order(order_id)
        for one in order_history(shop.store, order_id, position=recorded.position):
            FOLDS[type(one.event)](row, one.event)
        statuses.append(row["status"])
    assert list(dict.fromkeys(statuses)) == ["placed", "accepted", "confirmed", "cancelled"]


def test_an_order_that_never_was(day: tuple[Shop, dict[str, str]]) -> None:
    assert order_history(day[0].store, OrderKey("web", "never").order_id) == []
    assert order_stream("x") not in day[0].store.stream_versions([order_stream("x")])


def test_reads_little_of_a_long_ledger(tmp_path: Path) -> None:
    """The ledger is read from a request to its answer, not from its beginning to its end."""
    with open_shop(warehouse=Warehouse.SANDBOX) as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 10_000, BELL: 10_000}})
        ids = [shop.place(placed(OrderKey("web", str(number)))) for number in range(300)]
        shop.work()
        reader = Counting(shop.store)
        assert order_history(reader, ids[0]) == _concerning(shop.store.read_after(0, limit=100_000), ids[0])
        assert reader.events_read < shop.store.last_position() / 2


class Counting:
    """The store, and how many events were read from it."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.events_read = 0

    def read_after(
        self, position: int, *, limit: int, types: frozenset[str] | None = None, upto: int | None = None
    ) -> list[Recorded]:
        found = self._store.read_after(position, limit=limit, types=types, upto=upto)
        self.events_read += len(found)
        return found

    def read_streams(self, streams: Any) -> dict[str, list[Recorded]]:
        found = self._store.read_streams(streams)
        self.events_read += sum(map(len, found.values()))
        return found

    def last_position(self) -> int:
        return self._store.last_position()
