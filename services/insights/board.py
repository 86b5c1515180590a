"""Where results lie for dashboards: one document, replaced as a whole. redis_board.py is behind it in a cluster.

It holds no history and no personal data, and is never read back by whoever computes it: if it is gone, it is written
anew with the next report.
"""

from __future__ import annotations

from typing import Protocol


class BoardUnavailable(Exception):
    """Nobody answers, or not in time. Try again."""


class Board(Protocol):
    """May be used from any thread."""

    def show(self, document: bytes) -> None:
        """From now on this is what is seen. Raises BoardUnavailable: then nobody knows which one is."""

    def seen(self) -> bytes | None:
        """The latest document; None if there never was one. Raises BoardUnavailable."""

    def close(self) -> None:
        """Let go of connections. May be called twice."""


class MemoryBoard:
    """In this process's memory."""

    def __init__(self) -> None:
        self._document: bytes | None = None

    def show(self, document: bytes) -> None:
        self._document = document

    def seen(self) -> bytes | None:
        return self._document

    def close(self) -> None:
        """There is nothing to let go of."""
