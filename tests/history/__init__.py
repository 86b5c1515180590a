"""One golden file per event type and version: what the log holds, as the version of Waybill that wrote it wrote it.

A golden file is never edited: its digest stands in SHA256SUMS. `python -m tests.history` adds the files of new types.
The file of an old version is the one from when that version was current. Only a type that no log holds yet, because it
was never merged, may be named to have its file written again: `python -m tests.history order.held.v1`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from events.base import Address, Contact, Event, NewEvent
from events.codec import EVENT_TYPES, encode
from events.order import Charge, Hold, OrderKey, OrderLine, Problem
from events.payment import PaymentOperation
from events.shipping import TrackingScan, TrackingStatus

FOLDER = Path(__file__).resolve().parent
SUMS = FOLDER / "SHA256SUMS"

_ORDER_ID = OrderKey("web", "1001").order_id
_LATER = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)

# One value per field name: an event's fields mean the same wherever they stand. Invented people, reserved domains.
_BY_NAME: dict[str, Any] = {
    "accepted_digest": "a" * 64,
    "added": {"LDN": {"85123A": 3}},
    "address_on_file": True,
    "amount_minor": 1_880,
    "ask_at": _LATER,
    "attempt": 1,
    "available": {"85123A": 2, "84406B": 0},
    "carrier": "sandbox",
    "channel": "web",
    "charges": [Charge(kind="postage", amount_minor=350, description="DOTCOM POSTAGE")],
    "consumer": "order",
    "contact": Contact(name="Zoë Quine", email="zoe@example.org", phone="+441632960961"),
    "country": "GB",
    "currency": "GBP",
    "customer": "17850",
    "event_type": "order.accepted.v1",
    "expected": {"LDN": {"85123A": 4}},
    "expired": True,
    "expires_at": _LATER,
    "fulfillment_id": f"{_ORDER_ID}-LDN",
    "hold": Hold.ADDRESS,
    "key": f"payment-{_ORDER_ID}/3",
    "location": "LDN",
    "missing": {"84406B": 1},
    "number": "1001",
    "operation": PaymentOperation.CAPTURE,
    "order_id": _ORDER_ID,
    "parcel_id": f"{_ORDER_ID}-LDN-1",
    "payment_token": "tok_ok",
    "position": 42,
    "problems": [Problem(code="postal_code_unknown", where="ship_to", message="The postal code does not exist.")],
    "reason": "asked for by the customer",
    "received_digest": "b" * 64,
    "reference": "ref-1",
    "refused": {"MAN": {"84406B": 1}},
    "removed": {"MAN": {"84406B": 2}},
    "reservation_id": "basket-7",
    "scans": [TrackingScan(status=TrackingStatus.OUT_FOR_DELIVERY, scanned_at=_LATER, place="Croydon")],
    "ship_to": Address(lines=["1 Example Street"], city="London", postal_code="SW1A 1AA", country="GB"),
    "stream": f"order-{_ORDER_ID}",
    "thresholds": {"85123A": 10},
    "total_minor": 1_880,
    "tracking_number": "SB0000000001GB",
    "ttl_s": 900,
    "units": 7,
    "unknown": ["99999X"],
}

# What is called `lines` has one of four shapes; a field gets the first that it takes.
_LINES: list[Any] = [
    {"LDN": {"85123A": 4}, "MAN": {"85123A": -2}},
    {"LDN": {"85123A": 4, "84406B": 1}, "MAN": {"85123A": 2}},
    {"85123A": 6, "84406B": 1},
    [OrderLine(sku="85123A", quantity=6, unit_price="2.55", description="T-LIGHT HOLDER")],
]


def golden(path: Path) -> dict[str, Any]:
    """A golden file's type and stored state."""
    content: dict[str, Any] = orjson.loads(path.read_bytes())
    return content


def digest_line(path: Path) -> str:
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"


def write(again: Collection[str] = ()) -> None:
    """Write the golden files that are missing, and those of the types in `again`, with their digests."""
    digests = {line[66:]: line for line in SUMS.read_text().splitlines()}
    for spelling, event_class in EVENT_TYPES.items():
        path = FOLDER / f"{spelling}.json"
        if spelling in again or not path.exists():
            path.write_bytes(_content(event_class))
            digests[path.name] = digest_line(path)
    SUMS.write_text("".join(f"{digests[name]}\n" for name in sorted(digests)))


def example(event_class: type[Event]) -> Event:
    """An event of this type with every field filled in."""
    return event_class(**{name: _value(name, field) for name, field in event_class.model_fields.items()})


def _value(name: str, field: FieldInfo) -> Any:
    if name == "lines":
        return next(value for value in _LINES if _takes(field, value))
    if name not in _BY_NAME:
        raise LookupError(f"tests/history/__init__.py has no value for a field called {name!r}")
    return _BY_NAME[name]


def _takes(field: FieldInfo, value: Any) -> bool:
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
        adapter.validate_python(value)
    except ValidationError:
        return False
    return True


def _content(event_class: type[Event]) -> bytes:
    new = NewEvent(
        event=example(event_class),
        occurred_at=datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        correlation_id=_ORDER_ID,
        causation_id="request-1",
        actor="http",
        clock="online-retail",
    )
    spelling, state = encode(new, datetime(2026, 3, 1, 9, 30, 0, 250_000, tzinfo=UTC))
    content = {"type": spelling, "state": orjson.loads(state)}
    return orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n"
