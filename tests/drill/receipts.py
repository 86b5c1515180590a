"""What the shop was told, and therefore holds us to."""

from __future__ import annotations

from collections import defaultdict

import orjson

from tests.drill.orders import Body


class Receipts:
    """Written by the shop's thread alone; read once it is done, or roughly before."""

    def __init__(self) -> None:
        self.taken: dict[str, set[bytes]] = defaultdict(set)
        """order id -> the contents that were acknowledged: by 201 or 200, or by the broker."""
        self.refused: dict[str, set[bytes]] = defaultdict(set)
        """order id -> the contents that were refused with 409."""
        self.wrong: list[str] = []
        """Answers that nobody should ever get, in words."""
        self.attempts = 0
        self.unanswered = 0
        """Attempts without an answer, or with one that says: later."""
        self.accept_s: list[float] = []
        """How long the attempt took that was acknowledged over HTTP."""


def content(body: Body) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def body_of(said: bytes) -> Body:
    body: Body = orjson.loads(said)
    return body
