"""Event classes to the log's bytes and back.

A stored event is a topic (the event type's spelling, "order.placed.v2") and a JSON state: the envelope's fields beside
`data`. Only the newest version of a type exists as a class; an old one is lifted by its upcaster while it is read, so
nobody else ever meets it. An unknown type or a malformed state raises: it is never skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from types import ModuleType
from typing import Any, NotRequired

import orjson
from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from events import gateway, inventory, order, payment, runtime, shipping
from events.base import WALL_CLOCK, Event, NewEvent, Recorded, Value
from events.fast_reader import REFUSALS, Reader, fast_reader

WRITERS: tuple[ModuleType, ...] = (gateway, order, payment, inventory, shipping, runtime)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class CodecError(Exception):
    """The log holds something that this version cannot read.

    CodecError
    ├── UnknownEventType   no class and no upcaster has this spelling
    └── MalformedEvent     the state does not fit its type
    """

    def __init__(self, position: int, stream: str, topic: str, problem: str) -> None:
        super().__init__(f"position {position} ({stream}, {topic}): {problem}")
        self.position = position


class UnknownEventType(CodecError):
    """No class and no upcaster has this spelling."""


class MalformedEvent(CodecError):
    """The state does not fit its type. The message names fields, never their values."""


class Unreadable(Event):
    """Stands in a feed for an event that could not be decoded, so that a consumer can park it instead of stopping."""

    reason: str


def _classes(module: ModuleType) -> list[type[Event]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Event) and value.__module__ == module.__name__
    ]


EVENT_TYPES: dict[str, type[Event]] = {cls.type: cls for module in WRITERS for cls in _classes(module)}
"""Every current event type by its spelling."""


def _order_placed_v1(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """v1 had no charges, and called the destination `ship_country`."""
    country = data.pop("ship_country")
    return "order.placed.v2", {**data, "country": country, "charges": []}


UPCASTERS: dict[str, Callable[[dict[str, Any]], tuple[str, dict[str, Any]]]] = {
    "order.placed.v1": _order_placed_v1,
}
"""How an old version's data becomes the next one's: old spelling -> (new spelling, new data)."""


@with_config(ConfigDict(extra="forbid"))
class _Envelope(TypedDict):
    occurred_at: AwareDatetime
    recorded_at: AwareDatetime
    correlation_id: str
    causation_id: str
    actor: str
    clock: NotRequired[str]


def encode(new: NewEvent, recorded_at: datetime) -> tuple[str, bytes]:
    """The topic and the JSON state of an event. The wall clock is the default and is not written out."""
    event, occurred_at, correlation_id, causation_id, actor, clock = new
    body: dict[str, object] = {
        "occurred_at": occurred_at,
        "recorded_at": recorded_at,
        "correlation_id": correlation_id,
        "causation_id": causation_id,
        "actor": actor,
    }
    if clock != WALL_CLOCK:
        body["clock"] = clock
    # Both are the same bytes; in one pass it takes two thirds of the time.
    body["data"] = event.__dict__ if _is_plain(type(event)) else _by_pydantic(event)
    try:
        return event.type, orjson.dumps(body, _fields)
    except orjson.JSONEncodeError:  # an integer of more than 64 bits, say
        body["data"] = _by_pydantic(event)
        return event.type, orjson.dumps(body)


def _by_pydantic(event: Event) -> orjson.Fragment:
    return orjson.Fragment(event.__pydantic_serializer__.to_json(event))


def _fields(part: object) -> dict[str, Any]:
    """What orjson does not know: the values that an event is made of."""
    if Value in type(part).__mro__:  # isinstance takes five times as long for pydantic's classes
        return part.__dict__
    raise TypeError


@cache
def _is_plain(event_class: type[Event]) -> bool:
    """Whether orjson spells all that is in it as pydantic does. Times it does not: "+00:00" for "Z"."""
    return _kinds(TypeAdapter(event_class).core_schema) <= _SPELLED_ALIKE


_SPELLED_ALIKE = frozenset(
    "str int bool enum list dict nullable default model model-fields model-field definitions definition-ref".split()
)
"""Kinds of what pydantic compiles types to."""


def _kinds(schema: object) -> set[str]:
    parts = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    own = {schema["type"]} if isinstance(schema, dict) and isinstance(schema.get("type"), str) else set()
    return own.union(*map(_kinds, parts))


def decode(position: int, stream: str, version: int, topic: str, state: bytes) -> Recorded:
    """The event at this place of the log. Raises UnknownEventType or MalformedEvent."""
    try:
        return _FAST_READERS[topic](position, stream, version, state)
    except (KeyError, *REFUSALS):
        pass  # perhaps it is only written otherwise
    return decode_by_pydantic(position, stream, version, topic, state)


def decode_by_pydantic(position: int, stream: str, version: int, topic: str, state: bytes) -> Recorded:
    """The slow way, for what `encode` would not write: an old version's event, and what is refused, in words."""
    try:
        body = _read(topic, state)
    except KeyError:
        hint = "no such event type here; was the log written by a newer version?"
        raise UnknownEventType(position, stream, topic, hint) from None
    except ValidationError as error:
        raise MalformedEvent(position, stream, topic, _problems(error)) from None
    except ValueError as error:
        raise MalformedEvent(position, stream, topic, str(error)) from None
    event = body["data"]
    return Recorded(
        position,
        stream,
        version,
        event.type,
        event,
        body["occurred_at"],
        body["recorded_at"],
        body["correlation_id"],
        body["causation_id"],
        body["actor"],
        body.get("clock", WALL_CLOCK),
    )


def decode_or_mark(position: int, stream: str, version: int, topic: str, state: bytes) -> Recorded:
    """Like `decode`, but what cannot be read comes back as `Unreadable` under its stored spelling."""
    try:
        return _FAST_READERS[topic](position, stream, version, state)
    except (KeyError, *REFUSALS):
        pass
    try:
        return decode_by_pydantic(position, stream, version, topic, state)
    except CodecError as error:
        unreadable = Unreadable(reason=str(error))
        return Recorded(position, stream, version, topic, unreadable, _EPOCH, _EPOCH, "", "", "")


def _read(topic: str, state: bytes) -> dict[str, Any]:
    if topic in UPCASTERS:
        return _lift(topic, state)
    body: dict[str, Any] = _reader(topic).validate_json(state)
    return body


def _lift(topic: str, state: bytes) -> dict[str, Any]:
    body: dict[str, Any] = _old_reader().validate_json(state)
    data = body["data"]
    try:
        while topic in UPCASTERS:
            topic, data = UPCASTERS[topic](data)
    except KeyError as missing:
        # A KeyError out of an upcaster is a missing field, not an unknown type.
        raise ValueError(f"the field {missing} is missing") from None
    lifted: dict[str, Any] = _reader(topic).validate_python({**body, "data": data})
    return lifted


class _FastReaders(dict[str, Reader]):
    """By topic, each made when its first event is read. An old or unknown topic has none: KeyError."""

    def __missing__(self, topic: str) -> Reader:
        reader = self[topic] = fast_reader(EVENT_TYPES[topic])
        return reader


_FAST_READERS = _FastReaders()


@cache
def _reader(topic: str) -> Any:
    """One pass over the bytes validates the envelope and the event."""
    fields = {**_Envelope.__annotations__, "data": EVENT_TYPES[topic]}
    return TypeAdapter(_typed_dict(topic, fields)).validator  # what TypeAdapter's own methods call


@cache
def _old_reader() -> Any:
    return TypeAdapter(_typed_dict("old", {**_Envelope.__annotations__, "data": dict[str, Any]})).validator


def _typed_dict(name: str, fields: dict[str, Any]) -> Any:
    make: Any = TypedDict  # the functional form with a computed name, which type checkers refuse
    return with_config(ConfigDict(extra="forbid"))(make(name, fields))


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in one['loc']) or 'state'}: {one['msg']}" for one in found[:5])
