"""The rules of stock, told as stories: received, promised, waited for, sent, written off, held softly, running low."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from events.base import Event, Postings, Quantities
from events.inventory import (
    LowStockCleared,
    LowStockReached,
    LowStockThresholdSet,
    StockAdjusted,
    StockAllocated,
    StockBackordered,
    StockExpected,
    StockReceived,
    StockRejected,
    StockReleased,
    StockReservationEnded,
    StockReservationRefused,
    StockReserved,
    StockShipped,
)
from services.inventory.commands import (
    AdjustStock,
    AllocateStock,
    EndReservation,
    ExpectStock,
    ReceiveStock,
    ReleaseStock,
    ReserveStock,
    SetLowStockThresholds,
    ShipStock,
    StockCommand,
)
from services.inventory.decider import DECIDER
from tests.examples import BELL, HOLDER, HOUR, LEEDS, LONDON, NOON, ORDER, OTHER_ORDER, THIRD_ORDER
from tests.spec import Outcome, Spec

given = Spec(DECIDER).given

# --- what may have happened ------------------------------------------------------------------------------------------

# Nothing is ever low, unless a story is about that.
NEVER_LOW = LowStockThresholdSet(thresholds={HOLDER: 0, BELL: 0})


def received(lines: Postings, reference: str = "delivery-1", **fields: Any) -> StockReceived:
    return StockReceived(reference=reference, lines=lines, **fields)


def allocated(lines: Postings, order_id: str = ORDER) -> StockAllocated:
    return StockAllocated(order_id=order_id, lines=lines)


def backordered(lines: Quantities, missing: Quantities, order_id: str = ORDER) -> StockBackordered:
    return StockBackordered(order_id=order_id, lines=lines, missing=missing)


def shipped(lines: Postings, order_id: str = ORDER) -> StockShipped:
    return StockShipped(order_id=order_id, lines=lines)


def released(lines: Postings, order_id: str = ORDER) -> StockReleased:
    return StockReleased(order_id=order_id, lines=lines)


def reserved(lines: Postings, reservation_id: str = "basket-7") -> StockReserved:
    return StockReserved(reservation_id=reservation_id, lines=lines, expires_at=NOON + HOUR)


def ended(lines: Postings, *, expired: bool = False, reservation_id: str = "basket-7") -> StockReservationEnded:
    return StockReservationEnded(reservation_id=reservation_id, lines=lines, expired=expired)


def adjusted(**fields: Any) -> StockAdjusted:
    return StockAdjusted(reference="count-1", reason="counted", **fields)


def low(**available: int) -> LowStockReached:
    return LowStockReached(available=available)


def low_no_longer(**available: int) -> LowStockCleared:
    return LowStockCleared(available=available)


def in_london(units: int, sku: str = HOLDER) -> Postings:
    return {LONDON: {sku: units}}


def receive(lines: Postings, reference: str = "delivery-2") -> ReceiveStock:
    return ReceiveStock(reference, lines)


def allocate(lines: Quantities, order_id: str = ORDER, reservation_id: str | None = None) -> AllocateStock:
    return AllocateStock(order_id, lines, reservation_id)


def adjust(lines: dict[str, dict[str, int]]) -> AdjustStock:
    return AdjustStock("count-1", "counted", lines)


def reserve(lines: Quantities, reservation_id: str = "basket-7") -> ReserveStock:
    return ReserveStock(reservation_id, lines, NOON + HOUR)


TEN = (NEVER_LOW, received(in_london(10)))
EMPTY = (NEVER_LOW, received(in_london(1)), allocated(in_london(1), THIRD_ORDER), low(**{HOLDER: 0}))


class Units(NamedTuple):
    """What the ledger knows of one SKU at one location."""

    free: int
    allocated: int = 0
    reserved: int = 0
    incoming: int = 0


def holder_in(location: str, outcome: Outcome[Any]) -> Units:
    state = outcome.state
    return Units(
        state.free[location][HOLDER],
        sum(lines.get(location, {}).get(HOLDER, 0) for lines in state.allocations.values()),
        sum(lines.get(location, {}).get(HOLDER, 0) for lines in state.reservations.values()),
        state.incoming.get(location, {}).get(HOLDER, 0),
    )


def holder_in_london(outcome: Outcome[Any]) -> Units:
    return holder_in(LONDON, outcome)


# --- receiving -------------------------------------------------------------------------------------------------------


def test_what_comes_in_is_on_hand() -> None:
    outcome = given(NEVER_LOW).when(receive({LONDON: {HOLDER: 6}, LEEDS: {HOLDER: 2, BELL: 1}}))
    outcome.then(received({LONDON: {HOLDER: 6}, LEEDS: {HOLDER: 2, BELL: 1}}, "delivery-2"))
    assert (holder_in(LONDON, outcome), holder_in(LEEDS, outcome)) == (Units(free=6), Units(free=2))


def test_what_was_announced_is_incoming_until_it_comes() -> None:
    announced = StockExpected(reference="delivery-2", lines=in_london(5))
    given(NEVER_LOW).when(ExpectStock("delivery-2", in_london(5))).then(announced)
    outcome = given(NEVER_LOW, announced).when(receive(in_london(8)))
    outcome.then(received(in_london(8), "delivery-2", expected=in_london(5)))
    assert holder_in_london(outcome) == Units(free=8)


def test_a_part_of_what_was_announced_leaves_the_rest_incoming() -> None:
    announced = StockExpected(reference="delivery-2", lines=in_london(5))
    outcome = given(NEVER_LOW, announced).when(receive(in_london(3)))
    outcome.then(received(in_london(3), "delivery-2", expected=in_london(3)))
    assert holder_in_london(outcome) == Units(free=3, incoming=2)


def test_what_was_announced_elsewhere_does_not_come_here() -> None:
    announced = StockExpected(reference="delivery-2", lines={LEEDS: {HOLDER: 5}})
    given(NEVER_LOW, announced).when(receive(in_london(3))).then(received(in_london(3), "delivery-2"))


def test_what_was_announced_is_not_there_yet() -> None:
    announced = StockExpected(reference="delivery-2", lines=in_london(5))
    given(NEVER_LOW, announced).when(allocate({HOLDER: 1})).then(
        backordered({HOLDER: 1}, {HOLDER: 1}), low(**{HOLDER: 0})
    )


# --- promising -------------------------------------------------------------------------------------------------------


def test_all_lines_are_promised_together() -> None:
    stock = (NEVER_LOW, received({LONDON: {HOLDER: 10, BELL: 5}}))
    outcome = given(*stock).when(allocate({HOLDER: 6, BELL: 2}))
    outcome.then(allocated({LONDON: {HOLDER: 6, BELL: 2}}))
    assert holder_in_london(outcome) == Units(free=4, allocated=6)


def test_one_location_is_chosen_over_two() -> None:
    stock = (NEVER_LOW, received({LONDON: {HOLDER: 9}, LEEDS: {HOLDER: 6, BELL: 5}}))
    given(*stock).when(allocate({HOLDER: 6, BELL: 2})).then(allocated({LEEDS: {HOLDER: 6, BELL: 2}}))


def test_two_locations_serve_what_one_cannot() -> None:
    stock = (NEVER_LOW, received({LONDON: {HOLDER: 4}, LEEDS: {HOLDER: 3}}))
    given(*stock).when(allocate({HOLDER: 6})).then(allocated({LONDON: {HOLDER: 4}, LEEDS: {HOLDER: 2}}))


def test_if_one_line_is_short_nothing_is_promised() -> None:
    stock = (NEVER_LOW, received({LONDON: {HOLDER: 10, BELL: 1}}))
    outcome = given(*stock).when(allocate({HOLDER: 6, BELL: 2}))
    outcome.then(backordered({HOLDER: 6, BELL: 2}, {BELL: 1}))
    assert holder_in_london(outcome) == Units(free=10)


def test_goods_that_were_never_stocked_are_refused() -> None:
    given(*TEN).when(allocate({HOLDER: 1, "99999X": 1, "88888Y": 2})).then(
        StockRejected(order_id=ORDER, unknown=["99999X", "88888Y"])
    )


@pytest.mark.parametrize(
    "history",
    [(*TEN, allocated(in_london(6))), (*TEN, backordered({HOLDER: 60}, {HOLDER: 50}))],
    ids=["promised", "waiting"],
)
def test_an_order_is_answered_once(history: tuple[Event, ...]) -> None:
    given(*history).when(allocate({HOLDER: 6})).then_nothing()


def test_what_is_promised_to_one_is_not_promised_to_another() -> None:
    given(*TEN).when(allocate({HOLDER: 6}), allocate({HOLDER: 6}, OTHER_ORDER)).then(
        allocated(in_london(6)), backordered({HOLDER: 6}, {HOLDER: 2}, OTHER_ORDER)
    )


# --- sending ---------------------------------------------------------------------------------------------------------

PROMISED = (*TEN, allocated(in_london(6)))
IN_TWO_PLACES = {LONDON: {HOLDER: 4}, LEEDS: {HOLDER: 2, BELL: 1}}
PROMISED_IN_TWO_PLACES = (NEVER_LOW, received(IN_TWO_PLACES), allocated(IN_TWO_PLACES))


def test_what_leaves_is_neither_on_hand_nor_promised() -> None:
    outcome = given(*PROMISED).when(ShipStock(ORDER, in_london(6)))
    outcome.then(shipped(in_london(6)))
    assert holder_in_london(outcome) == Units(free=4)
    assert not outcome.state.allocations


def test_each_location_sends_its_part() -> None:
    from_london, from_leeds = in_london(4), {LEEDS: {HOLDER: 2, BELL: 1}}
    outcome = given(*PROMISED_IN_TWO_PLACES).when(ShipStock(ORDER, from_london))
    outcome.then(shipped(from_london))
    assert outcome.state.allocations[ORDER] == from_leeds
    outcome = given(*PROMISED_IN_TWO_PLACES, shipped(from_london)).when(ShipStock(ORDER, from_leeds))
    outcome.then(shipped(from_leeds))
    assert not outcome.state.allocations


def test_nothing_leaves_twice() -> None:
    part = in_london(4)
    given(*PROMISED_IN_TWO_PLACES, shipped(part)).when(ShipStock(ORDER, part)).then_nothing()
    given(*PROMISED, shipped(in_london(6))).when(ShipStock(ORDER, in_london(6))).then_nothing()


def test_nothing_leaves_that_was_not_promised() -> None:
    given(*TEN).when(ShipStock(ORDER, in_london(6))).then_nothing()
    outcome = given(*PROMISED).when(ShipStock(ORDER, {LONDON: {HOLDER: 9, BELL: 1}, LEEDS: {HOLDER: 1}}))
    outcome.then(shipped(in_london(6)))
    assert holder_in_london(outcome) == Units(free=4)


# --- giving back -----------------------------------------------------------------------------------------------------


def test_what_is_given_back_can_be_promised_again() -> None:
    outcome = given(*PROMISED).when(ReleaseStock(ORDER))
    outcome.then(released(in_london(6)))
    assert holder_in_london(outcome) == Units(free=10)


def test_where_nothing_was_promised_nothing_is_given_back_but_the_order_is_answered() -> None:
    given(*TEN).when(ReleaseStock(ORDER)).then(released({}))
    given(*PROMISED, released(in_london(6))).when(ReleaseStock(ORDER)).then(released({}))


def test_only_what_has_not_left_is_given_back() -> None:
    given(*PROMISED_IN_TWO_PLACES, shipped(in_london(4))).when(ReleaseStock(ORDER)).then(
        released({LEEDS: {HOLDER: 2, BELL: 1}})
    )


def test_an_order_that_gives_up_waits_no_longer() -> None:
    waiting = (*EMPTY, backordered({HOLDER: 5}, {HOLDER: 5}))
    outcome = given(*waiting).when(ReleaseStock(ORDER), receive(in_london(20)))
    outcome.then(released({}), received(in_london(20), "delivery-2"), low_no_longer(**{HOLDER: 20}))
    assert not outcome.state.backorders
    assert not outcome.state.waiting


# --- waiting ---------------------------------------------------------------------------------------------------------

FIRST = backordered({HOLDER: 5}, {HOLDER: 5}, ORDER)
SECOND = backordered({HOLDER: 3}, {HOLDER: 3}, OTHER_ORDER)
TWO_WAIT = (*EMPTY, FIRST, SECOND)


def test_the_oldest_is_served_first() -> None:
    given(*TWO_WAIT).when(receive(in_london(6))).then(
        received(in_london(6), "delivery-2"), allocated(in_london(5)), low_no_longer(**{HOLDER: 1})
    )


def test_as_many_are_served_as_there_are_goods_for() -> None:
    given(*TWO_WAIT).when(receive(in_london(8))).then(
        received(in_london(8), "delivery-2"), allocated(in_london(5)), allocated(in_london(3), OTHER_ORDER)
    )


def test_a_younger_one_that_can_be_served_does_not_wait_for_an_older_one_that_cannot() -> None:
    given(*TWO_WAIT).when(receive(in_london(4))).then(
        received(in_london(4), "delivery-2"), allocated(in_london(3), OTHER_ORDER), low_no_longer(**{HOLDER: 1})
    )


def test_the_queue_is_by_age_and_not_by_name() -> None:
    turned_round = (*EMPTY, SECOND, FIRST)
    given(*turned_round).when(receive(in_london(5))).then(
        received(in_london(5), "delivery-2"), allocated(in_london(3), OTHER_ORDER), low_no_longer(**{HOLDER: 2})
    )


def test_who_gave_up_and_asks_again_is_the_youngest() -> None:
    again = (*TWO_WAIT, released({}), FIRST)
    given(*again).when(receive(in_london(5))).then(
        received(in_london(5), "delivery-2"), allocated(in_london(3), OTHER_ORDER), low_no_longer(**{HOLDER: 2})
    )


def test_all_lines_must_be_there_before_a_waiting_order_is_served() -> None:
    wants_both = (*EMPTY, received(in_london(1, BELL)), backordered({HOLDER: 1, BELL: 2}, {HOLDER: 1, BELL: 1}))
    given(*wants_both).when(receive(in_london(5)), receive(in_london(1, BELL), "delivery-3")).then(
        received(in_london(5), "delivery-2"),
        low_no_longer(**{HOLDER: 5}),
        received(in_london(1, BELL), "delivery-3"),
        allocated({LONDON: {HOLDER: 1, BELL: 2}}),
        low(**{BELL: 0}),
    )


def test_goods_come_free_in_every_way_and_serve_who_waits() -> None:
    waiting = (NEVER_LOW, received(in_london(10)), allocated(in_london(6), THIRD_ORDER), reserved(in_london(4)),
               low(**{HOLDER: 0}), backordered({HOLDER: 4}, {HOLDER: 4}))  # fmt: skip
    given(*waiting).when(ReleaseStock(THIRD_ORDER)).then(
        released(in_london(6), THIRD_ORDER), allocated(in_london(4)), low_no_longer(**{HOLDER: 2})
    )
    given(*waiting).when(EndReservation("basket-7", expired=True)).then(
        ended(in_london(4), expired=True), allocated(in_london(4))
    )
    given(*waiting).when(adjust(in_london(5))).then(
        adjusted(added=in_london(5)), allocated(in_london(4)), low_no_longer(**{HOLDER: 1})
    )


def test_goods_of_another_kind_serve_nobody() -> None:
    given(*TWO_WAIT).when(receive(in_london(50, BELL))).then(received(in_london(50, BELL), "delivery-2"))


def test_a_new_order_takes_what_no_older_one_can_use() -> None:
    given(*TEN, backordered({HOLDER: 50}, {HOLDER: 40}, OTHER_ORDER)).when(allocate({HOLDER: 2})).then(
        allocated(in_london(2))
    )


# --- counting --------------------------------------------------------------------------------------------------------


def test_a_count_adds_and_removes() -> None:
    stock = (NEVER_LOW, received({LONDON: {HOLDER: 10}, LEEDS: {BELL: 5}}))
    outcome = given(*stock).when(adjust({LONDON: {HOLDER: -3}, LEEDS: {BELL: 2}}))
    outcome.then(adjusted(removed=in_london(3), added={LEEDS: {BELL: 2}}))
    assert holder_in_london(outcome) == Units(free=7)


def test_units_that_are_promised_cannot_be_written_off() -> None:
    outcome = given(*PROMISED).when(adjust(in_london(-7)))
    outcome.then(adjusted(removed=in_london(4), refused=in_london(3)), low(**{HOLDER: 0}))
    assert holder_in_london(outcome) == Units(free=0, allocated=6)


def test_units_that_are_reserved_cannot_be_written_off_either() -> None:
    given(*TEN, reserved(in_london(9))).when(adjust(in_london(-2))).then(
        adjusted(removed=in_london(1), refused=in_london(1)), low(**{HOLDER: 0})
    )


def test_units_that_are_not_there_cannot_be_written_off() -> None:
    given(NEVER_LOW).when(adjust({LONDON: {HOLDER: -2}, LEEDS: {BELL: -1}})).then(
        adjusted(refused={LONDON: {HOLDER: 2}, LEEDS: {BELL: 1}})
    )


def test_units_elsewhere_do_not_cover_a_write_off_here() -> None:
    given(NEVER_LOW, received({LEEDS: {HOLDER: 9}})).when(adjust(in_london(-2))).then(adjusted(refused=in_london(2)))


def test_a_count_that_finds_what_is_known_is_answered_all_the_same() -> None:
    given(*TEN).when(adjust(in_london(0))).then(adjusted())


def test_a_count_may_find_goods_that_nobody_knew_of() -> None:
    given(NEVER_LOW).when(adjust(in_london(4)), allocate({HOLDER: 3})).then(
        adjusted(added=in_london(4)), allocated(in_london(3))
    )


# --- held softly -----------------------------------------------------------------------------------------------------


def test_a_basket_holds_goods() -> None:
    outcome = given(*TEN).when(reserve({HOLDER: 4}))
    outcome.then(reserved(in_london(4)))
    assert holder_in_london(outcome) == Units(free=6, reserved=4)


def test_a_basket_is_held_once() -> None:
    given(*TEN, reserved(in_london(4))).when(reserve({HOLDER: 4})).then_nothing()


def test_a_basket_holds_all_of_its_goods_or_none() -> None:
    given(*TEN).when(reserve({HOLDER: 4, BELL: 1, "99999X": 2})).then(
        StockReservationRefused(reservation_id="basket-7", missing={BELL: 1, "99999X": 2})
    )
    given(*TEN).when(reserve({HOLDER: 14})).then(
        StockReservationRefused(reservation_id="basket-7", missing={HOLDER: 4})
    )


def test_an_empty_basket_holds_nothing() -> None:
    given(*TEN).when(reserve({}), EndReservation("basket-7", expired=True)).then(reserved({}), ended({}, expired=True))


def test_what_a_basket_holds_is_not_promised_to_others() -> None:
    given(*TEN, reserved(in_london(8))).when(allocate({HOLDER: 4})).then(backordered({HOLDER: 4}, {HOLDER: 2}))


@pytest.mark.parametrize("expired", [True, False])
def test_a_basket_that_ends_sets_its_goods_free_once(expired: bool) -> None:
    outcome = given(*TEN, reserved(in_london(4))).when(
        EndReservation("basket-7", expired=expired), EndReservation("basket-7", expired=True)
    )
    outcome.then(ended(in_london(4), expired=expired))
    assert holder_in_london(outcome) == Units(free=10)


def test_an_order_uses_its_basket_up() -> None:
    outcome = given(*TEN, reserved(in_london(8))).when(allocate({HOLDER: 8}, reservation_id="basket-7"))
    outcome.then(ended(in_london(8)), allocated(in_london(8)))
    assert holder_in_london(outcome) == Units(free=2, allocated=8)


def test_an_order_whose_basket_has_expired_takes_what_is_there() -> None:
    given(*TEN).when(allocate({HOLDER: 8}, reservation_id="basket-7")).then(allocated(in_london(8)))


def test_an_order_may_take_more_than_its_basket_held() -> None:
    given(*TEN, reserved(in_london(4))).when(allocate({HOLDER: 9}, reservation_id="basket-7")).then(
        ended(in_london(4)), allocated(in_london(9))
    )


def test_what_the_basket_held_beyond_the_order_serves_who_waits() -> None:
    held = (*TEN, reserved(in_london(10)), backordered({HOLDER: 3}, {HOLDER: 3}, OTHER_ORDER))
    given(*held).when(allocate({HOLDER: 5}, reservation_id="basket-7")).then(
        ended(in_london(10)), allocated(in_london(5)), allocated(in_london(3), OTHER_ORDER)
    )


def test_a_basket_whose_order_cannot_be_served_serves_who_waits() -> None:
    held = (*TEN, reserved(in_london(10)), backordered({HOLDER: 3}, {HOLDER: 3}, OTHER_ORDER))
    given(*held).when(allocate({HOLDER: 12}, reservation_id="basket-7")).then(
        ended(in_london(10)), backordered({HOLDER: 12}, {HOLDER: 2}), allocated(in_london(3), OTHER_ORDER)
    )


def test_the_order_itself_comes_before_those_who_wait_for_what_its_basket_held() -> None:
    held = (*TEN, reserved(in_london(10)), backordered({HOLDER: 3}, {HOLDER: 3}, OTHER_ORDER))
    given(*held).when(allocate({HOLDER: 10}, reservation_id="basket-7")).then(
        ended(in_london(10)), allocated(in_london(10)), low(**{HOLDER: 0})
    )


# --- running low -----------------------------------------------------------------------------------------------------


def test_a_shop_that_says_nothing_is_told_when_ten_are_left() -> None:
    given(received(in_london(16))).when(allocate({HOLDER: 5}), allocate({HOLDER: 1}, OTHER_ORDER)).then(
        allocated(in_london(5)), allocated(in_london(1), OTHER_ORDER), low(**{HOLDER: 10})
    )


def test_it_is_told_once_each_way() -> None:
    outcome = given(received(in_london(12))).when(
        allocate({HOLDER: 3}),
        allocate({HOLDER: 1}, OTHER_ORDER),
        receive(in_london(2)),
        receive(in_london(1), "delivery-3"),
        receive(in_london(9), "delivery-4"),
    )
    outcome.then(
        allocated(in_london(3)),
        low(**{HOLDER: 9}),
        allocated(in_london(1), OTHER_ORDER),
        received(in_london(2), "delivery-2"),
        received(in_london(1), "delivery-3"),
        low_no_longer(**{HOLDER: 11}),
        received(in_london(9), "delivery-4"),
    )


def test_all_that_became_low_is_told_together() -> None:
    stock = (received({LONDON: {HOLDER: 11, BELL: 12}}),)
    given(*stock).when(allocate({HOLDER: 6, BELL: 2})).then(
        allocated({LONDON: {HOLDER: 6, BELL: 2}}), LowStockReached(available={BELL: 10, HOLDER: 5})
    )


def test_a_delivery_that_is_low_from_the_first_is_told() -> None:
    given().when(receive(in_london(3))).then(received(in_london(3), "delivery-2"), low(**{HOLDER: 3}))


def test_a_threshold_of_its_own_is_kept() -> None:
    thresholds = LowStockThresholdSet(thresholds={HOLDER: 3})
    given(thresholds, received(in_london(10))).when(allocate({HOLDER: 6}), allocate({HOLDER: 1}, OTHER_ORDER)).then(
        allocated(in_london(6)), allocated(in_london(1), OTHER_ORDER), low(**{HOLDER: 3})
    )


def test_a_new_threshold_is_looked_at_at_once() -> None:
    stock = (received(in_london(12)),)
    given(*stock).when(
        SetLowStockThresholds({HOLDER: 12, "99999X": 5}),
        SetLowStockThresholds({HOLDER: 12}),
        SetLowStockThresholds({HOLDER: 11}),
    ).then(
        LowStockThresholdSet(thresholds={HOLDER: 12, "99999X": 5}),
        low(**{HOLDER: 12}),
        LowStockThresholdSet(thresholds={HOLDER: 12}),
        LowStockThresholdSet(thresholds={HOLDER: 11}),
        low_no_longer(**{HOLDER: 12}),
    )


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (reserve({HOLDER: 4}), reserved(in_london(4))),
        (adjust(in_london(-4)), adjusted(removed=in_london(4))),
        (allocate({HOLDER: 4}), allocated(in_london(4))),
    ],
    ids=["reserved", "written off", "promised"],
)
def test_whatever_takes_goods_away_is_looked_at(command: StockCommand, event: Event) -> None:
    given(received(in_london(12))).when(command).then(event, low(**{HOLDER: 8}))


def test_a_basket_of_more_kinds_than_the_order_is_looked_at_in_full() -> None:
    both = {LONDON: {HOLDER: 4, BELL: 4}}
    history = (received({LONDON: {HOLDER: 12, BELL: 12}}), reserved(both), low(**{BELL: 8, HOLDER: 8}))
    given(*history).when(allocate({HOLDER: 4}, reservation_id="basket-7")).then(
        ended(both), allocated(in_london(4)), low_no_longer(**{BELL: 12})
    )


def test_what_leaves_was_promised_before_and_changes_nothing() -> None:
    history = (received(in_london(12)), allocated(in_london(4)), low(**{HOLDER: 8}))
    given(*history).when(ShipStock(ORDER, in_london(4))).then(shipped(in_london(4)))
