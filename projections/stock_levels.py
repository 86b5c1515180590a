"""What can we sell? A row and the last movements per SKU, what is waited for, and the reads over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypedDict

import orjson

from events import inventory
from events.base import Event, Recorded
from projections.reader import Page, Reader
from projections.table import Projection, Rows, Table, Timelines

BalanceName = Literal["on_hand", "reserved", "allocated", "incoming"]


class Balance(TypedDict):
    """Units of one SKU at one location. Available are those on hand that are neither allocated nor reserved."""

    on_hand: int
    reserved: int
    allocated: int
    incoming: int


class StockRow(TypedDict):
    """One SKU as of its last event."""

    sku: str
    locations: dict[str, Balance]
    threshold: int | None
    low: bool
    """The available units have fallen to the threshold or below."""
    entries: int
    """How many movements there ever were."""
    updated_position: int


class Posting(NamedTuple):
    """What one field of an event books: which balances go up and down by its units, and what a person calls it."""

    field: str
    balances: tuple[tuple[BalanceName, int], ...]
    movement: str | None


POSTINGS: dict[type[Event], tuple[Posting, ...]] = {
    inventory.StockExpected: (Posting("lines", (("incoming", +1),), "expected"),),
    inventory.StockReceived: (
        Posting("lines", (("on_hand", +1),), "received"),
        Posting("expected", (("incoming", -1),), None),
    ),
    inventory.StockAdjusted: (
        Posting("added", (("on_hand", +1),), "added"),
        Posting("removed", (("on_hand", -1),), "removed"),
        Posting("refused", (), "refused"),
    ),
    inventory.StockAllocated: (Posting("lines", (("allocated", +1),), "allocated"),),
    inventory.StockReleased: (Posting("lines", (("allocated", -1),), "released"),),
    inventory.StockShipped: (Posting("lines", (("on_hand", -1), ("allocated", -1)), "shipped"),),
    inventory.StockReserved: (Posting("lines", (("reserved", +1),), "reserved"),),
    inventory.StockReservationEnded: (Posting("lines", (("reserved", -1),), "reservation_ended"),),
}

FLAGS: dict[type[Event], tuple[str, bool | None]] = {
    inventory.LowStockReached: ("available", True),
    inventory.LowStockCleared: ("available", False),
    inventory.LowStockThresholdSet: ("thresholds", None),
}
"""What says whether SKUs are low: in which field it names them, and what it says; None: the threshold itself."""

# Shared by all rows: there are thousands, and nearly all of them are alike in this.
_LOW = {"skus": 1, "low": 1}
_NOT_LOW = {"skus": 1}


class StockLevels(Table[StockRow]):
    """One row per SKU."""

    name = "stock"
    handles = frozenset(POSTINGS) | frozenset(FLAGS)
    # What a person looks back on: with two movements per order line, the last 25 orders that wanted this SKU.
    page_entries = 25
    pages = 3

    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        found: list[str] = []
        for event in events:
            kind = type(event)
            if kind in FLAGS:
                found += getattr(event, FLAGS[kind][0])
            else:
                for posting in POSTINGS[kind]:
                    for lines in getattr(event, posting.field).values():
                        found += lines
        return found

    def blank(self, key: str) -> StockRow:
        return {"sku": key, "locations": {}, "threshold": None, "low": False, "entries": 0, "updated_position": 0}

    def apply(self, recorded: Recorded, rows: Rows[StockRow], timelines: Timelines) -> None:
        kind = type(recorded.event)
        if kind in FLAGS:
            _flag(recorded, rows)
        else:
            for posting in POSTINGS[kind]:
                _post(posting, recorded, rows, timelines)

    def index(self, row: StockRow) -> dict[str, str]:
        return {"all": row["sku"], "low": row["sku"]} if row["low"] else {"all": row["sku"]}

    def totals(self, row: StockRow) -> dict[str, int]:
        return _LOW if row["low"] else _NOT_LOW


def _post(posting: Posting, recorded: Recorded, rows: Rows[StockRow], timelines: Timelines) -> None:
    position, balances = recorded.position, posting.balances
    for location, lines in getattr(recorded.event, posting.field).items():
        begin = _begin(posting, recorded, location)
        for sku, units in lines.items():
            row = rows[sku]
            row["updated_position"] = position
            balance = row["locations"].get(location)
            if balance is None:
                balance = row["locations"][location] = {"on_hand": 0, "reserved": 0, "allocated": 0, "incoming": 0}
            for name, sign in balances:
                balance[name] += sign * units
            if begin:
                timelines[sku].append(begin + b"%d]\n" % units)


def _begin(posting: Posting, recorded: Recorded, location: str) -> bytes:
    """What the entries of all SKUs have in common: [position, occurred_at, movement, reference, location, (units)]."""
    if posting.movement is None:
        return b""
    head = (recorded.position, recorded.occurred_at, posting.movement, _reference(recorded.event), location)
    return orjson.dumps(head, option=orjson.OPT_UTC_Z)[:-1] + b","


def _flag(recorded: Recorded, rows: Rows[StockRow]) -> None:
    field, low = FLAGS[type(recorded.event)]
    for sku, units in getattr(recorded.event, field).items():
        row = rows[sku]
        row["updated_position"] = recorded.position
        if low is None:
            row["threshold"] = units
        else:
            row["low"] = low


def _reference(event: Any) -> str:
    """Whose movement it is: an order's, a reservation's, or the reporter's own reference."""
    for name in ("order_id", "reservation_id", "reference"):
        found: str | None = getattr(event, name, None)
        if found is not None:
            return found
    return ""


class Waiting(TypedDict, total=False):
    """What an order waits for; empty when it does not."""

    missing: dict[str, int]


class Backorders(Table[Waiting]):
    """One row per waiting order, because the end of the wait names the order alone. Totals: waited-for units by SKU."""

    name = "backorders"
    handles = frozenset({inventory.StockBackordered, inventory.StockAllocated, inventory.StockReleased})

    def keys(self, events: Iterable[Any]) -> Iterable[str]:
        return [event.order_id for event in events]

    def blank(self, key: str) -> Waiting:
        return {}

    def apply(self, recorded: Recorded, rows: Rows[Waiting], timelines: Timelines) -> None:
        event: Any = recorded.event
        if type(event) is inventory.StockBackordered:
            rows[event.order_id] = {"missing": dict(event.missing)}
        else:
            rows[event.order_id] = {}

    def totals(self, row: Waiting) -> dict[str, int]:
        return row.get("missing", {})


class StockReads(Reader):
    """What one can ask about stock."""

    def get(self, sku: str) -> dict[str, Any] | None:
        """The row, with what follows from it: `available` per location, `totals`, and `backordered` units."""
        row = self.row(StockLevels.name, sku)
        if row is None:
            return None
        return _complete(row, self.totals(Backorders.name, sku))

    def available(self, skus: Iterable[str]) -> dict[str, int]:
        """Units that can be sold, over all locations; without SKUs that were never stocked."""
        wanted = list(skus)
        rows = self.live(lambda generation: self._rows(generation, StockLevels.name, wanted))
        return {row["sku"]: _complete(row, {})["totals"]["available"] for row in rows if row is not None}

    def low(self, limit: int, after: str | None = None) -> Page:
        """SKUs at or below their threshold, by name."""
        return self._page("low", limit, after)

    def all(self, limit: int, after: str | None = None) -> Page:
        """Every SKU that was ever stocked, by name."""
        return self._page("all", limit, after)

    def timeline(self, sku: str) -> list[dict[str, Any]]:
        """The SKU's last 50 movements, oldest first."""
        names = ("position", "occurred_at", "movement", "reference", "location", "units")
        return [dict(zip(names, entry, strict=True)) for entry in self.entries(_STOCK, sku)]

    def counts(self) -> dict[str, int]:
        """How many SKUs there are, how many are low, and how many units are waited for."""
        found = self.totals(StockLevels.name)
        waited_for = sum(self.totals(Backorders.name).values())
        return {"skus": found.get("skus", 0), "low": found.get("low", 0), "backordered_units": waited_for}

    def _page(self, index: str, limit: int, after: str | None) -> Page:
        found = self.page(StockLevels.name, index, limit, after)
        backordered = self.totals(Backorders.name, *[row["sku"] for row in found.rows]) if found.rows else {}
        return Page([_complete(row, backordered) for row in found.rows], found.next)


def _complete(row: dict[str, Any], backordered: dict[str, int]) -> dict[str, Any]:
    total = {"on_hand": 0, "reserved": 0, "allocated": 0, "incoming": 0, "available": 0}
    for balance in row["locations"].values():
        balance["available"] = balance["on_hand"] - balance["allocated"] - balance["reserved"]
        for name in total:
            total[name] += balance[name]
    return {**row, "totals": total, "backordered": backordered.get(row["sku"], 0)}


_STOCK = StockLevels()
STOCK_LEVELS = Projection("stock_levels", (_STOCK, Backorders()))
