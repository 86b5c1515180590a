"""Window arithmetic. Times are whole milliseconds since 1970 (UTC); windows are half-open: [start, end).

What is counted is kept in *panes* of one minute. A window of any size is the sum of its panes, so that each event is
counted once, whatever windows it lies in.

Whose time: an event's business time. On the wall clock it is bounded by the time at which the log took the event in:
nothing is recorded before it happens, and a sender whose clock is an hour ahead shall not push everybody else's
minutes out of sight. An imported history has a time of its own, and windows of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

from events.base import WALL_CLOCK, Recorded

MINUTE_MS = 60_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Window(NamedTuple):
    """From its start to just before its end."""

    start_ms: int
    end_ms: int

    def has(self, at_ms: int) -> bool:
        return self.start_ms <= at_ms < self.end_ms

    @property
    def minutes(self) -> Iterable[int]:
        """The starts of its panes."""
        return range(self.start_ms, self.end_ms, MINUTE_MS)


class Hopping(NamedTuple):
    """Windows of one size, of which one begins at every hop. With a hop of their own size they tumble."""

    size_min: int
    hop_min: int

    def of(self, at_ms: int) -> list[Window]:
        """All windows that contain this moment, the oldest first."""
        size_ms, hop_ms = self.size_min * MINUTE_MS, self.hop_min * MINUTE_MS
        last = at_ms // hop_ms * hop_ms
        first = ((at_ms - size_ms) // hop_ms + 1) * hop_ms
        return [Window(start, start + size_ms) for start in range(first, last + 1, hop_ms)]

    def latest(self, as_of_ms: int, count: int) -> list[Window]:
        """The windows that end last, the oldest first; the newest one is under way and ends with the running hop."""
        size_ms, hop_ms = self.size_min * MINUTE_MS, self.hop_min * MINUTE_MS
        end = (as_of_ms // hop_ms + 1) * hop_ms
        return [Window(end - back * hop_ms - size_ms, end - back * hop_ms) for back in reversed(range(count))]


def tumbling(size_min: int) -> Hopping:
    """Windows that follow on one another."""
    return Hopping(size_min, size_min)


def minute_of(at_ms: int) -> int:
    """The start of the pane that this moment lies in."""
    return at_ms // MINUTE_MS * MINUTE_MS


def is_kept(minute_ms: int, newest_ms: int, keep_min: int) -> bool:
    """Whether a pane is still kept when the newest moment that was heard of is that one.

    This is the allowed lateness as well: what comes late is counted where it belongs as long as its pane is kept, and
    as late, and nowhere else, after that.
    """
    return minute_ms > newest_ms - keep_min * MINUTE_MS


def event_ms(recorded: Recorded) -> int:
    """When it happened, as its windows count. See the module's docstring."""
    if recorded.clock == WALL_CLOCK:
        return to_ms(min(recorded.occurred_at, recorded.recorded_at))
    return to_ms(recorded.occurred_at)


def to_ms(at: datetime) -> int:
    """Exact: without floating point."""
    since = at - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000


def to_text(at_ms: int) -> str:
    """As ISO 8601: "2026-03-02T12:00:00Z", with milliseconds where there are any."""
    seconds, rest = divmod(at_ms, 1_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:03}Z" if rest else f"{text}Z"
