"""The server itself: what is pushed, what happens while something is away, who is cut off, how it starts and stops."""

from __future__ import annotations

import io
import json
import logging
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pypdf import PdfReader

from services.runtime.settings import Projector, Settings, Warehouse
from services.server.protocol import BoundedProtocol
from services.server.serving import Server, ServerRefused
from services.wiring import open_home
from tests.e2e.processes import finish, serving, start
from tests.examples import BUYER, HOLDER, LONDON
from tests.fakes import FaultyStore
from tests.shop_server import (
    ADDRESS,
    SECRETS,
    ShopServer,
    eventually,
    id_of,
    order_body,
    receipt_body,
    shop_server,
)

STOPS_WITHIN_S = 5.0


# --- the stream ------------------------------------------------------------------------------------------------------


class Watcher:
    """Reads server-sent events."""

    def __init__(self, shop: ShopServer, answer: httpx.Response) -> None:
        self.shop = shop
        self._lines = answer.iter_lines()

    def next(self, event: str = "summary") -> tuple[str, Any]:
        """The id and the data of the next event of this name."""
        found: dict[str, str] = {}
        for line in self._lines:
            if not line:
                if found.get("event") == event:
                    return found.get("id", ""), json.loads(found["data"])
                found = {}
            else:
                name, _, value = line.partition(": ")
                found[name] = value
        raise AssertionError("the stream ended")

    def until(self, orders: int) -> dict[str, Any]:
        while True:
            summary: dict[str, Any] = self.next()[1]
            if summary["orders"] >= orders:
                return summary


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    with shop_server(tmp_path_factory.mktemp("shop") / "home") as running:
        running.receive("opening stock", quantity=100_000)
        yield running


def test_watchers_see_orders_come_without_asking(shop: ShopServer) -> None:
    with shop.http.stream("GET", "/events") as answer, shop.http.stream("GET", "/events") as other:
        assert answer.headers["content-type"].startswith("text/event-stream")
        one, two = Watcher(shop, answer), Watcher(shop, other)
        before = one.next()[1]["orders"]
        order_id = shop.place("watched-1")
        for summary in (one.until(before + 1), two.until(before + 1)):
            assert order_id in [order["order_id"] for order in summary["newest"]]
            assert not [secret for secret in SECRETS if secret in json.dumps(summary)]


def test_a_watcher_who_comes_back_is_not_told_what_he_knows(shop: ShopServer) -> None:
    with shop.http.stream("GET", "/events") as answer:
        watcher = Watcher(shop, answer)
        position = watcher.next()[0]
        head = str(shop.house.store.last_position())
        while position != head:
            position = watcher.next()[0]
    with shop.http.stream("GET", "/events", headers={"Last-Event-ID": position}) as answer:
        watcher = Watcher(shop, answer)
        shop.place("came-back-1")
        assert int(watcher.next()[0]) > int(position)


def test_a_burst_is_not_pushed_order_by_order(shop: ShopServer) -> None:
    with shop.http.stream("GET", "/events") as answer:
        watcher = Watcher(shop, answer)
        before = watcher.next()[1]["orders"]
        for number in range(30):
            shop.place(f"burst-{number}")
        began = time.monotonic()
        messages = 1
        while watcher.next()[1]["orders"] < before + 30:
            messages += 1
        assert messages <= 2 + (time.monotonic() - began + 5) * 2


# --- the warehouse by hand -------------------------------------------------------------------------------------------


def refused(answer: httpx.Response, status: int = 409) -> str:
    assert answer.status_code == status, answer.text
    message: str = answer.json()["message"]
    return message


def test_people_pick_pack_and_ship_and_print_the_papers(home: Path) -> None:
    with shop_server(home, warehouse=Warehouse.MANUAL) as shop:
        shop.receive("stock-1")
        order_id = shop.place("by-hand-1")
        order = shop.order_when(order_id, lambda order: bool(order["fulfillments"]))
        part = f"/fulfillments/{next(iter(order['fulfillments']))}"
        assert "not picked yet" in refused(shop.post(f"{part}/pack"))
        assert "not packed yet" in refused(shop.post(f"{part}/ship"))
        assert "no label yet" in refused(shop.get(f"{part}/label.pdf"))
        assert shop.post(f"{part}/pick").json()["events"] == ["shipping.items_picked.v1"]
        assert not shop.post(f"{part}/pick").json()["changed"]
        assert "shipping.label_requested.v1" in shop.post(f"{part}/pack").json()["events"]
        assert eventually(lambda: shop.get(f"{part}/label.pdf").status_code == 200)
        _papers_are_right(shop, part)
        shipped = eventually(lambda: shop.post(f"{part}/ship").json()["events"])
        assert shipped == ["shipping.parcel_shipped.v1"]
        shop.order_in(order_id, "completed")


def _papers_are_right(shop: ShopServer, part: str) -> None:
    for paper in ("label", "packing-slip"):
        answer = shop.get(f"{part}/{paper}.pdf")
        assert answer.headers["content-type"] == "application/pdf"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.content == shop.get(f"{part}/{paper}.pdf").content
        text = PdfReader(io.BytesIO(answer.content)).pages[0].extract_text()
        assert all(word in text for word in ("by-hand-1", BUYER.name, ADDRESS["lines"][0], LONDON))
        assert (HOLDER in text) == (paper == "packing-slip"), "the slip says what is in the parcel"
        assert "2.55" not in text, "but not what it cost"


def test_a_cancelled_fulfillment_has_no_papers(home: Path) -> None:
    with shop_server(home, warehouse=Warehouse.MANUAL) as shop:
        shop.receive("stock-1")
        order_id = shop.place("cancelled-1")
        order = shop.order_when(order_id, lambda order: bool(order["fulfillments"]))
        part = f"/fulfillments/{next(iter(order['fulfillments']))}"
        eventually(lambda: shop.post(f"{part}/pick").status_code == 200)
        shop.post(f"/orders/{order_id}/cancel", {"reason": "changed my mind"})
        shop.order_in(order_id, "cancelled")
        assert "cancelled" in refused(shop.get(f"{part}/label.pdf"))
        assert "put the goods back" in refused(shop.post(f"{part}/pack"))


# --- something is away -----------------------------------------------------------------------------------------------


def test_without_redis_orders_are_taken_and_queries_say_so(home: Path, free_port: int) -> None:
    with shop_server(home, redis_url=f"redis://127.0.0.1:{free_port}") as shop:
        assert shop.post("/orders", order_body("no-redis-1")).status_code == 201
        assert shop.post("/stock/receipts", receipt_body("no-redis-1")).status_code == 201
        eventually(lambda: "order.accepted.v1" in shop.types(id_of("no-redis-1")))
        for path in ("/orders", f"/orders/{id_of('no-redis-1')}?min_position=1", f"/stock/{HOLDER}", "/summary"):
            answer = shop.get(path)
            assert "Redis" in refused(answer, 503)
            assert int(answer.headers["Retry-After"]) > 0
        health = shop.get("/healthz")
        assert health.status_code == 503
        assert (health.json()["store"], health.json()["engine"]) == ("ok", "ok")
        assert "Redis" in health.json()["redis"]
        assert shop.get("/metrics").status_code == 200
        with shop.http.stream("GET", "/events") as answer:
            assert "Redis" in Watcher(shop, answer).next("trouble")[1]["message"]


def test_without_the_store_nothing_is_taken_and_all_say_so(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = FaultyStore()
    with shop_server(home, store=store) as shop:
        order_id = shop.place("away-1")
        store.away = True
        wanted = {
            "/orders": order_body("away-2"),
            "/stock/receipts": receipt_body("away-1"),
            f"/orders/{order_id}/cancel": {"reason": "why not"},
            f"/orders/{order_id}/correct": {"ship_to": ADDRESS},
        }
        for path, body in wanted.items():
            answer = shop.post(path, body)
            assert "end the same again" in refused(answer, 503), path
            assert int(answer.headers["Retry-After"]) > 0
        health = shop.get("/healthz")
        assert (health.status_code, health.json()["store"]) == (503, "the store is away")
        store.away = False
        shop.place("away-2")
    assert not [secret for secret in SECRETS if secret in caplog.text]


def test_a_position_that_is_not_reached_in_time_is_a_503(shop: ShopServer) -> None:
    began = time.monotonic()
    answer = shop.get("/orders?min_position=9000000000000000000")
    assert "is not shown after" in refused(answer, 503)
    assert answer.headers["Retry-After"] == "1"
    assert time.monotonic() - began < 8
    assert shop.get("/orders?min_position=99999999999999999999").status_code == 422


# --- clients that are in no hurry ------------------------------------------------------------------------------------


class Impatient(BoundedProtocol):
    HEAD_TIMEOUT_S = 0.3
    WRITE_TIMEOUT_S = 0.3


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopServer]:
    with shop_server(tmp_path_factory.mktemp("impatient") / "home", protocol=Impatient) as running:
        yield running


def connected(shop: ShopServer) -> socket.socket:
    port = int(shop.url.rpartition(":")[2])
    return socket.create_connection(("127.0.0.1", port), timeout=STOPS_WITHIN_S)


def said(connection: socket.socket) -> bytes:
    """Everything until the other side closes."""
    found = b""
    try:
        while part := connection.recv(65_536):
            found += part
    except ConnectionResetError:
        return found
    return found


@pytest.mark.parametrize("begun", [b"", b"POST /orders HTTP/1.1\r\nHost: x\r\nX-Slow: "], ids=["silent", "slow head"])
def test_who_does_not_send_a_head_is_cut_off(impatient: ShopServer, begun: bytes) -> None:
    with connected(impatient) as connection:
        connection.sendall(begun)
        began = time.monotonic()
        assert said(connection) == b""
        assert time.monotonic() - began < 3


def test_an_endless_head_is_cut_off(impatient: ShopServer) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall(b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(20_000)))


def test_who_reads_nothing_is_cut_off(impatient: ShopServer) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 500)

        def is_cut_off() -> bool:
            try:
                connection.send(b"x")
            except (BrokenPipeError, ConnectionResetError):
                return True
            return False

        assert eventually(is_cut_off)
    assert impatient.get("/").status_code == 200


def test_garbage_is_answered_with_400(impatient: ShopServer) -> None:
    with connected(impatient) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not http\r\n\r\n")
        assert said(connection).startswith(b"HTTP/1.1 400")


# --- starting and stopping -------------------------------------------------------------------------------------------


def test_a_port_in_use_or_an_address_of_nobody_is_said_in_words(home: Path) -> None:
    with open_home(home, Settings(projector=Projector.INLINE)) as house, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServerRefused, match=f"port {port} of 127.0.0.1 is in use"):
            Server(house, "127.0.0.1", port)
        with pytest.raises(ServerRefused, match="no address"):
            Server(house, "no.such.host.invalid", 0)
        with pytest.raises(ServerRefused, match="no address of this machine"):
            Server(house, "192.0.2.1", 0)


def test_the_command_ends_with_2_where_the_port_is_in_use(home: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        outcome = finish(start("up", "--port", taken.getsockname()[1], home=home))
    assert "is in use" in outcome.sentence


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_cleanly_though_somebody_watches(home: Path, number: signal.Signals) -> None:
    with serving(home) as (process, url), httpx.Client(base_url=url, timeout=20) as http:
        http.post("/orders", json=order_body("stop-1")).raise_for_status()
        with http.stream("GET", "/events") as answer:
            lines = answer.iter_lines()
            next(lines)
            began = time.monotonic()
            process.send_signal(number)
            for _ in lines:
                pass
        outcome = finish(process)
        assert (outcome.code, outcome.err) == (0, "")
        assert time.monotonic() - began < STOPS_WITHIN_S


def test_what_was_acknowledged_is_there_after_a_restart(home: Path) -> None:
    with shop_server(home) as shop:
        first = shop.post("/orders", order_body("restart-1")).json()
    with shop_server(home) as shop:
        again = shop.post("/orders", order_body("restart-1"))
        assert (again.status_code, again.json()) == (200, first)


def test_an_engine_that_cannot_go_on_stops_the_server(home: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        name = "broken"

        def step(self) -> int:
            raise RuntimeError("cannot go on")

    caplog.set_level(logging.ERROR)
    with open_home(home, Settings(projector=Projector.INLINE)) as house:
        house.engine._leaders.append(Broken())
        house.engine._pauses["broken"] = type(house.engine._pauses["order"])()
        server = Server(house, "127.0.0.1", 0)
        with pytest.raises(RuntimeError, match="cannot go on"):
            server.run()
    assert "the engine stopped: RuntimeError" in caplog.text
