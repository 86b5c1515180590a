"""Bugs in the rules: money, goods, parcels and the order that leads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from events.base import Event, Recorded
from events.inventory import StockAllocated, StockReleased, StockReserved
from events.order import AllocationRequested, FulfillmentRequested, Hold, PaymentCaptureRequested
from events.payment import CaptureInitiated, PaymentActionRequired, PaymentInquiryInitiated, PaymentOperation
from events.shipping import FulfillmentCancelled, LabelOutcomeUnknown
from services.inventory import allocation
from services.inventory import decider as stock
from services.inventory import reactions as stock_reactions
from services.inventory import worker as stock_worker
from services.order import decider as order
from services.order import reactions as order_reactions
from services.order.state import Part
from services.payment import calls as payment_calls
from services.payment import commands as say
from services.payment import decider as payment
from services.payment import reactions as payment_reactions
from services.payment import worker as payment_worker
from services.payment.calls import PaymentCalls
from services.payment.provider import PaymentState as AtProvider
from services.payment.provider import ProviderTimeout, ProviderUnavailable
from services.runtime.decider import Directive
from services.shipping import decider as shipping
from services.shipping import reactions as shipping_reactions
from services.shipping.calls import LabelCalls
from services.shipping.state import Stage
from tests.simulation.planted.bug import MISSING, Bug, Patch

# --- money ---------------------------------------------------------------------------------------------------------


def _capture_anew_after_a_lost_reply() -> list[Patch]:
    honest = payment._ask

    def ask(state: Any) -> list[Event]:
        events = honest(state)
        if events and state.operation is PaymentOperation.CAPTURE:
            amount = state.capture_minor
            return [CaptureInitiated(order_id=state.order_id, reference=state.reference, amount_minor=amount)]
        return events

    return [Patch(payment, "_ask", ask)]


def _take_no_answer_for_a_no() -> list[Patch]:
    honest = PaymentCalls._carry_out

    async def carry_out(self: Any, intent: Recorded, inquiry: Any) -> Any:
        try:
            return await honest(self, intent, inquiry)
        except (ProviderTimeout, ProviderUnavailable):
            match inquiry.operation:
                case PaymentOperation.AUTHORIZE:
                    return say.RecordDeclined("no answer")
                case PaymentOperation.CAPTURE:
                    return say.RecordCaptureFailed("no answer")
                case operation:
                    return say.RecordUndoFailed(operation, "no answer")

    return [Patch(PaymentCalls, "_carry_out", carry_out)]


def _draw_a_key_for_each_attempt() -> list[Patch]:
    honest = payment_calls._call_of

    def call_of(intent: Recorded) -> Any:
        return honest(intent)._replace(key=intent.id)

    return [Patch(payment_calls, "_call_of", call_of)]


def _note_another_key() -> list[Patch]:
    honest = payment._ask

    def ask(state: Any) -> list[Event]:
        return [
            one.model_copy(update={"key": f"{one.key}-{state.attempt}"})
            if isinstance(one, PaymentInquiryInitiated)
            else one
            for one in honest(state)
        ]

    return [Patch(payment, "_ask", ask)]


def _call_for_every_intent_that_is_read() -> list[Patch]:
    return [Patch(payment_worker, "is_open", lambda state, intent: True)]


def _forget_the_void_that_waits() -> list[Patch]:
    return [Patch(payment, "_undo_if_queued", lambda state: [])]


def _keep_the_money_of_the_cancelled() -> list[Patch]:
    return [Patch(order, "_undo_money", lambda state: [order._cancelled(state)])]


def _wait_for_the_buyer_for_ever() -> list[Patch]:
    return [Patch(payment_reactions.DEADLINES, PaymentActionRequired, MISSING)]


def _send_the_refused_again_under_a_forgotten_key() -> list[Patch]:
    """A bug that there really was, and that this simulator found."""
    honest = PaymentCalls._authorization

    def authorization(self: Any, intent: Recorded, inquiry: Any, known: Any) -> Any:
        if known.state is AtProvider.DECLINED and known.reference != inquiry.reference:
            return None
        return honest(self, intent, inquiry, known)

    return [Patch(PaymentCalls, "_authorization", authorization)]


def _let_questions_beget_questions() -> list[Patch]:
    """A bug that there really was, and that this simulator found: old questions have their time as well."""
    honest = payment.decide

    def decide(command: Any, state: Any) -> list[Event]:
        return honest(say.AskProvider() if isinstance(command, say.AskProvider) else command, state)

    return [Patch(payment_worker, "DECIDER", payment.DECIDER._replace(decide=decide))]


def _send_without_money() -> list[Patch]:
    return [Patch(order, "_payment_declined", lambda reason, state: [order._allocation_requested(state)])]


def _capture_before_it_has_left() -> list[Patch]:
    honest = order._stock_allocated

    def allocated(command: Any, state: Any) -> list[Event]:
        events = honest(command, state)
        if any(isinstance(event, FulfillmentRequested) for event in events) and state.amount_minor:
            events.append(PaymentCaptureRequested(order_id=state.order_id, amount_minor=state.amount_minor))
        return events

    return [Patch(order, "_stock_allocated", allocated)]


# --- goods ---------------------------------------------------------------------------------------------------------


def _stock_evolves(wrong: Callable[[Any, Any, Callable[..., Any]], Any]) -> list[Patch]:
    """The ledger's state changes in another way. The laws have their own copy of the rules."""
    honest = stock.DECIDER.evolve

    def evolve(state: Any, event: Any) -> Any:
        return wrong(state, event, honest)

    return [
        Patch(stock, "evolve", evolve),
        Patch(stock_worker, "DECIDER", stock.DECIDER._replace(evolve=evolve)),
    ]


def _do_not_release_the_goods_of_the_cancelled() -> list[Patch]:
    return [Patch(order, "_undo_goods", order._undo_money)]


def _allocate_from_the_sum_of_all_places() -> list[Patch]:
    def summed(lines: dict[str, int], free: Any) -> Any:
        return {min(free): lines} if lines else {}

    return [Patch(stock, "allocate", summed), Patch(allocation, "allocate", summed)]


def _serve_a_backorder_twice() -> list[Patch]:
    def wrong(state: Any, event: Any, honest: Callable[..., Any]) -> Any:
        after = honest(state, event)
        if isinstance(event, StockAllocated) and event.order_id in state.backorders:
            return type(after)(**{**_fields(after), "backorders": state.backorders, "waiting": state.waiting})
        return after

    return _stock_evolves(wrong)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _reserve_without_holding() -> list[Patch]:
    def wrong(state: Any, event: Any, honest: Callable[..., Any]) -> Any:
        after = honest(state, event)
        return type(after)(**{**_fields(after), "free": state.free}) if isinstance(event, StockReserved) else after

    return _stock_evolves(wrong)


def _never_end_a_reservation() -> list[Patch]:
    return [Patch(stock_reactions.DEADLINES, StockReserved, MISSING)]


def _write_off_what_is_promised() -> list[Patch]:
    honest = stock._adjust

    def adjust(command: Any, state: Any) -> Any:
        adjusted = honest(command, state)
        removed = {place: dict(lines) for place, lines in adjusted.removed.items()}
        for place, lines in adjusted.refused.items():
            for sku, units in lines.items():
                here = removed.setdefault(place, {})
                here[sku] = here.get(sku, 0) + units
        return adjusted.model_copy(update={"removed": removed, "refused": {}})

    return [Patch(stock, "_adjust", adjust)]


def _miss_what_a_receipt_sets_free() -> list[Patch]:
    return [Patch(stock, "_and_serve", lambda state, events, touched: list(events))]


# --- the order -----------------------------------------------------------------------------------------------------


def _miss_one_type_of_event() -> list[Patch]:
    return [Patch(order_reactions.REACTIONS, StockReleased, MISSING)]


def _leave_a_served_backorder_held() -> list[Patch]:
    honest = order._stock_allocated

    def allocated(command: Any, state: Any) -> list[Event]:
        return [] if Hold.BACKORDER in state.holds else honest(command, state)

    return [Patch(order, "_stock_allocated", allocated)]


def _send_the_shipped_again() -> list[Patch]:
    def too_late(state: Any) -> list[Event]:
        if state.cancelling is None:
            return []
        left = [one for one in state.sendings.values() if one.part in (Part.STOPPED, Part.SHIPPED)]
        again = [order._fulfillment_requested(state, one.location, one.lines) for one in left]
        return [order._refused(state, "Goods have left already."), *again]

    return [Patch(order, "_too_late_to_cancel", too_late)]


def _judge_the_address_as_it_was_placed() -> list[Patch]:
    """A bug that there really was, and that this simulator found."""
    honest = order._review

    def review(command: Any, state: Any) -> list[Event]:
        if command.address and state.corrected and not command.fatal and not state.reviewed and not state.closed:
            return [order._held(state, Hold.ADDRESS, command.address)]
        return honest(command, state)

    return [Patch(order, "_review", review)]


def _ask_for_goods_twice() -> list[Patch]:
    honest = order._payment_authorized

    def authorized(state: Any) -> list[Event]:
        events = honest(state)
        return [*events, *(one for one in events if isinstance(one, AllocationRequested))]

    return [Patch(order, "_payment_authorized", authorized)]


# --- parcels -------------------------------------------------------------------------------------------------------


def _cancel_what_has_left() -> list[Patch]:
    def cancel(command: Any, state: Any) -> list[Event]:
        if state.stage is Stage.CANCELLED:
            return []
        return [FulfillmentCancelled(order_id=command.order_id, fulfillment_id=command.fulfillment_id)]

    return [Patch(shipping, "_cancel", cancel)]


def _buy_a_label_for_each_attempt() -> list[Patch]:
    honest = LabelCalls.__call__

    async def call(self: Any, intent: Recorded) -> Directive:
        event: Any = intent.event
        if hasattr(event, "key"):
            intent = intent._replace(event=event.model_copy(update={"key": intent.id}))
        return await honest(self, intent)

    return [Patch(LabelCalls, "__call__", call)]


def _never_ask_the_carrier_again() -> list[Patch]:
    return [Patch(shipping_reactions.DEADLINES, LabelOutcomeUnknown, MISSING)]


BUGS = [
    Bug("capture anew when the reply is lost", _capture_anew_after_a_lost_reply),
    Bug("take no answer for a no", _take_no_answer_for_a_no),
    Bug("send every attempt under a key of its own", _draw_a_key_for_each_attempt),
    Bug("note another key than the first", _note_another_key),
    Bug("call for every intent that is read", _call_for_every_intent_that_is_read),
    Bug("forget the void that waits for an outcome", _forget_the_void_that_waits),
    Bug("keep the money of the cancelled", _keep_the_money_of_the_cancelled),
    Bug("wait for the buyer for ever", _wait_for_the_buyer_for_ever),
    Bug("send the refused again under a forgotten key", _send_the_refused_again_under_a_forgotten_key),
    Bug("let questions beget questions", _let_questions_beget_questions),
    Bug("send without money", _send_without_money),
    Bug("capture before it has left", _capture_before_it_has_left),
    Bug("keep the goods of the cancelled", _do_not_release_the_goods_of_the_cancelled),
    Bug("allocate from the sum over all places", _allocate_from_the_sum_of_all_places),
    Bug("serve a backorder twice", _serve_a_backorder_twice),
    Bug("reserve without holding anything", _reserve_without_holding),
    Bug("never end a reservation", _never_end_a_reservation),
    Bug("write off what is promised", _write_off_what_is_promised),
    Bug("miss what a receipt sets free", _miss_what_a_receipt_sets_free),
    Bug("miss one type of event", _miss_one_type_of_event),
    Bug("leave a served backorder held", _leave_a_served_backorder_held),
    Bug("send again what has left", _send_the_shipped_again),
    Bug("judge the address as it was placed", _judge_the_address_as_it_was_placed),
    Bug("ask for goods twice", _ask_for_goods_twice),
    Bug("cancel what has left", _cancel_what_has_left),
    Bug("buy a label for every attempt", _buy_a_label_for_each_attempt),
    Bug("never ask the carrier again", _never_ask_the_carrier_again),
]
