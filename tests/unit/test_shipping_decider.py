"""The rules of a fulfillment order, told as stories: picked, packed, labelled, on its way, delivered, or stopped."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from events.base import Event
from events.shipping import (
    FulfillmentCancelled,
    FulfillmentCancelRefused,
    FulfillmentOpened,
    ItemsPicked,
    LabelInquiryInitiated,
    LabelOutcomeUnknown,
    LabelPurchased,
    LabelRefused,
    LabelRequested,
    ParcelDelivered,
    ParcelPacked,
    ParcelShipped,
    TrackingScan,
    TrackingStatus,
    TrackingUpdated,
)
from services.shipping.commands import (
    AskCarrier,
    CancelFulfillment,
    OpenFulfillment,
    PackParcel,
    PickItems,
    RecordLabel,
    RecordLabelRefused,
    RecordLabelUnknown,
    RecordTracking,
    RequestLabel,
    ShipParcel,
    ShippingCommand,
)
from services.shipping.decider import DECIDER
from services.shipping.state import Stage
from tests.examples import FROM_LONDON, HOUR, LINES, LONDON, NOON, ORDER
from tests.spec import Spec

given = Spec(DECIDER).given

# --- what may have happened ------------------------------------------------------------------------------------------

IDS = {"order_id": ORDER, "fulfillment_id": FROM_LONDON}
NUMBER = "SB000000001GB"
PARCEL: dict[str, Any] = {
    **IDS,
    "parcel_id": f"{FROM_LONDON}/1",
    "location": LONDON,
    "country": "GB",
    "address_on_file": False,
    "units": 8,
}
OPENED = FulfillmentOpened(**IDS, location=LONDON, country="GB", address_on_file=False, lines=LINES)
PICKED = ItemsPicked(**IDS)
PACKED = ParcelPacked(**IDS, parcel_id=f"{FROM_LONDON}/1")
LABEL_REQUESTED = LabelRequested(**PARCEL)
LABEL_PURCHASED = LabelPurchased(**IDS, carrier="sandpost", tracking_number=NUMBER, reference="shp_1")
LABEL_REFUSED = LabelRefused(**IDS, reason="address_not_served")
SHIPPED = ParcelShipped(**IDS, location=LONDON, tracking_number=NUMBER, lines=LINES)
DELIVERED = ParcelDelivered(**IDS, tracking_number=NUMBER)
CANCELLED = FulfillmentCancelled(**IDS)
CANCEL_REFUSED = FulfillmentCancelRefused(**IDS)

OPEN = (OPENED,)
IN_HAND = (OPENED, PICKED)
BOXED = (OPENED, PICKED, PACKED, LABEL_REQUESTED)
LABELLED = (*BOXED, LABEL_PURCHASED)
ON_ITS_WAY = (*LABELLED, SHIPPED)

ASK_AT = NOON + HOUR


def unknown(attempt: int) -> LabelOutcomeUnknown:
    return LabelOutcomeUnknown(**IDS, attempt=attempt, ask_at=ASK_AT)


def inquiry(attempt: int, key_version: int = 4) -> LabelInquiryInitiated:
    return LabelInquiryInitiated(**PARCEL, attempt=attempt, key=f"fulfillment-{FROM_LONDON}/{key_version}")


def scan(status: TrackingStatus, at: datetime, place: str = "London") -> TrackingScan:
    return TrackingScan(status=status, scanned_at=at, place=place)


def updated(*scans: TrackingScan) -> TrackingUpdated:
    return TrackingUpdated(**IDS, scans=list(scans))


TAKEN_OVER = scan(TrackingStatus.PRE_TRANSIT, NOON)
MOVING = scan(TrackingStatus.IN_TRANSIT, NOON + HOUR)
AT_THE_DOOR = scan(TrackingStatus.DELIVERED, NOON + 2 * HOUR)

PLEASE_OPEN = OpenFulfillment(ORDER, FROM_LONDON, LONDON, "GB", False, LINES)
PLEASE_CANCEL = CancelFulfillment(ORDER, FROM_LONDON)
LABEL = RecordLabel("sandpost", NUMBER, "shp_1")
REFUSED = RecordLabelRefused("address_not_served")
SILENCE = RecordLabelUnknown(ASK_AT)

# --- forward ---------------------------------------------------------------------------------------------------------


def test_the_whole_way_in_one_go() -> None:
    outcome = given().when(
        PLEASE_OPEN, PickItems(), PackParcel(), LABEL, ShipParcel(), RecordTracking([TAKEN_OVER, MOVING, AT_THE_DOOR])
    )
    outcome.then(
        OPENED, PICKED, PACKED, LABEL_REQUESTED, LABEL_PURCHASED, SHIPPED, updated(TAKEN_OVER, MOVING, AT_THE_DOOR),
        DELIVERED,
    )  # fmt: skip
    assert outcome.state.stage is Stage.DELIVERED


@pytest.mark.parametrize(
    ("history", "again"),
    [
        (OPEN, PLEASE_OPEN),
        (IN_HAND, PickItems()),
        (BOXED, PackParcel()),
        (BOXED, RequestLabel()),
        (LABELLED, LABEL),
        (LABELLED, RequestLabel()),
        (ON_ITS_WAY, ShipParcel()),
        ((CANCELLED,), PLEASE_CANCEL),
    ],
)
def test_what_was_done_already_is_not_done_again(history: tuple[Event, ...], again: ShippingCommand) -> None:
    given(*history).when(again).then_nothing()


@pytest.mark.parametrize(
    ("history", "too_early"),
    [
        ((), PickItems()),
        (OPEN, PackParcel()),
        (OPEN, RequestLabel()),
        (IN_HAND, ShipParcel()),
        (BOXED, ShipParcel()),
        (LABELLED, RecordTracking([MOVING])),
        (OPEN, LABEL),
        (IN_HAND, REFUSED),
        (IN_HAND, SILENCE),
        (IN_HAND, AskCarrier()),
    ],
)
def test_no_step_is_taken_before_the_one_it_follows(history: tuple[Event, ...], too_early: ShippingCommand) -> None:
    given(*history).when(too_early).then_nothing()


# --- label -----------------------------------------------------------------------------------------------------------


def test_a_refused_label_is_asked_for_again_by_a_person_under_a_new_key() -> None:
    outcome = given(*BOXED).when(REFUSED, RequestLabel(), LABEL)
    outcome.then(LABEL_REFUSED, LABEL_REQUESTED, LABEL_PURCHASED)
    assert given(*BOXED, LABEL_REFUSED, LABEL_REQUESTED).state.key_version == 6


def test_an_unknown_label_is_asked_about_under_the_same_key_until_it_is_known() -> None:
    given(*BOXED).when(SILENCE, AskCarrier(), SILENCE, AskCarrier(), LABEL).then(
        unknown(1), inquiry(1), unknown(2), inquiry(2), LABEL_PURCHASED
    )


def test_a_question_whose_time_has_come_too_late_is_not_asked() -> None:
    asked_meanwhile = (*BOXED, unknown(1), inquiry(1), unknown(2))
    given(*asked_meanwhile).when(AskCarrier(1)).then_nothing()
    given(*asked_meanwhile).when(AskCarrier(2)).then(inquiry(2))


def test_an_unknown_label_may_turn_out_to_be_refused() -> None:
    given(*BOXED, unknown(1)).when(AskCarrier(), REFUSED).then(inquiry(1), LABEL_REFUSED)


def test_nobody_asks_for_a_new_label_while_the_old_one_is_unknown() -> None:
    given(*BOXED, unknown(1)).when(RequestLabel()).then_nothing()


@pytest.mark.parametrize(
    "history", [BOXED, LABELLED, ON_ITS_WAY, (*BOXED, LABEL_REFUSED), (*BOXED, unknown(1), inquiry(1))]
)
def test_the_carrier_is_asked_only_about_what_is_unknown(history: tuple[Event, ...]) -> None:
    given(*history).when(AskCarrier()).then_nothing()


@pytest.mark.parametrize("late", [REFUSED, SILENCE])
@pytest.mark.parametrize("history", [(*BOXED, unknown(1)), (*BOXED, LABEL_REFUSED), LABELLED, ON_ITS_WAY])
def test_a_refusal_or_silence_answers_an_open_question_or_none(
    history: tuple[Event, ...], late: ShippingCommand
) -> None:
    given(*history).when(late).then_nothing()


def test_a_label_that_turns_up_after_a_refusal_was_bought_all_the_same() -> None:
    given(*BOXED, LABEL_REFUSED).when(LABEL, ShipParcel()).then(LABEL_PURCHASED, SHIPPED)


def test_a_label_that_turns_up_before_the_carrier_was_asked_again_is_recorded_when_it_is_asked() -> None:
    given(*BOXED, unknown(1)).when(LABEL, AskCarrier(), LABEL).then(inquiry(1), LABEL_PURCHASED)


# --- tracking --------------------------------------------------------------------------------------------------------


def test_scans_that_are_known_are_left_out() -> None:
    given(*ON_ITS_WAY, updated(TAKEN_OVER)).when(RecordTracking([TAKEN_OVER, MOVING])).then(updated(MOVING))


@pytest.mark.parametrize("scans", [[], [TAKEN_OVER], [TAKEN_OVER, TAKEN_OVER]])
def test_nothing_new_is_no_news(scans: list[TrackingScan]) -> None:
    given(*ON_ITS_WAY, updated(TAKEN_OVER)).when(RecordTracking(scans)).then_nothing()


def test_the_same_scan_twice_in_one_answer_counts_once_and_the_oldest_comes_first() -> None:
    given(*ON_ITS_WAY).when(RecordTracking([MOVING, TAKEN_OVER, MOVING])).then(updated(TAKEN_OVER, MOVING))


def test_scans_that_come_late_change_nothing_but_the_list() -> None:
    delivered = (*ON_ITS_WAY, updated(AT_THE_DOOR), DELIVERED)
    outcome = given(*delivered).when(RecordTracking([MOVING, AT_THE_DOOR]))
    outcome.then(updated(MOVING))
    assert outcome.state.stage is Stage.DELIVERED


def test_a_parcel_is_delivered_once_however_often_it_is_scanned() -> None:
    again = scan(TrackingStatus.DELIVERED, NOON + 3 * HOUR)
    given(*ON_ITS_WAY).when(RecordTracking([AT_THE_DOOR]), RecordTracking([AT_THE_DOOR, again])).then(
        updated(AT_THE_DOOR), DELIVERED, updated(again)
    )


@pytest.mark.parametrize(
    "status", [TrackingStatus.FAILURE, TrackingStatus.RETURN_TO_SENDER, TrackingStatus.AVAILABLE_FOR_PICKUP]
)
def test_what_is_not_delivered_is_not_called_so(status: TrackingStatus) -> None:
    given(*ON_ITS_WAY).when(RecordTracking([scan(status, NOON)])).then(updated(scan(status, NOON)))


# --- cancelled at every moment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "history", [(), OPEN, IN_HAND, BOXED, (*BOXED, unknown(1)), (*BOXED, unknown(1), inquiry(1)), LABELLED]
)
def test_what_has_not_left_is_stopped(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_CANCEL).then(CANCELLED)


@pytest.mark.parametrize("history", [ON_ITS_WAY, (*ON_ITS_WAY, updated(AT_THE_DOOR), DELIVERED)])
def test_what_has_left_is_not_stopped(history: tuple[Event, ...]) -> None:
    given(*history).when(PLEASE_CANCEL).then(CANCEL_REFUSED)


def test_a_fulfillment_that_was_stopped_before_it_was_opened_stays_stopped() -> None:
    given(CANCELLED).when(PLEASE_OPEN, PickItems()).then_nothing()


@pytest.mark.parametrize("history", [OPEN, IN_HAND, BOXED, LABELLED, (*BOXED, unknown(1))])
@pytest.mark.parametrize(
    "late",
    [PLEASE_OPEN, PickItems(), PackParcel(), RequestLabel(), AskCarrier(), ShipParcel(), REFUSED, SILENCE,
     RecordTracking([MOVING])],
    ids=lambda command: type(command).__name__,
)  # fmt: skip
def test_what_was_stopped_goes_nowhere(history: tuple[Event, ...], late: ShippingCommand) -> None:
    given(*history, CANCELLED).when(late).then_nothing()


def test_a_label_that_comes_after_the_cancellation_was_bought_but_is_not_used() -> None:
    given(*BOXED, CANCELLED).when(LABEL, LABEL, ShipParcel()).then(LABEL_PURCHASED)
