"""How a carrier is spoken to over HTTP: the paths, and the JSON that goes there and comes back.

    POST /labels {parcel_id, order_ref, from_location, country, ship_to, units, weight_g, service, ship_at}
    GET  /labels?key=...                 find: {"labels": [...]}, one or none
    GET  /scans?tracking_number=...      {"scans": [...]}, oldest first

The purchase carries its idempotency key in the header `Idempotency-Key`. What came of it is named in `outcome`:
`bought` with the fields of a Label (status 200), `refused` with its reason (422), `key_reused` (422). 5xx: unknown.

Both ends use this module: services/sandbox serves it, services/shipping/http_carrier.py calls it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from events.base import Address
from services.shipping.carrier import Label, LabelRefused, Scan, Shipment

LABELS, SCANS = "/labels", "/scans"

KEY_REUSED: Final = b'{"outcome":"key_reused"}'
KEY_REUSED_STATUS: Final = HTTPStatus.UNPROCESSABLE_ENTITY


class FoundLabels(msgspec.Struct):
    labels: list[Label]


class FoundScans(msgspec.Struct):
    scans: list[Scan]


class NotUnderstood(Exception):
    """These bytes are none of what is said above."""


_CLASSES: Final[dict[str, type[Any]]] = {"bought": Label, "refused": LabelRefused}


def spoken(answer: Label | LabelRefused) -> tuple[int, bytes]:
    """The status and the body that say this."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    if isinstance(answer, Label):
        return HTTPStatus.OK, msgspec.json.encode({"outcome": "bought", **fields})
    return HTTPStatus.UNPROCESSABLE_ENTITY, msgspec.json.encode({"outcome": "refused", **fields})


def understood(body: bytes) -> Label | LabelRefused:
    """What was said. Raises NotUnderstood."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
        answer: Label | LabelRefused = msgspec.convert(fields, _CLASSES[fields.pop("outcome", "")])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError):
        raise NotUnderstood from None
    return answer


def asked(shipment: Shipment) -> bytes:
    """The body of a purchase. Holds the address: for the wire, and for nothing else."""
    return msgspec.json.encode(shipment, enc_hook=_plain_address)


def shipment_of(body: bytes) -> Shipment:
    """The shipment that was asked for. Raises NotUnderstood, which repeats nothing of it."""
    try:
        return msgspec.json.decode(body, type=Shipment, dec_hook=_address)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise NotUnderstood from None


def _plain_address(part: Any) -> Any:
    assert isinstance(part, Address)
    return part.model_dump()


def _address(kind: type[Any], part: Any) -> Any:
    assert kind is Address
    try:
        return Address.model_validate(part)
    except ValidationError:
        raise ValueError("no address") from None
