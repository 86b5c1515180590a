"""Who sent a request, and why what follows from it is in the log."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from itertools import count
from typing import Any
from uuid import uuid4

from fastapi import HTTPException, Request

from services.runtime.decider import Cause

ACTOR = "http"

Now = Callable[[], datetime]

# Visible ASCII: it goes into the log, and from there into reports.
_FITS = re.compile(r"[!-~]{1,100}")

# Read by hand and not as a declared parameter: that cost every order a third of what its request costs.
HEADERS: dict[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "Idempotency-Key",
            "schema": {"type": "string", "maxLength": 100, "pattern": "^[!-~]*$"},
            "description": "The sender's own name for the request (or X-Request-Id; empty: none): it is kept as the "
            "cause of what follows. A repetition is recognized without it, by the number of the order or report.",
        }
    ]
}
"""For the API's description."""


class Senders:
    """Makes the causes of what requests lead to."""

    def __init__(self, now: Now) -> None:
        self._now = now
        # A name for a request without one: unique, and a hundred times cheaper than a random one each.
        series = uuid4().hex
        self._names = (f"request-{series}-{number}" for number in count(1))

    def cause(self, request: Request, correlation_id: str) -> Cause:
        """Raises 422 for a name that does not fit into the log."""
        headers = request.headers
        name = headers.get("idempotency-key") or headers.get("x-request-id") or next(self._names)
        if not _FITS.fullmatch(name):
            raise HTTPException(422, "Idempotency-Key and X-Request-Id may have up to 100 visible ASCII characters.")
        return Cause(self._now(), correlation_id, name, ACTOR)
