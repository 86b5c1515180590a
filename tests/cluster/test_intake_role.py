"""`waybill run intake`, as a process: killed and started again, stopped in peace, and honest about its troubles."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from deploy.local.role_process import RoleProcess
from deploy.local.servers import KafkaServer
from events.cloudevents import Headers
from events.kafka import KafkaSettings, ensure_topics
from events.order import OrderPlaced
from events.store import open_store
from services.routing import INTAKE_TOPIC, REJECTED_TOPIC, TOPICS
from tests.intake import BINARY
from tests.kafka_tools import produce, records_in, until
from tests.shop_server import order_body

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


class Role:
    """The role in a process of its own, over a log in a file."""

    def __init__(self, folder: Path, kafka: KafkaServer) -> None:
        self.url = f"sqlite:///{folder}/log.db"
        self.kafka = kafka
        self.process = RoleProcess(folder / "intake", "intake", tied=True)
        self.process.configure(
            {
                "WAYBILL_HOME": str(folder / "home"),
                "WAYBILL_STORE_URL": self.url,
                "WAYBILL_REDIS_URL": "redis://127.0.0.1:1",  # which this role never asks
                "WAYBILL_KAFKA": kafka.bootstrap,
                "WAYBILL_LOG_LEVEL": "INFO",
            }
        )

    def send(self, first: int, count: int) -> None:
        orders = [json.dumps(order_body(str(number))).encode() for number in range(first, first + count)]
        headers: Headers = [(name, raw or b"") for name, raw in BINARY]
        produce(self.kafka.bootstrap, INTAKE_TOPIC, [(headers, one) for one in orders])

    def placed(self) -> Counter[str]:
        store = open_store(self.url)
        try:
            found = store.read_after(0, limit=100_000)
        finally:
            store.close()
        return Counter(one.event.number for one in found if isinstance(one.event, OrderPlaced))

    def has_taken_more_than(self, orders: int) -> bool:
        return self.placed().total() > orders

    def get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.process.port}{path}", timeout=5) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as refused:
            return refused.read().decode()


@pytest.fixture
def role(own_kafka: KafkaServer, tmp_path: Path) -> Iterator[Role]:
    one = Role(tmp_path, own_kafka)
    ensure_topics(KafkaSettings(own_kafka.bootstrap), TOPICS, partitions=3)
    open_store(one.url).close()
    try:
        yield one
    finally:
        one.process.kill()


def test_a_role_that_is_killed_and_started_again_takes_every_order_once(role: Role) -> None:
    role.process.start()
    for first in (0, 400):
        role.send(first, 400)
        until(partial(role.has_taken_more_than, first))
        role.process.kill()
        role.send(first, 400)
        role.process.start()
    role.send(800, 1)
    until(lambda: role.placed().total() >= 801)
    assert role.placed() == Counter(str(number) for number in range(801))

    produce(role.kafka.bootstrap, INTAKE_TOPIC, [([], b"hello")])
    until(lambda: records_in(role.kafka.bootstrap, REJECTED_TOPIC))
    assert 'waybill_intake_messages_total{verdict="rejected"} 1.0' in role.get("/metrics")
    assert "waybill_append_seconds_count" in role.get("/metrics")

    role.process.stop()
    assert "Stopped." in role.process.said()
    assert "Traceback" not in role.process.said()


def test_a_broker_that_is_away_is_said_at_the_door_and_waited_for(role: Role) -> None:
    role.process.start()
    role.send(0, 10)
    until(lambda: role.placed().total() == 10)
    role.kafka.kill()
    until(lambda: INTAKE_TOPIC in json.loads(role.get("/readyz"))["troubles"], what="saying so")
    role.kafka.start()
    until(lambda: json.loads(role.get("/readyz"))["ok"], 20.0, "being well again")
    role.send(0, 20)
    until(lambda: role.placed().total() == 20)

    role.kafka.pause()
    role.process.stop()
    role.kafka.resume()
    assert "Stopped." in role.process.said()
