"""A shop with everything in it, served over HTTP from the test's own process, and the bodies that are sent to it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import SecretStr

from events.base import Recorded
from events.order import OrderKey, order_stream
from events.store import EventStore
from services.runtime.settings import Projector, Settings, Warehouse
from services.server.protocol import BoundedProtocol
from services.server.serving import Server
from services.wiring import House, open_home
from tests.examples import BUYER, HOLDER, HOME, LONDON

T = TypeVar("T")

ADDRESS = HOME.model_dump()
CONTACT = BUYER.model_dump()
SECRETS = (BUYER.name, str(BUYER.email), str(BUYER.phone), HOME.lines[0], HOME.postal_code)
"""What must never be seen in an answer, a log, or on the page."""

# Far more than anything takes: the machine may be busy with other tests.
PATIENCE_S = 20.0


def eventually(look: Callable[[], T | None], patience_s: float = PATIENCE_S) -> T:
    """What `look` finds, as soon as it finds something."""
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(0.01)
    raise AssertionError(f"it did not come about within {patience_s} s; the last look gave {look()!r}")


def order_body(number: str, **changes: Any) -> dict[str, Any]:
    """6 candle holders and a charge for postage, 18.80 GBP."""
    return {
        "channel": "web",
        "number": number,
        "currency": "GBP",
        "lines": [{"sku": HOLDER, "quantity": 6, "unit_price": "2.55", "description": "White candle holder"}],
        "charges": [{"kind": "postage", "amount": "3.50"}],
        "total": "18.80",
        "payment_token": "tok_ok",
        "customer": "17850",
        "contact": CONTACT,
        "ship_to": ADDRESS,
        **changes,
    }


def receipt_body(reference: str, sku: str = HOLDER, quantity: int = 1_000) -> dict[str, Any]:
    return {"reference": reference, "lines": [{"sku": sku, "location": LONDON, "quantity": quantity}]}


class ShopServer:
    """Talks to the server as a shop does; looks into the log as only a test can."""

    def __init__(self, house: House, url: str) -> None:
        self.house = house
        self.url = url
        self.http = httpx.Client(base_url=url, timeout=PATIENCE_S)

    def get(self, path: str, **wanted: Any) -> httpx.Response:
        return self.http.get(path, **wanted)

    def post(self, path: str, body: Any = None, **wanted: Any) -> httpx.Response:
        return self.http.post(path, json=body, **wanted) if body is not None else self.http.post(path, **wanted)

    def place(self, number: str, **changes: Any) -> str:
        answer = self.post("/orders", order_body(number, **changes))
        assert answer.status_code == 201, answer.text
        order_id: str = answer.json()["order_id"]
        return order_id

    def receive(self, reference: str, sku: str = HOLDER, quantity: int = 1_000) -> None:
        answer = self.post("/stock/receipts", receipt_body(reference, sku, quantity))
        assert answer.status_code == 201, answer.text

    def order_when(self, order_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The order, as soon as it is as wanted."""

        def look() -> dict[str, Any] | None:
            answer = self.get(f"/orders/{order_id}")
            order: dict[str, Any] = answer.json()
            return order if answer.status_code == 200 and is_so(order) else None

        return eventually(look)

    def order_in(self, order_id: str, status: str) -> dict[str, Any]:
        return self.order_when(order_id, lambda order: order["status"] == status)

    def held_order(self, order_id: str, hold: str) -> dict[str, Any]:
        return self.order_when(order_id, lambda order: hold in order["holds"])

    def stock_when(self, sku: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            answer = self.get(f"/stock/{sku}")
            row: dict[str, Any] = answer.json()
            return row if answer.status_code == 200 and is_so(row) else None

        return eventually(look)

    def history(self, order_id: str) -> list[Recorded]:
        return self.house.store.read_stream(order_stream(order_id))

    def types(self, order_id: str) -> list[str]:
        return [recorded.type for recorded in self.history(order_id)]


@contextmanager
def shop_server(
    home: Path,
    *,
    warehouse: Warehouse = Warehouse.SANDBOX,
    redis_url: str | None = None,
    sandbox_url: str | None = None,
    protocol: type[BoundedProtocol] = BoundedProtocol,
    store: EventStore | None = None,
    port: int = 0,
) -> Iterator[ShopServer]:
    """On any free port (or the one given), with the projections inside of the process; stopped at the end.

    `store` takes the place of the home's own for everything that comes in over HTTP; the workers see nothing of it.
    """
    secret = SecretStr(redis_url) if redis_url is not None else None
    outside = SecretStr(sandbox_url) if sandbox_url is not None else None
    settings = Settings(
        projector=Projector.INLINE, warehouse=warehouse, redis_url=secret, provider_url=outside, carrier_url=outside
    )
    with open_home(home, settings) as opened:
        house = replace(opened, store=store or opened.store)
        server = Server(house, "127.0.0.1", port, protocol=protocol)
        is_up = threading.Event()
        thread = threading.Thread(target=server.run, kwargs={"ready": lambda url: is_up.set()})
        thread.start()
        shop = ShopServer(house, server.url)
        try:
            assert is_up.wait(PATIENCE_S)
            yield shop
        finally:
            shop.http.close()
            server.stop()
            thread.join()


def id_of(number: str, channel: str = "web") -> str:
    return OrderKey(channel, number).order_id
