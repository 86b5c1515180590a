"""A message of the intake topic and the order in it: a CloudEvent whose data is what POST /orders takes. Pure.

Binary mode: the attributes are headers (`ce_id`, `ce_source`, `ce_type`, `ce_specversion`), the value is the order.
Structured mode: the content type is application/cloudevents+json, the value holds the attributes, and the order as
`data`. Both as in the CloudEvents 1.0 binding for Kafka.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import from_json

from events.incoming import Incoming
from events.order import OrderPlaced, order_stream
from services.gateway.arrivals import Arrival
from services.gateway.problems import complaint, named_place
from services.gateway.requests import OrderBody
from services.runtime.decider import Cause

ACTOR = "intake"
TYPES = ("order.placed", OrderPlaced.type)
"""What an event may call itself: whoever need not know our versions leaves them out."""

_STRUCTURED = "application/cloudevents"
_REQUIRED = ("specversion", "type", "source", "id")
# Visible ASCII: it goes into the log, and from there into reports.
_FITS = re.compile(r"[!-~]{1,100}")
# An order of 2,000 wrong lines is told about its first ones.
_MAX_PROBLEMS = 5


class Refused(ValueError):
    """Why a message is not taken. Names fields, never what is in them."""


class _Said(NamedTuple):
    """What a message says: about itself, and for us."""

    attributes: Mapping[str, Any]
    order: Any


def arrival_of(message: Incoming, now: datetime, max_bytes: int) -> Arrival:
    """The order's first event, on its way into the log. Raises Refused."""
    value = message.value or b""
    if len(value) > max_bytes:
        raise Refused(f"the message is larger than {max_bytes:,} bytes")
    headers = _headers(message)
    content_type = headers.get("content-type", "").lower()
    said = _structured(value, content_type) if content_type.startswith(_STRUCTURED) else _binary(value, headers)
    event = _order(said.order)
    cause = Cause(now, event.order_id, _causation(said.attributes, message.place), ACTOR)
    return Arrival(order_stream(event.order_id), event, cause)


def _headers(message: Incoming) -> dict[str, str]:
    """Those that speak to us, by their names in lower case."""
    ours = [(name.lower(), raw) for name, raw in message.headers if name.lower().startswith(("ce_", "content-type"))]
    doubled = [name for name, times in Counter(name for name, _ in ours).items() if times > 1]
    if doubled:
        raise Refused("a header that begins with ce_, or content-type, is there more than once")
    try:
        return {name: (raw or b"").decode() for name, raw in ours}
    except UnicodeDecodeError:
        raise Refused("a header that begins with ce_, or content-type, is not UTF-8 text") from None


def _binary(value: bytes, headers: Mapping[str, str]) -> _Said:
    attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
    if not attributes:
        raise Refused("it is no CloudEvent: neither ce_ headers nor the content type application/cloudevents+json")
    _check(attributes)
    _check_is_json(headers.get("content-type"), "the content type")
    return _Said(attributes, _json(value))


def _structured(value: bytes, content_type: str) -> _Said:
    if content_type.partition(";")[0].strip() != f"{_STRUCTURED}+json":
        raise Refused("of structured CloudEvents only single ones in JSON are taken: application/cloudevents+json")
    envelope = _json(value)
    if not isinstance(envelope, dict):
        raise Refused("the structured CloudEvent is not a JSON object")
    _check(envelope)
    _check_is_json(envelope.get("datacontenttype"), "the attribute datacontenttype")
    if "data_base64" in envelope:
        return _Said(envelope, _json(_decoded(envelope["data_base64"])))
    if "data" not in envelope:
        raise Refused("the structured CloudEvent has no data")
    return _Said(envelope, envelope["data"])


def _check(attributes: Mapping[str, Any]) -> None:
    for name in _REQUIRED:
        if not isinstance(attributes.get(name), str) or not attributes[name]:
            raise Refused(f"the CloudEvents attribute {name} is missing, or no text")
    if attributes["specversion"] != "1.0":
        raise Refused("the CloudEvents attribute specversion must be 1.0")
    if attributes["type"] not in TYPES:
        raise Refused(f"the CloudEvents attribute type must be {' or '.join(TYPES)}")


def _check_is_json(media_type: Any, what: str) -> None:
    if media_type is None:
        return
    kind, _, parameters = str(media_type).lower().partition(";")
    if kind.strip() != "application/json":
        raise Refused(f"{what} must be application/json")
    if "charset" in parameters and "utf-8" not in parameters:
        raise Refused(f"{what} must name no other charset than utf-8")


def _decoded(text: Any) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (ValueError, TypeError):
        raise Refused("data_base64 is not Base64") from None


def _json(raw: bytes) -> Any:
    if not raw:
        raise Refused("the message has no data")
    try:
        return from_json(raw, allow_inf_nan=False)
    except ValueError as error:  # says where, and what was expected there
        raise Refused(f"the value is not JSON in UTF-8: {error}") from None


def _order(data: Any) -> OrderPlaced:
    try:
        return OrderBody.model_validate(data).placed()
    except ValidationError as error:
        raise Refused(f"the order is not understood: {_problems(error)}") from None


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{named_place(one['loc']) or 'data'}: {complaint(one)}" for one in found[:_MAX_PROBLEMS]]
    more = [f"and {len(found) - _MAX_PROBLEMS} more"] if len(found) > _MAX_PROBLEMS else []
    return "; ".join([*said, *more])


def _causation(attributes: Mapping[str, Any], place: str) -> str:
    """A CloudEvent is named by its source and its id; where that does not fit into the log, by where it lies."""
    name = f"{attributes['source']}#{attributes['id']}"
    return name if _FITS.fullmatch(name) else place
