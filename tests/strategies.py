"""Every value that the event language can say, for hypothesis: read off the classes themselves."""

from __future__ import annotations

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


def _from_schema(schema: Any, known: dict[str, Any]) -> SearchStrategy[Any]:
    match schema["type"]:
        case "definitions":
            known = {**known, **{one["ref"]: one for one in schema["definitions"]}}
            return _from_schema(schema["schema"], known)
        case "definition-ref":
            return _from_schema(known[schema["schema_ref"]], known)
        case "default":
            return _from_schema(schema["schema"], known)
        case "nullable":
            return st.none() | _from_schema(schema["schema"], known)
        case "model":
            fields = schema["schema"]["fields"]
            return st.builds(
                schema["cls"], **{name: _from_schema(one["schema"], known) for name, one in fields.items()}
            )
        case "str":
            return _texts(schema)
        case "int":
            return st.integers(schema.get("ge"), schema.get("le"))
        case "bool":
            return st.booleans()
        case "datetime":
            return INSTANTS
        case "enum":
            return st.sampled_from(schema["members"])
        case "list":
            return st.lists(_from_schema(schema["items_schema"], known), max_size=_FEW)
        case "dict":
            keys, values = schema["keys_schema"], schema["values_schema"]
            return st.dictionaries(_from_schema(keys, known), _from_schema(values, known), max_size=_FEW)
        case unforeseen:
            raise LookupError(f"tests/strategies.py knows no values of the kind {unforeseen!r}")


def _texts(schema: Any) -> SearchStrategy[str]:
    if "pattern" in schema:
        return st.from_regex(schema["pattern"], fullmatch=True).filter(lambda text: "\n" not in text)
    return st.text(min_size=schema.get("min_length", 0), max_size=schema.get("max_length"))
