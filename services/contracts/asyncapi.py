"""The AsyncAPI 3.0 document: every topic, what lies in it under which key, and who sends and receives it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from typing import Any

from events.base import Event
from events.cloudevents import MARK
from events.codec import EVENT_TYPES
from events.slots import SLOTS
from services.contracts import headers, yaml
from services.contracts.schemas import INTAKE
from services.gateway.intake_messages import TYPES
from services.routing import FACTS, INBOXES, INTAKE_TOPIC, REJECTED_TOPIC, by_order, by_pool, by_stream

Doc = dict[str, Any]

_HEAD = "# Written by `python -m services.contracts` from the code; do not edit.\n"

_KEYS: dict[Callable[..., str], str] = {
    by_stream: "the event's stream (`ce_subject`)",
    by_order: "the id of the order that it is about",
    by_pool: "the pool of stock",
}

# What the two ways of sending an order are called.
_BINARY, _STRUCTURED, _REJECTED = f"{INTAKE}.binary", f"{INTAKE}.structured", f"{INTAKE}.rejected"


def render() -> str:
    """The whole document."""
    return _HEAD + yaml.dump(document())


def document() -> Doc:
    return {
        "asyncapi": "3.0.0",
        "info": _info(),
        "defaultContentType": "application/json",
        "servers": _servers(),
        "channels": dict(_channels()),
        "operations": dict(_operations()),
        "components": {
            "messages": dict(_messages()),
            "schemas": headers.SCHEMAS,
            "securitySchemes": {"login": {"type": "scramSha512", "description": "A user name and a password."}},
        },
    }


def _info() -> Doc:
    return {
        "title": "Waybill",
        "version": version("waybill"),
        "description": (
            "An event-sourced order management system. Facts are for everybody; inboxes are how the services work; "
            "the intake is where shops publish orders. Every message is a CloudEvent 1.0."
        ),
        "license": {"name": "Apache-2.0"},
    }


def _servers() -> Doc:
    local = {"host": "localhost:9094", "protocol": "kafka", "description": "docker compose, on a machine of your own."}
    brokers = {"default": "kafka.example.com:9093", "description": "As in WAYBILL_KAFKA."}
    elsewhere = {
        "host": "{brokers}",
        "protocol": "kafka-secure",
        "description": "Brokers with TLS and passwords.",
        "variables": {"brokers": brokers},
        "security": [{"$ref": "#/components/securitySchemes/login"}],
    }
    return {"local": local, "production": elsewhere}


# --- topics ----------------------------------------------------------------------------------------------------------


def _channels() -> Iterator[tuple[str, Doc]]:
    for route in FACTS:
        writer = route.topic.rpartition(".")[2]
        said = f"Every event that {writer} writes, as it stands in the log. Key: {_KEYS[route.key]}."
        yield route.topic, _channel(route.topic, said, [*_spellings(route.classes), MARK])
    for service, inbox in INBOXES.items():
        said = f"What the workers of {service} wait for. Not for others: it changes with them. Key: {_KEYS[inbox.key]}."
        yield inbox.topic, _channel(inbox.topic, said, [*_spellings(inbox.classes), MARK])
    said = "Orders from shops, one in a message. Any key: the same order may come as often as it likes."
    yield INTAKE_TOPIC, _channel(INTAKE_TOPIC, said, [_BINARY, _STRUCTURED])
    said = f"What came on {INTAKE_TOPIC} and was not taken: its key, bytes and headers, with the reason beside them."
    yield REJECTED_TOPIC, _channel(REJECTED_TOPIC, said, [_REJECTED])


def _channel(topic: str, description: str, messages: Iterable[str]) -> Doc:
    return {
        "address": topic,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"kafka": {"topic": topic, "partitions": SLOTS, "bindingVersion": "0.5.0"}},
    }


def _spellings(classes: Iterable[type[Event]]) -> list[str]:
    """In the order of the catalogue."""
    wanted = frozenset(classes)
    return [spelling for spelling, event in EVENT_TYPES.items() if event in wanted]


def _operations() -> Iterator[tuple[str, Doc]]:
    for route in FACTS:
        yield f"send.{route.topic}", _operation("send", route.topic, "The relay publishes what is in the log.")
    for service, inbox in INBOXES.items():
        yield f"send.{inbox.topic}", _operation("send", inbox.topic, "The relay publishes what is in the log.")
        yield f"receive.{inbox.topic}", _operation("receive", inbox.topic, f"The role `{service}` works on it.")
    yield f"receive.{INTAKE_TOPIC}", _operation("receive", INTAKE_TOPIC, "The role `intake` takes orders into the log.")
    yield f"send.{REJECTED_TOPIC}", _operation("send", REJECTED_TOPIC, "The role `intake` says why it did not.")


def _operation(action: str, topic: str, summary: str) -> Doc:
    return {"action": action, "channel": {"$ref": f"#/channels/{topic}"}, "summary": summary}


# --- messages --------------------------------------------------------------------------------------------------------


def _messages() -> Iterator[tuple[str, Doc]]:
    routed = frozenset().union(*(route.classes for route in FACTS), *(inbox.classes for inbox in INBOXES.values()))
    for spelling in _spellings(routed):
        yield spelling, _fact(spelling)
    yield MARK, _mark()
    yield from _intake()


def _fact(spelling: str) -> Doc:
    return {
        "name": spelling,
        "summary": _first_line(EVENT_TYPES[spelling]),
        "headers": _headers("fact", ce_type=spelling),
        "payload": {"$ref": f"./schemas/{spelling}.json"},
        "bindings": _text_key(),
    }


def _mark() -> Doc:
    return {
        "name": MARK,
        "summary": "No event: how far the log has been published, where there is nothing else to tell. Pass it over.",
        "headers": _headers("mark", ce_type=MARK),
        "payload": {"type": "object", "maxProperties": 0},
        "bindings": _text_key(),
    }


def _intake() -> Iterator[tuple[str, Doc]]:
    order = {"$ref": f"./schemas/{INTAKE}.json"}
    yield (
        _BINARY,
        {
            "name": "order.placed",
            "summary": "An order; the attributes are headers.",
            "headers": _headers("sent"),
            "payload": order,
        },
    )
    attributes = {name: {"type": "string", "minLength": 1} for name in ("id", "source")}
    yield (
        _STRUCTURED,
        {
            "name": "order.placed",
            "summary": "An order; the attributes stand beside it.",
            "contentType": "application/cloudevents+json",
            "headers": _headers("structured"),
            "payload": {
                "type": "object",
                "required": ["specversion", "type", "source", "id", "data"],
                "properties": {
                    "specversion": {"const": "1.0"},
                    "type": {"enum": [*TYPES]},
                    **attributes,
                    "data": order,
                },
            },
        },
    )
    yield (
        _REJECTED,
        {
            "name": "rejected",
            "summary": "A message that was not taken, as it came; its own headers come first.",
            "contentType": "application/octet-stream",
            "headers": _headers("rejected"),
            "payload": {"description": "Any bytes. Left out where they are larger than this topic takes."},
        },
    )


def _headers(name: str, **constants: str) -> Doc:
    shared = {"$ref": f"#/components/schemas/{name}.headers"}
    if not constants:
        return shared
    own = {"type": "object", "properties": {header: {"const": value} for header, value in constants.items()}}
    return {"allOf": [shared, own]}


def _text_key() -> Doc:
    return {"kafka": {"key": {"type": "string"}, "bindingVersion": "0.5.0"}}


def _first_line(event: type[Event]) -> str:
    return (inspect.getdoc(event) or "").partition("\n\n")[0].replace("\n", " ")
