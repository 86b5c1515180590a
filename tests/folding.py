"""What the tests of projections share: events as the log would hold them, a log in a list, tables folded from both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeVar

from events.base import Event, Recorded
from projections.catalogue import PROJECTIONS
from projections.memory_views import MemoryViews
from projections.runner import ProjectionRunner
from projections.table import Projection, Rows, Table
from projections.views import Views
from tests.examples import NOON

Row = TypeVar("Row", bound=dict[str, Any])


def recorded(event: Event, position: int, *, at: datetime = NOON) -> Recorded:
    return Recorded(position, f"stream-{position}", 1, event.type, event, at, NOON, "order", "request-1", "test")


def folded(table: Table[Any], *events: Event) -> Rows[Any]:
    """The table's rows after these events, at positions 1, 2, 3 ..."""
    rows = Rows[Any](table.blank)
    for position, event in enumerate(events, start=1):
        table.apply(recorded(event, position), rows, defaultdict(list))
    return rows


@dataclass
class ListLog:
    """A log that a test can shorten and tamper with."""

    events: list[Recorded] = field(default_factory=list)

    def add(self, *events: Event, at: datetime = NOON) -> None:
        for event in events:
            self.events.append(recorded(event, self.last_position() + 1, at=at))

    def last_position(self) -> int:
        return self.events[-1].position if self.events else 0

    def read_after(
        self,
        position: int,
        *,
        limit: int,
        types: frozenset[str] | None = None,
        upto: int | None = None,
        on_unreadable: Literal["raise", "mark"] = "raise",
    ) -> list[Recorded]:
        found = [
            one
            for one in self.events
            if one.position > position
            and (upto is None or one.position <= upto)
            and (types is None or one.type in types)
        ]
        return found[:limit]


def shown(*events: Event, projections: Sequence[Projection] = PROJECTIONS) -> Views:
    """Views of these events."""
    log, views = ListLog(), MemoryViews()
    log.add(*events)
    catch_up(ProjectionRunner(log, views, projections))
    return views


def catch_up(runner: ProjectionRunner) -> int:
    """Step until everything can be seen; how many events there were."""
    events = 0
    while count := runner.step():
        events += count
    return events
