"""What goes over Kafka: CloudEvents 1.0 in Kafka's binary form. The value is an event's data, all else is in headers.

A message may come without its data: where it is too large for a broker, or where the relay could not read it. It then
carries `ce_dataref`, and whoever has the log looks there. A mark (`waybill.mark`) is no event; it says how far the log
has been published.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from hashlib import blake2b
from typing import NamedTuple

import orjson

from events.base import WALL_CLOCK, Recorded
from events.codec import Unreadable, decode_or_mark
from events.relay import Message
from events.slots import SLOTS, Delivery

MARK = "waybill.mark"

SOURCE = "/waybill"
"""Which log it is, for the world. Two logs on one broker need two of them."""

# A broker takes 1,048,588 bytes unless it is told otherwise; 100 kB of them are kept for headers and for the batch.
MAX_DATA_BYTES = 900_000

Headers = list[tuple[str, bytes]]

_VERSION = ("ce_specversion", b"1.0")
_JSON = ("content-type", b"application/json")
_SLOTS = [("ce_slot", b"%d" % slot) for slot in range(SLOTS)]

_ENVELOPE = (
    ("occurred_at", "ce_time"),
    ("recorded_at", "ce_recordedat"),
    ("correlation_id", "ce_correlationid"),
    ("causation_id", "ce_causationid"),
    ("actor", "ce_actor"),
    ("clock", "ce_clock"),
)


class Illegible(ValueError):
    """No message of this log, or not even its place in it can be read. The message names headers, never values."""


class Wire(NamedTuple):
    """A message as Kafka takes it."""

    topic: str
    slot: int
    key: bytes
    value: bytes
    headers: Headers


class Writer:
    """Messages to their wire form. One relay's: not to be shared by threads."""

    def __init__(self, source: str = SOURCE, *, max_data_bytes: int = MAX_DATA_BYTES) -> None:
        self._source = source
        self._max_data_bytes = max_data_bytes
        # An event goes to two or three topics one after the other: most of its message is the same in each.
        self._last: Recorded | None = None
        self._headers: Headers = []
        self._value = b""

    def write(self, message: Message) -> Wire:
        recorded = message.recorded
        place = [("ce_previous", b"%d" % message.previous), _SLOTS[message.slot]]
        if recorded is None:
            return Wire(message.topic, message.slot, b"", b"{}", self._mark(message) + place)
        if recorded is not self._last:
            self._headers, self._value = self._event(recorded)
            self._last = recorded
        return Wire(message.topic, message.slot, message.key.encode(), self._value, self._headers + place)

    def _mark(self, message: Message) -> Headers:
        return [
            _VERSION,
            ("ce_type", MARK.encode()),
            ("ce_source", f"{self._source}/relay".encode()),
            ("ce_id", f"mark/{message.slot}/{message.position}".encode()),
            ("ce_position", b"%d" % message.position),
            _JSON,
        ]

    def _event(self, recorded: Recorded) -> tuple[Headers, bytes]:
        event = recorded.event
        value = b"" if isinstance(event, Unreadable) else event.__pydantic_serializer__.to_json(event)
        headers = [_VERSION, *_type_and_source(recorded.type, self._source), *_envelope(recorded)]
        if 0 < len(value) <= self._max_data_bytes:
            headers.append(_JSON)
            return headers, value
        headers.append(("ce_dataref", f"{self._source}/log/{recorded.position}".encode()))
        return headers, b""


@cache
def _type_and_source(spelling: str, source: str) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
    writer = spelling.partition(".")[0]
    return ("ce_type", spelling.encode()), ("ce_source", f"{source}/{writer}".encode())


def _envelope(recorded: Recorded) -> Headers:
    headers = [
        ("ce_id", recorded.id.encode()),
        ("ce_subject", recorded.stream.encode()),
        ("ce_time", recorded.occurred_at.isoformat().encode()),
        ("ce_position", b"%d" % recorded.position),
        ("ce_streamversion", b"%d" % recorded.version),
        ("ce_recordedat", recorded.recorded_at.isoformat().encode()),
        ("ce_correlationid", recorded.correlation_id.encode()),
        ("ce_causationid", recorded.causation_id.encode()),
        ("ce_actor", recorded.actor.encode()),
        ("ce_traceparent", traceparent(recorded).encode()),
    ]
    if recorded.clock != WALL_CLOCK:
        headers.append(("ce_clock", recorded.clock.encode()))
    return headers


def traceparent(recorded: Recorded) -> str:
    """W3C trace context: one order is one trace, each of its events is a span of it. The same in every process."""
    return f"00-{trace_id(recorded.correlation_id)}-{span_id(recorded.id)}-01"


@lru_cache(maxsize=4_096)
def trace_id(correlation_id: str) -> str:
    """An order's own id without its dashes, so that a trace can be looked up by it; of anything else a digest."""
    plain = correlation_id.replace("-", "")
    if len(correlation_id) == 36 and len(plain) == 32 and set(plain) <= set("0123456789abcdef") and set(plain) != {"0"}:
        return plain
    return blake2b(correlation_id.encode(), digest_size=16).hexdigest()


def span_id(event_id: str) -> str:
    return blake2b(event_id.encode(), digest_size=8).hexdigest()


def read_delivery(headers: Iterable[tuple[str, bytes]], value: bytes | None, source: str = SOURCE) -> Delivery:
    """What a message of an inbox says of its slot. Raises Illegible.

    What vouches for nothing (`previous` is the position itself) has to be read from the log: a message without data.
    An event that cannot be decoded comes as `Unreadable`.
    """
    found = dict(headers)
    slot, position, previous = _place(found, source)
    if found["ce_type"] == MARK.encode():
        return Delivery(slot, position, previous, None)
    if "ce_dataref" in found:
        return Delivery(slot, position, position, None)
    return Delivery(slot, position, previous, _recorded(found, position, value))


def read_event(headers: Iterable[tuple[str, bytes]], value: bytes | None, source: str = SOURCE) -> Recorded | None:
    """The event in a message of a facts topic; None for a mark. Raises Illegible.

    What cannot be decoded, or came without its data, is `Unreadable`.
    """
    found = dict(headers)
    _, position, _ = _place(found, source)
    return None if found["ce_type"] == MARK.encode() else _recorded(found, position, value)


def _place(found: dict[str, bytes], source: str) -> tuple[int, int, int]:
    try:
        slot, position, previous = int(found["ce_slot"]), int(found["ce_position"]), int(found["ce_previous"])
        log, _, writer = found["ce_source"].rpartition(b"/")
    except KeyError as missing:
        raise Illegible(f"no message of ours: the header {missing} is missing") from None
    except ValueError:
        raise Illegible("ce_slot, ce_position and ce_previous must be numbers") from None
    if log != source.encode() or not writer or "ce_type" not in found:
        raise Illegible("no message of this log: ce_source names another one, or ce_type is missing")
    if not (0 <= slot < SLOTS and 0 <= previous <= position and position > 0):
        raise Illegible("ce_slot, ce_position and ce_previous name no place in a log")
    return slot, position, previous


def _recorded(found: dict[str, bytes], position: int, value: bytes | None) -> Recorded:
    """Through the codec's own reader, which knows old versions and says what is wrong without quoting it."""
    topic, stream = _text(found["ce_type"]), _text(found.get("ce_subject", b""))
    state: dict[str, object] = {name: _text(found[header]) for name, header in _ENVELOPE if header in found}
    state["data"] = orjson.Fragment(value or b"")
    return decode_or_mark(position, stream, _number(found.get("ce_streamversion")), topic, orjson.dumps(state))


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _number(raw: bytes | None) -> int:
    return int(raw) if raw is not None and raw.isdigit() else 0
