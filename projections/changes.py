"""What a batch of events changes in the views, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class ViewsError(Exception):
    """Something is wrong with the views.

    ViewsError
    ├── ViewsUnavailable   nobody answers, or not in time; try again
    │   └── ViewsHeld      the live generation is held while a rebuild compares; try again in a moment
    ├── ViewsBusy          another rebuild is under way
    └── StaleWriter        the checkpoint or the generation is not what the writer believed; nothing was changed
    """


class ViewsUnavailable(ViewsError):
    """Nobody answers, or not in time; whether the last commit was made is not known. Read the checkpoint, try again."""


class ViewsHeld(ViewsUnavailable):
    """The live generation stands still for a moment, because a rebuild compares itself with it."""


class ViewsBusy(ViewsError):
    """Another rebuild is under way."""


class StaleWriter(ViewsError):
    """The checkpoint or the generation is not what the writer believed. Nothing was changed."""


class Standing(NamedTuple):
    """Which generation is live, and how far its projections are."""

    generation: int
    checkpoints: dict[str, int]


class IndexEntry(NamedTuple):
    index: str
    member: str


@dataclass(slots=True)
class TableChanges:
    """What a batch of events changes in one table."""

    table: str
    rows: dict[str, bytes | None] = field(default_factory=dict)
    """New row by key; None removes it."""
    entries: dict[str, list[bytes]] = field(default_factory=dict)
    """What is added to the end of timelines, by key. An entry is never empty and has no line breaks."""
    keep_entries: int = 0
    """How many entries a timeline keeps: the newest."""
    indexed: list[IndexEntry] = field(default_factory=list)
    unindexed: list[IndexEntry] = field(default_factory=list)
    totals: dict[str, int] = field(default_factory=dict)
    """What is added to counters; a counter that comes to 0 is gone."""


class Move(NamedTuple):
    """A projection goes from one position to another; 0 is where nothing was applied yet."""

    projection: str
    expected: int
    reached: int


@dataclass(slots=True)
class Batch:
    """All of it, or nothing."""

    generation: int
    moves: list[Move]
    tables: list[TableChanges]
    holder: str = ""
    """Who writes, where that matters: the builder of this generation, or who holds the live one."""
