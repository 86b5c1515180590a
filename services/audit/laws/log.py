"""The laws of the log itself: positions, versions, and envelopes that say where an event comes from.

That recorded_at never goes back is no law: several processes write, each by its own clock, and order is by position.
How often it did, and by how much, is told all the same.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

from events.base import Recorded
from events.codec import CodecError, Unreadable
from services.audit.books import Books
from services.audit.law import Law

# An event's id is its stream, a slash and its version. What else may cause something (a request, a file) is not ours.
_STREAM_PREFIXES = ("order-", "payment-", "fulfillment-", "stock-", "report-", "parking-")
_LONGEST_VERSION = 18


class Histories(Protocol):
    """How to look something up that was forgotten."""

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]: ...


class LogLaws:
    """Checks every event's envelope, in the order of the log."""

    def __init__(self, books: Books, histories: Histories) -> None:
        self._books = books
        self._histories = histories
        self._position = 0
        self._recorded_at = datetime.min.replace(tzinfo=UTC)
        self.steps_back = 0
        """How often an event's recorded_at is before that of the one before it."""
        self.most_back = timedelta()
        self._cause = ""

    def check(self, recorded: Recorded) -> None:
        books = self._books
        versions = books.versions
        position, stream, version, _, event, _, recorded_at, correlation_id, causation_id, actor, _ = recorded
        if position <= self._position:
            books.tell(Law.POSITIONS_GROW, f"It follows position {self._position}.")
        self._position = position
        if version != versions.get(stream, 0) + 1:
            self._check_version(recorded)
        versions[stream] = version
        if type(event) is Unreadable:
            books.tell(Law.READABLE, event.reason)
            return
        if recorded_at < self._recorded_at:
            self.steps_back += 1
            self.most_back = max(self.most_back, self._recorded_at - recorded_at)
        self._recorded_at = recorded_at
        if not (correlation_id and actor):
            books.tell(Law.ENVELOPE_WELL_FORMED, "Its correlation id or its actor is missing.")
        # One decision's events have one cause: it is looked up once.
        if causation_id != self._cause:
            self._cause = causation_id
            cause, _, number = causation_id.rpartition("/")
            if (
                len(number) > _LONGEST_VERSION
                or not number.isdecimal()
                or not 0 < int(number) <= versions.get(cause, 0)
            ):
                self._check_cause(recorded)

    def _check_version(self, recorded: Recorded) -> None:
        known = self._books.versions.get(recorded.stream)
        if known is None:
            known = self._read_back(recorded.stream, recorded.version - 1, recorded.position)
        if recorded.version != known + 1:
            self._books.tell(Law.VERSIONS_CONTIGUOUS, f"It follows version {known}.")

    def _check_cause(self, recorded: Recorded) -> None:
        """The cause is no event of a stream in the books: perhaps of a forgotten one, perhaps none of ours at all."""
        cause, _, number = recorded.causation_id.rpartition("/")
        if not recorded.causation_id:
            self._books.tell(Law.ENVELOPE_WELL_FORMED, "Its causation id is missing.")
        elif not cause.startswith(_STREAM_PREFIXES) or not number.isdecimal() or len(number) > _LONGEST_VERSION:
            return
        elif cause in self._books.versions or not self._read_back(cause, int(number), recorded.position):
            self._books.tell(Law.ENVELOPE_WELL_FORMED, f"Its cause {cause}/{number} is not in the log before it.")

    def _read_back(self, stream: str, version: int, before: int) -> int:
        """`version`, if the stream had it before that position, else 0: for streams that are not in the books."""
        if version < 1:
            return 0
        try:
            history = self._histories.read_stream(stream, after_version=version - 1)
        except CodecError as error:
            # That it cannot be read was told in its own place; here it counts that it is there.
            return version if error.position < before else 0
        found = history and history[0].version == version and history[0].position < before
        return version if found else 0
