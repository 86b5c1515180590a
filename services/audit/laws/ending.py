"""What must be true when the log has been read to its end: the difference between "not yet" and "never".

A request that its consumer has already passed, and has not parked, will never be answered. One that it has not come
to is merely waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from events.base import Recorded
from events.inventory import DEFAULT_POOL
from events.slots import slot_name, slot_of
from services.audit.books import Books, Case, Money, Status
from services.audit.law import Law

INVENTORY, ORDER, PAYMENT = "inventory", "order", "payment"
"""The names under which the services that decide track their positions."""


def check_ending(books: Books, tracked: dict[str, int]) -> int:
    """`tracked`: how far every consumer had got before the log was read. Returns how many answers are yet to come."""
    waiting = 0
    for law, service, cause, broken_by, detail in _owed(books):
        consumer = _consumer(service, cause, tracked)
        if cause.position > tracked.get(consumer, 0) or books.excused(consumer, cause.position):
            waiting += 1
        else:
            books.tell(law, detail, at=broken_by)
    return waiting


def _consumer(service: str, cause: Recorded, tracked: dict[str, int]) -> str:
    """Who has to answer: the service's one consumer, or where it works by slots, the one whose slot the event is in."""
    if service in tracked:
        return service
    key = DEFAULT_POOL if service == INVENTORY else str(getattr(cause.event, "order_id", ""))
    return slot_name(service, slot_of(key))


class _Owed(NamedTuple):
    """What a service owes because of an event, and the event that breaks the law if it never comes."""

    law: Law
    service: str
    cause: Recorded
    broken_by: Recorded
    detail: str


def _owed(books: Books) -> Iterator[_Owed]:
    for report in books.reports.values():
        detail = "The ledger has passed it, and has not booked it."
        yield _Owed(Law.REPORTS_BOOKED, INVENTORY, report, report, detail)
    for case in books.cases.values():
        yield from _owed_to(case)


def _owed_to(case: Case) -> Iterator[_Owed]:
    for left in case.leaving.values():
        detail = "The ledger has passed it, and has not booked the goods out."
        yield _Owed(Law.SHIPPED_IS_BOOKED, INVENTORY, left, left, detail)
    if case.release is not None:
        detail = "The ledger has passed it, and has not given the goods back."
        yield _Owed(Law.ALLOCATION_ENDS, INVENTORY, case.release, case.release, detail)
    if case.closed_by is not None and case.status is not Status.COMPLETED and case.money.held_minor:
        yield from _owed_money(case.money, case.closed_by)


def _owed_money(money: Money, closed_by: Recorded) -> Iterator[_Owed]:
    """Once the provider is asked, it may take its time, or refuse: then a person must look."""
    if money.operation or money.void_failed:
        return
    held = f"{money.held_minor} of the buyer's money are held"
    if money.void_asked is not None:
        detail = f"{held}; payment has passed the request to let them go, and has not done so."
        yield _Owed(Law.CANCELLED_IS_UNDONE, PAYMENT, money.void_asked, closed_by, detail)
    elif money.authorized_by is not None:
        detail = f"{held}, and nobody has asked to let them go."
        yield _Owed(Law.CANCELLED_IS_UNDONE, ORDER, money.authorized_by, closed_by, detail)
