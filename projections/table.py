"""What a projection is: a few tables, each a pure fold of events into rows, that stand at one checkpoint.

A row is a JSON object. It belongs to its table alone: `apply` changes it in place, nobody else ever sees the object.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from events.base import Event, Recorded

RowT = TypeVar("RowT", bound=Mapping[str, Any])


class Rows(dict[str, RowT]):
    """Rows by key; one that was never seen is made blank when it is asked for."""

    def __init__(self, blank: Callable[[str], RowT]) -> None:
        super().__init__()
        self._blank = blank

    def __missing__(self, key: str) -> RowT:
        row = self[key] = self._blank(key)
        return row


Timelines = dict[str, list[bytes]]
"""New entries by row key, each a line of JSON with its line break, oldest first."""


class Table(ABC, Generic[RowT]):
    """One kind of row. Every method is pure, and `apply` takes any event it handles in any order without raising.

    A table with timelines has `entries` in its rows: how many there ever were. They are kept in pages of a fixed size,
    because a page can be added to without reading it; the oldest page goes when there are too many.
    """

    name: str
    handles: frozenset[type[Event]]
    cached_rows = 10_000
    """How many decoded rows the process keeps, up to 5 kB each: more than there are orders under way, or SKUs."""
    page_entries = 50
    pages = 3

    @abstractmethod
    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        """The rows that these events change. A key may come twice."""

    @abstractmethod
    def blank(self, key: str) -> RowT:
        """The row before its first event. An empty one is not kept."""

    @abstractmethod
    def apply(self, recorded: Recorded, rows: Rows[RowT], timelines: Timelines) -> None:
        """Change the rows that `keys` named, and add to their timelines."""

    def index(self, row: RowT) -> dict[str, str]:
        """Where the row is found: member by index. Members are ordered by their bytes."""
        return {}

    def totals(self, row: RowT) -> dict[str, int]:
        """The row's part of the table's totals, which are the sums over all rows."""
        return {}

    @property
    def shown_entries(self) -> int:
        """How many of the newest entries are always there."""
        return self.page_entries * (self.pages - 1)


def page_key(key: str, page: int) -> str:
    return f"{key}:{page}"


@dataclass(frozen=True)
class Projection:
    """Tables that are always as of one position."""

    name: str
    tables: tuple[Table[Any], ...]

    @property
    def handles(self) -> frozenset[type[Event]]:
        return frozenset().union(*(table.handles for table in self.tables))
