"""Where is the parcel? Asked again and again until it has arrived, and whatever happens in between."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest

from events.base import Recorded
from events.feed import StoreFeed
from events.order import OrderKey
from events.recorders.memory import MemoryRecorder
from events.shipping import (
    FulfillmentOpened,
    ItemsPicked,
    LabelPurchased,
    LabelRequested,
    ParcelPacked,
    ParcelShipped,
    TrackingScan,
    TrackingStatus,
    fulfillment_stream,
)
from events.store import EventStore, StoreUnavailable
from services.runtime.calls import CallLoop
from services.runtime.decider import Directive
from services.runtime.desk import Desk
from services.runtime.poller import Poller
from services.shipping.calls import TRACKED, parcel_is_open
from services.shipping.commands import RecordTracking
from services.shipping.decider import DECIDER
from tests.examples import DAY, HOLDER, HOUR, LONDON, NOON
from tests.fakes import Clock, FaultyStore, spoil, types, write

PATIENCE_S = 10.0
EVERY_S = 900.0
NAME = "shipping.tracking"
DELIVERED = ["shipping.tracking_updated", "shipping.parcel_delivered"]


class Carrier:
    """Knows where each parcel is, and writes down who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.scans: dict[str, list[TrackingScan]] = {}
        self.faults: dict[str, Exception] = {}

    def saw(self, stream: str, status: TrackingStatus, at: datetime = NOON) -> None:
        self.scans.setdefault(stream, []).append(TrackingScan(status=status, scanned_at=at, place="Croydon"))

    async def __call__(self, shipped: Recorded) -> Directive:
        self.asked.append(shipped.stream)
        if shipped.stream in self.faults:
            raise self.faults[shipped.stream]
        return Directive(shipped.stream, RecordTracking(self.scans.get(shipped.stream, [])))


class Depot:
    """A store, a carrier, a clock, and the poller of one process, or of several one after the other."""

    def __init__(self, loop: CallLoop) -> None:
        self.recorder = MemoryRecorder()
        self.clock = Clock()
        self.store = FaultyStore(self.recorder, now=self.clock)
        self.carrier = Carrier()
        self._loop = loop

    def poller(self, store: EventStore | None = None, desk: Desk | None = None) -> Poller:
        store = store or self.store
        return Poller(
            NAME,
            store=store,
            feed=StoreFeed(store, TRACKED),
            desk=desk or Desk(store, DECIDER),
            call=self.carrier,
            is_open=parcel_is_open,
            loop=self._loop,
            now=self.clock,
            news=lambda: None,
            every_s=EVERY_S,
        )

    def ship(self, number: int, *, clock: str = "wall", store: EventStore | None = None) -> str:
        """A parcel on its way; its stream."""
        order_id = OrderKey("web", str(number)).order_id
        ids = {"order_id": order_id, "fulfillment_id": f"{order_id}-{LONDON}"}
        where = {"location": LONDON, "country": "GB", "address_on_file": False}
        stream = fulfillment_stream(ids["fulfillment_id"])
        write(
            store or self.store,
            stream,
            FulfillmentOpened.model_validate({**ids, **where, "lines": {HOLDER: 1}}),
            ItemsPicked(**ids),
            ParcelPacked(**ids, parcel_id="parcel-1"),
            LabelRequested.model_validate({**ids, **where, "parcel_id": "parcel-1", "units": 1}),
            LabelPurchased(**ids, carrier="sandpost", tracking_number=f"SB{number}", reference="shp_1"),
            ParcelShipped(**ids, location=LONDON, tracking_number=f"SB{number}", lines={HOLDER: 1}),
            clock=clock,
        )
        return stream


@pytest.fixture
def depot() -> Iterator[Depot]:
    loop = CallLoop()
    yield Depot(loop)
    loop.close()


def settle(*pollers: Poller, done: Callable[[], bool] | None = None) -> None:
    """Step until nobody is asked any more."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        worked = sum(poller.step() for poller in pollers)
        if done() if done else not worked and not any(poller.busy for poller in pollers):
            return
        assert time.monotonic() < deadline, "nothing comes of it"
        if not worked:
            time.sleep(0.001)


def test_a_parcel_is_asked_about_until_it_has_arrived(depot: Depot) -> None:
    stream = depot.ship(1)
    poller = depot.poller()
    settle(poller)
    assert depot.carrier.asked == []
    assert poller.next_due_s() == EVERY_S
    depot.clock.advance(HOUR)
    settle(poller)
    depot.carrier.saw(stream, TrackingStatus.IN_TRANSIT)
    depot.clock.advance(HOUR)
    settle(poller)
    depot.carrier.saw(stream, TrackingStatus.DELIVERED, NOON + HOUR)
    depot.clock.advance(HOUR)
    settle(poller)
    depot.clock.advance(HOUR)
    settle(poller)
    assert depot.carrier.asked == [stream] * 3
    assert types(depot.store, stream)[6:] == ["shipping.tracking_updated", *DELIVERED]
    assert poller.next_due_s() is None


def test_it_is_asked_about_at_its_turn_and_not_before(depot: Depot) -> None:
    depot.ship(1)
    poller = depot.poller()
    settle(poller)
    depot.clock.advance(HOUR)
    settle(poller)
    settle(poller)
    assert len(depot.carrier.asked) == 1
    assert poller.next_due_s() == EVERY_S


def test_an_imported_parcel_has_long_arrived_and_is_asked_about_at_once(depot: Depot) -> None:
    stream = depot.ship(1, clock="online-retail")
    depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    settle(depot.poller())
    assert types(depot.store, stream)[6:] == DELIVERED


def test_what_has_arrived_already_is_not_asked_about(depot: Depot) -> None:
    stream = depot.ship(1, clock="online-retail")
    depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    settle(depot.poller())
    depot.carrier.asked.clear()
    settle(depot.poller())  # a restart reads it again
    assert depot.carrier.asked == []


def test_a_restart_takes_up_what_is_still_on_its_way(depot: Depot) -> None:
    there, under_way = depot.ship(1, clock="online-retail"), depot.ship(2)
    depot.carrier.saw(there, TrackingStatus.DELIVERED)
    settle(depot.poller())
    poller = depot.poller()
    settle(poller)
    depot.clock.advance(HOUR)
    settle(poller)
    assert depot.carrier.asked == [there, under_way]


def test_a_parcel_that_another_process_shipped_is_asked_about(depot: Depot) -> None:
    desk = Desk(depot.store, DECIDER)
    others = FaultyStore(depot.recorder, now=depot.clock)
    stream = fulfillment_stream(f"{OrderKey('web', '1').order_id}-{LONDON}")
    desk.state(stream)
    depot.ship(1, store=others)
    poller = depot.poller(desk=desk)
    settle(poller)
    depot.clock.advance(HOUR)
    settle(poller)
    assert depot.carrier.asked == [stream]


def test_an_error_is_counted_and_the_parcel_is_asked_about_at_its_next_turn(depot: Depot) -> None:
    bad, good = depot.ship(1, clock="online-retail"), depot.ship(2, clock="online-retail")
    depot.carrier.faults[bad] = RuntimeError("unforeseen")
    for stream in (bad, good):
        depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    poller = depot.poller()
    settle(poller)
    assert types(depot.store, good)[6:] == DELIVERED
    depot.carrier.faults.clear()
    depot.clock.advance(HOUR)
    settle(poller)
    assert types(depot.store, bad)[6:] == DELIVERED


def test_what_never_arrives_is_given_up_on(depot: Depot) -> None:
    depot.ship(1)
    poller = depot.poller()
    settle(poller)
    depot.clock.advance(91 * DAY)
    settle(poller)
    depot.clock.advance(DAY)
    settle(poller)
    assert len(depot.carrier.asked) == 1
    assert poller.next_due_s() is None


def test_a_store_that_is_away_loses_nothing(depot: Depot) -> None:
    streams = [depot.ship(number, clock="online-retail") for number in range(5)]
    for stream in streams:
        depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    poller = depot.poller()
    settle(poller, done=lambda: len(depot.carrier.asked) == 5)
    depot.store.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            poller.step()
    depot.store.away = False
    settle(poller)
    assert [types(depot.store, stream)[6:] for stream in streams] == [DELIVERED] * 5
    assert poller.busy == 0


def test_a_store_that_goes_away_while_answers_are_recorded_loses_nothing(depot: Depot) -> None:
    streams = [depot.ship(number, clock="online-retail") for number in range(5)]
    for stream in streams:
        depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    poller = depot.poller()
    number = depot.store.appends + 1

    def fail(at: int) -> None:
        if at == number:
            raise StoreUnavailable("the disk is full")

    depot.store.before_append = fail
    with pytest.raises(StoreUnavailable):
        settle(poller)
    settle(poller)
    assert [types(depot.store, stream)[6:] for stream in streams] == [DELIVERED] * 5
    assert len(depot.carrier.asked) == 5


def test_two_pollers_of_one_name_record_each_scan_once(depot: Depot) -> None:
    others = FaultyStore(depot.recorder, now=depot.clock)
    streams = [depot.ship(number, clock="online-retail") for number in range(5)]
    for stream in streams:
        depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    settle(depot.poller(), depot.poller(others))
    assert [types(depot.store, stream)[6:] for stream in streams] == [DELIVERED] * 5


def test_a_parcel_that_cannot_be_read_holds_nobody_up(depot: Depot) -> None:
    spoil(depot.store, depot.recorder, "fulfillment-1", "shipping.parcel_shipped.v1")
    spoiled = depot.ship(1, clock="online-retail")
    spoil(depot.store, depot.recorder, spoiled, "shipping.tracking_updated.v1")
    good = depot.ship(2, clock="online-retail")
    for stream in (spoiled, good):
        depot.carrier.saw(stream, TrackingStatus.DELIVERED)
    poller = depot.poller()
    settle(poller)
    assert types(depot.store, good)[6:] == DELIVERED
    assert sorted(depot.carrier.asked) == sorted([spoiled, good])
    depot.clock.advance(HOUR)
    settle(poller)
    assert depot.carrier.asked[2:] == [spoiled]


def test_no_more_questions_are_out_than_there_may_be(depot: Depot) -> None:
    for number in range(7):
        depot.ship(number, clock="online-retail")
    poller = depot.poller()
    poller.MAX_OUT = 3
    poller.step()
    assert poller.busy == 3
    settle(poller)
    assert len(depot.carrier.asked) == 7


def test_whoever_takes_over_takes_up_the_open_parcels_piece_by_piece(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given more open parcels than one page holds
    monkeypatch.setattr(Poller, "MAX_OUT", 3)
    monkeypatch.setattr(Poller, "LARGE_PAGE", 3)
    for number in range(4):
        depot.ship(number)
    poller = depot.poller()

    # when it takes them up, others have their turn for a second before it goes on
    assert poller.step() == 3
    assert poller.step() == 0
    depot.clock.advance(timedelta(seconds=1))
    assert poller.step() == 1

    # and a clock that is set back does not keep it
    depot.clock.advance(-HOUR)
    depot.ship(4)
    assert poller.step() == 1


def test_an_imported_history_is_taken_up_without_a_pause(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Poller, "MAX_OUT", 3)
    monkeypatch.setattr(Poller, "LARGE_PAGE", 3)
    for number in range(4):
        depot.ship(number, clock="file")
    poller = depot.poller()

    taken_up = [poller.position for _ in range(2) if poller.step()]

    assert taken_up[-1] == depot.store.last_position()
