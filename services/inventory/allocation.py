"""From which locations an order's goods are taken: from as few as possible, then from where most is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from events.base import Postings, Quantities
from services.inventory.state import Bins

# All combinations of eight locations are 255 looks at the order; more locations are tried largest first instead.
_MAX_LOCATIONS_TO_COMBINE = 8


def available(lines: Iterable[str], bins: Mapping[str, Bins]) -> Quantities:
    """What could be promised of these SKUs, over all locations together."""
    found = {}
    for sku in lines:
        units = 0
        for bin_ in bins[sku].values():
            units += bin_.on_hand - bin_.allocated - bin_.reserved
        found[sku] = units
    return found


def shortage(lines: Quantities, bins: Mapping[str, Bins]) -> Quantities:
    """What is missing, over all locations together; {} if everything is there."""
    free = available(lines, bins)
    return {sku: wanted - free[sku] for sku, wanted in lines.items() if free[sku] < wanted}


def allocate(lines: Quantities, bins: Mapping[str, Bins]) -> Postings:
    """Where each line is taken from. Call it only if nothing is short."""
    places = {place for sku in lines for place in bins[sku]}
    if not places:
        return {}  # nothing was asked for
    if len(places) == 1:
        [only] = places
        return {sku: {only: wanted} for sku, wanted in lines.items()}
    stock = {
        sku: {place: bin_.on_hand - bin_.allocated - bin_.reserved for place, bin_ in bins[sku].items()}
        for sku in lines
    }
    chosen = _fewest_locations(lines, stock)
    return {sku: _take(wanted, stock[sku], chosen) for sku, wanted in lines.items()}


def _fewest_locations(lines: Quantities, stock: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    totals: dict[str, int] = {}
    for by_location in stock.values():
        for place, available in by_location.items():
            totals[place] = totals.get(place, 0) + available
    # Most stock first, names as the tie-break, so that the choice is the same in every replay.
    ranked = sorted(totals, key=lambda place: (-totals[place], place))
    if len(ranked) > _MAX_LOCATIONS_TO_COMBINE:
        return _grow(ranked, lines, stock)
    for size in range(1, len(ranked) + 1):
        fitting = [chosen for chosen in combinations(ranked, size) if _fits(chosen, lines, stock)]
        if fitting:
            return max(fitting, key=lambda chosen: sum(totals[place] for place in chosen))
    raise AssertionError("allocate() was called although something is short")


def _grow(ranked: list[str], lines: Quantities, stock: Mapping[str, Mapping[str, int]]) -> tuple[str, ...]:
    for size in range(1, len(ranked) + 1):
        if _fits(tuple(ranked[:size]), lines, stock):
            return tuple(ranked[:size])
    raise AssertionError("allocate() was called although something is short")


def _fits(chosen: tuple[str, ...], lines: Quantities, stock: Mapping[str, Mapping[str, int]]) -> bool:
    if len(chosen) == 1:
        [place] = chosen
        return all(stock[sku].get(place, 0) >= wanted for sku, wanted in lines.items())
    return all(sum(stock[sku].get(place, 0) for place in chosen) >= wanted for sku, wanted in lines.items())


def _take(wanted: int, stock: Mapping[str, int], chosen: tuple[str, ...]) -> dict[str, int]:
    if len(chosen) == 1:
        return {chosen[0]: wanted}
    taken: dict[str, int] = {}
    for place in sorted(chosen, key=lambda place: (-stock.get(place, 0), place)):
        units = min(wanted, max(0, stock.get(place, 0)))
        if units:
            taken[place] = units
            wanted -= units
    return taken
