"""Waiting for something to be appended: by this process, or by another one."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from events.recorders.port import Recorder


class News:
    """Wakes whoever waits when somebody has appended. It never says what: whoever wakes up looks."""

    # How soon an append by another process is noticed that nobody announces. A look costs about 20 us.
    POLL_S = 0.05
    # The same where appends are announced, for an announcement that was lost.
    SAFETY_POLL_S = 1.0

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._announced = 0
        self._is_told: bool | None = None

    def announce(self) -> None:
        with self._changed:
            self._announced += 1
            self._changed.notify_all()

    def wait(self, recorder: Recorder, has_news: Callable[[], bool], timeout_s: float) -> bool:
        """Until there is news, or the time is over; whether there is."""
        deadline = time.monotonic() + timeout_s
        pause_s = self._listen(recorder)
        while True:
            before = self._announced
            if has_news():
                return True
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            with self._changed:
                if self._announced == before:
                    self._changed.wait(min(left_s, pause_s))

    def _listen(self, recorder: Recorder) -> float:
        """How long to wait, in seconds, before looking unasked."""
        if not recorder.is_shared:
            return threading.TIMEOUT_MAX
        with self._changed:
            if self._is_told is None:
                self._is_told = recorder.hear(self.announce)
        return self.SAFETY_POLL_S if self._is_told else self.POLL_S
