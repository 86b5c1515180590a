"""The rules of an order: the only process manager.

Forward:  review -> payment -> allocation -> fulfillment -> capture -> completed
Back:     a cancellation undoes what was done in the opposite order, one step at a time: fulfillment, stock, money.
          It is all or nothing: once a parcel has left, it is refused and the rest is sent too.
"""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from events.base import Event, Postings, Quantities
from events.order import (
    AllocationReleaseRequested,
    AllocationRequested,
    FulfillmentCancelRequested,
    FulfillmentRequested,
    Hold,
    OrderAccepted,
    OrderCancellationRefused,
    OrderCancellationRequested,
    OrderCancelled,
    OrderCompleted,
    OrderConfirmed,
    OrderCorrected,
    OrderCorrectionRefused,
    OrderExpired,
    OrderFulfillmentStopped,
    OrderHeld,
    OrderHoldReleased,
    OrderLinesShipped,
    OrderRejected,
    PaymentCaptureRequested,
    PaymentRequested,
    PaymentVoidRequested,
    Problem,
)
from services.order.commands import (
    CancelOrder,
    CorrectOrder,
    HoldOrder,
    NoteCaptureFailed,
    NoteFulfillmentCancelled,
    NoteFulfillmentCancelRefused,
    NoteParcelShipped,
    NotePaymentAuthorized,
    NotePaymentCaptured,
    NotePaymentDeclined,
    NotePaymentExpired,
    NotePaymentUndone,
    NoteStockAllocated,
    NoteStockBackordered,
    NoteStockRejected,
    NoteStockReleased,
    NoteUndoFailed,
    OrderCommand,
    ReleaseHold,
    ReviewOrder,
)
from services.order.state import Goods, Money, OrderState, Part, Status, evolve
from services.runtime.decider import Decider


def decide(command: OrderCommand, state: OrderState) -> list[Event]:
    if state.status is Status.UNKNOWN:
        return []
    match command:
        case ReviewOrder():
            return _review(command, state)
        case NotePaymentAuthorized():
            return _payment_authorized(state)
        case NoteStockAllocated():
            return _stock_allocated(command, state)
        case NoteParcelShipped():
            return _parcel_shipped(command, state)
        case NotePaymentCaptured():
            return _payment_captured(state)
        case NotePaymentDeclined(reason):
            return _payment_declined(reason, state)
        case NotePaymentExpired():
            return _payment_expired(state)
        case NoteCaptureFailed(reason):
            return _hold_capture(reason, state)
        case NotePaymentUndone():
            return [_cancelled(state)] if _undoing(state, Money.UNDOING) else []
        case NoteStockBackordered():
            return _stock_backordered(command, state)
        case NoteStockRejected(unknown):
            return _stock_rejected(unknown, state)
        case NoteStockReleased():
            return _undo_money(state) if state.cancelling is not None and state.goods is Goods.RELEASING else []
        case NoteFulfillmentCancelled(fulfillment_id):
            return _fulfillment_stopped(fulfillment_id, state)
        case NoteFulfillmentCancelRefused(fulfillment_id):
            return _too_late_to_cancel(state)
        case CorrectOrder():
            return _correct(command, state)
        case HoldOrder(hold, problems):
            return _hold(hold, problems, state)
        case NoteUndoFailed():
            return _undo_failed(command, state)
        case ReleaseHold():
            return _release(command, state)
        case CancelOrder(reason):
            return _cancel(reason, state)
        case _:
            assert_never(command)


# --- forward -------------------------------------------------------------------------------------------------------


def _review(command: ReviewOrder, state: OrderState) -> list[Event]:
    if state.status is not Status.PLACED or state.reviewed:
        return []
    if command.fatal:
        return [OrderRejected(order_id=state.order_id, problems=command.fatal)]
    if command.address and not state.corrected:
        return [_held(state, Hold.ADDRESS, command.address)]
    return _accept(state)


def _accept(state: OrderState) -> list[Event]:
    if state.cancelling is not None:
        return []
    return [OrderAccepted(order_id=state.order_id), *([] if state.holds else _ask_for_money(state))]


def _ask_for_money(state: OrderState) -> list[Event]:
    if state.amount_minor == 0:
        return [_allocation_requested(state)]
    return [
        PaymentRequested(
            order_id=state.order_id,
            amount_minor=state.amount_minor,
            currency=state.currency,
            payment_token=state.payment_token,
        )
    ]


def _payment_authorized(state: OrderState) -> list[Event]:
    if state.closed:
        # Money that comes too late is let go again; payment knows if it is doing so already.
        return [PaymentVoidRequested(order_id=state.order_id)] if state.status is not Status.COMPLETED else []
    if state.cancelling is not None or state.money not in (Money.REQUESTED, Money.DECLINED):
        return []
    # Promised after all: a provider may say no first and yes later.
    held = [OrderHoldReleased(order_id=state.order_id, hold=Hold.PAYMENT)] if Hold.PAYMENT in state.holds else []
    return [*held, _allocation_requested(state)]


def _allocation_requested(state: OrderState) -> Event:
    return AllocationRequested.of_known(order_id=state.order_id, lines=state.lines, reservation_id=state.reservation_id)


def _stock_allocated(command: NoteStockAllocated, state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.goods is not Goods.REQUESTED:
        return []
    waited = [OrderHoldReleased(order_id=state.order_id, hold=Hold.BACKORDER)] if Hold.BACKORDER in state.holds else []
    confirmed = OrderConfirmed.of_known(order_id=state.order_id, lines=command.lines)
    others = state.holds - {Hold.BACKORDER}
    return [*waited, confirmed, *([] if others else _ask_to_send(state, command.lines))]


def _ask_to_send(state: OrderState, allocated: Postings) -> list[Event]:
    return [_fulfillment_requested(state, location, allocated[location]) for location in sorted(allocated)]


def _fulfillment_requested(state: OrderState, location: str, lines: Quantities) -> Event:
    """A location that was stopped and is asked again gets a new fulfillment, numbered on."""
    before = sum(1 for sending in state.sendings.values() if sending.location == location)
    suffix = f".{before + 1}" if before else ""  # no location has a dot in its name
    fulfillment_id = f"{state.order_id}-{location}{suffix}"
    return FulfillmentRequested.of_known(
        order_id=state.order_id,
        fulfillment_id=fulfillment_id,
        location=location,
        country=state.country,
        address_on_file=state.address_on_file,
        lines=lines,
    )


def _parcel_shipped(command: NoteParcelShipped, state: OrderState) -> list[Event]:
    if command.fulfillment_id not in state.sendings or state.is_shipped(command.fulfillment_id):
        return []
    postings = {command.location: command.lines}
    shipped = OrderLinesShipped.of_known(order_id=state.order_id, fulfillment_id=command.fulfillment_id, lines=postings)
    after = evolve(state, shipped)
    if state.cancelling is not None:
        # The parcel was faster than the cancellation: all of the order is sent, stopped parts included.
        late = _too_late_to_cancel(after)
        return [shipped, *late, *_capture_when_all_left(_fold(after, late))]
    return [shipped, *_capture_when_all_left(after)]


def _fold(state: OrderState, events: list[Event]) -> OrderState:
    for event in events:
        state = DECIDER.evolve(state, event)
    return state


def _capture_when_all_left(state: OrderState) -> list[Event]:
    all_left = all(sending.part is Part.SHIPPED for sending in state.wanted)
    return _ask_to_capture(state) if all_left and state.money in (Money.NONE, Money.AUTHORIZED) else []


def _ask_to_capture(state: OrderState) -> list[Event]:
    if state.amount_minor == 0:
        return [OrderCompleted(order_id=state.order_id)]
    return [PaymentCaptureRequested(order_id=state.order_id, amount_minor=state.amount_minor)]


def _payment_captured(state: OrderState) -> list[Event]:
    if state.closed or state.money not in (Money.CAPTURING, Money.CAPTURE_FAILED):
        return []
    held = [OrderHoldReleased(order_id=state.order_id, hold=Hold.PAYMENT)] if Hold.PAYMENT in state.holds else []
    return [*held, OrderCompleted(order_id=state.order_id)]


# --- what stops it -------------------------------------------------------------------------------------------------


def _payment_declined(reason: str, state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.money is not Money.REQUESTED:
        return []
    message = f"The payment was declined ({_short(reason)}). Release the hold with another payment token, or cancel."
    return [_held(state, Hold.PAYMENT, [Problem(code="payment_declined", where="payment_token", message=message)])]


def _payment_expired(state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.money is not Money.REQUESTED:
        return []
    return [OrderExpired(order_id=state.order_id)]


def _hold_capture(reason: str, state: OrderState) -> list[Event]:
    if state.closed or state.money is not Money.CAPTURING:
        return []
    message = f"The goods have left but the money could not be taken ({_short(reason)}). Settle it, then release."
    return [_held(state, Hold.PAYMENT, [Problem(code="capture_failed", where="payment", message=message)])]


def _undo_failed(command: NoteUndoFailed, state: OrderState) -> list[Event]:
    undoing = state.cancelling is not None or (state.closed and state.status is not Status.COMPLETED)
    if not undoing or Hold.PAYMENT in state.holds:
        return []
    message = (
        f"The provider refused the {command.operation.value} ({_short(command.reason)}). Settle it, then release the "
        "hold: it is tried again."
    )
    return [_held(state, Hold.PAYMENT, [Problem(code="undo_failed", where="payment", message=message)])]


def _short(reason: str) -> str:
    """A provider's own words, cut so that a message with them still fits into a problem."""
    return reason[:300]


def _stock_backordered(command: NoteStockBackordered, state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.goods is not Goods.REQUESTED:
        return []
    if Hold.BACKORDER in state.holds:
        return []
    short = ", ".join(f"{quantity} x {sku}" for sku, quantity in list(command.missing.items())[:5])
    more = f" and {len(command.missing) - 5} more SKUs" if len(command.missing) > 5 else ""
    message = f"Not in stock: {short}{more}. The next receipt fills the oldest order first."
    return [_held(state, Hold.BACKORDER, [Problem(code="backordered", where="lines", message=message[:500])])]


def _stock_rejected(unknown: list[str], state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.goods is not Goods.REQUESTED:
        return []
    message = f"We have never stocked {', '.join(unknown[:10])}. Check the SKUs, or receive stock for them first."
    problems = [Problem(code="unknown_sku", where="lines", message=message[:500])]
    void = [PaymentVoidRequested(order_id=state.order_id)] if state.money is Money.AUTHORIZED else []
    return [OrderRejected(order_id=state.order_id, problems=problems), *void]


def _held(state: OrderState, hold: Hold, problems: list[Problem]) -> Event:
    return OrderHeld(order_id=state.order_id, hold=hold, problems=problems)


# --- what people ask for -------------------------------------------------------------------------------------------

# Each of these says that something has happened, and its release goes on from there: not a matter of wishing.
_HELD_BY_WHAT_HAPPENED = frozenset({Hold.ADDRESS, Hold.PAYMENT, Hold.BACKORDER})


def _hold(hold: Hold, problems: list[Problem], state: OrderState) -> list[Event]:
    if state.closed or hold in state.holds or hold in _HELD_BY_WHAT_HAPPENED:
        return []
    return [_held(state, hold, problems)]


def _correct(command: CorrectOrder, state: OrderState) -> list[Event]:
    if state.closed or state.cancelling is not None or state.sendings:
        reason = "The goods are being sent already." if state.sendings else "The order is closed, or being cancelled."
        return [OrderCorrectionRefused(order_id=state.order_id, reason=reason)]
    corrected = OrderCorrected(order_id=state.order_id, contact=command.contact, ship_to=command.ship_to)
    if command.address:
        # Held, or still held: the order says what is wrong with it now.
        return [corrected, _held(state, Hold.ADDRESS, command.address)]
    return [corrected, *_release(ReleaseHold(Hold.ADDRESS), evolve(state, corrected))]


def _release(command: ReleaseHold, state: OrderState) -> list[Event]:
    # Only stock ends a backorder; a person cannot wish it there.
    if command.hold not in state.holds or command.hold is Hold.BACKORDER:
        return []
    released = OrderHoldReleased(order_id=state.order_id, hold=command.hold)
    after = evolve(state, released)
    if command.payment_token is not None:
        after = replace(after, payment_token=command.payment_token)
    if state.closed or state.cancelling is not None:
        return [released, *(_undo_again(after) if command.hold is Hold.PAYMENT else [])]
    return [released, *_proceed(after)]


def _undo_again(state: OrderState) -> list[Event]:
    """A person has settled why the provider would not let the money go."""
    kept = state.money in (Money.REQUESTED, Money.UNDOING)
    return [PaymentVoidRequested(order_id=state.order_id)] if kept else []


def _proceed(state: OrderState) -> list[Event]:
    """What the order was waiting to ask for, now that one reason to wait is gone."""
    if state.money is Money.DECLINED and Hold.PAYMENT not in state.holds:
        # Holds that came after the money was first asked for stop the sending, not the money.
        return _ask_for_money(state)
    if state.holds - {Hold.BACKORDER}:
        return []
    if state.status is Status.PLACED:
        return _accept(state) if state.reviewed else []
    if state.status is Status.ACCEPTED and state.money is Money.NONE and state.goods is Goods.NONE:
        return _ask_for_money(state)
    if state.status is Status.CONFIRMED and not state.sendings:
        return _ask_to_send(state, state.allocated)
    if state.money is Money.CAPTURE_FAILED:
        return _ask_to_capture(state)
    return []


# --- back ----------------------------------------------------------------------------------------------------------


def _cancel(reason: str, state: OrderState) -> list[Event]:
    if state.status is Status.CANCELLED or state.cancelling is not None:
        return []
    if state.closed:
        return [_refused(state, f"The order is {state.status.value} already.")]
    if any(sending.part is Part.SHIPPED for sending in state.sendings.values()):
        return [_refused(state, "Goods have left already.")]
    requested = OrderCancellationRequested(order_id=state.order_id, reason=reason)
    return [requested, *_undo_sendings(evolve(state, requested))]


def _undo_sendings(state: OrderState) -> list[Event]:
    running = [id_ for id_, sending in state.sendings.items() if sending.part is Part.REQUESTED]
    if running:
        return [FulfillmentCancelRequested(order_id=state.order_id, fulfillment_id=id_) for id_ in running]
    return _undo_goods(state)


def _fulfillment_stopped(fulfillment_id: str, state: OrderState) -> list[Event]:
    sending = state.sendings.get(fulfillment_id)
    if sending is None or sending.part is not Part.STOPPING:
        return []
    stopped = OrderFulfillmentStopped(order_id=state.order_id, fulfillment_id=fulfillment_id)
    after = evolve(state, stopped)
    if state.cancelling is None:
        # The cancellation was refused meanwhile, because another part has left: this part is sent after all.
        return [stopped, _fulfillment_requested(after, sending.location, sending.lines)]
    return [stopped, *([] if after.wanted else _undo_goods(after))]


def _too_late_to_cancel(state: OrderState) -> list[Event]:
    if state.cancelling is None:
        return []
    # A location's newest part stands for it: an older one that was stopped has been asked for again already.
    newest = {sending.location: sending for sending in state.sendings.values()}
    stopped = [sending for sending in newest.values() if sending.part is Part.STOPPED]
    again = [_fulfillment_requested(state, sending.location, sending.lines) for sending in stopped]
    return [_refused(state, "Goods have left already."), *again]


def _undo_goods(state: OrderState) -> list[Event]:
    if state.goods in (Goods.REQUESTED, Goods.ALLOCATED):
        return [AllocationReleaseRequested(order_id=state.order_id)]
    return _undo_money(state)


def _undo_money(state: OrderState) -> list[Event]:
    if state.money in (Money.REQUESTED, Money.AUTHORIZED):
        return [PaymentVoidRequested(order_id=state.order_id)]
    return [_cancelled(state)]


def _undoing(state: OrderState, money: Money) -> bool:
    return state.cancelling is not None and state.money is money


def _cancelled(state: OrderState) -> Event:
    return OrderCancelled(order_id=state.order_id, reason=state.cancelling or "")


def _refused(state: OrderState, reason: str) -> Event:
    return OrderCancellationRefused(order_id=state.order_id, reason=reason)


DECIDER: Decider[OrderCommand, OrderState] = Decider(OrderState(), decide, evolve)
