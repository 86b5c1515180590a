"""The port to the place where projections keep what they show; redis_views.py is behind it, memory_views.py in tests.

Everything that is shown belongs to a *generation*, a whole set of views built from the log; one generation is live.
A generation has *tables*; a table has rows (bytes by key), texts (bytes by key, to be added to), indexes (ordered sets
of members) and totals (counters by field). Each projection has a checkpoint per generation: the position in the log up
to which its tables stand. Rows and checkpoint change together, in one step, or not at all.

Keys, names, members and contents are never empty and have no NUL character in them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

# A builder that was not heard of for this long is taken for dead. One batch takes a fraction of a second.
BUILDER_TTL_S = 60.0


class ViewsError(Exception):
    """Something is wrong with the views.

    ViewsError
    ├── ViewsUnavailable   nobody answers, or not in time; try again
    │   ├── ViewsHeld      the live generation is held while a rebuild compares; try again in a moment
    │   └── ViewsBusy      another rebuild is under way; try again when it is done
    └── StaleWriter        the checkpoint or the generation is not what the writer believed; nothing was changed
    """


class ViewsUnavailable(ViewsError):
    """Nobody answers, or not in time; whether the last commit was made is not known. Read the checkpoint, try again."""


class ViewsHeld(ViewsUnavailable):
    """The live generation stands still for a moment, because a rebuild compares itself with it."""


class ViewsBusy(ViewsUnavailable):
    """Another rebuild is under way."""


class StaleWriter(ViewsError):
    """The checkpoint or the generation is not what the writer believed. Nothing was changed."""


class Standing(NamedTuple):
    """Which generation is live, and how far its projections are."""

    generation: int
    checkpoints: dict[str, int]


class IndexEntry(NamedTuple):
    """A member of an index."""

    name: str
    member: str


@dataclass(slots=True)
class TableChanges:
    """What a batch of events changes in one table."""

    table: str
    rows: dict[str, bytes] = field(default_factory=dict)
    """The new rows by key."""
    removed: list[str] = field(default_factory=list)
    """The keys of rows that are no more."""
    texts: dict[str, bytes] = field(default_factory=dict)
    """What is added to the end of texts, by key."""
    dropped: list[str] = field(default_factory=list)
    """Texts that are removed, before others are added to."""
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


class Commit(Protocol):
    """A batch on its way. It is made, or refused, whether or not somebody waits for it."""

    def wait(self) -> None:
        """Until the batch is visible. Raises StaleWriter or ViewsHeld, and then nothing was changed."""
        ...


class Views(Protocol):
    """Everything raises ViewsUnavailable when nobody answers in time."""

    def standing(self) -> Standing:
        """The live generation; 1 with no checkpoints where nothing was ever written."""
        ...

    def rows(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]: ...

    def texts(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]: ...

    def page(
        self, generation: int, table: str, index: str, limit: int, *, after: str = "", descending: bool = False
    ) -> list[str]:
        """At most `limit` members in order of their bytes; `after` is the last member of the page before, or ""."""
        ...

    def totals(self, generation: int, table: str, fields: Sequence[str] = ()) -> dict[str, int]:
        """Counters that are not 0: those named, or all."""
        ...

    def commit(self, batch: Batch) -> Commit:
        """Begin to make the batch visible, all at once. The caller goes on meanwhile, and waits when it must know."""
        ...

    def begin_generation(self, builder: str, ttl_s: float) -> int:
        """A number for a generation to build, never used before. Each commit to it gives the builder more time.

        Deletes what earlier builders left behind. Raises ViewsBusy while another builder's `ttl_s` are not over.
        """
        ...

    def hold(self, holder: str, ttl_s: float) -> None:
        """Only `holder` may write to the live generation, for `ttl_s` seconds or until the next switch."""
        ...

    def differences(self, one: int, other: int) -> Iterator[tuple[int, list[str]]]:
        """Compare two generations, key for key, in steps: how many keys were looked at, and which of them differ.

        Keys are named without their generation. Neither generation may change meanwhile: see `hold`.
        """
        ...

    def switch(self, old: int, new: int, *, holder: str = "") -> None:
        """Make `new` live instead of `old`, end the hold, and delete `old`, in steps.

        Raises StaleWriter if `old` is not live, ViewsHeld if it is held by another one (or no longer) than `holder`.
        """
        ...

    def close(self) -> None: ...
