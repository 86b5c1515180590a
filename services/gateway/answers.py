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


def documented(*codes: int) -> dict[int | str, dict[str, Any]]:
    """These refusals, for the API's description."""
    return {code: {"model": Refusal, "description": _MEANINGS[code]} for code in codes}


_MEANINGS = {
    404: "There is no such thing.",
    409: "It contradicts what has happened; nothing was changed.",
    422: "The request is not understood.",
    503: "The event store is away for the moment: send the same again after `Retry-After` seconds.",
}


def not_found(message: str) -> HTTPException:
    return HTTPException(404, message)


def refused(message: str) -> HTTPException:
    return HTTPException(409, message)


def too_large(error: ValidationError) -> HTTPException:
    """Each line is within its bounds, but together they are not."""
    messages = sorted({one["msg"] for one in error.errors(include_url=False, include_input=False)})
    return HTTPException(422, f"The lines of one SKU add up to too much: {'; '.join(messages)}.")
