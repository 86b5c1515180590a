"""Who sent a request, and why what follows from it is in the log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import uuid4

from fastapi import Depends, Header

from services.runtime.decider import Cause

ACTOR = "http"

Now = Callable[[], datetime]

# Visible ASCII: it goes into the log, and from there into reports.
_Id = Annotated[str | None, Header(max_length=100, pattern=r"^[!-~]+$")]


async def _request_id(idempotency_key: _Id = None, x_request_id: _Id = None) -> str:
    """The sender's own name for the request; becomes the causation id of what follows. Without one, a new one.

    Not a key to recognize a repetition by: orders and reports have their own numbers, and commands are judged by the
    state of what they change.
    """
    return idempotency_key or x_request_id or str(uuid4())


RequestId = Annotated[str, Depends(_request_id)]


def sent(request_id: str, correlation_id: str, now: Now) -> Cause:
    return Cause(now(), correlation_id, request_id, ACTOR)
