"""Events into panes: idempotent by position, in whatever order the sources come.

Rows lie in a mapping that is handed in: a dict, or a Faust table. A *source* is a sequence of events in the order of
the log: the log itself, or one slot of one topic. Each has rows of its own, so that they need no common order, and what
is shown is their sum.

    <source>            {"p": position, "newest": {clock: ms}, "late": {clock: events}}
    <source>|<minute>|<clock>      {"p": position, "n": counts}: one pane

A pane's position says which events are in it already; the source's says where to go on. Panes are written before their
source: whatever part of it survives a crash, doing it again adds what is missing and nothing twice.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Any

from events.base import WALL_CLOCK, Recorded
from services.insights.counts import COUNTED, Counts, Journeys, add_up
from services.insights.windows import Window, event_ms, is_kept, minute_of

Rows = MutableMapping[str, Any]

KEEP_MIN = 24 * 60
"""Panes are kept for a day of their clock: as late as that may an event come and still be counted."""

# An imported history has a clock of its own. Nobody looks at more of them at once than this.
MOST_CLOCKS = 8
# A source without anything to count writes down how far it is now and then, not each time.
_QUIET_POSITIONS = 5_000


class Fold:
    """Not for several threads."""

    def __init__(self, rows: Rows, *, keep_min: int = KEEP_MIN) -> None:
        self._rows = rows
        self._keep_min = keep_min
        self._minutes: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._at: dict[str, Any] = {}
        for key in list(rows):
            self._find(key)

    def _find(self, key: str) -> None:
        source, *pane = key.split("|", 2)
        if pane:
            self._minutes[source, pane[1]].add(int(pane[0]))
        else:
            self._at[source] = self._rows[key]

    # --- in ----------------------------------------------------------------------------------------------------------

    def position(self, source: str) -> int:
        """Up to which position of the log everything of this source is counted; 0: nothing is known."""
        found: int = self._at[source]["p"] if source in self._at else 0
        return found

    def take(self, source: str, events: Iterable[Recorded], reached: int, journeys: Journeys) -> None:
        """Count the next events of a source, in the order of the log: everything up to `reached` is among them.

        What was taken before may come again. Types that are not counted are passed over.
        """
        known = self._at.get(source) or {"p": 0, "newest": {}, "late": {}}
        at = {"p": known["p"], "newest": dict(known["newest"]), "late": dict(known["late"])}
        touched: dict[str, Any] = {}
        for recorded in events:
            if recorded.position > at["p"] and type(recorded.event) in COUNTED:
                self._count(source, at, recorded, journeys, touched)
        self._write(source, at, touched, max(reached, at["p"]))

    def _count(
        self, source: str, at: dict[str, Any], recorded: Recorded, journeys: Journeys, touched: dict[str, Any]
    ) -> None:
        now_ms, clock = event_ms(recorded), recorded.clock
        newest = at["newest"][clock] = max(now_ms, at["newest"].get(clock, now_ms))
        minute = minute_of(now_ms)
        if not is_kept(minute, newest, self._keep_min):
            at["late"][clock] = at["late"].get(clock, 0) + 1
            return
        key = f"{source}|{minute}|{clock}"
        pane = touched.get(key) or self._rows.get(key) or {"p": 0, "n": {}}
        if recorded.position > pane["p"]:
            COUNTED[type(recorded.event)](pane["n"], recorded, journeys)
            pane["p"] = recorded.position
        touched[key] = pane
        self._minutes[source, clock].add(minute)

    def _write(self, source: str, at: dict[str, Any], touched: dict[str, Any], reached: int) -> None:
        for key, pane in touched.items():
            self._rows[key] = pane
        if touched:
            self._expire(source, at)
        at["p"] = reached
        self._at[source] = at
        written = self._rows.get(source)
        if touched or written is None or reached - written["p"] >= _QUIET_POSITIONS:
            self._rows[source] = dict(at)

    def _expire(self, source: str, at: dict[str, Any]) -> None:
        histories = [clock for clock in at["newest"] if clock != WALL_CLOCK]
        for clock in histories[:-MOST_CLOCKS]:  # those that came first
            del at["newest"][clock]
            at["late"].pop(clock, None)
        for clock in [clock for owner, clock in self._minutes if owner == source]:
            self._forget(source, clock, at["newest"].get(clock))

    def _forget(self, source: str, clock: str, newest: int | None) -> None:
        """The panes that are not kept any more; all of them, if the clock is not."""
        minutes = self._minutes[source, clock]
        if newest is not None and is_kept(min(minutes), newest, self._keep_min):
            return
        gone = [one for one in minutes if newest is None or not is_kept(one, newest, self._keep_min)]
        for minute in gone:
            self._rows.pop(f"{source}|{minute}|{clock}", None)
        minutes.difference_update(gone)
        if not minutes:
            del self._minutes[source, clock]

    # --- out ---------------------------------------------------------------------------------------------------------

    @property
    def reached(self) -> int:
        """Up to which position everything of every source is counted."""
        return min((at["p"] for at in self._at.values()), default=0)

    def newest(self) -> dict[str, int]:
        """The newest moment that was heard of, by clock."""
        found: dict[str, int] = {}
        for at in self._at.values():
            for clock, newest in at["newest"].items():
                found[clock] = max(newest, found.get(clock, newest))
        return found

    def late(self, clock: str) -> int:
        """Events that came too late to be counted in their minute."""
        return sum(at["late"].get(clock, 0) for at in self._at.values())

    def pane(self, clock: str, minute: int) -> Counts:
        """All sources' counts of one minute."""
        total: Counts = {}
        for (source, owner), minutes in self._minutes.items():
            if owner == clock and minute in minutes:
                add_up(total, self._rows[f"{source}|{minute}|{clock}"]["n"])
        return total

    def panes(self, clock: str, windows: Sequence[Window]) -> dict[int, Counts]:
        """The counts of all minutes of these windows that have any."""
        wanted = {minute for window in windows for minute in window.minutes}
        there = {one for (_, owner), minutes in self._minutes.items() if owner == clock for one in minutes & wanted}
        return {minute: self.pane(clock, minute) for minute in sorted(there)}
