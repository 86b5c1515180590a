"""What a group member must remember of a partition: what is not handled yet, and whether it is stuck. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from events.slots import Delivery


@dataclass
class _Stretch:
    """Messages that were delivered together: from one offset up to, and not including, another."""

    start: int
    end: int
    positions: dict[int, int]
    """The last position of each slot in it."""

    def is_handled(self, handled: Mapping[int, int]) -> bool:
        # A slot that is not ours is somebody else's worry, also if its messages lie here.
        return all(handled.get(slot, position) >= position for slot, position in self.positions.items())


class Offsets:
    """Where to go on after a restart: before the first message of each partition that is not handled yet."""

    # A slot that stands still must not fill the memory: beyond this the newest messages are remembered as one stretch.
    MAX_STRETCHES = 1_000

    def __init__(self) -> None:
        self._stretches: dict[int, deque[_Stretch]] = {}
        self._ends: dict[int, int] = {}
        self._committed: dict[int, int] = {}

    def delivered(self, partition: int, start: int, end: int, deliveries: Iterable[Delivery]) -> None:
        stretches = self._stretches.setdefault(partition, deque())
        positions = {one.slot: one.position for one in deliveries}
        if len(stretches) < self.MAX_STRETCHES:
            stretches.append(_Stretch(start, end, positions))
        else:
            stretches[-1].end = end
            stretches[-1].positions.update(positions)
        self._ends[partition] = end

    def to_commit(self, handled: Mapping[int, int]) -> dict[int, int]:
        """The offset of each partition for which it has changed since `committed`."""
        found = {partition: self._first_open(partition, handled) for partition in self._ends}
        return {partition: offset for partition, offset in found.items() if self._committed.get(partition) != offset}

    def _first_open(self, partition: int, handled: Mapping[int, int]) -> int:
        stretches = self._stretches[partition]
        while stretches and stretches[0].is_handled(handled):
            stretches.popleft()
        return stretches[0].start if stretches else self._ends[partition]

    def committed(self, offsets: Mapping[int, int]) -> None:
        self._committed.update(offsets)

    def keep(self, partitions: Iterable[int]) -> None:
        """Forget all other partitions: they are not ours any more."""
        keep = frozenset(partitions)
        for partition in self._ends.keys() - keep:
            del self._ends[partition], self._stretches[partition]
            self._committed.pop(partition, None)


class Finding(Enum):
    WELL = "well, as far as can be told yet"
    SILENT = "the broker does not answer"
    STUCK = "nothing arrives, though the broker has more"


class Watch:
    """Whether a consumer is stuck: it is given nothing although the broker has more, twice in a row.

    That its tasks are alive and its connection is open says nothing; only what arrives does.
    """

    def __init__(self, stall_s: float, answer_s: float, now_s: float) -> None:
        self._stall_s = stall_s
        self._answer_s = answer_s
        self._look_at_s = now_s + stall_s
        self._before: dict[int, int] | None = None

    def progress(self, now_s: float) -> None:
        """Something arrived, or there is nothing that could."""
        self._look_at_s = now_s + self._stall_s
        self._before = None

    def is_due(self, now_s: float) -> bool:
        """Whether the broker should be asked now how far it is."""
        return now_s >= self._look_at_s

    def looked(self, positions: Mapping[int, int] | None, ends: Mapping[int, int], now_s: float) -> Finding:
        """`positions` is where we are, `ends` where the broker is, by partition; None and empty: it gave no answer."""
        before, self._before = self._before, None
        # What was under way at the first look has arrived by the second.
        self._look_at_s = now_s + self._answer_s
        if positions is None:
            self._before = {}
            return Finding.WELL if before is None else Finding.SILENT
        behind = {partition: at for partition, at in positions.items() if at < ends.get(partition, at)}
        if not behind:
            self.progress(now_s)
            return Finding.WELL
        self._before = behind
        return Finding.STUCK if before and behind.items() & before.items() else Finding.WELL
