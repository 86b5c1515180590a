"""Reads the whole log once and checks the laws (law.py). The auditor has no part in what it audits.

What is remembered is bounded by what is open (books.py). If something comes later for an order that was settled and
forgotten, its streams are read back, so that nothing is judged from half a history.

Give it a store that was opened to read: one that has appended may answer from memory instead of from the database.
"""

from __future__ import annotations

import gc
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple, Protocol

from events.base import Event, Recorded
from events.codec import CodecError
from events.order import FulfillmentRequested, OrderPlaced, order_stream
from events.payment import payment_stream
from events.shipping import fulfillment_stream
from services.audit.books import CLOSED, Books, Case, Status
from services.audit.law import Law, Violation
from services.audit.laws import BARE_LAWS, CASE_LAWS
from services.audit.laws.ending import check_ending
from services.audit.laws.log import LogLaws

# A page of 1,000 events of orders of 20 lines is about 5 MB of objects; larger ones are no faster.
PAGE_EVENTS = 1_000

Progress = Callable[[int, int], None]
"""Told after every page: the position reached, and the last one of the log."""


class Log(Protocol):
    """What the auditor needs of the event store."""

    def read_after(
        self, position: int, *, limit: int, upto: int | None = None, on_unreadable: Literal["raise", "mark"] = "raise"
    ) -> list[Recorded]: ...

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]: ...

    def read_streams(self, streams: Collection[str]) -> dict[str, list[Recorded]]: ...

    def last_position(self) -> int: ...

    def tracked_positions(self) -> dict[str, int]: ...


class Verdict(NamedTuple):
    """What became of it.

    violations   the first ones, by position; `violated` is how many there are in all
    events       how many were read; `seconds` is what reading and checking took
    counters     orders by status, units and so on, as folded from the log
    """

    ok: bool
    events: int
    seconds: float
    violated: int
    violations: list[Violation]
    counters: dict[str, int]

    @property
    def events_per_s(self) -> float:
        return self.events / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """For `waybill verify --json`. The first violation is the first of the list."""
        return {
            "ok": self.ok,
            "events": self.events,
            "events_per_s": round(self.events_per_s, 1),
            "seconds": round(self.seconds, 3),
            **self.counters,
            "violated": self.violated,
            "violations": [{**one._asdict(), "law": one.law.value} for one in self.violations],
        }


def verify(log: Log, *, progress: Progress | None = None, page_events: int = PAGE_EVENTS) -> Verdict:
    """Check the log up to where it ends now; it may be written to meanwhile. Raises what the store raises."""
    started = time.perf_counter()
    # First the consumers, then the end of the log: what a consumer has answered by now is before that end.
    tracked = log.tracked_positions()
    auditor = Auditor(log, page_events)
    with _without_cycle_search():
        for reached, end in auditor.read_all():
            if progress is not None:
                progress(reached, end)
    waiting = check_ending(auditor.books, tracked)
    return _verdict(auditor, waiting, time.perf_counter() - started)


@contextmanager
def _without_cycle_search() -> Iterator[None]:
    """Decoded events hold no cycles and die with their page; searching them for cycles took a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Auditor:
    """Goes through a log, event by event."""

    def __init__(self, log: Log, page_events: int = PAGE_EVENTS) -> None:
        self.books = Books()
        self.events: Counter[type[Event]] = Counter()
        self._log = log
        self._page_events = page_events
        self.log_laws = LogLaws(self.books, log)
        self._check_log = self.log_laws.check

    def read_all(self) -> Iterator[tuple[int, int]]:
        """Check page after page up to the log's end; yields the position reached and that end."""
        end = self._log.last_position()
        reached = 0
        while reached < end:
            page = self._log.read_after(reached, limit=self._page_events, upto=end, on_unreadable="mark")
            if not page:
                return
            self.check(page)
            reached = max(page[-1].position, reached + 1)
            yield reached, end

    def check(self, page: list[Recorded]) -> None:
        """Check events, in the order of the log. The hot loop: about 3 us for an event of few lines."""
        books, cases, check_log = self.books, self.books.cases, self._check_log
        for recorded in page:
            books.at = recorded
            event: Any = recorded.event
            found = CASE_LAWS.get(type(event))
            if found is None:
                check_log(recorded)
                BARE_LAWS.get(type(event), _no_law)(event, books)
                continue
            check, prefix = found
            order_id = event.order_id
            case = cases.get(order_id) or self._case(recorded, order_id)
            check_log(recorded)
            if prefix and recorded.stream != prefix + order_id:
                books.tell(Law.OWN_STREAM, f"It is about the order {order_id}.")
            check(case, event, books)
        books.forget_settled()
        self.events.update([type(recorded.event) for recorded in page])

    # --- cases that are not in the books -----------------------------------------------------------------------------

    def _case(self, recorded: Recorded, order_id: str) -> Case:
        case = Case(order_id)
        if not (recorded.version == 1 and isinstance(recorded.event, OrderPlaced)):
            self._read_back(case, before=recorded.position)
            if case.status is Status.NONE:
                self.books.tell(Law.PLACED_FIRST, "No order was placed under this id before.")
            # It was settled when it was forgotten, so it will be again.
            self.books.may_be_settled(case)
        self.books.cases[order_id] = case
        return case

    def _read_back(self, case: Case, *, before: int) -> None:
        """Bring the case to where it was, from its own streams. The ledger had nothing open for it."""
        books = self.books
        books.muted = True
        in_hand = books.at
        for recorded in self._history(case.order_id, before):
            books.at = recorded
            books.versions[recorded.stream] = recorded.version
            CASE_LAWS[type(recorded.event)].check(case, recorded.event, books)
        books.at = in_hand
        books.muted = False
        case.wanted = case.allocated = case.release = None
        case.leaving.clear()

    def _history(self, order_id: str, before: int) -> list[Recorded]:
        found = self._read_streams([order_stream(order_id), payment_stream(order_id)])
        parts = [one.event.fulfillment_id for one in found if isinstance(one.event, FulfillmentRequested)]
        found += self._read_streams([fulfillment_stream(part) for part in parts])
        return sorted(one for one in found if one.position < before)

    def _read_streams(self, streams: list[str]) -> list[Recorded]:
        try:
            return [one for history in self._log.read_streams(streams).values() for one in history]
        except CodecError:
            # It was told in its own place that it cannot be read. What follows from the hole will be told as well.
            return []


def _no_law(event: Event, books: Books) -> None:
    """For what could not be read: that was told when its envelope was checked."""


def _verdict(auditor: Auditor, waiting: int, seconds: float) -> Verdict:
    books = auditor.books
    events = auditor.events
    counters = {
        "orders": events[OrderPlaced],
        "orders_open": sum(case.status not in CLOSED for case in books.cases.values()),
        "orders_remembered": len(books.cases),
        "answers_to_come": waiting,
        "parked": len(books.parked),
        "clock_steps_back": auditor.log_laws.steps_back,
        "clock_most_back_ms": round(auditor.log_laws.most_back.total_seconds() * 1000),
    }
    first = sorted(books.violations, key=lambda one: one.position)
    return Verdict(not books.violated, events.total(), seconds, books.violated, first, counters)
