"""The headers of our messages, as schemas. Every header is text; numbers are digits."""

from __future__ import annotations

from typing import Any

from services.gateway.intake_messages import TYPES

_TEXT = {"type": "string"}
_DIGITS = {"type": "string", "pattern": "^[0-9]+$"}


def _said(shape: dict[str, Any], description: str) -> dict[str, Any]:
    return {**shape, "description": description}


_VERSION = {"type": "string", "const": "1.0"}
_PLACE = {
    "ce_specversion": _VERSION,
    "ce_type": _said(_TEXT, "The event's type and version; what it is called never changes."),
    "ce_source": _said({"type": "string", "pattern": "^/"}, "Which log it is from, and who wrote it."),
    "ce_id": _said(_TEXT, "Unique in the log, the same at every repetition: stream/version."),
    "ce_position": _said(_DIGITS, "The place in the log: the only order that counts, and what tells repetitions."),
    "ce_previous": _said(
        _DIGITS, "The position of the message before it in this topic and slot, as the relay knew it."
    ),
    "ce_slot": _said(_DIGITS, "Which of the twelve parts of the work it belongs to, by its key."),
}
_ENVELOPE = {
    "ce_subject": _said(_TEXT, "The stream that it belongs to."),
    "ce_streamversion": _said(_DIGITS, "Its place in that stream, from 1."),
    "ce_time": _said({"type": "string", "format": "date-time"}, "When it happened."),
    "ce_recordedat": _said({"type": "string", "format": "date-time"}, "When the log took it in."),
    "ce_correlationid": _said(_TEXT, "The business process, usually the order's id."),
    "ce_causationid": _said(_TEXT, "The event or request that made us decide it."),
    "ce_actor": _said(_TEXT, "Who asked: a service, http, import, intake."),
    "ce_traceparent": _said(_TEXT, "W3C trace context: one order is one trace."),
}
_SOMETIMES = {
    "content-type": _said({"type": "string", "const": "application/json"}, "Where the data is in the message."),
    "ce_dataref": _said(
        _TEXT, "Where the data is too large for a message, or could not be read: its place in the log."
    ),
    "ce_clock": _said(_TEXT, "Whose time ce_time follows, where it is not the wall clock's."),
}

# What a sender's header may be called beside these is the sender's own business.
_SENT = {
    "ce_specversion": _VERSION,
    "ce_type": {"type": "string", "enum": [*TYPES]},
    "ce_source": _said({"type": "string", "minLength": 1}, "Who sends it. With ce_id it becomes the order's cause."),
    "ce_id": _said({"type": "string", "minLength": 1}, "The sender's own name for the message."),
}
_REJECTED = {
    "waybill-reason": _said(_TEXT, "A sentence; names fields, never what is in them."),
    "waybill-topic": _said(_TEXT, "Where it came, and lies for as long as that topic keeps it."),
    "waybill-partition": _DIGITS,
    "waybill-offset": _DIGITS,
}
_LEFT_OUT = {"waybill-left-out": _said(_TEXT, "What was too large for this topic, and is missing here.")}
_OF_STRUCTURED = {"content-type": {"type": "string", "pattern": "^application/cloudevents\\+json"}}


def _schema(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": [*required], "properties": {**required, **(optional or {})}}


SCHEMAS: dict[str, Any] = {
    "fact.headers": _schema(_PLACE | _ENVELOPE, _SOMETIMES),
    "mark.headers": _schema(_PLACE, {"content-type": _SOMETIMES["content-type"]}),
    "sent.headers": _schema(_SENT, {"content-type": _said(_TEXT, "application/json, or left out.")}),
    "structured.headers": _schema(_OF_STRUCTURED),
    "rejected.headers": _schema(_REJECTED, _LEFT_OUT),
}
"""By the name of the schema in the document."""
