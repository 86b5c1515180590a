"""What happened in a world, as a story that can be read: who did what, when, in order."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import NamedTuple

from tests.simulation.clock import Clock


class Line(NamedTuple):
    """Put into words only if somebody reads it."""

    us: int
    who: str
    text: str
    about: tuple[object, ...]

    def __str__(self) -> str:
        return f"{timedelta(microseconds=self.us)!s:>24}  {self.who:<22}  {self.text.format(*self.about)}"


class Story:
    """The last lines of what happened; bounded."""

    MAX_LINES = 20_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: deque[Line] = deque(maxlen=self.MAX_LINES)

    def note(self, who: str, text: str, *about: object) -> None:
        """`text` is a format for `about`."""
        self._lines.append(Line(self._clock.us, who, text, about))

    def last(self, count: int, *, about: str = "") -> list[str]:
        """The last lines in which this text occurs."""
        told = [line for line in map(str, self._lines) if about in line]
        return told[max(0, len(told) - count) :]
