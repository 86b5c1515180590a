"""Insights as a consumer of an engine: counts what is new, asks for holds, shows a report.

Without tables (the embedded mode) it reads the log and keeps its rows in memory. With them (a cluster) events come over
Kafka, and rows survive the process; while nothing comes, and where something is missing, it reads the log.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Protocol

import orjson

from events.slots import Delivery
from services.insights.alerts import Available
from services.insights.board import Board
from services.insights.buyers import Excess
from services.insights.fold import Rows
from services.insights.insights import Insights
from services.insights.windows import to_ms


class Tables(Protocol):
    """Events by source, and rows that outlive this process: see app.py."""

    @property
    def trouble(self) -> str | None: ...

    def rows(self) -> Rows | None: ...

    def deliveries(self) -> Sequence[tuple[str, Delivery]]: ...

    def close(self) -> None: ...


class TablesUnavailable(Exception):
    """The rows are not there yet, or Faust has ended and is made anew. Comes right by itself."""


class Lead(Protocol):
    """The right to do it, held by at most one process. See events/leadership.py."""

    def try_lead(self) -> bool: ...


class InsightsConsumer:
    """A process that does not lead stands by."""

    name = "insights"

    # Marks come every second. After so long without anything the log is asked, twice a second: a broker or a Faust
    # that stands still makes reports 3.5 seconds late at first, then half a second; not wrong.
    QUIET_S = 3.0
    LOOK_EVERY_S = 0.5
    SHOW_EVERY_S = 1.0
    # A report over many SKUs may take long; no more than a tenth of the time goes into reports.
    SHOW_SHARE = 0.1
    # Tables of a day come back in a few seconds. After so long Faust is taken to be stuck, and made anew.
    PATIENCE_S = 60.0

    def __init__(
        self,
        lead: Lead,
        open_tables: Callable[[], Tables],
        make: Callable[[Rows], Insights],
        *,
        board: Board | None,
        available: Callable[[Iterable[str]], Available],
        hold: Callable[[Excess], object] | None,
        now: Callable[[], datetime],
        quiet_s: float = QUIET_S,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`board` None: nobody looks. `hold` None: alerts are shown, nothing is asked for. `quiet_s` 0: the log is all
        there is, and is looked into at every step.
        """
        self._lead = lead
        self._open_tables = open_tables
        self._make = make
        self._board = board
        self._available = available
        self._hold = hold
        self._now = now
        self._quiet_s = quiet_s
        self._clock_s = clock_s
        self._is_behind = True
        self._tables: Tables | None = None
        self._insights: Insights | None = None
        self._asking: list[Excess] = []
        self._opened_s = self._heard_s = self._show_at_s = 0.0
        self.leads = False

    @property
    def consumers(self) -> Sequence[InsightsConsumer]:
        """Who works here now, for the metrics: nobody, while it stands by."""
        return [self] if self.leads and self._insights is not None else []

    @property
    def position(self) -> int:
        """Up to which position everything is counted; 0 while standing by."""
        return self._insights.reached if self._insights is not None else 0

    def step(self) -> int:
        """Raises TablesUnavailable, and what the store, the board and `available` raise."""
        self.leads = self._lead.try_lead()
        if not self.leads:
            self.close()
            return 0
        insights = self._insights or self._begin()
        done = self._take(insights)
        if insights.is_primed:
            self._ask(insights)
            self._show(insights)
        return done

    def close(self) -> None:
        """Stand by, or end. What is in memory may be old when it is taken up again."""
        tables, self._tables, self._insights, self._asking = self._tables, None, None, []
        if tables is not None:
            tables.close()

    # --- coming in ---------------------------------------------------------------------------------------------------

    def _begin(self) -> Insights:
        if self._tables is None:
            self._tables, self._opened_s = self._open_tables(), self._clock_s()
        rows = self._tables.rows()
        if rows is None:
            if self._tables.trouble is None and self._clock_s() < self._opened_s + self.PATIENCE_S:
                raise TablesUnavailable("the tables are being read from their changelog")
            self._give_up(self._tables)
        assert rows is not None
        self._insights, self._is_behind = self._make(rows), True
        return self._insights

    def _give_up(self, tables: Tables) -> None:
        self.close()
        raise TablesUnavailable(tables.trouble or "Faust does not get its tables: it is made anew")

    def _take(self, insights: Insights) -> int:
        assert self._tables is not None
        if self._tables.trouble is not None:
            self._give_up(self._tables)
        by_source: dict[str, list[Delivery]] = {}
        for source, delivery in self._tables.deliveries():
            by_source.setdefault(source, []).append(delivery)
        if by_source:
            self._heard_s = self._clock_s()
        if self._is_behind or not all(insights.follows(source, some) for source, some in by_source.items()):
            return self._read_on(insights)
        for source, some in by_source.items():
            events = [one.recorded for one in some if one.recorded is not None]
            insights.take(source, some, insights.look_up(events))
        return sum(map(len, by_source.values())) or self._look(insights)

    def _read_on(self, insights: Insights) -> int:
        """A piece of the log. What is delivered meanwhile lies before its end, and need not be kept."""
        done = insights.catch_up(insights.READ_EVENTS)
        self._is_behind = done >= insights.READ_EVENTS
        return done

    def _look(self, insights: Insights) -> int:
        now_s = self._clock_s()
        if now_s < self._heard_s + self._quiet_s:
            return 0
        self._heard_s = now_s - self._quiet_s + min(self.LOOK_EVERY_S, self._quiet_s)
        return self._read_on(insights)

    # --- going out ---------------------------------------------------------------------------------------------------

    def _ask(self, insights: Insights) -> None:
        """An order is asked about until that succeeds: whoever finds it again after a crash asks again."""
        self._asking += insights.excess()
        while self._asking and self._hold is not None:
            self._hold(self._asking[0])
            del self._asking[0]
        self._asking.clear()

    def _show(self, insights: Insights) -> None:
        begun_s = self._clock_s()
        if self._board is None or begun_s < self._show_at_s:
            return
        self._board.show(orjson.dumps(insights.report(to_ms(self._now()), self._available)))
        took_s = self._clock_s() - begun_s
        self._show_at_s = begun_s + max(self.SHOW_EVERY_S, took_s / self.SHOW_SHARE)


class NoTables:
    """The log alone, and rows in memory."""

    trouble: str | None = None

    def __init__(self) -> None:
        self._rows: Rows = {}

    def rows(self) -> Rows:
        return self._rows

    def deliveries(self) -> Sequence[tuple[str, Delivery]]:
        return ()

    def close(self) -> None:
        """There is nothing to let go of."""
