"""A home of one process moves into a cluster's database in the middle of its work: nothing is lost, nothing doubled."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.servers import PostgresServer
from events.feed import Feed
from events.order import order_stream
from events.recorders.postgres_restore import LogNotEmpty
from events.slots import SLOTS, SlotOfLog, slot_name
from events.store import open_store
from services.audit.verify import verify
from services.cluster.faults import RoleRefused
from services.cluster.migrate import migrate
from services.order import worker as order
from services.reads import consumer_lag
from services.routing import CONSUMES, INBOXES
from services.runtime.calls import CallLoop
from services.runtime.context import Context
from services.runtime.settings import Settings
from services.wiring import database, open_home
from tests import fakes
from tests.examples import KEY, ORDER, OTHER_ORDER, placed
from tests.fakes import Clock

pytestmark = pytest.mark.cluster


class Fed:
    """The same feed, whoever asks for one."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def __call__(self, _: object) -> Feed:
        return self._feed


def half_done(home: Path) -> None:
    """A home with one order that the order service has looked at, and one that it has not."""
    with open_home(home) as house:
        fakes.write(house.store, order_stream(ORDER), placed())
        house.engine.consumers[0].step()
        other = placed(type(KEY)(KEY.channel, "1002"))
        fakes.write(house.store, order_stream(OTHER_ORDER), other)


def test_a_home_moves_with_its_log_and_its_positions(tmp_path: Path, own_postgres: PostgresServer) -> None:
    half_done(tmp_path)
    moved = migrate(tmp_path, own_postgres.url)
    before, after = open_store(f"sqlite:///{database(tmp_path)}"), open_store(own_postgres.url)
    assert after.read_after(0, limit=1_000) == before.read_after(0, limit=1_000)
    assert moved.events == moved.last_position == after.last_position() > 2
    done = before.tracked_position("order")
    assert {after.tracked_position(slot_name("order", slot)) for slot in range(SLOTS)} == {done}
    assert after.tracked_position("relay") == moved.last_position
    assert consumer_lag(after)["order"] == consumer_lag(before)["order"] == 1
    after.close()
    before.close()


def test_slots_do_what_was_left_to_do_and_nothing_twice(tmp_path: Path, own_postgres: PostgresServer) -> None:
    half_done(tmp_path)
    migrate(tmp_path, own_postgres.url)
    store, loop = open_store(own_postgres.url), CallLoop()
    for slot in range(SLOTS):
        classes, key = CONSUMES["order"], INBOXES["order"].key
        feed = Fed(SlotOfLog(store, classes, slot, key))
        context = Context(store, Settings(), Clock(), loop, lambda: None, feed, slot)
        for worker in order.consumers(context):
            while worker.step():
                pass
    for one in (ORDER, OTHER_ORDER):
        assert fakes.types(store, order_stream(one))[:3] == [
            "order.placed",
            "order.accepted",
            "order.payment_requested",
        ]
    assert verify(store).ok
    loop.close()
    store.close()


def test_a_database_with_events_is_left_alone(tmp_path: Path, own_postgres: PostgresServer) -> None:
    half_done(tmp_path)
    migrate(tmp_path, own_postgres.url)
    with pytest.raises(LogNotEmpty, match="an empty one"):
        migrate(tmp_path, own_postgres.url)


def test_there_must_be_a_home(tmp_path: Path) -> None:
    with pytest.raises(RoleRefused, match="no event store"):
        migrate(tmp_path / "nowhere", "postgresql://127.0.0.1:1/none")
