"""Who does which part of the work: slots that come and go, and work that one process does at a time."""

from __future__ import annotations

from dataclasses import dataclass, field

from events.order import OrderAccepted
from events.slots import Delivery, SlotFeed, SlotWindow, slot_of
from events.store import EventStore, open_store
from services.cluster.leaders import Led
from services.cluster.members import Members
from tests import fakes
from tests.examples import ORDER

SLOT = slot_of("order-1")


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Reader:
    """A consumer that notes what it is fed."""

    feed: SlotFeed
    name: str = "reader"
    position: int = 0
    seen: list[int] = field(default_factory=list)

    def step(self) -> int:
        page = self.feed.read(self.position, 10)
        self.seen += [one.position for one in page.beyond(self.position)]
        self.position = max(self.position, page.reached)
        return len(page.events)


class Group:
    """Members over one log, with one reader for each slot."""

    def __init__(self, store: EventStore) -> None:
        self.clock = Clock()
        self.store = store
        self.hired: list[Reader] = []
        self.members = Members("order", store, self._hire, news=lambda: None, clock_s=self.clock)

    def _hire(self, slot: int, window: SlotWindow) -> list[Reader]:
        feed = SlotFeed(window, self.store, frozenset({OrderAccepted}), slot, lambda one: one.stream)
        self.hired.append(Reader(feed))
        return [self.hired[-1]]


def append(store: EventStore, count: int = 1) -> list[Delivery]:
    """Events of one stream, and what a broker would deliver of them."""
    found = [fakes.write(store, "order-1", OrderAccepted(order_id=ORDER))[0] for _ in range(count)]
    return [Delivery(SLOT, one.position, one.position - 1, one) for one in found]


def test_a_new_member_reads_the_past_from_the_log_and_the_rest_as_it_is_delivered() -> None:
    group = Group(open_store("memory:"))
    append(group.store, 3)
    group.members.assigned(frozenset({SLOT}))
    group.members.step()
    group.members.delivered(append(group.store, 2))
    group.members.step()
    assert group.hired[0].seen == [1, 2, 3, 4, 5]
    assert group.members.handled() == {SLOT: 5}


def test_what_was_delivered_before_anybody_was_hired_is_in_the_log() -> None:
    group = Group(open_store("memory:"))
    group.members.assigned(frozenset({SLOT}))
    group.members.delivered(append(group.store, 2))
    group.members.step()
    assert group.hired[0].seen == [1, 2]


def test_a_revoked_slot_is_worked_on_no_longer() -> None:
    group = Group(open_store("memory:"))
    group.members.assigned(frozenset({SLOT}))
    group.members.step()
    group.members.revoked(frozenset({SLOT}))
    group.members.delivered(append(group.store))
    assert group.members.step() == 0
    assert group.hired[0].seen == []
    assert group.members.handled() == {}


def test_a_slot_that_comes_back_begins_where_the_log_says() -> None:
    group = Group(open_store("memory:"))
    for _ in range(2):
        group.members.assigned(frozenset({SLOT}))
        group.members.step()
        group.members.revoked(frozenset({SLOT}))
    assert len(group.hired) == 2


def test_while_the_broker_is_silent_the_log_is_asked() -> None:
    group = Group(open_store("memory:"))
    group.members.assigned(frozenset({SLOT}))
    group.members.step()
    append(group.store, 2)
    assert group.members.step() == 0
    group.clock.now_s += Members.QUIET_S
    group.members.step()
    assert group.hired[0].seen == [1, 2]
    append(group.store)
    group.members.step()
    assert group.hired[0].seen == [1, 2], "not at every step"
    group.clock.now_s += Members.LOOK_EVERY_S
    group.members.step()
    assert group.hired[0].seen == [1, 2, 3]


def test_a_full_window_asks_for_a_pause_until_it_was_read() -> None:
    group = Group(open_store("memory:"))
    group.members.assigned(frozenset({SLOT}))
    group.members.step()
    group.members.delivered(append(group.store, 2_000))
    assert not group.members.has_room(SLOT)
    while group.members.step():
        pass
    assert group.members.has_room(SLOT)


def test_what_claims_to_be_beyond_the_log_is_of_another_one() -> None:
    group = Group(open_store("memory:"))
    group.members.assigned(frozenset({SLOT}))
    group.members.step()
    group.members.delivered([Delivery(SLOT, 9_999, 0, None)])
    group.members.step()
    group.members.delivered(append(group.store, 2))
    group.members.step()
    assert group.hired[0].seen == [1, 2]


@dataclass
class Lock:
    """A lead that is free or not."""

    is_free: bool = False
    is_ours: bool = False

    def try_lead(self) -> bool:
        self.is_ours = self.is_free
        return self.is_ours

    def still_leads(self) -> bool:
        return self.is_ours


@dataclass
class Counting:
    name: str = "counting"
    steps: int = 0

    def step(self) -> int:
        self.steps += 1
        return 1


def test_a_standby_does_nothing_until_it_leads_and_begins_anew_each_time() -> None:
    hired: list[Counting] = []

    def hire() -> list[Counting]:
        hired.append(Counting())
        return hired[-1:]

    lock = Lock()
    led = Led("relay", lock, hire)
    assert (led.step(), hired) == (0, [])
    lock.is_free = True
    assert (led.step(), led.leads) == (1, True)
    lock.is_free = lock.is_ours = False
    assert (led.step(), led.leads) == (0, False)
    lock.is_free = True
    led.step()
    assert [one.steps for one in hired] == [1, 1]
