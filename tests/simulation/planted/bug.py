"""A planted bug: the product with one thing wrong, in memory, for as long as a `with` lasts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

MISSING: Any = object()
"""In the place of a table's entry: there is none."""


class Patch(NamedTuple):
    """In this place (a module, a class, a table) there is something else under this name."""

    place: Any
    name: Any
    instead: Any


class Bug(NamedTuple):
    """`plant` makes its patches anew: some remember things."""

    name: str
    plant: Callable[[], list[Patch]]


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The product with this bug in it."""
    undo = [_put(patch) for patch in bug.plant()]
    try:
        yield
    finally:
        for patch in reversed(undo):
            _put(patch)


def _put(patch: Patch) -> Patch:
    """Returns what puts it back."""
    place, name, instead = patch
    if isinstance(place, dict):
        before = place.get(name, MISSING)
        if instead is MISSING:
            del place[name]
        else:
            place[name] = instead
    else:
        before = vars(place)[name]
        setattr(place, name, instead)
    return Patch(place, name, before)
