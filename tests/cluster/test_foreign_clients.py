"""Other people's Kafka clients, on a real broker: kcat and kafkajs publish orders and read what we publish."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat

from deploy.local.servers import KafkaServer
from events.kafka import Inlet, KafkaPublisher, KafkaSettings, ensure_topics
from events.order import OrderIntakeConflicted, OrderPlaced
from events.relay import Relay, Route
from events.store import EventStore, open_store, utc_now
from services.gateway.arrivals import Arrivals
from services.gateway.topic_intake import CONFLICT, TopicIntake
from services.routing import by_stream
from tests.cluster.npm import Node
from tests.kafka_tools import QUICK, records_in, until
from tests.shop_server import SECRETS, order_body

pytestmark = pytest.mark.cluster

Orders = list[dict[str, Any]]


class Shop:
    """A log, its intake, and a relay that publishes its facts; all on topics of their own."""

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.bootstrap = bootstrap
        self.intake, self.rejected, self.facts = prefix + "intake", prefix + "rejected", prefix + "order"
        self.settings = KafkaSettings(bootstrap)
        self.store: EventStore = open_store("memory:")
        self._work = TopicIntake(Arrivals(self.store), now=utc_now, max_bytes=1_000_000, ring=threading.Event().set)

    def inlet(self) -> Inlet:
        return Inlet(
            self.settings,
            group=self.intake,
            topic=self.intake,
            rejected=self.rejected,
            take=self._work.take,
            timing=QUICK,
        )

    def publish_facts(self) -> None:
        publisher = KafkaPublisher(self.settings)
        relay = Relay(self.store, publisher, [Route(self.facts, frozenset({OrderPlaced}), by_stream)])
        while relay.step():
            pass
        publisher.close()

    def placed(self) -> Counter[str]:
        """How often each order is in the log, by its number."""
        found = self.store.read_after(0, limit=10_000)
        return Counter(one.event.number for one in found if isinstance(one.event, OrderPlaced))

    def reasons(self) -> list[str]:
        headers = [dict(one.headers) for one in records_in(self.bootstrap, self.rejected)]
        return sorted(one["waybill-reason"].decode() for one in headers)


@pytest.fixture
def shop(real_kafka: KafkaServer, topic_prefix: str) -> Iterator[Shop]:
    one = Shop(real_kafka.bootstrap, topic_prefix)
    ensure_topics(one.settings, [one.intake, one.rejected, one.facts], partitions=3)
    with ExitStack() as stack:
        inlet = one.inlet()
        inlet.start()
        stack.callback(inlet.close)
        yield one


@pytest.fixture
def kcat() -> Callable[..., bytes]:
    if shutil.which("kcat") is None:
        pytest.skip("no kcat on this machine (Debian: apt-get install kcat)")

    def run(*arguments: str, given: bytes = b"") -> bytes:
        return subprocess.run(
            ["kcat", "-q", *arguments], input=given, check=True, capture_output=True, timeout=60
        ).stdout

    return run


ATTRIBUTES = ("ce_specversion=1.0", "ce_type=order.placed", "ce_source=/shop/kcat", "ce_id=7")


def headers(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("-H", pair)]


def envelope(order: dict[str, Any]) -> bytes:
    attributes = {"specversion": "1.0", "type": "order.placed.v2", "source": "/shop/kcat", "id": order["number"]}
    return json.dumps({**attributes, "data": order}).encode()


def numbered(first: int, count: int) -> Orders:
    return [order_body(str(number)) for number in range(first, first + count)]


# --- publishing ------------------------------------------------------------------------------------------------------


def test_kcat_publishes_orders_in_both_modes_and_each_is_taken_once(shop: Shop, kcat: Callable[..., bytes]) -> None:
    to = ["-P", "-b", shop.bootstrap, "-t", shop.intake]
    for compression in ("none", "snappy", "zstd"):
        for order in numbered(1, 2):
            kcat(*to, "-z", compression, *headers(*ATTRIBUTES), given=json.dumps(order).encode())
        structured = "content-type=application/cloudevents+json"
        kcat(*to, "-z", compression, *headers(structured), given=envelope(order_body("3")))
    until(lambda: len(shop.placed()) == 3)
    shop.publish_facts()
    assert shop.placed() == {"1": 1, "2": 1, "3": 1}
    [first, *_] = shop.store.read_after(0, limit=1)
    assert (first.actor, first.causation_id) == ("intake", "/shop/kcat#7")
    assert shop.reasons() == []


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_kafkajs_publishes_orders_and_each_is_taken_once(shop: Shop, node: Node, mode: str) -> None:
    orders = numbered(1, 20)
    for _ in range(3):
        node.run("shop.cjs", shop.bootstrap, shop.intake, mode, given=json.dumps(orders).encode())
    last = json.dumps([order_body("last")]).encode()
    node.run("shop.cjs", shop.bootstrap, shop.intake, mode, given=last)
    wanted = {order["number"]: 1 for order in orders} | {"last": 1}
    until(lambda: shop.placed() == wanted)
    assert shop.reasons() == []


def test_garbage_of_many_kinds_is_refused_with_reasons_and_what_is_behind_it_is_taken(
    shop: Shop, kcat: Callable[..., bytes]
) -> None:
    to = ["-P", "-b", shop.bootstrap, "-t", shop.intake, "-p", "0"]
    attributes, good = headers(*ATTRIBUTES), json.dumps(order_body("1")).encode()
    deep = b'{"channel":' * 80_000
    other = json.dumps(order_body("1", total="99.00")).encode()
    sent: list[tuple[list[str], bytes]] = [
        ([], b"hello"),
        (attributes, b"{"),
        (attributes, b"\xff\xfe\x00"),
        (attributes, deep),
        (attributes, json.dumps(order_body("2", contact={"name": SECRETS[0], "mail": SECRETS[1]})).encode()),
        (headers("ce_specversion=1.0", "ce_type=payment.captured.v1", "ce_source=/x", "ce_id=1"), good),
        (headers(*ATTRIBUTES[:2]), good),
        (headers("content-type=application/cloudevents+json"), good),
        (headers("content-type=application/cloudevents-batch+json"), b"[" + envelope(order_body("1")) + b"]"),
        (attributes, good),
        (attributes, other),
    ]
    for words, value in sent:
        kcat(*to, *words, given=value)
    kcat(*to, *attributes, given=json.dumps(order_body("last")).encode())

    until(lambda: shop.placed() == {"1": 1, "last": 1})
    until(lambda: len(shop.reasons()) == len(sent) - 1)
    assert shop.reasons() == sorted(
        [
            "it is no CloudEvent: neither ce_ headers nor the content type application/cloudevents+json",
            "the value is not JSON in UTF-8: EOF while parsing an object at line 1 column 1",
            "the value is not JSON in UTF-8: expected value at line 1 column 1",
            "the value is not JSON in UTF-8: recursion limit exceeded at line 1 column 2212",
            "the order is not understood: contact.?: there is no such field; /openapi.json tells which there are",
            "the CloudEvents attribute type must be order.placed or order.placed.v2",
            "the CloudEvents attribute source is missing, or no text",
            "the CloudEvents attribute specversion is missing, or no text",
            "of structured CloudEvents only single ones in JSON are taken: application/cloudevents+json",
            CONFLICT,
        ]
    )
    refused = {one.value for one in records_in(shop.bootstrap, shop.rejected)}
    assert refused == {value for _, value in sent if value is not good} | {good}, "as it came"
    conflicts = [one for one in shop.store.read_after(0, limit=100) if isinstance(one.event, OrderIntakeConflicted)]
    assert len(conflicts) == 1


# --- reading ---------------------------------------------------------------------------------------------------------


def take(shop: Shop, kcat: Callable[..., bytes], orders: Orders) -> None:
    for order in orders:
        kcat("-P", "-b", shop.bootstrap, "-t", shop.intake, *headers(*ATTRIBUTES), given=json.dumps(order).encode())
    until(lambda: len(shop.placed()) == len(orders))
    shop.publish_facts()


def test_kcat_reads_the_facts(shop: Shop, kcat: Callable[..., bytes]) -> None:
    take(shop, kcat, numbered(1, 3))
    lines = kcat("-C", "-e", "-b", shop.bootstrap, "-t", shop.facts, "-f", "%h|%s\n").decode().splitlines()
    placed = [line.split("|") for line in lines if "ce_type=order.placed.v2" in line]
    assert sorted(json.loads(value)["number"] for _, value in placed) == ["1", "2", "3"]
    assert all("ce_specversion=1.0" in said and "ce_causationid=/shop/kcat#7" in said for said, _ in placed)


def test_kafkajs_reads_the_facts(shop: Shop, kcat: Callable[..., bytes], node: Node) -> None:
    take(shop, kcat, numbered(1, 3))
    lines = node.run("shop.cjs", shop.bootstrap, shop.facts, "read", "3").splitlines()
    found = [json.loads(line) for line in lines]
    assert sorted(json.loads(one["value"])["number"] for one in found) == ["1", "2", "3"]
    assert {one["headers"]["ce_type"] for one in found} == {"order.placed.v2"}
    assert all(one["key"] == one["headers"]["ce_subject"] for one in found)


def test_the_cloudevents_library_reads_the_facts(shop: Shop, kcat: Callable[..., bytes]) -> None:
    take(shop, kcat, numbered(1, 3))
    read = [
        from_binary_event(KafkaMessage(dict(one.headers), one.key, one.value), JSONFormat())
        for one in records_in(shop.bootstrap, shop.facts)
    ]
    assert {one.get_type() for one in read} == {"order.placed.v2"}
    assert sorted(one.get_data()["number"] for one in read) == ["1", "2", "3"]  # type: ignore[index,call-overload]
    assert len({one.get_id() for one in read}) == 3


# --- the documentation -----------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


def test_what_the_documentation_says_to_type_places_an_order(
    shop: Shop, kcat: Callable[..., bytes], tmp_path: Path
) -> None:
    [block] = [part for part in PAGE.read_text().split("```") if part.startswith("sh\n") and "kcat -P" in part]
    (tmp_path / ".cluster").mkdir()
    (tmp_path / ".cluster" / "env").write_text(f"export WAYBILL_KAFKA={shop.bootstrap}\n")
    (tmp_path / "order.json").write_text(json.dumps(order_body("10001"), indent=2))
    assert "-t waybill.intake " in block
    script = block.removeprefix("sh\n").replace("waybill.intake", shop.intake)
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, timeout=60)
    until(lambda: shop.placed() == {"10001": 1})
    [only] = shop.store.read_after(0, limit=1)
    assert only.causation_id == "/shop#order-10001"
