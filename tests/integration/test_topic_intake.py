"""Batches from the intake topic: each order once in the log, the rest refused, and nobody in anybody's way."""

from __future__ import annotations

import logging

import pytest

from events.base import Recorded
from events.incoming import Incoming
from events.order import OrderIntakeConflicted, OrderPlaced
from events.store import EventStore, StoreUnavailable, open_store
from services.gateway.arrivals import Arrival, Arrivals, Outcome
from services.gateway.topic_intake import CONFLICT, FAULT, TopicIntake
from tests.examples import NOON
from tests.intake import BINARY, binary, message, structured
from tests.shop_server import SECRETS, order_body


class Desk:
    """The intake of a topic, over a log of its own."""

    def __init__(self, arrivals: type[Arrivals] = Arrivals) -> None:
        self.store: EventStore = open_store("memory:")
        self.rung = 0
        self.intake = TopicIntake(arrivals(self.store), now=lambda: NOON, max_bytes=100_000, ring=self._ring)

    def _ring(self) -> None:
        self.rung += 1

    def take(self, *messages: Incoming) -> list[tuple[int, str]]:
        """The offsets of what was refused, and why."""
        return [(one.message.offset, one.reason) for one in self.intake.take(messages)]

    def log(self) -> list[Recorded]:
        return self.store.read_after(0, limit=1_000)

    def numbers(self) -> list[str]:
        return [one.event.number for one in self.log() if isinstance(one.event, OrderPlaced)]


def test_orders_are_in_the_log_when_take_returns() -> None:
    desk = Desk()
    assert desk.take(binary(order_body("1")), structured(order_body("2"))) == []
    assert desk.numbers() == ["1", "2"]
    assert {one.actor for one in desk.log()} == {"intake"}
    assert desk.rung == 1


def test_the_same_order_is_taken_once_however_often_it_comes() -> None:
    desk = Desk()
    three_times = [binary(order_body("1")), structured(order_body("1")), binary(order_body("1"))]
    assert desk.take(*three_times) == []
    assert desk.take(*three_times) == []
    assert desk.numbers() == ["1"]


def test_what_is_wrong_is_refused_and_what_comes_behind_it_is_taken() -> None:
    desk = Desk()
    refused = desk.take(
        message(b"hello", [], offset=1),
        binary(order_body("1"), offset=2),
        binary(order_body("2", lines=[]), offset=3),
        message(b"[" * 90_000, BINARY, offset=4),
        binary(order_body("3"), offset=5),
    )
    assert [offset for offset, _ in refused] == [1, 3, 4]
    assert desk.numbers() == ["1", "3"]


def test_another_content_under_the_same_number_is_reported_in_the_log_and_refused() -> None:
    desk = Desk()
    first, other = binary(order_body("1"), offset=1), binary(order_body("1", customer="2"), offset=2)
    assert desk.take(first, other, first) == [(2, CONFLICT)]
    assert desk.take(other) == [(2, CONFLICT)], "sent again, it is refused again"
    assert desk.numbers() == ["1"]
    assert [type(one.event) for one in desk.log()] == [OrderPlaced, OrderIntakeConflicted], "and reported once"


class BreaksAtThree(Arrivals):
    """Cannot take the order number 3, for a reason that nobody foresaw."""

    def take(self, batch: list[Arrival]) -> list[Outcome]:  # type: ignore[override]
        if any(isinstance(one.event, OrderPlaced) and one.event.number == "3" for one in batch):
            raise LookupError(f"no place for {SECRETS[0]}")
        return super().take(batch)


def test_what_breaks_us_is_refused_alone_and_logged_without_what_it_held(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(BreaksAtThree)
    with caplog.at_level(logging.ERROR):
        refused = desk.take(*(binary(order_body(str(number)), offset=number) for number in range(1, 6)))
    assert refused == [(3, FAULT)]
    assert sorted(desk.numbers()) == ["1", "2", "4", "5"]
    assert "waybill.intake/3/3 was rejected: LookupError" in caplog.text
    assert SECRETS[0] not in caplog.text


class IsAway(Arrivals):
    def take(self, batch: list[Arrival]) -> list[Outcome]:  # type: ignore[override]
        raise StoreUnavailable("the store is away")


def test_a_store_that_is_away_is_nobodys_fault() -> None:
    with pytest.raises(StoreUnavailable):
        Desk(IsAway).take(message(b"hello", []), binary(order_body("1")))
