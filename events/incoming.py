"""What others send us over a broker: messages as they came, and what becomes of those that we do not take."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Incoming(NamedTuple):
    """A message of somebody else's, and where it lies. Nothing about it can be relied upon."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]

    @property
    def place(self) -> str:
        """Names it for ever, whatever it says of itself."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Rejected(NamedTuple):
    """A message that was not taken, and why: a sentence that may name fields, and never says what is in them."""

    message: Incoming
    reason: str


Take = Callable[[Sequence[Incoming]], Sequence[Rejected]]
"""Takes a batch for good, all but those that it returns.

Raises StoreError if it cannot do so now. Must know again what it has taken already: the same messages may come again.
"""
