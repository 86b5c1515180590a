"""Every value that the event language can say, for hypothesis: read off the classes themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import TypeAdapter

from events.base import Event

_ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-8))])
INSTANTS = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2200, 1, 1), timezones=_ZONES)  # noqa: DTZ001

# A collection of a few says as much about reading and writing as one of two thousand.
_FEW = 3


@cache
def events(event_class: type[Event]) -> SearchStrategy[Event]:
    """Events of this type, within the bounds of its fields."""
    strategy: SearchStrategy[Event] = _from_schema(TypeAdapter(event_class).core_schema, {})
    return strategy


Known = dict[str, Any]
"""Schemas that others refer to by name."""


def _from_schema(schema: Any, known: Known) -> SearchStrategy[Any]:
    """`schema` is what pydantic compiled a type to; an unforeseen kind raises KeyError."""
    return _KINDS[schema["type"]](schema, known)


def _definitions(schema: Any, known: Known) -> SearchStrategy[Any]:
    return _from_schema(schema["schema"], {**known, **{one["ref"]: one for one in schema["definitions"]}})


def _model(schema: Any, known: Known) -> SearchStrategy[Any]:
    fields = schema["schema"]["fields"]
    return st.builds(schema["cls"], **{name: _from_schema(one["schema"], known) for name, one in fields.items()})


def _text(schema: Any, known: Known) -> SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True)
    return st.text(min_size=schema.get("min_length", 0), max_size=schema.get("max_length"))


def _dict(schema: Any, known: Known) -> SearchStrategy[Any]:
    keys, values = _from_schema(schema["keys_schema"], known), _from_schema(schema["values_schema"], known)
    return st.dictionaries(keys, values, max_size=_FEW)


_KINDS: dict[str, Callable[[Any, Known], SearchStrategy[Any]]] = {
    "definitions": _definitions,
    "definition-ref": lambda schema, known: _from_schema(known[schema["schema_ref"]], known),
    "default": lambda schema, known: _from_schema(schema["schema"], known),
    "nullable": lambda schema, known: st.none() | _from_schema(schema["schema"], known),
    "model": _model,
    "str": _text,
    "int": lambda schema, known: st.integers(schema.get("ge"), schema.get("le")),
    "bool": lambda schema, known: st.booleans(),
    "datetime": lambda schema, known: INSTANTS,
    "enum": lambda schema, known: st.sampled_from(schema["members"]),
    "list": lambda schema, known: st.lists(_from_schema(schema["items_schema"], known), max_size=_FEW),
    "dict": _dict,
}
