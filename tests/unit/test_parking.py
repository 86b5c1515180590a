"""What is parked is known after a restart, holds its own stream only, and leaves when it is replayed or dropped."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import pytest
from pydantic import BaseModel, ValidationError

from events.base import NewEvent, Recorded, Write
from events.gateway import StockReceiptReported, report_stream
from events.inventory import stock_stream
from events.runtime import EventParked, ParkedEventDropped, ParkedEventReplayed, parking_stream
from events.store import StoreUnavailable, VersionConflict
from services.inventory.decider import DECIDER
from services.inventory.reactions import REACTIONS
from services.runtime.decider import Cause
from services.runtime.desk import Batch, Desk
from services.runtime.parking import Parked, Parking, in_words
from tests.examples import HOLDER, LONDON, NOON
from tests.fakes import FaultyStore, history

CAUSE = Cause(NOON, "correlation", "cause", "inventory")


class Lot(NamedTuple):
    """A store with three reports in two streams, a parking and a desk."""

    store: FaultyStore
    parking: Parking
    desk: Desk
    reports: list[Recorded]

    def park(self, *reports: Recorded) -> None:
        events = [self.parking.parked(report, "Poison: bad") for report in reports]
        self.store.append([self.parking.write(list(events), CAUSE)])
        self.parking.refresh()

    def decide(self, recorded: Recorded) -> Batch:
        batch = self.desk.batch()
        for directive in REACTIONS[StockReceiptReported](recorded):
            batch.decide(directive, CAUSE)
        return batch

    def replay(self, stream: str | None = None) -> list[int]:
        return [parked.position for parked in self.parking.replay(self.decide, lambda recorded: CAUSE, stream)]


@pytest.fixture
def lot() -> Lot:
    store = FaultyStore()
    reports = []
    for stream, version, reference in [("a", 0, "one"), ("a", 1, "two"), ("b", 0, "three")]:
        event = StockReceiptReported(reference=reference, lines={LONDON: {HOLDER: 1}})
        new = NewEvent(event, NOON, reference, "request", "test")
        reports += store.append([Write(report_stream("receipt", stream), version, [new])])
    return Lot(store, Parking(store, "inventory"), Desk(store, DECIDER), reports)


def test_what_is_parked_is_shown_in_order_of_the_log(lot: Lot) -> None:
    one, _, three = lot.reports
    lot.park(three, one)
    assert lot.parking.entries() == [
        Parked("inventory", 1, one.stream, "gateway.stock_receipt_reported.v1", "Poison: bad"),
        Parked("inventory", 3, three.stream, "gateway.stock_receipt_reported.v1", "Poison: bad"),
    ]


def test_only_its_own_stream_waits(lot: Lot) -> None:
    one, _, three = lot.reports
    lot.park(one)
    assert lot.parking.holds(one.stream)
    assert not lot.parking.holds(three.stream)
    assert lot.parking.has(1)
    assert not lot.parking.has(2)


def test_a_restart_knows_what_is_parked(lot: Lot) -> None:
    lot.park(lot.reports[0])
    assert Parking(lot.store, "inventory").entries() == lot.parking.entries()
    assert Parking(lot.store, "payment").entries() == []


def test_the_stream_waits_until_the_last_of_it_has_left(lot: Lot) -> None:
    one, two, _ = lot.reports
    lot.park(one, two)
    lot.parking.drop(1, "no longer needed", actor="cli", now=NOON)
    assert lot.parking.holds(one.stream)
    lot.parking.drop(2, "no longer needed", actor="cli", now=NOON)
    assert not lot.parking.holds(one.stream)
    assert not Parking(lot.store, "inventory").holds(one.stream)


def test_what_is_parked_twice_leaves_once(lot: Lot) -> None:
    lot.park(lot.reports[0])
    lot.park(lot.reports[0])
    assert lot.replay() == [1]
    assert not lot.parking.holds(lot.reports[0].stream)


def test_a_replay_and_its_note_are_one_append(lot: Lot) -> None:
    lot.park(*lot.reports)
    lot.store.appends = 0
    assert lot.replay() == [1, 2, 3]
    assert lot.store.appends == 3
    assert len(history(lot.store, stock_stream())) >= 3
    assert [type(event) for event in history(lot.store, parking_stream("inventory"))] == (
        [EventParked] * 3 + [ParkedEventReplayed] * 3
    )


def test_only_one_stream_may_be_replayed(lot: Lot) -> None:
    lot.park(*lot.reports)
    assert lot.replay(lot.reports[2].stream) == [3]
    assert [parked.position for parked in lot.parking.entries()] == [1, 2]


def test_nothing_is_replayed_past_one_that_still_fails(lot: Lot) -> None:
    lot.park(*lot.reports)

    def fail_at_first(recorded: Recorded) -> Batch:
        if recorded.position == 1:
            raise ValueError("still bad")
        return lot.decide(recorded)

    assert [one.position for one in lot.parking.replay(fail_at_first, lambda recorded: CAUSE, None)] == [3]
    assert [parked.reason for parked in lot.parking.entries()] == ["Poison: bad"] * 2


def test_a_store_that_is_away_is_no_fault_of_the_event(lot: Lot) -> None:
    lot.park(lot.reports[0])

    def away(recorded: Recorded) -> Batch:
        raise StoreUnavailable("the disk is full")

    with pytest.raises(StoreUnavailable):
        lot.parking.replay(away, lambda recorded: CAUSE, None)
    assert lot.parking.has(1)


def test_a_drop_says_who_and_why(lot: Lot) -> None:
    lot.park(lot.reports[0])
    assert lot.parking.drop(1, "x" * 600, actor="cli", now=NOON).position == 1
    last = lot.store.read_stream(parking_stream("inventory"))[-1]
    assert isinstance(last.event, ParkedEventDropped)
    assert (last.actor, len(last.event.reason)) == ("cli", 500)


def test_what_is_not_parked_cannot_be_dropped(lot: Lot) -> None:
    with pytest.raises(KeyError):
        lot.parking.drop(1, "no longer needed", actor="cli", now=NOON)


def test_two_who_write_to_one_parking_do_not_overwrite_each_other(lot: Lot) -> None:
    other = Parking(lot.store, "inventory")
    lot.park(lot.reports[0])
    with pytest.raises(VersionConflict):
        lot.store.append([other.write([other.parked(lot.reports[1], "late")], CAUSE)])


def test_a_long_reason_is_cut_to_what_an_event_takes(lot: Lot) -> None:
    assert len(lot.parking.parked(lot.reports[0], "x" * 600).reason) == 500


class Form(BaseModel):
    email: str
    born: datetime


def test_a_misfit_is_named_by_its_fields_and_never_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        Form.model_validate({"email": ["zoe@example.org"], "born": "Zoë's birthday"})
    words = in_words(caught.value)
    assert words.startswith("ValidationError: email: Input should be a valid string; born: ")
    assert "zoe" not in words.lower()
    assert "birthday" not in words


def test_any_other_error_is_named_with_its_message() -> None:
    assert in_words(KeyError("85123A")) == "KeyError: '85123A'"
