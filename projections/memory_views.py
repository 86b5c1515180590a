"""Views in this process's memory, for tests and simulations: passes the same contract test as the Redis."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from projections.views import BUILDER_TTL_S, Batch, Commit, StaleWriter, Standing, TableChanges, ViewsBusy, ViewsHeld


@dataclass
class _Table:
    rows: dict[str, bytes] = field(default_factory=dict)
    texts: dict[str, bytes] = field(default_factory=dict)
    indexes: dict[str, list[bytes]] = field(default_factory=dict)
    totals: dict[str, int] = field(default_factory=dict)

    def keys(self) -> dict[str, object]:
        """Everything in the table, by names like those in Redis."""
        return {
            **{f"row:{key}": row for key, row in self.rows.items()},
            **{f"text:{key}": text for key, text in self.texts.items()},
            **{f"index:{name}": found for name, found in self.indexes.items() if found},
            **({"totals": self.totals} if self.totals else {}),
        }


@dataclass
class _Generation:
    checkpoints: dict[str, int] = field(default_factory=dict)
    tables: dict[str, _Table] = field(default_factory=lambda: defaultdict(_Table))

    def keys(self) -> dict[str, object]:
        found: dict[str, object] = {"checkpoints": self.checkpoints} if self.checkpoints else {}
        for name, table in self.tables.items():
            found |= {f"{name}:{key}": content for key, content in table.keys().items()}
        return found


@dataclass
class _Lease:
    """A name that somebody has for some time."""

    name: str = ""
    until: float = 0.0

    def holder(self) -> str:
        return self.name if time.monotonic() < self.until else ""

    def give(self, name: str, ttl_s: float) -> None:
        self.name, self.until = name, time.monotonic() + ttl_s


class _Committed:
    """Done at once; whoever waits is told how it went."""

    def __init__(self, refusal: StaleWriter | ViewsHeld | None) -> None:
        self._refusal = refusal

    def wait(self) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal


class MemoryViews:
    def __init__(self) -> None:
        self._lock = threading.RLock()
        self.flush()

    def flush(self) -> None:
        """Forget everything, as FLUSHALL does."""
        with self._lock:
            self._live = 1
            self._highest = 1
            self._generations: dict[int, _Generation] = defaultdict(_Generation)
            self._hold = _Lease()
            self._builder = _Lease()

    def contents(self) -> dict[str, object]:
        """Everything in the live generation, by the names of its keys."""
        with self._lock:
            return self._generations[self._live].keys()

    def standing(self) -> Standing:
        with self._lock:
            return Standing(self._live, dict(self._generations[self._live].checkpoints))

    def rows(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            rows = self._generations[generation].tables[table].rows
            return [rows.get(key) for key in keys]

    def texts(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        with self._lock:
            texts = self._generations[generation].tables[table].texts
            return [texts.get(key) for key in keys]

    def page(
        self, generation: int, table: str, index: str, limit: int, *, after: str = "", descending: bool = False
    ) -> list[str]:
        with self._lock:
            members = self._generations[generation].tables[table].indexes.get(index, [])
            if descending:
                end = bisect_left(members, after.encode()) if after else len(members)
                found = members[max(0, end - limit) : end][::-1]
            else:
                start = bisect_right(members, after.encode()) if after else 0
                found = members[start : start + limit]
            return [member.decode() for member in found]

    def totals(self, generation: int, table: str, fields: Sequence[str] = ()) -> dict[str, int]:
        with self._lock:
            totals = self._generations[generation].tables[table].totals
            return {name: totals[name] for name in fields or totals if name in totals}

    def commit(self, batch: Batch) -> Commit:
        try:
            self._commit(batch)
        except (StaleWriter, ViewsHeld) as refusal:
            return _Committed(refusal)
        return _Committed(None)

    def _commit(self, batch: Batch) -> None:
        with self._lock:
            self._refuse(batch)
            generation = self._generations[batch.generation]
            for changes in batch.tables:
                _change(generation.tables[changes.table], changes)
            for move in batch.moves:
                generation.checkpoints[move.projection] = move.reached
            if batch.generation != self._live:
                self._builder.give(batch.holder, BUILDER_TTL_S)

    def _refuse(self, batch: Batch) -> None:
        if batch.generation == self._live:
            if self._hold.holder() not in ("", batch.holder):
                raise ViewsHeld("the views are held by somebody else for a moment")
        elif not batch.holder or self._builder.holder() != batch.holder:
            raise StaleWriter("this generation is not live")
        checkpoints = self._generations[batch.generation].checkpoints
        if any(checkpoints.get(move.projection, 0) != move.expected for move in batch.moves):
            raise StaleWriter("the views are not where this writer believed them to be")

    def begin_generation(self, builder: str, ttl_s: float) -> int:
        with self._lock:
            if self._builder.holder() not in ("", builder):
                raise ViewsBusy("another rebuild is under way, or was killed within the last minute: try again later")
            self._builder.give(builder, ttl_s)
            self._highest += 1
            self._keep_only(self._live)
            return self._highest

    def hold(self, holder: str, ttl_s: float) -> None:
        with self._lock:
            if self._hold.holder() not in ("", holder):
                raise ViewsHeld("the views are held by somebody else for a moment")
            self._hold.give(holder, ttl_s)

    def differences(self, one: int, other: int) -> Iterator[tuple[int, list[str]]]:
        with self._lock:
            mine, theirs = self._generations[one].keys(), self._generations[other].keys()
        yield len(mine), [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]

    def switch(self, old: int, new: int, *, holder: str = "") -> None:
        with self._lock:
            if self._live != old:
                raise StaleWriter(f"generation {old} is not live")
            if self._hold.holder() != holder:
                raise ViewsHeld("the views are held by somebody else for a moment")
            self._live = new
            self._hold, self._builder = _Lease(), _Lease()
            self._keep_only(new)

    def close(self) -> None:
        """Nothing to close."""

    def _keep_only(self, generation: int) -> None:
        for dead in set(self._generations) - {generation}:
            del self._generations[dead]


def _change(table: _Table, changes: TableChanges) -> None:
    table.rows |= changes.rows
    for key in changes.removed:
        table.rows.pop(key, None)
    for key in changes.dropped:
        table.texts.pop(key, None)
    for key, text in changes.texts.items():
        table.texts[key] = table.texts.get(key, b"") + text
    for name, member in changes.unindexed:
        _unindex(table.indexes.get(name, []), member.encode())
    for name, member in changes.indexed:
        _index(table.indexes.setdefault(name, []), member.encode())
    for name, change in changes.totals.items():
        table.totals[name] = table.totals.get(name, 0) + change
        if table.totals[name] == 0:
            del table.totals[name]


def _index(members: list[bytes], member: bytes) -> None:
    at = bisect_left(members, member)
    if at == len(members) or members[at] != member:
        members.insert(at, member)


def _unindex(members: list[bytes], member: bytes) -> None:
    at = bisect_left(members, member)
    if at < len(members) and members[at] == member:
        del members[at]
