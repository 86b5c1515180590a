"""The versions that this process wrote last, so that an append need not ask the database what it wrote itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from events.base import Recorded, Write


class Heads:
    """Streams and the versions they had reached when this process wrote to them; bounded."""

    # Two generations of at most so many streams: some 30 MB. A stream that was forgotten is asked about again.
    MAX_STREAMS = 100_000

    def __init__(self) -> None:
        self._young: dict[str, int] = {}
        self._old: dict[str, int] = {}

    def note(self, events: Sequence[Recorded]) -> None:
        """Remember what was committed just now."""
        young = self._young
        for recorded in events:
            young[recorded[1]] = recorded[2]
        if len(young) >= self.MAX_STREAMS:
            self._old, self._young = young, {}

    def unproven(self, expected: dict[str, int], writes: Iterable[Write]) -> dict[str, int]:
        """The expectations that the database must be asked about.

        A stream is written after version v only if v exists and v+1 does not. That v+1 does not exist is fenced by the
        primary key. That v exists needs no asking if it is 0, or if we wrote it ourselves: nothing is ever removed. A
        stream that is only watched is fenced by no key, so it is asked about always.
        """
        written = {write.stream for write in writes if write.events}
        young, old = self._young, self._old
        return {
            stream: version
            for stream, version in expected.items()
            if stream not in written or (version and young.get(stream) != version and old.get(stream) != version)
        }
