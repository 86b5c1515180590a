"""All four services on one log, without Redis: orders' whole ways, and every way in which they may be disturbed.

After each story the auditor reads the whole log and finds every law kept.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from events.base import Address
from events.gateway import (
    LowStockThresholdReported,
    ReservationReported,
    StockAdjustmentReported,
    StockExpectedReported,
    report_stream,
)
from events.inventory import stock_stream
from events.order import Hold, OrderKey, OrderPlaced, order_stream
from events.payment import payment_stream
from events.recorders.memory import MemoryRecorder
from events.recorders.port import Recorder
from events.recorders.sqlite import SqliteRecorder
from services.inventory.decider import DECIDER as INVENTORY
from services.inventory.state import StockState
from services.order.commands import CancelOrder, CorrectOrder, ReleaseHold
from services.payment.commands import AskProvider
from services.payment.provider import PaymentState
from services.runtime.desk import Desk
from services.runtime.effects import Effects
from services.runtime.poller import Poller
from services.runtime.settings import Warehouse
from services.runtime.timekeeper import Timekeeper
from services.runtime.worker import Worker
from services.shipping.commands import PackParcel, PickItems, RequestLabel, ShipParcel
from tests.embedded import Embedded
from tests.examples import (
    BELL,
    DAY,
    FROM_LEEDS,
    FROM_LONDON,
    HOLDER,
    HOME,
    LEEDS,
    LONDON,
    NOON,
    ORDER,
    OTHER_ORDER,
    PLACED,
    TOTAL_MINOR,
    free_of_charge,
    placed,
)
from tests.fakes import Crash, StutteringFeed, history, types, write

PLENTY = {LONDON: {HOLDER: 100, BELL: 100}}
SPREAD = {LONDON: {HOLDER: 4, BELL: 90}, LEEDS: {HOLDER: 90}}
"""No location has all of an order: its candle holders are in Leeds, its bells in London."""
MINUTE = timedelta(minutes=1)
SECOND_KEY = OrderKey("web", "1002")

ALL_THE_WAY = [
    "placed", "accepted", "payment_requested", "allocation_requested", "confirmed", "fulfillment_requested",
    "lines_shipped", "payment_capture_requested", "completed",
]  # fmt: skip
PAID = ["initiated", "authorized", "capture_initiated", "captured"]
SENT = [
    "fulfillment_opened", "items_picked", "parcel_packed", "label_requested", "label_purchased", "parcel_shipped",
]  # fmt: skip
CHANGED_MY_MIND = CancelOrder("changed my mind")


@pytest.fixture
def shop() -> Iterator[Embedded]:
    yield from _shop(MemoryRecorder())


@pytest.fixture(params=["memory", "sqlite"])
def shop_on(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Embedded]:
    recorder: Recorder = MemoryRecorder() if request.param == "memory" else SqliteRecorder(tmp_path / "log.db")
    yield from _shop(recorder)
    recorder.close()


@pytest.fixture
def shop_by_hand() -> Iterator[Embedded]:
    yield from _shop(MemoryRecorder(), warehouse=Warehouse.MANUAL)


def _shop(recorder: Recorder, **wishes: Any) -> Iterator[Embedded]:
    shop = Embedded(recorder, **wishes)
    yield shop
    shop.close()
    assert shop.parked() == []
    assert_lawful(shop)


def assert_lawful(shop: Embedded) -> None:
    verdict = shop.verify()
    assert verdict.ok, verdict.violations


def stock_of(shop: Embedded) -> StockState:
    state: StockState = Desk(shop.store, INVENTORY).state(stock_stream())
    return state


class Units(NamedTuple):
    """What the ledger knows of one SKU, at all locations together."""

    free: int
    allocated: int = 0
    reserved: int = 0
    incoming: int = 0


def units(shop: Embedded, sku: str = HOLDER) -> Units:
    state = stock_of(shop)
    return Units(
        _sum(sku, [state.free]),
        _sum(sku, state.allocations.values()),
        _sum(sku, state.reservations.values()),
        _sum(sku, [state.incoming]),
    )


def _sum(sku: str, postings: Iterable[Mapping[str, Mapping[str, int]]]) -> int:
    return sum(lines.get(sku, 0) for by_location in postings for lines in by_location.values())


def run_all(shop: Embedded, *orders: OrderPlaced, stock: dict[str, dict[str, int]] | None = None) -> None:
    shop.receive(PLENTY if stock is None else stock)
    shop.run()
    shop.place(*orders)
    shop.run()


def settle(shop: Embedded) -> None:
    """Until no question to a provider or a carrier is open any more."""
    shop.run()
    for _ in range(3):
        shop.wait(MINUTE)


# --- one order's way -------------------------------------------------------------------------------------------------


def test_an_order_goes_all_the_way(shop_on: Embedded) -> None:
    run_all(shop_on, PLACED)
    assert shop_on.order(ORDER) == ALL_THE_WAY
    assert shop_on.payment(ORDER) == PAID
    assert shop_on.fulfillment(FROM_LONDON) == SENT
    assert shop_on.provider.charges() == {ORDER: TOTAL_MINOR}
    assert units(shop_on) == Units(free=94)


def test_the_parcel_is_followed_to_the_door(shop: Embedded) -> None:
    run_all(shop, PLACED)
    shop.wait(2 * DAY)
    assert shop.fulfillment(FROM_LONDON)[6:] == ["tracking_updated", "parcel_delivered"]
    shop.wait(2 * DAY)
    assert shop.fulfillment(FROM_LONDON)[8:] == []


def test_an_order_from_two_locations_is_paid_for_once(shop: Embedded) -> None:
    run_all(shop, PLACED, stock=SPREAD)
    assert shop.order(ORDER) == [
        *ALL_THE_WAY[:5], "fulfillment_requested", "fulfillment_requested", "lines_shipped", *ALL_THE_WAY[6:],
    ]  # fmt: skip
    assert shop.fulfillment(FROM_LONDON) == SENT
    assert shop.fulfillment(FROM_LEEDS) == SENT
    assert shop.payment(ORDER) == PAID


def test_a_gift_goes_all_the_way_without_a_payment(shop: Embedded) -> None:
    run_all(shop, free_of_charge())
    assert shop.order(ORDER)[-1] == "completed"
    assert shop.payment(ORDER) == []


def test_many_orders_go_all_the_way(shop_on: Embedded) -> None:
    orders = [placed(OrderKey("web", str(number)), lines={HOLDER: 1}) for number in range(60)]
    run_all(shop_on, *orders)
    assert {tuple(shop_on.order(one.order_id)) for one in orders} == {tuple(ALL_THE_WAY)}
    assert units(shop_on) == Units(free=40)


def test_people_may_pick_and_pack(shop_by_hand: Embedded) -> None:
    shop = shop_by_hand
    run_all(shop, PLACED)
    assert shop.fulfillment(FROM_LONDON) == SENT[:1]
    for command, happened in [(PickItems(), SENT[:2]), (PackParcel(), SENT[:5]), (ShipParcel(), SENT)]:
        shop.ask_shipping(FROM_LONDON, command)
        shop.run()
        assert shop.fulfillment(FROM_LONDON) == happened
    assert shop.order(ORDER) == ALL_THE_WAY


def test_an_imported_order_happens_in_its_own_time(shop: Embedded) -> None:
    long_ago = NOON.replace(year=2010)
    shop.receive(PLENTY)
    shop.run()
    shop.place(PLACED, clock="online-retail", at=long_ago)
    shop.run()
    assert shop.order(ORDER) == ALL_THE_WAY
    assert shop.fulfillment(FROM_LONDON) == [*SENT, "tracking_updated", "parcel_delivered"]
    for stream in (order_stream(ORDER), payment_stream(ORDER)):
        assert {(one.occurred_at, one.clock) for one in shop.store.read_stream(stream)} == {(long_ago, "online-retail")}


# --- held, refused, waiting ------------------------------------------------------------------------------------------


def test_a_declined_payment_is_mended_with_another_token(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_decline"))
    assert shop.order(ORDER) == [*ALL_THE_WAY[:3], "held"]
    shop.ask_order(ORDER, ReleaseHold(Hold.PAYMENT, "tok_ok"))
    shop.run()
    assert shop.order(ORDER) == [*ALL_THE_WAY[:3], "held", "hold_released", "payment_requested", *ALL_THE_WAY[3:]]
    assert shop.payment(ORDER) == ["initiated", "declined", *PAID]


def test_a_bad_address_is_mended(shop: Embedded) -> None:
    nowhere = Address(lines=["1 Example Street"], city="London", postal_code="X", country="GB")
    run_all(shop, placed(ship_to=nowhere))
    assert shop.order(ORDER) == ["placed", "held"]
    shop.ask_order(ORDER, CorrectOrder(None, HOME, []))
    shop.run()
    assert shop.order(ORDER) == ["placed", "held", "corrected", "hold_released", *ALL_THE_WAY[1:]]


def test_goods_that_nobody_knows_reject_the_order_and_the_money_is_let_go(shop: Embedded) -> None:
    run_all(shop, placed(lines={HOLDER: 1, "99999X": 1}))
    assert shop.order(ORDER)[-2:] == ["rejected", "payment_void_requested"]
    assert shop.payment(ORDER) == ["initiated", "authorized", "void_initiated", "voided"]


def test_a_receipt_serves_the_oldest_first(shop: Embedded) -> None:
    orders = [placed(OrderKey("web", str(number)), lines={HOLDER: 5}) for number in (1001, 1002, 1003)]
    run_all(shop, *orders, stock={LONDON: {HOLDER: 1}})
    assert [shop.order(one.order_id)[-1] for one in orders] == ["held"] * 3
    queue = sorted(stock_of(shop).backorders.items(), key=lambda one: one[1].since)
    first, second, third = [order_id for order_id, _ in queue]
    shop.receive({LONDON: {HOLDER: 9}}, "delivery-2")
    shop.run()
    assert [shop.order(one)[-1] for one in (first, second, third)] == ["completed", "completed", "held"]
    shop.receive({LONDON: {HOLDER: 5}}, "delivery-3")
    shop.run()
    assert shop.order(third)[-1] == "completed"


def test_a_basket_is_used_up_by_its_order_and_another_expires(shop: Embedded) -> None:
    shop.receive({LONDON: {HOLDER: 10}})
    for basket in ("basket-1", "basket-2"):
        report = ReservationReported(reservation_id=basket, lines={HOLDER: 5}, ttl_s=600)
        write(shop.store, report_stream("reservation", basket), report)
    shop.run()
    assert units(shop) == Units(free=0, reserved=10)
    mine = placed(lines={HOLDER: 5}, reservation_id="basket-1")
    others = placed(SECOND_KEY, lines={HOLDER: 5})
    shop.place(mine, others)
    shop.run()
    assert (shop.order(ORDER)[-1], shop.order(OTHER_ORDER)[-1]) == ("completed", "held")
    shop.wait(timedelta(seconds=600))
    assert shop.order(OTHER_ORDER)[-1] == "completed"
    assert units(shop) == Units(free=0)


def test_reports_about_stock_are_answered_in_the_ledger(shop: Embedded) -> None:
    reports = [
        LowStockThresholdReported(reference="t-1", thresholds={HOLDER: 3}),
        StockExpectedReported(reference="d-1", lines={LONDON: {HOLDER: 9}}),
        StockAdjustmentReported(reference="c-1", reason="found", lines={LONDON: {HOLDER: 5}}),
        StockAdjustmentReported(reference="c-2", reason="broken", lines={LONDON: {HOLDER: -2}}),
    ]
    for number, report in enumerate(reports):
        write(shop.store, f"report-{number}", report)
    shop.run()
    assert units(shop) == Units(free=3, incoming=9)
    assert types(shop.store, stock_stream())[-1] == "inventory.low_stock_reached"


def test_a_buyer_who_must_act_and_does(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_action"))
    assert shop.payment(ORDER) == ["initiated", "action_required"]
    shop.provider.complete_action("pay_00000001")
    shop.ask_payment(ORDER, AskProvider())
    shop.run()
    assert shop.order(ORDER) == ALL_THE_WAY


def test_a_buyer_who_must_act_and_does_not(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_action"))
    shop.wait(3 * DAY)
    assert shop.order(ORDER)[-1] == "expired"
    assert shop.payment(ORDER)[-1] == "expired"


def test_a_buyer_who_acts_in_the_last_moment(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_action"))
    shop.provider.complete_action("pay_00000001")
    shop.wait(3 * DAY)
    assert shop.order(ORDER) == ALL_THE_WAY


def test_money_that_cannot_be_taken_holds_the_order_until_it_is_settled(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_capture_refused"))
    assert shop.order(ORDER)[-1] == "held"
    shop.ask_order(ORDER, ReleaseHold(Hold.PAYMENT))
    shop.run()
    assert shop.order(ORDER)[-3:] == ["hold_released", "payment_capture_requested", "held"]
    assert shop.payment(ORDER)[2:] == ["capture_initiated", "capture_failed"] * 2


@pytest.mark.parametrize("marker", ["TIMEOUT0", "TIMEOUT1", "DOWN1"])
def test_a_label_without_an_answer_is_bought_once(shop: Embedded, marker: str) -> None:
    run_all(shop, placed(ship_to=HOME.model_copy(update={"lines": [marker]})))
    assert shop.fulfillment(FROM_LONDON)[-1] == "label_outcome_unknown"
    shop.wait(MINUTE)
    assert shop.fulfillment(FROM_LONDON)[-3:] == ["label_inquiry_initiated", "label_purchased", "parcel_shipped"]
    assert [len(labels) for labels in shop.carrier.labels().values()] == [1]


def test_a_refused_label_is_asked_for_again_by_a_person(shop: Embedded) -> None:
    run_all(shop, placed(ship_to=HOME.model_copy(update={"lines": ["REFUSE1"]})))
    shop.ask_shipping(FROM_LONDON, RequestLabel())
    shop.run()
    assert shop.fulfillment(FROM_LONDON)[3:] == ["label_requested", "label_refused"] * 2


@pytest.mark.parametrize(
    "token",
    ["tok_timeout_before_charge", "tok_timeout_after_charge", "tok_capture_timeout", "tok_unavailable_3", "tok_slow"],
)
def test_a_provider_that_does_not_answer_is_asked_and_charges_once(shop: Embedded, token: str) -> None:
    run_all(shop, placed(token=token))
    settle(shop)
    assert shop.order(ORDER) == ALL_THE_WAY
    assert shop.provider.charges() == {ORDER: TOTAL_MINOR}
    assert len(shop.provider.ledger()) == 1


# --- cancelled at every moment ---------------------------------------------------------------------------------------


def at_append(shop: Embedded, number: int, act: Callable[[], None]) -> None:
    """Just before the append with this number, somebody else gets in first."""

    def look(now: int) -> None:
        if now == number:
            act()

    shop.store.before_append = look


def appends_of(order: OrderPlaced, stock: dict[str, dict[str, int]]) -> int:
    """How many appends the undisturbed way of this order takes."""
    shop = Embedded(MemoryRecorder())
    run_all(shop, order, stock=stock)
    settle(shop)
    shop.close()
    return shop.store.appends


BACKORDERED: dict[str, dict[str, int]] = {LONDON: {HOLDER: 1, BELL: 1}}
WAYS = {
    "one location": (PLACED, PLENTY),
    "two locations": (PLACED, SPREAD),
    "a backorder": (PLACED, BACKORDERED),
    "a gift": (free_of_charge(), SPREAD),
    "declined": (placed(token="tok_decline"), PLENTY),
    "the buyer must act": (placed(token="tok_action"), PLENTY),
    "authorization unknown": (placed(token="tok_timeout_after_charge"), PLENTY),
    "authorization lost": (placed(token="tok_timeout_before_charge"), SPREAD),
    "capture unknown": (placed(token="tok_capture_timeout"), PLENTY),
    "void unknown": (placed(token="tok_void_timeout"), SPREAD),
    "label unknown": (placed(ship_to=HOME.model_copy(update={"lines": ["TIMEOUT1"]})), SPREAD),
}


@pytest.mark.parametrize("way", WAYS)
def test_cancelled_at_every_moment_all_is_undone_or_all_is_sent(way: str) -> None:
    order, stock = WAYS[way]
    ends = set()
    for number in range(3, appends_of(order, stock) + 3):
        shop = Embedded(MemoryRecorder())
        at_append(shop, number, lambda shop=shop: shop.ask_order(ORDER, CHANGED_MY_MIND))  # type: ignore[misc]
        run_all(shop, order, stock=stock)
        settle(shop)
        shop.ask_order(ORDER, CHANGED_MY_MIND)
        settle(shop)
        ends.add(ended(shop))
        shop.close()
        assert shop.parked() == []
        assert_lawful(shop)
    assert "cancelled" in ends


def ended(shop: Embedded) -> str:
    """How it ended, with the goods and the money where they belong."""
    happened = shop.order(ORDER)
    charged = shop.provider.charges().get(ORDER, 0)
    assert not stock_of(shop).allocations
    if "cancelled" in happened:
        assert "lines_shipped" not in happened
        assert charged == 0
        assert {one.state for one in shop.provider.ledger()} <= {PaymentState.VOIDED, PaymentState.DECLINED}
        return "cancelled"
    assert happened[-1] in ("completed", "cancellation_refused")
    assert "completed" in happened
    [placed_order] = [event for event in history(shop.store, order_stream(ORDER)) if isinstance(event, OrderPlaced)]
    assert charged == placed_order.total_minor
    return "completed"


def test_one_part_leaves_while_the_other_stops_and_all_is_sent_in_the_end(shop_by_hand: Embedded) -> None:
    shop = shop_by_hand
    run_all(shop, PLACED, stock=SPREAD)
    for step in (PickItems(), PackParcel()):
        shop.ask_shipping(FROM_LONDON, step)
    shop.run()
    shop.ask_order(ORDER, CHANGED_MY_MIND)
    shop.ask_shipping(FROM_LONDON, ShipParcel())  # before anybody has told the warehouse
    shop.run()
    assert shop.fulfillment(FROM_LEEDS) == ["fulfillment_opened", "fulfillment_cancelled"]
    again = f"{FROM_LEEDS}.2"
    assert shop.fulfillment(again) == ["fulfillment_opened"]
    for step in (PickItems(), PackParcel()):
        shop.ask_shipping(again, step)
    shop.run()
    shop.ask_shipping(again, ShipParcel())
    shop.run()
    assert "cancellation_refused" in shop.order(ORDER)
    assert shop.order(ORDER)[-1] == "completed"
    assert shop.provider.charges() == {ORDER: TOTAL_MINOR}
    assert not stock_of(shop).allocations


def test_a_promise_that_lapsed_while_the_order_waited_for_goods_does_not_hold_up_its_cancellation(
    shop: Embedded,
) -> None:
    run_all(shop, PLACED, stock=BACKORDERED)
    shop.wait(8 * DAY)
    shop.ask_order(ORDER, CHANGED_MY_MIND)
    shop.run()
    assert shop.order(ORDER)[-1] == "cancelled"


def test_money_that_the_provider_keeps_needs_a_person(shop: Embedded) -> None:
    run_all(shop, placed(token="tok_void_refused"), stock=BACKORDERED)
    shop.ask_order(ORDER, CHANGED_MY_MIND)
    shop.run()
    assert shop.order(ORDER)[-2:] == ["payment_void_requested", "held"]
    assert shop.payment(ORDER)[-1] == "undo_failed"


# --- struck down at every moment -------------------------------------------------------------------------------------


def three_orders() -> list[OrderPlaced]:
    """One goes all the way from two locations, one is declined, one waits for goods."""
    return [
        PLACED,
        placed(SECOND_KEY, lines={HOLDER: 3}, token="tok_decline"),
        placed(OrderKey("web", "1003"), lines={BELL: 200}),
    ]


def outcome(shop: Embedded) -> dict[str, Any]:
    """What happened in every stream; the ledger's orders may have come in any order."""
    streams: dict[str, Any] = {}
    for one in shop.store.read_after(0, limit=10_000):
        if not one.stream.startswith("stock-"):
            streams.setdefault(one.stream, []).append(one.type)
    ledger = Counter((event.type, getattr(event, "order_id", "")) for event in history(shop.store, stock_stream()))
    return {**streams, stock_stream(): ledger}


def play(shop: Embedded) -> None:
    run_all(shop, *three_orders(), stock=SPREAD)
    settle(shop)


def undisturbed() -> tuple[dict[str, Any], int]:
    shop = Embedded(MemoryRecorder())
    play(shop)
    shop.close()
    return outcome(shop), shop.store.appends


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_around_any_append_ends_where_it_would_have_ended(when: Any) -> None:
    expected, appends = undisturbed()
    first = 1 + len(three_orders()) + 1  # what comes in from outside is not ours to repeat
    for number in range(first, appends + 1):
        shop = Embedded(MemoryRecorder())
        shop.receive(SPREAD)
        shop.place(*three_orders())
        shop.store.appends = first - 1
        shop.store.dies_at(number, when)
        try:
            settle(shop)
        except Crash:
            shop.restart()
        settle(shop)
        assert outcome(shop) == expected, f"died {when} append {number}"
        assert shop.provider.charges() == {ORDER: TOTAL_MINOR}
        assert len(shop.provider.ledger()) == 3
        assert [len(labels) for labels in shop.carrier.labels().values()] == [1, 1]
        shop.close()
        assert_lawful(shop)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_process_that_dies_again_and_again_gets_there(every: int) -> None:
    """Each process manages so many appends, and dies after the last of them."""
    expected, _ = undisturbed()
    shop = Embedded(MemoryRecorder())
    shop.receive(SPREAD)
    shop.place(*three_orders())
    shop.store.appends = 0
    shop.store.dies_at(every, "after")
    for _ in range(200):
        try:
            settle(shop)
            break
        except Crash:
            shop.restart()
            shop.store.dies_at(every, "after")
    assert outcome(shop) == expected
    shop.close()
    assert_lawful(shop)


@pytest.mark.parametrize("way", ["authorization unknown", "authorization lost", "capture unknown", "label unknown"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_process_that_dies_while_an_outcome_is_unknown_charges_once(way: str, when: Any) -> None:
    order, stock = WAYS[way]
    for number in range(3, appends_of(order, stock) + 1):
        shop = Embedded(MemoryRecorder())
        shop.receive(stock)
        shop.place(order)
        shop.store.dies_at(number, when)
        try:
            settle(shop)
        except Crash:
            shop.restart()
        settle(shop)
        assert shop.order(ORDER)[-1] == "completed", f"died {when} append {number}"
        assert shop.provider.charges() == {ORDER: TOTAL_MINOR}
        assert len(shop.provider.ledger()) == 1
        assert {len(labels) for labels in shop.carrier.labels().values()} == {1}
        shop.close()
        assert_lawful(shop)


def test_a_store_that_is_away_for_a_while_is_waited_for(shop: Embedded) -> None:
    shop.receive(SPREAD)
    shop.place(*three_orders())
    shop.store.away = True

    def come_back() -> None:
        shop.store.away = False

    timer = threading.Timer(0.3, come_back)
    timer.start()
    settle(shop)
    timer.join()
    assert outcome(shop) == undisturbed()[0]


# --- told again, and by two at once ----------------------------------------------------------------------------------


def consumers_of(shop: Embedded) -> list[Worker | Effects | Timekeeper | Poller]:
    return [one for one in shop.engine.consumers if isinstance(one, Worker | Effects | Timekeeper | Poller)]


def test_every_consumer_is_there() -> None:
    shop = Embedded(MemoryRecorder())
    names = {consumer.name for consumer in consumers_of(shop)}
    shop.close()
    assert names == {
        "order", "payment", "payment.calls", "payment.timekeeper", "inventory", "inventory.timekeeper", "shipping",
        "shipping.warehouse", "shipping.labels", "shipping.tracking", "shipping.timekeeper",
    }  # fmt: skip


def test_to_be_told_everything_again_changes_nothing(shop_on: Embedded) -> None:
    """Every consumer, before and after a restart, by a feed that begins at the first event each time."""
    shop = shop_on
    play(shop)
    before, length = outcome(shop), shop.store.last_position()
    shop.restart(StutteringFeed)
    for consumer in consumers_of(shop):
        for _ in range(3):
            consumer.step()
    assert outcome(shop) == before
    assert shop.store.last_position() == length


def test_a_feed_that_stutters_all_the_time_leads_to_the_same_end(shop: Embedded) -> None:
    shop.restart(StutteringFeed)
    play(shop)
    assert outcome(shop) == undisturbed()[0]
    assert len(shop.provider.ledger()) == 3


def test_two_processes_at_once_do_everything_once(shop_on: Embedded) -> None:
    """A zombie that was never stopped, and its heir: they take turns, step by step."""
    zombie, heir = shop_on, Embedded(shop_on.recorder)
    heir.provider, heir.carrier, heir.clock = zombie.provider, zombie.carrier, zombie.clock
    heir.restart()
    zombie.receive(SPREAD)
    zombie.place(*three_orders())
    for turn in range(400):
        (zombie if turn % 3 else heir).engine.pump()
    for _ in range(2):
        zombie.run()
        heir.run()
    settle(zombie)
    heir.run()
    assert outcome(heir) == undisturbed()[0]
    assert zombie.provider.charges() == {ORDER: TOTAL_MINOR}
    assert len(zombie.provider.ledger()) == 3
    assert [len(labels) for labels in zombie.carrier.labels().values()] == [1, 1]
    heir.close()
