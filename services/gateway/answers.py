"""What commands over HTTP answer, and how they are refused. Every refusal is one sentence that says what to do."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import HTTPException
from pydantic import BaseModel, Field, ValidationError

Position = Annotated[int, Field(description="A place in the log; reads take it as `min_position`.")]


class Taken(BaseModel):
    """Acknowledged: it is in the log. The same request again gets the same answer."""

    position: Position


class OrderTaken(Taken):
    order_id: str
    status_url: Annotated[str, Field(description="Where to read the order, as of this position or later.")]


class Done(BaseModel):
    """What a command brought about."""

    changed: Annotated[bool, Field(description="False: it was so already.")]
    position: Annotated[int | None, Field(description="Where its last event is in the log.")] = None
    events: Annotated[list[str], Field(description="The types of the events it led to at once.")] = []
    message: str


class Problem(BaseModel):
    """One thing that is wrong with a request, and where. Never what was sent."""

    where: str
    message: str


class Refusal(BaseModel):
    """Why a request was refused."""

    message: str
    problems: list[Problem] = []


Documented = dict[int | str, dict[str, Any]]
"""Answers by status code, for the API's description."""


def documented(*codes: int) -> Documented:
    """These refusals, for the API's description."""
    return {code: _DESCRIPTIONS[code] for code in codes}


_MEANINGS = {
    400: "The body is not JSON in UTF-8.",
    403: "A page of another site made a browser send this.",
    404: "There is no such thing.",
    408: "The body did not come in time.",
    409: "It contradicts what has happened; nothing was changed.",
    413: "The body is too large.",
    415: "The body is not of the type application/json, or compressed.",
    422: "The request is not understood.",
    503: "Something is away for the moment, the message says what: send the same again after `Retry-After` seconds.",
}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}, "description": "In seconds."}}
_DESCRIPTIONS: Documented = {code: {"model": Refusal, "description": text} for code, text in _MEANINGS.items()}
_DESCRIPTIONS[503]["headers"] = _RETRY_AFTER

AT_THE_DOOR = (403, 408, 413, 415, 503)
"""What whoever changes something may hear before it is looked at (door.py), and from a log that is away."""
WITH_A_BODY = (400, *AT_THE_DOOR)


def not_found(message: str) -> HTTPException:
    return HTTPException(404, message)


def refused(message: str) -> HTTPException:
    return HTTPException(409, message)


def too_large(error: ValidationError) -> HTTPException:
    """Each line is within its bounds, but together they are not."""
    messages = sorted({one["msg"] for one in error.errors(include_url=False, include_input=False)})
    return HTTPException(422, f"The lines of one SKU add up to too much: {'; '.join(messages)}.")
