"""What can go wrong with the event store. One tree, so that a caller can say how much of it it wants to know.

StoreError
├── VersionConflict        somebody else wrote to the stream first: read it again and decide again
├── AlreadyTracked         this consumer, or a twin, has been here before: go on from what the log has of it
├── StoreWentBack          the log lacks what this process has seen in it: halt, and let people look
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
    """The log has another position of the consumer than one that this could follow: it has been here, or a twin has."""

    def __init__(self, consumer: str, position: int) -> None:
        super().__init__(f"what leads {consumer} to position {position} is handled already, or in part")
        self.consumer = consumer
        self.position = position


class StoreWentBack(StoreError):
    """The log is not the one that it was. Whoever goes on would give positions, and decisions, a second meaning."""

    def __init__(self, seen: int) -> None:
        super().__init__(
            f"the event store went back: what this process has seen at position {seen} is not in the log any more."
            " Nothing is read or written from here on. Was an older backup restored, or a standby promoted that had not"
            " received everything? Find out what is lost, rebuild what was made from it, then start again"
        )
        self.seen = seen


class StoreUnavailable(StoreError):
    """The database cannot be used at the moment. What was being appended is not in the log."""


class CommitOutcomeUnknown(StoreError):
    """Whether the append is in the log could not be found out. Never assume either."""
