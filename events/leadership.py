"""Which one of several processes does what only one may do at a time (publish the log, keep the deadlines).

Leadership is not a fence: a leader that was stopped may finish what it had begun before it looks again. What it does
must be harmless when two do it for a moment: appends are fenced by the log itself, publishing again is allowed.
"""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Leadership(Protocol):
    """One process's candidature for one name. Not safe to use from several threads."""

    def try_lead(self) -> bool:
        """Whether this process leads from now on; at once, whoever leads. Raises StoreUnavailable.

        A standby asks again at intervals: it leads as soon as the leader has gone.
        """

    def still_leads(self) -> bool:
        """Whether it leads now. A leader asks before each piece of work, and at least every few seconds."""

    def close(self) -> None:
        """Give it up, so that a standby can take over at once. May be called twice."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class SoleLeadership:
    """Where one process owns the log, it leads."""

    def __init__(self) -> None:
        self._closed = False

    def try_lead(self) -> bool:
        return self.still_leads()

    def still_leads(self) -> bool:
        return not self._closed

    def close(self) -> None:
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
