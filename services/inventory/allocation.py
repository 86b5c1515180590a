"""From which locations an order's goods are taken: from as few as possible, then from where most is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from events.base import Postings, Quantities

Stock = Mapping[str, Mapping[str, int]]
"""Free units by location and SKU."""

# All combinations of eight locations are 255 looks at the order; more locations are tried largest first instead.
_MAX_LOCATIONS_TO_COMBINE = 8


def available(skus: Iterable[str], stock: Stock) -> Quantities:
    """What could be promised of these SKUs, over all locations together; those that no location knows are left out."""
    found: Quantities = {}
    for here in stock.values():
        at_hand = here.get
        for sku in skus:
            units = at_hand(sku)
            if units is not None:
                found[sku] = found.get(sku, 0) + units
    return found


def shortage(lines: Quantities, stock: Stock) -> Quantities:
    """What is missing, over all locations together; {} if everything is there."""
    at_hand = available(lines, stock).get
    return {sku: wanted - units for sku, wanted in lines.items() if (units := at_hand(sku, 0)) < wanted}


def allocate(lines: Quantities, stock: Stock) -> Postings:
    """Where each line is taken from. Call it only if nothing is short."""
    if not lines:
        return {}
    if len(stock) == 1:
        [only] = stock
        return {only: lines}
    chosen = _fewest_locations(lines, stock)
    if len(chosen) == 1:
        return {chosen[0]: lines}
    return _spread(lines, stock, chosen)


def _fewest_locations(lines: Quantities, stock: Stock) -> tuple[str, ...]:
    totals = {place: sum([here.get(sku, 0) for sku in lines]) for place, here in stock.items()}
    # Most stock first, names as the tie-break, so that the choice is the same in every replay.
    ranked = sorted([place for place in totals if totals[place]], key=lambda place: (-totals[place], place))
    if len(ranked) > _MAX_LOCATIONS_TO_COMBINE:
        return _grow(ranked, lines, stock)
    for size in range(1, len(ranked) + 1):
        fitting = [chosen for chosen in combinations(ranked, size) if _fits(chosen, lines, stock)]
        if fitting:
            return max(fitting, key=lambda chosen: sum(totals[place] for place in chosen))
    raise AssertionError("allocate() was called although something is short")


def _grow(ranked: list[str], lines: Quantities, stock: Stock) -> tuple[str, ...]:
    for size in range(1, len(ranked) + 1):
        if _fits(tuple(ranked[:size]), lines, stock):
            return tuple(ranked[:size])
    raise AssertionError("allocate() was called although something is short")


def _fits(chosen: tuple[str, ...], lines: Quantities, stock: Stock) -> bool:
    if len(chosen) == 1:
        here = stock[chosen[0]]
        return all(here.get(sku, 0) >= wanted for sku, wanted in lines.items())
    return all(sum(stock[place].get(sku, 0) for place in chosen) >= wanted for sku, wanted in lines.items())


def _spread(lines: Quantities, stock: Stock, chosen: tuple[str, ...]) -> Postings:
    """Each line from where most of it is."""
    taken: Postings = {}
    for sku, wanted in lines.items():
        missing = wanted
        for place in sorted(chosen, key=lambda place: (-stock[place].get(sku, 0), place)):
            units = min(missing, stock[place].get(sku, 0))
            if units > 0:
                taken.setdefault(place, {})[sku] = units
                missing -= units
    return taken
