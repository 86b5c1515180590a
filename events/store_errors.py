"""What can go wrong with the event store. One tree, so that a caller can say how much of it it wants to know.

StoreError
├── VersionConflict        somebody else wrote to the stream first: read it again and decide again
├── AlreadyTracked         this consumer has been here before: its work is in the log, skip it
├── StoreUnavailable       nothing was written; the message says why and what to do; try again later
└── CommitOutcomeUnknown   the commit was cut short and the log cannot be read: stop, ask again when it can

None of them quotes an event's data.
"""

from __future__ import annotations


class StoreError(Exception):
    """The base of everything that the store raises about itself (what it cannot decode is a CodecError)."""


class VersionConflict(StoreError):
    """The stream is not at the expected version. `actual` is where it stood when the conflict was found."""

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream} was expected at version {expected} and is at {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class AlreadyTracked(StoreError):
    """The consumer's position is at or behind what the log has of it already."""

    def __init__(self, consumer: str, position: int) -> None:
        super().__init__(f"{consumer} has already tracked position {position}")
        self.consumer = consumer
        self.position = position


class StoreUnavailable(StoreError):
    """The database cannot be used at the moment. What was being appended is not in the log."""


class CommitOutcomeUnknown(StoreError):
    """Whether the append is in the log could not be found out. Never assume either."""
