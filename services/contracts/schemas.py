"""JSON Schemas (2020-12): of each event type's data, and of the order that shops send."""

from __future__ import annotations

import inspect
import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from events.codec import EVENT_TYPES
from services.gateway.requests import OrderBody

DIALECT = "https://json-schema.org/draft/2020-12/schema"
INTAKE = "intake.order"
"""The name of the schema of what is sent to us, as POST /orders and as a message."""

Schema = dict[str, Any]


def render() -> dict[str, str]:
    """Every file and its content."""
    found = {spelling: schema_of(event, spelling) for spelling, event in EVENT_TYPES.items()}
    found[INTAKE] = schema_of(OrderBody, INTAKE)
    return {f"{name}.json": json.dumps(schema, indent=2, ensure_ascii=False) + "\n" for name, schema in found.items()}


class _Plain(GenerateJsonSchema):
    def field_title_should_be_set(self, schema: Any) -> bool:
        """A field's name in capitals tells nobody anything."""
        return False


def schema_of(model: type[BaseModel], name: str) -> Schema:
    schema: Schema = model.model_json_schema(schema_generator=_Plain)
    return {"$schema": DIALECT, "$id": f"urn:waybill:{name}", **schema, "title": name, "description": _said(model)}


def _said(model: type[BaseModel]) -> str:
    return inspect.getdoc(model) or ""
