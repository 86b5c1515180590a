"""Orders as other people's programs send them over the intake topic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from events.incoming import Incoming

Headers = Sequence[tuple[str, bytes | None]]

BINARY: Headers = [
    ("ce_specversion", b"1.0"),
    ("ce_type", b"order.placed"),
    ("ce_source", b"/shop"),
    ("ce_id", b"evt-1"),
    ("content-type", b"application/json"),
]


def message(value: bytes | None, headers: Headers, *, offset: int = 14) -> Incoming:
    return Incoming("waybill.intake", 3, offset, b"key", value, headers)


def binary(order: dict[str, Any], *, headers: Headers = BINARY, offset: int = 14) -> Incoming:
    """Attributes in headers, the order as the value."""
    return message(orjson.dumps(order), headers, offset=offset)


def structured(order: dict[str, Any] | None, *, offset: int = 14, **attributes: Any) -> Incoming:
    """All of it in the value; without an order there is no `data`."""
    envelope = {"specversion": "1.0", "type": "order.placed", "source": "/shop", "id": "evt-1", **attributes}
    if order is not None:
        envelope["data"] = order
    headers = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    return message(orjson.dumps(envelope), headers, offset=offset)
