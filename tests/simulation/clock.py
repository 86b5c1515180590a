"""Virtual time. It goes on only when the scheduler says so; everybody's own watch may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECOND_US = 1_000_000
MINUTE_S = 60.0
HOUR_S = 3_600.0
DAY_S = 86_400.0


class Clock:
    """The world's true time, in whole microseconds since START: no rounding, the same on every machine."""

    def __init__(self) -> None:
        self.us = 0

    def __call__(self) -> datetime:
        return START + timedelta(microseconds=self.us)

    def s(self) -> float:
        """Seconds since START, as a monotonic clock tells them."""
        return self.us / SECOND_US

    def after_us(self, seconds: float) -> int:
        """The moment so many seconds from now."""
        return self.us + max(0, round(seconds * SECOND_US))


class Watch:
    """One machine's wall clock: the true time and an error that may jump. Monotonic time is not wrong."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.error = timedelta(0)

    def __call__(self) -> datetime:
        return self._clock() + self.error
