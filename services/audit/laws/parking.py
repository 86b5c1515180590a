"""The laws of parked events: each was there, and is settled once."""

from __future__ import annotations

from events.runtime import EventParked, ParkedEventDropped, ParkedEventReplayed, parking_stream
from services.audit.books import Books
from services.audit.law import Law
from services.audit.laws.table import BareLaws


def _parked(event: EventParked, books: Books) -> None:
    _own_stream(event.consumer, books)
    if event.position >= books.at.position:
        books.tell(Law.PARKED_FIRST, f"Position {event.position} comes later in the log.")
    books.parked.add((event.consumer, event.position))


def _replayed(event: ParkedEventReplayed, books: Books) -> None:
    _settle(event.consumer, event.position, books)


def _dropped(event: ParkedEventDropped, books: Books) -> None:
    _settle(event.consumer, event.position, books)
    books.dropped.add((event.consumer, event.position))


def _settle(consumer: str, position: int, books: Books) -> None:
    _own_stream(consumer, books)
    if (consumer, position) not in books.parked:
        books.tell(Law.PARKED_FIRST, f"Position {position} is not parked for {consumer}.")
    books.parked.discard((consumer, position))


def _own_stream(consumer: str, books: Books) -> None:
    if books.at.stream != parking_stream(consumer):
        books.tell(Law.OWN_STREAM, f"It is about the consumer {consumer}.")


PARKING_BARE_LAWS: BareLaws = {EventParked: _parked, ParkedEventReplayed: _replayed, ParkedEventDropped: _dropped}
