"""Arithmetic on units per SKU and per location. The common case, one location, is kept short: it is the hot path."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from events.base import Postings, Quantities


def by_location(postings: Postings) -> dict[str, Quantities]:
    """The same units, by location first."""
    found: dict[str, Quantities] = {}
    for sku, places in postings.items():
        for place, units in places.items():
            if place in found:
                found[place][sku] = units
            else:
                found[place] = {sku: units}
    return found


def at_location(postings: Postings, location: str) -> Quantities | None:
    """The units per SKU, if all of them are at this location."""
    found: Quantities = {}
    for sku, places in postings.items():
        if len(places) != 1 or location not in places:
            return None
        found[sku] = places[location]
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
    for sku, places in gone.items():
        rest = without(left.pop(sku, {}), places)
        if rest is None:
            return None
        if rest:
            left[sku] = rest
    return left


def net(plus: Iterable[Postings], minus: Iterable[Postings]) -> dict[tuple[str, str], int]:
    """Signed units per SKU and location; what comes to nothing is left out."""
    found: Counter[tuple[str, str]] = Counter()
    for sign, several in ((1, plus), (-1, minus)):
        for postings in several:
            for sku, places in postings.items():
                for place, units in places.items():
                    found[sku, place] += sign * units
    return {key: units for key, units in found.items() if units}
