"""What must be true when the log has been read to its end: the difference between "not yet" and "never".

A request that its consumer has already passed, and has not parked, will never be answered. One that it has not come
to is merely waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from events.base import Recorded
from services.audit.books import CLOSED, Books, Case, Status
from services.audit.law import Law

INVENTORY = "inventory"
"""The name under which the consumer that keeps the ledger tracks its position."""


def check_ending(books: Books, tracked: dict[str, int]) -> int:
    """`tracked`: how far every consumer had got before the log was read. Returns how many answers are yet to come."""
    waiting = 0
    passed = tracked.get(INVENTORY, 0)
    for law, request, detail in _open_requests(books):
        if request.position > passed or books.excused(INVENTORY, request.position):
            waiting += 1
        else:
            books.tell(law, detail, at=request)
    for case in books.cases.values():
        _check_money(case, books)
    return waiting


def _open_requests(books: Books) -> Iterator[tuple[Law, Recorded, str]]:
    for report in books.reports.values():
        yield Law.REPORTS_BOOKED, report, "The ledger has passed it, and has not booked it."
    for case in books.cases.values():
        for left in case.leaving.values():
            yield Law.SHIPPED_IS_BOOKED, left, "The ledger has passed it, and has not booked the goods out."
        if case.release is not None:
            yield Law.ALLOCATION_ENDS, case.release, "The ledger has passed it, and has not given the goods back."


def _check_money(case: Case, books: Books) -> None:
    """A closed order's money is let go, or that was asked for at least; a provider may take its time over it."""
    money = case.money
    if case.status not in CLOSED or case.status is Status.COMPLETED or not money.held_minor:
        return
    if not (money.void_asked or money.operation or money.void_failed):
        detail = f"{money.held_minor} of the buyer's money are held, and nobody has asked to let them go."
        books.tell(Law.CANCELLED_IS_UNDONE, detail, at=case.closed_by)
