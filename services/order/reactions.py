"""What the order service does about what happens: the process, as a table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from events.base import Recorded
from events.inventory import StockAllocated, StockBackordered, StockRejected, StockReleased
from events.order import OrderPlaced, order_stream
from events.payment import (
    CaptureFailed,
    PaymentAuthorized,
    PaymentCaptured,
    PaymentDeclined,
    PaymentExpired,
    PaymentRefunded,
    PaymentUndoFailed,
    PaymentVoided,
)
from events.shipping import FulfillmentCancelled, FulfillmentCancelRefused, ParcelShipped
from services.order import commands as ask
from services.order.validation import address_problems, fatal_problems
from services.runtime.decider import Directive, React, Reactions


def _on(make: Any) -> React:
    """A reaction that turns the event into one command for its order."""

    def react(recorded: Recorded) -> Iterable[Directive]:
        event = cast(Any, recorded.event)
        return (Directive(order_stream(event.order_id), make(event)),)

    return react


REACTIONS: Reactions = {
    OrderPlaced: _on(lambda e: ask.ReviewOrder(fatal_problems(e), address_problems(e))),
    PaymentAuthorized: _on(lambda e: ask.NotePaymentAuthorized(e.amount_minor)),
    PaymentDeclined: _on(lambda e: ask.NotePaymentDeclined(e.reason)),
    PaymentExpired: _on(lambda e: ask.NotePaymentExpired()),
    PaymentCaptured: _on(lambda e: ask.NotePaymentCaptured(e.amount_minor)),
    CaptureFailed: _on(lambda e: ask.NoteCaptureFailed(e.reason)),
    PaymentVoided: _on(lambda e: ask.NotePaymentUndone()),
    PaymentRefunded: _on(lambda e: ask.NotePaymentUndone()),
    PaymentUndoFailed: _on(lambda e: ask.NoteUndoFailed(e.operation, e.reason)),
    StockAllocated: _on(lambda e: ask.NoteStockAllocated(e.lines)),
    StockBackordered: _on(lambda e: ask.NoteStockBackordered(e.missing)),
    StockRejected: _on(lambda e: ask.NoteStockRejected(e.unknown)),
    StockReleased: _on(lambda e: ask.NoteStockReleased()),
    ParcelShipped: _on(lambda e: ask.NoteParcelShipped(e.fulfillment_id, e.location, e.lines)),
    FulfillmentCancelled: _on(lambda e: ask.NoteFulfillmentCancelled(e.fulfillment_id)),
    FulfillmentCancelRefused: _on(lambda e: ask.NoteFulfillmentCancelRefused(e.fulfillment_id)),
}
