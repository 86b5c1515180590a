"""What msgspec shall parse for an event's class, and how the pydantic objects are made of that.

Translated from what pydantic compiled the class to, so that the class remains the only definition. Each kind of schema
has its row in the table at the end, with the keys that its translation respects; whatever is not in there raises.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from types import GenericAlias
from typing import Annotated, Any, NamedTuple

import msgspec
from pydantic import BaseModel, TypeAdapter

from events.base import Event, Instant

# Remembered texts save parsing: a commit has one recorded_at, an order's id stands in 22 events, and articles come
# again and again. Both bounds are a few MB; what falls out is parsed again.
_REMEMBERED_INSTANTS = 4_096
_REMEMBERED_TEXTS = 16_384

_INSTANT = TypeAdapter(Instant)
_BOUNDS = ("ge", "le", "min_length", "max_length")


class Unforeseen(TypeError):
    """An event's class uses something of pydantic that is not translated here. Ignoring it would misread events."""


class Shape(NamedTuple):
    """What msgspec makes of a value, and how ours is made of that; None: it is the value."""

    type: Any
    convert: Callable[[Any], Any] | None = None


Schema = dict[str, Any]
"""What pydantic compiled a type to: nested dicts, told apart by `type`."""
Known = dict[str, Schema]
"""Schemas that others refer to by name."""


def shape_of(event_class: type[Event]) -> Shape:
    """Raises Unforeseen."""
    schema: Any = TypeAdapter(event_class).core_schema
    return _shape(schema, {})


def struct_of(name: str, fields: list[Any]) -> Any:
    """A struct that refuses unknown fields."""
    # Structs live for a moment and hold no cycles: the collector need not look at them.
    return msgspec.defstruct(name, fields, forbid_unknown_fields=True, gc=False)


# --- texts and times ---------------------------------------------------------------------------------------------


@lru_cache(_REMEMBERED_INSTANTS)
def instant(text: str) -> datetime:
    """A time as pydantic reads it. Raises ValueError."""
    time: datetime = _INSTANT.validator.validate_python(text)
    # pydantic makes an object of its own for every UTC; times that share one are compared much faster.
    return time.replace(tzinfo=UTC) if time.utcoffset() == timedelta(0) else time


@cache
def _known_text(pattern: str) -> Callable[[str], str]:
    """Returns a text that fits the pattern, the same object every time; raises ValueError for any other."""
    fits = re.compile(_python_pattern(pattern)).search

    @lru_cache(_REMEMBERED_TEXTS)
    def known(text: str) -> str:
        if fits(text) is None:
            raise ValueError("does not fit its pattern")
        return text

    return known


def _python_pattern(pattern: str) -> str:
    """For pydantic `$` is the very end of a text; for Python it may be the line feed before it."""
    return pattern.replace("$", r"\Z")


# --- kinds of schemas --------------------------------------------------------------------------------------------


def _shape(schema: Schema, known: Known) -> Shape:
    kind = _KINDS.get(schema["type"])
    if kind is None or not schema.keys() <= {"type", "metadata", "ref", *kind.keys}:
        raise Unforeseen(f"{schema['type']} with {', '.join(schema)}")
    return kind.translate(schema, known)


def _inner(schema: Schema, known: Known) -> Shape:
    return _shape(schema["schema"], known)


def _definitions(schema: Schema, known: Known) -> Shape:
    return _inner(schema, {**known, **{one["ref"]: one for one in schema["definitions"]}})


def _bounded(python_type: Any, schema: Schema, **more: str) -> Any:
    bounds: dict[str, Any] = {name: schema[name] for name in _BOUNDS if name in schema} | more
    return Annotated[python_type, msgspec.Meta(**bounds)] if bounds else python_type


def _text(schema: Schema, known: Known) -> Shape:
    # msgspec matches patterns too, but every time: 15 us more for an order of 24 lines.
    return Shape(_bounded(str, schema), _known_text(schema["pattern"]) if "pattern" in schema else None)


def _time(schema: Schema, known: Known) -> Shape:
    if schema != _INSTANT.core_schema:
        raise Unforeseen("a time that is no Instant")
    return Shape(str, instant)


def _nullable(schema: Schema, known: Known) -> Shape:
    inner = _inner(schema, known)
    convert = inner.convert
    return Shape(inner.type | None, convert and (lambda value: None if value is None else convert(value)))


def _list(schema: Schema, known: Known) -> Shape:
    item = _shape(schema["items_schema"], known)
    convert = item.convert
    listed = _bounded(GenericAlias(list, (item.type,)), schema)
    return Shape(listed, convert and (lambda values: [convert(value) for value in values]))


def _dict(schema: Schema, known: Known) -> Shape:
    values = _shape(schema["values_schema"], known)
    if values.convert is not None:
        raise Unforeseen("a map to more than numbers and maps")
    return Shape(GenericAlias(dict, (_key(schema["keys_schema"], known), values.type)))


def _key(schema: Schema, known: Known) -> Any:
    if schema["type"] == "definition-ref":
        return _key(known[schema["schema_ref"]], known)
    _shape(schema, known)  # refuses what is unforeseen
    pattern = {"pattern": _python_pattern(schema["pattern"])} if "pattern" in schema else {}
    return _bounded(str, schema, **pattern)


def _model(schema: Schema, known: Known) -> Shape:
    model_class, fields = schema["cls"], schema["schema"]
    plain = {"extra_fields_behavior": "forbid", "title": model_class.__name__}
    if schema["config"] != plain or schema["custom_init"] or schema["root_model"] or fields["type"] != "model-fields":
        raise Unforeseen(f"{model_class.__name__} is more than a plain model")
    shapes = {name: _shape(field, known) for name, field in fields["fields"].items()}
    struct = struct_of(model_class.__name__, [(name, shape.type) for name, shape in shapes.items()])
    return Shape(struct, _builder(model_class, shapes))


def _builder(model_class: type[BaseModel], shapes: dict[str, Shape]) -> Callable[[Any], BaseModel]:
    """Makes the model of a struct, as `Event.of_known` does."""
    names = set(shapes)
    conversions = [(name, shape.convert) for name, shape in shapes.items() if shape.convert]
    new, as_dict = object.__new__, msgspec.structs.asdict

    def build(struct: Any) -> BaseModel:
        fields = as_dict(struct)
        for name, convert in conversions:
            fields[name] = convert(fields[name])
        model = new(model_class)
        _set_fields(model, fields)
        _set_fields_set(model, names)
        _set_extra(model, None)
        _set_private(model, None)
        return model

    return build


# All that a pydantic object consists of, set past its own __setattr__, in half the time of object.__setattr__.
_set_fields, _set_fields_set, _set_extra, _set_private = (
    vars(BaseModel)[place].__set__
    for place in ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")
)


class _Kind(NamedTuple):
    """How a kind of schema is translated, and the keys that the translation respects."""

    translate: Callable[[Schema, Known], Shape]
    keys: tuple[str, ...] = ()


_KINDS: dict[str, _Kind] = {
    "definitions": _Kind(_definitions, ("schema", "definitions")),
    "definition-ref": _Kind(lambda schema, known: _shape(known[schema["schema_ref"]], known), ("schema_ref",)),
    # A default is for whoever makes an event: `encode` writes every field.
    "default": _Kind(_inner, ("schema", "default")),
    "nullable": _Kind(_nullable, ("schema",)),
    "model": _Kind(_model, ("cls", "schema", "config", "custom_init", "root_model")),
    "model-field": _Kind(_inner, ("schema",)),
    "str": _Kind(_text, ("min_length", "max_length", "pattern")),
    "int": _Kind(lambda schema, known: Shape(_bounded(int, schema)), ("ge", "le")),
    "bool": _Kind(lambda schema, known: Shape(bool)),
    "datetime": _Kind(_time, ("tz_constraint", "microseconds_precision")),
    "enum": _Kind(lambda schema, known: Shape(schema["cls"]), ("cls", "members", "sub_type")),
    "list": _Kind(_list, ("items_schema", "max_length")),
    "dict": _Kind(_dict, ("keys_schema", "values_schema")),
}
