"""What every reader of projections needs: the live generation, pages, progress. Nothing here writes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import orjson

from projections.left_out import LeftOut
from projections.table import Projection, Table, page_key
from projections.views import Views, ViewsUnavailable

Answer = TypeVar("Answer")

# A page is for eyes, not for exports: those replay the log.
MAX_PAGE_ROWS = 500
# A read meets a switch of generations once in a blue moon; twice in a row means that something is badly wrong.
_READ_ATTEMPTS = 3
# Waiting for a position polls: 200 reads/s of one hash field per waiting caller, 60 us each.
_WAIT_STEP_S = 0.005


class Page(NamedTuple):
    """Some rows in order, and the cursor of the next page; None where this is the last."""

    rows: list[dict[str, Any]]
    next: str | None


class Reader:
    """Reads from the live generation, again if it was switched while we read."""

    def __init__(self, views: Views) -> None:
        self._views = views

    def live(self, read: Callable[[int], Answer]) -> Answer:
        generation = self._views.standing().generation
        for _ in range(_READ_ATTEMPTS):
            answer = read(generation)
            now = self._views.standing().generation
            if now == generation:
                return answer
            generation = now
        raise ViewsUnavailable("the views are being rebuilt over and over")

    def row(self, table: str, key: str) -> dict[str, Any] | None:
        return self.live(lambda generation: self._rows(generation, table, [key]))[0]

    def page(self, table: str, index: str, limit: int, after: str | None, *, descending: bool = False) -> Page:
        """At most MAX_PAGE_ROWS rows. A member of an index is a row's key, after what it is ordered by and a colon."""
        limit = max(1, min(limit, MAX_PAGE_ROWS))

        def read(generation: int) -> Page:
            found = self._views.page(generation, table, index, limit + 1, after=after or "", descending=descending)
            members = found[:limit]
            rows = self._rows(generation, table, [member.rsplit(":", 1)[-1] for member in members])
            return Page([row for row in rows if row is not None], members[-1] if len(found) > limit else None)

        return self.live(read)

    def entries(self, table: Table[Any], key: str) -> list[Any]:
        """The newest entries of a row's timeline, oldest first."""

        def read(generation: int) -> list[Any]:
            [row] = self._rows(generation, table.name, [key])
            last = 0 if row is None else (row["entries"] - 1) // table.page_entries
            pages = [page_key(key, page) for page in range(max(0, last - table.pages + 1), last + 1)]
            texts = self._views.texts(generation, table.name, pages)
            return [orjson.loads(line) for text in texts if text for line in text.splitlines()]

        return self.live(read)[-table.shown_entries :]

    def totals(self, table: str, *fields: str) -> dict[str, int]:
        return self.live(lambda generation: self._views.totals(generation, table, fields))

    def _rows(self, generation: int, table: str, keys: list[str]) -> list[dict[str, Any] | None]:
        found = self._views.rows(generation, table, keys)
        return [None if row is None else orjson.loads(row) for row in found]


class Progress(Reader):
    """How far each projection is, and what it could not read."""

    def checkpoints(self, projections: Sequence[Projection]) -> dict[str, int]:
        """The position up to which each projection shows the log; 0 for one that was never fed."""
        known = self._views.standing().checkpoints
        return {projection.name: known.get(projection.name, 0) for projection in projections}

    def lag(self, projections: Sequence[Projection], last_position: int) -> dict[str, int]:
        """How many positions of the log each projection has not shown yet."""
        return {name: max(0, last_position - at) for name, at in self.checkpoints(projections).items()}

    def wait_for(self, projection: Projection, position: int, timeout_s: float) -> bool:
        """Until the projection shows that position; False if it does not within `timeout_s` seconds."""
        deadline = time.monotonic() + timeout_s
        while self.checkpoints([projection])[projection.name] < position:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_WAIT_STEP_S)
        return True

    def unreadable(self, projection: Projection) -> tuple[int, list[dict[str, Any]]]:
        """How many events the projection had to leave out, and the newest of them: position, stream, type, reason."""
        table = LeftOut(projection.name)
        row = self.row(table.name, LeftOut.KEY)
        return (row["entries"] if row else 0), self.entries(table, LeftOut.KEY)
