"""A log in memory, in which anything can be written, also what no store would take: to test whoever checks logs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from events.base import Event, Recorded
from tests.trading_day import everything_happens, open_shop


class Day(NamedTuple):
    """A log, and the ids of its orders by what is special about them."""

    log: list[Recorded]
    orders: dict[str, str]
    tracked: dict[str, int]


def recorded_day() -> Day:
    """What the four services wrote on the day on which everything happened."""
    with open_shop() as shop:
        orders = everything_happens(shop)
        log = shop.store.read_after(0, limit=100_000)
        return Day(log, orders, shop.store.tracked_positions())


class TamperedLog:
    """A log in memory in which anything can be written, also what no store would take."""

    def __init__(self, day: Day) -> None:
        self.events = list(day.log)
        self.orders = day.orders
        self.tracked = dict(day.tracked)

    # --- what the auditor needs --------------------------------------------------------------------------------------

    def read_after(
        self, position: int, *, limit: int, upto: int | None = None, on_unreadable: Literal["raise", "mark"] = "raise"
    ) -> list[Recorded]:
        # By place, not by position, so that positions may be wrong.
        return self.events[position:][:limit]

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]:
        return [one for one in self.events if one.stream == stream and one.version > after_version]

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]:
        return {stream: history for stream in streams if (history := self.read_stream(stream))}

    def last_position(self) -> int:
        return len(self.events)

    def tracked_positions(self) -> dict[str, int]:
        return self.tracked

    # --- what a forger does ------------------------------------------------------------------------------------------

    def find(self, order: str | None, kind: str, nth: int = 1) -> int:
        """Where the nth event of this kind is; of this order, or of none in particular."""
        places = [
            place
            for place, one in enumerate(self.events)
            if one.type.rpartition(".v")[0] == kind
            and (order is None or getattr(one.event, "order_id", None) == self.orders[order])
        ]
        return places[nth - 1]

    def edit(self, place: int, **fields: Any) -> None:
        """Change the data of an event."""
        one = self.events[place]
        self.events[place] = one._replace(event=type(one.event).model_validate({**dict(one.event), **fields}))

    def rewrite(self, place: int, **fields: Any) -> None:
        """Change the envelope of an event."""
        self.events[place] = self.events[place]._replace(**fields)

    def drop(self, *places: int) -> None:
        """Take events out so that nothing is missing at first sight."""
        kept = [one for place, one in enumerate(self.events) if place not in places]
        self.renumber(kept)

    def insert(self, place: int, *events: Event) -> None:
        """Put events behind the one at this place, in its stream, with its envelope."""
        before = self.events[place]
        new = [before._replace(event=event, type=event.type, version=0) for event in events]
        self.renumber([*self.events[: place + 1], *new, *self.events[place + 1 :]])

    def double(self, place: int) -> None:
        self.insert(place, self.events[place].event)

    def renumber(self, events: Sequence[Recorded]) -> None:
        """New positions, and new versions in every stream; causes name their events as before."""
        versions: dict[str, int] = {}
        ids: dict[str, str] = {}
        self.events = []
        for position, one in enumerate(events, start=1):
            version = versions[one.stream] = versions.get(one.stream, 0) + 1
            cause = ids.get(one.causation_id, one.causation_id)
            renumbered = one._replace(position=position, version=version, causation_id=cause)
            if one.version:
                ids[one.id] = renumbered.id
            self.events.append(renumbered)
        self.tracked = dict.fromkeys(self.tracked, len(self.events))
