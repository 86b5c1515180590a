"""Arithmetic on units per location and SKU. The common case, one location, is kept short: it is the hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from events.base import Postings, Quantities


def per_sku(postings: Postings) -> Quantities:
    """The units per SKU, over all locations."""
    if len(postings) == 1:
        [lines] = postings.values()
        return lines
    found: Quantities = {}
    for lines in postings.values():
        found = added(found, lines)
    return found


def without(units: Quantities, gone: Quantities) -> Quantities | None:
    """What is left of some units; None if more are gone than there were."""
    left = dict(units)
    for sku, quantity in gone.items():
        rest = left.pop(sku, 0) - quantity
        if rest < 0:
            return None
        if rest:
            left[sku] = rest
    return left


def added(units: Quantities, more: Quantities) -> Quantities:
    return {sku: units.get(sku, 0) + more.get(sku, 0) for sku in {**units, **more}}


def postings_without(units: Postings, gone: Postings) -> Postings | None:
    """What is left of some postings; None if more are gone than there were."""
    if units == gone:
        return {}
    left = dict(units)
    for place, lines in gone.items():
        rest = without(left.pop(place, {}), lines)
        if rest is None:
            return None
        if rest:
            left[place] = rest
    return left


def net(plus: Iterable[Postings], minus: Iterable[Postings]) -> dict[tuple[str, str], int]:
    """Signed units per location and SKU; what comes to nothing is left out."""
    found: Counter[tuple[str, str]] = Counter()
    for sign, several in ((1, plus), (-1, minus)):
        for postings in several:
            for place, lines in postings.items():
                for sku, units in lines.items():
                    found[place, sku] += sign * units
    return {key: units for key, units in found.items() if units}
