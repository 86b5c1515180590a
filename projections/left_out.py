"""The events that a projection could not take: what a person must know of them. Nothing is left out in silence."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypedDict

import orjson

from events.base import Recorded
from events.codec import Unreadable
from projections.table import Rows, Table, Timelines


class LeftOutRow(TypedDict):
    """The list as a whole."""

    entries: int
    updated_position: int


class LeftOut(Table[LeftOutRow]):
    """One row with one timeline per projection."""

    KEY = "events"
    handles = frozenset({Unreadable})

    def __init__(self, projection: str) -> None:
        self.name = f"{projection}_left_out"

    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        return (self.KEY,)

    def blank(self, key: str) -> LeftOutRow:
        return {"entries": 0, "updated_position": 0}

    def apply(self, recorded: Recorded, rows: Rows[LeftOutRow], timelines: Timelines) -> None:
        event: Any = recorded.event
        rows[self.KEY]["updated_position"] = recorded.position
        mark = {
            "position": recorded.position,
            "stream": recorded.stream,
            "type": recorded.type,
            "reason": event.reason,
        }
        timelines[self.KEY].append(orjson.dumps(mark) + b"\n")
