"""The role `insights` on real servers: what its board shows is what the log says, through kills and outages."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from deploy.local.role_process import RoleProcess
from deploy.local.servers import KafkaServer, PostgresServer, RedisServer
from events.kafka import KafkaPublisher, KafkaSettings, ensure_topics
from events.order import OrderHeld, OrderKey, order_stream
from events.payment import PaymentDeclined
from events.relay import Relay
from events.slots import Delivery
from events.store import EventStore, open_store, utc_now
from services.insights.app import CHANGELOG_CONFIG, SOURCES, FaustTables, Names, source_of
from services.insights.fold import Rows
from services.insights.insights import Insights, Limits
from services.insights.redis_board import RedisBoard
from services.insights.windows import to_ms
from services.routing import FACTS, TOPICS
from tests.insights import append, order, shipped

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

MANY = 5


class Cluster:
    """A log, a relay of the test's own, and the role as a process."""

    def __init__(self, kafka: KafkaServer, postgres: PostgresServer, redis: RedisServer, folder: Path) -> None:
        self.store: EventStore = open_store(postgres.url)
        self.board = RedisBoard(redis.url)
        settings = KafkaSettings(kafka.bootstrap)
        ensure_topics(settings, TOPICS)
        self.publisher = KafkaPublisher(settings)
        self.relay = Relay(self.store, self.publisher, FACTS)
        self.role = RoleProcess(folder, "insights", tied=True)
        self.role.configure(
            {
                "WAYBILL_STORE_URL": postgres.url,
                "WAYBILL_REDIS_URL": redis.url,
                "WAYBILL_KAFKA": kafka.bootstrap,
                "WAYBILL_INSIGHTS_MANY_ORDERS": str(MANY),
                "WAYBILL_INSIGHTS_HOLD": "true",
            }
        )

    def close(self) -> None:
        self.role.stop()
        self.publisher.close()
        self.board.close()
        self.store.close()

    def trade(self, start: int, count: int) -> None:
        """So many orders now, of which every second leaves and every fifth is declined; published."""
        placed = [order(number, channel=("web", "shop")[number % 2]) for number in range(start, start + count)]
        append(self.store, [(one, utc_now()) for one in placed])
        append(self.store, [(shipped(one.order_id), utc_now()) for one in placed[::2]])
        append(self.store, [(PaymentDeclined(order_id=one.order_id, reason="no"), utc_now()) for one in placed[::5]])
        self.publish()

    def publish(self) -> None:
        while self.relay.step():
            pass

    def seen(self) -> dict[str, Any]:
        """What the board shows once everything is counted."""
        head = self.store.last_position()
        found: dict[str, Any] = until(lambda: one if (one := self._document()) and one["position"] >= head else None)
        return found

    def _document(self) -> dict[str, Any] | None:
        document = self.board.seen()
        return None if document is None else dict(orjson.loads(document))

    def counted(self, as_of: str) -> dict[str, Any]:
        """The same, folded directly from the log."""
        insights = Insights(self.store, {}, Limits(MANY, 24.0))
        insights.catch_up()
        found = insights.report(to_ms(datetime.fromisoformat(as_of)), lambda _: {})
        return dict(orjson.loads(orjson.dumps(found)))


def until(found: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    deadline_s = time.monotonic() + timeout_s
    while (one := found()) is None:
        assert time.monotonic() < deadline_s, "it did not come in time"
        time.sleep(0.1)
    return one


@contextmanager
def _cluster(kafka: KafkaServer, postgres: PostgresServer, redis: RedisServer) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="waybill-insights-"))
    cluster = Cluster(kafka, postgres, redis, folder)
    try:
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder)


@pytest.fixture
def cluster(own_kafka: KafkaServer, own_postgres: PostgresServer, own_redis: RedisServer) -> Iterator[Cluster]:
    with _cluster(own_kafka, own_postgres, own_redis) as cluster:
        yield cluster


def orders_in(found: dict[str, Any]) -> int:
    return sum(sum(minute["orders"].values()) for minute in found["clocks"]["wall"]["minutes"])


def test_the_board_shows_what_the_log_says_through_kills_and_outages(
    cluster: Cluster, own_kafka: KafkaServer, own_redis: RedisServer
) -> None:
    # given some trade before the role begins, and some after
    cluster.trade(0, 20)
    cluster.role.start()
    cluster.trade(20, 30)
    found = cluster.seen()
    assert orders_in(found) == 50
    assert found["clocks"] == cluster.counted(found["as_of"])["clocks"]

    # when it is killed, and trade goes on without it
    cluster.role.kill()
    cluster.trade(50, 30)
    cluster.role.start()
    # then its tables and the log give the same again
    found = cluster.seen()
    assert orders_in(found) == 80
    assert found["clocks"] == cluster.counted(found["as_of"])["clocks"]

    # when the broker is away, the log is enough
    own_kafka.pause()
    append(cluster.store, [(order(number), utc_now()) for number in range(80, 90)])
    found = cluster.seen()
    assert orders_in(found) == 90
    own_kafka.resume()
    cluster.publish()

    # when Redis is flushed, the board comes back
    with Redis.from_url(own_redis.url) as client:
        client.flushall()
    cluster.trade(90, 10)
    found = cluster.seen()
    assert orders_in(found) == 100
    assert found["clocks"] == cluster.counted(found["as_of"])["clocks"]


def test_too_many_orders_are_held_once_though_the_process_is_killed(cluster: Cluster) -> None:
    cluster.role.start()
    # given a customer who orders two more than may be, and a kill as soon as something is held
    crowd = [order(number, customer="C-1") for number in range(MANY + 2)]
    append(cluster.store, [(one, utc_now()) for one in crowd])
    cluster.publish()
    until(lambda: held(cluster.store) or None)
    cluster.role.kill()
    # when it is started again, and finds them again
    cluster.role.start()
    cluster.trade(100, 1)
    [alert] = cluster.seen()["alerts"]
    assert (alert["by"], alert["orders"], alert["in_excess"]) == ("customer", MANY + 2, 2)
    # then both are held, once each, by it
    until(lambda: held(cluster.store) if len(held(cluster.store)) == 2 else None)
    time.sleep(2.0)
    assert held(cluster.store) == {order_stream(OrderKey("web", str(number)).order_id): 1 for number in (5, 6)}


# --- Faust alone -----------------------------------------------------------------------------------------------------


@contextmanager
def _tables(settings: KafkaSettings, names: Names) -> Iterator[tuple[FaustTables, Rows]]:
    tables = FaustTables(settings, ring=lambda: None, names=names)
    try:
        yield tables, until(tables.rows)
        assert tables.trouble is None
    finally:
        tables.close()


@pytest.mark.parametrize("partitions", [5, 12])
def test_events_come_through_faust_and_rows_come_back_from_its_changelog(
    real_kafka: KafkaServer, topic_prefix: str, partitions: int
) -> None:
    # given topics of any number of partitions, and a relay
    settings = KafkaSettings(real_kafka.bootstrap)
    names = Names(topic_prefix + "app", {"order": topic_prefix + "order", "payment": topic_prefix + "payment"})
    ensure_topics(settings, names.facts.values(), partitions=partitions)
    ensure_topics(settings, [names.changelog], config=CHANGELOG_CONFIG)
    store, publisher = open_store("memory:"), KafkaPublisher(settings)
    routes = [one._replace(topic=topic_prefix + name) for one in FACTS if (name := one.topic[8:]) in names.facts]
    relay = Relay(store, publisher, routes)
    # when events are published while Faust runs
    with _tables(settings, names) as (tables, rows):
        append(store, [(order(number), utc_now()) for number in range(40)])
        append(store, [(PaymentDeclined(order_id=order(1).order_id, reason="no"), utc_now())])
        relay.step()
        found: dict[int, tuple[str, Delivery]] = {}

        def all_of_them() -> bool | None:
            found.update(
                {one.position: (source, one) for source, one in tables.deliveries() if one.recorded is not None}
            )
            return len(found) == 41 or None

        until(all_of_them)
        # then they come, each in its slot, and rows are kept for the next process; what is removed is not
        for recorded in store.read_after(0, limit=50):
            source, delivery = found[recorded.position]
            assert (source, delivery.recorded) == (source_of(recorded), recorded)
        for source in SOURCES:
            rows[source] = {"p": 1}
            rows[source] = {"p": 2}
        rows["order/03|0|wall"] = {"p": 1}
        rows.pop("order/03|0|wall", None)
    with _tables(settings, names) as (_, again):
        assert dict(again) == {source: {"p": 2} for source in SOURCES}
    publisher.close()


def held(store: EventStore) -> dict[str, int]:
    """How often each order was held by insights."""
    found: dict[str, int] = {}
    for recorded in store.read_after(0, limit=1_000):
        if isinstance(recorded.event, OrderHeld) and recorded.actor == "insights":
            found[recorded.stream] = found.get(recorded.stream, 0) + 1
    return found
