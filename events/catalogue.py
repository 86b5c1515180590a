"""The catalogue of every event type, docs/events.md, written from the classes themselves.

`python -m events.catalogue` writes it anew; a test fails while it is out of date.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import TypeAdapter

from events import base, gateway, order
from events.codec import EVENT_TYPES, UPCASTERS, WRITERS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "events.md"

Schema = dict[str, Any]

# Names for shapes that many events share. An inline type with the same bounds gets the same name.
_SHARED: dict[str, Any] = {
    name: getattr(module, name)
    for module, names in {
        base: (
            "Sku",
            "Location",
            "Currency",
            "Country",
            "Name",
            "Note",
            "Quantity",
            "AmountMinor",
            "Instant",
            "Quantities",
            "Postings",
        ),
        order: ("OrderId", "FulfillmentId", "UnitPrice"),
        gateway: ("SignedQuantity",),
    }.items()
    for name in names
}

_HEAD = """\
# The events

Written by `python -m events.catalogue` from the classes in `events/`; do not edit. A type is spelled
`writer.what_happened.vN` and never changes once it has been written: a new shape is a new version.

"""


def render() -> str:
    """The whole page, as Markdown."""
    parts = [_HEAD, "## The envelope\n\n", _envelope(), "## Shared types\n\n", *_shared_types()]
    for writer in WRITERS:
        parts += _writer_section(writer)
    parts += ["## Values\n\n", *_values(), "## Old versions\n\n", *_old_versions()]
    return "".join(parts).rstrip("\n") + "\n"


def _envelope() -> str:
    lines = inspect.cleandoc(base.__doc__ or "").splitlines()
    fields = lines[lines.index("The envelope's fields") + 2 :]
    return "Recorded beside the data of every event:\n\n```text\n" + "\n".join(fields) + "\n```\n\n"


def _shared_types() -> Iterator[str]:
    yield "| type | what it is |\n|---|---|\n"
    for name, schema in _shared_schemas().items():
        yield f"| {name} | {_structure(schema)} |\n"
    yield "\n"


def _writer_section(writer: ModuleType) -> Iterator[str]:
    yield f"## {writer.__name__.removeprefix('events.').capitalize()}\n\n{inspect.getdoc(writer)}\n\n"
    for spelling, event in EVENT_TYPES.items():
        if event.__module__ == writer.__name__:
            yield f"### `{spelling}` {event.__name__}\n\n{inspect.getdoc(event)}\n\n"
            yield from _fields(event.model_json_schema())


def _fields(schema: Schema) -> Iterator[str]:
    yield "| field | type | when left out |\n|---|---|---|\n"
    required = schema.get("required", [])
    for name, field in schema["properties"].items():
        default = "" if name in required else f"`{json.dumps(field.get('default'))}`"
        yield f"| {name} | {_spelled(field)} | {default} |\n"
    yield "\n"


def _values() -> Iterator[str]:
    """The parts of events that are made of several fields, and the enumerations."""
    found: dict[str, Schema] = {}
    for event in EVENT_TYPES.values():
        found |= event.model_json_schema().get("$defs", {})
    for name, schema in sorted(found.items()):
        yield f"### {name}\n\n"
        if "description" in schema:
            yield f"{schema['description']}\n\n"
        if "enum" in schema:
            yield ", ".join(f"`{member}`" for member in schema["enum"]) + "\n\n"
        else:
            yield from _fields(schema)


def _old_versions() -> Iterator[str]:
    yield "Still in old logs; lifted to the current version while they are read.\n\n"
    yield "| version | what changed |\n|---|---|\n"
    for spelling, lift in UPCASTERS.items():
        yield f"| `{spelling}` | {' '.join((inspect.getdoc(lift) or '').split())} |\n"


@cache
def _shared_schemas() -> dict[str, Schema]:
    return {name: TypeAdapter(shape).json_schema() for name, shape in _SHARED.items()}


def _spelled(schema: Schema) -> str:
    """A type in words, by its shared name where it has one."""
    bare = {key: value for key, value in schema.items() if key not in {"title", "default", "description"}}
    for name, shared in _shared_schemas().items():
        if bare == shared:
            return name
    return _structure(bare)


def _structure(schema: Schema) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_spelled(choice) for choice in schema["anyOf"])
    if schema.get("type") == "array":
        return f"list{_bounds(None, schema.get('maxItems'), '')} of {_spelled(schema['items'])}"
    if schema.get("type") == "object":
        return _map(schema)
    return _scalar(schema)


def _map(schema: Schema) -> str:
    """Keys with a pattern are spelled one way in JSON schema, keys with only a length another."""
    if "patternProperties" in schema:
        [(pattern, value)] = schema["patternProperties"].items()
        key = _spelled({"pattern": pattern, "type": "string"})
    else:
        key = _spelled({"type": "string", **schema.get("propertyNames", {})})
        value = schema["additionalProperties"]
    values = _spelled(value)
    return f"map of {key} to ({values})" if values.startswith("map") else f"map of {key} to {values}"


def _scalar(schema: Schema) -> str:
    words = {"string": "text", "integer": "integer", "boolean": "true or false", "null": "null"}[schema["type"]]
    if "pattern" in schema:
        words += f" matching `{schema['pattern']}`".replace("|", "\\|")
    if schema.get("format") == "date-time":
        words = "point in time, as text with its offset from UTC"
    return (
        words
        + _bounds(schema.get("minimum"), schema.get("maximum"), "")
        + _bounds(schema.get("minLength"), schema.get("maxLength"), " characters")
    )


def _bounds(low: int | None, high: int | None, unit: str) -> str:
    if low is not None and high is not None:
        return f" ({low} to {high}{unit})"
    if low is not None:
        return f" (at least {low}{unit})"
    return "" if high is None else f" (at most {high}{unit})"


def main() -> None:
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render(), encoding="utf-8")


if __name__ == "__main__":
    main()
