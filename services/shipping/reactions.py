"""What the shipping service does about what the order asks, and which deadlines it keeps."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from events.base import WALL_CLOCK, Recorded
from events.order import FulfillmentCancelRequested, FulfillmentRequested
from events.shipping import FulfillmentOpened, LabelOutcomeUnknown, LabelPurchased, fulfillment_stream
from services.runtime.decider import Deadline, Directive, Reactions, SetsDeadlines
from services.shipping import commands as ask


def _open(recorded: Recorded) -> Iterable[Directive]:
    event = cast(FulfillmentRequested, recorded.event)
    command = ask.OpenFulfillment(
        event.order_id, event.fulfillment_id, event.location, event.country, event.address_on_file, event.lines
    )
    return (Directive(fulfillment_stream(event.fulfillment_id), command),)


def _cancel(recorded: Recorded) -> Iterable[Directive]:
    event = cast(FulfillmentCancelRequested, recorded.event)
    command = ask.CancelFulfillment(event.order_id, event.fulfillment_id)
    return (Directive(fulfillment_stream(event.fulfillment_id), command),)


REACTIONS: Reactions = {FulfillmentRequested: _open, FulfillmentCancelRequested: _cancel}


def _pick_and_pack(recorded: Recorded) -> Iterable[Directive]:
    assert isinstance(recorded.event, FulfillmentOpened)
    return (Directive(recorded.stream, ask.PickItems()), Directive(recorded.stream, ask.PackParcel()))


def _hand_over(recorded: Recorded) -> Iterable[Directive]:
    assert isinstance(recorded.event, LabelPurchased)
    return (Directive(recorded.stream, ask.ShipParcel()),)


SANDBOX_WAREHOUSE: Reactions = {FulfillmentOpened: _pick_and_pack, LabelPurchased: _hand_over}
"""A warehouse that works by itself. Without it people pick, pack and ship over the API."""


def _ask_again(recorded: Recorded) -> Iterable[Deadline]:
    event = cast(LabelOutcomeUnknown, recorded.event)
    command = ask.AskCarrier(event.attempt)
    return (Deadline(event.ask_at, lambda _: Directive(recorded.stream, command), clock=WALL_CLOCK),)


DEADLINES: SetsDeadlines = {LabelOutcomeUnknown: _ask_again}
