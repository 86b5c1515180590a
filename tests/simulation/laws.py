"""What must be true of a world that was left in peace. Each law says in words what is wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from events.base import Recorded
from events.codec import Unreadable
from events.inventory import StockAdjusted, StockReceived, stock_stream
from events.order import Hold, OrderPlaced, PaymentRequested, order_stream
from events.payment import PaymentCaptured, PaymentInitiated, PaymentOutcomeUnknown, PaymentRefunded
from events.runtime import EventParked
from events.shipping import LabelOutcomeUnknown, LabelRequested, ParcelShipped
from events.store import EventStore
from projections.catalogue import PROJECTIONS
from projections.memory_views import MemoryViews
from projections.runner import ProjectionRunner
from services.audit.law import Law
from services.audit.verify import verify
from services.inventory.allocation import shortage
from services.inventory.decider import DECIDER as INVENTORY
from services.order.decider import DECIDER as ORDER
from services.order.state import OrderState, Status
from services.payment.provider import PaymentState
from services.runtime.desk import Desk
from services.runtime.effects import Effects
from services.runtime.timekeeper import Timekeeper
from services.runtime.worker import Worker
from services.shipping.decider import DECIDER as SHIPPING
from tests.simulation import replaying
from tests.simulation.addresses import problems_with

if TYPE_CHECKING:
    from tests.simulation.world import World


class Ending:
    """A world in the end, read anew from its log."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = EventStore(world.recorder, now=world.clock)
        self.log = self.store.read_after(0, limit=10**9, on_unreadable="mark")
        self.orders = Desk(self.store, ORDER)

    def states(self) -> Iterator[tuple[str, OrderState]]:
        """Every order that was placed, by its id."""
        for recorded in self.of_type(OrderPlaced):
            order_id: str = recorded.event.order_id  # type: ignore[attr-defined]
            yield order_id, self.orders.state(order_stream(order_id))

    def of_type(self, *types: type) -> Iterator[Recorded]:
        return (recorded for recorded in self.log if isinstance(recorded.event, types))


def violations(world: World) -> list[str]:
    """Everything that is wrong; [] if nothing is."""
    if world.breaches:  # the rest follows from it
        return world.breaches
    ending = Ending(world)
    return [problem for law in LAWS for problem in law(ending)]


# --- the log -------------------------------------------------------------------------------------------------------


def the_auditor_finds_nothing(ending: Ending) -> Iterator[str]:
    unreadable = set(ending.world.poisoned)
    for one in verify(ending.store).violations:
        if not (one.law is Law.READABLE and one.position in unreadable):
            yield f"waybill verify: {one}"


def what_was_acknowledged_is_in_the_log(ending: Ending) -> Iterator[str]:
    first = {recorded.stream: recorded.event for recorded in ending.log if recorded.version == 1}
    for stream, event in ending.world.taken.items():
        if first.get(stream) != event:
            yield f"{stream} was acknowledged, and is not in the log as it was"
    at = {recorded.position: recorded for recorded in ending.log}
    for promised in ending.world.promised:
        if at.get(promised.position) != promised:
            yield f"{promised.id} was answered with, and is not in the log"


def what_cannot_be_read_was_parked(ending: Ending) -> Iterator[str]:
    parked = {recorded.event.position for recorded in ending.of_type(EventParked) if recorded.actor == "inventory"}  # type: ignore[attr-defined]
    for recorded in ending.log:
        if isinstance(recorded.event, Unreadable) and recorded.position not in parked:
            yield f"position {recorded.position} cannot be read, and was swallowed"


# --- liveness ------------------------------------------------------------------------------------------------------


def every_order_ends_or_waits_for_a_reason(ending: Ending) -> Iterator[str]:
    for order_id, state in ending.states():
        if not state.closed and not state.holds and not _waits_for_the_carrier(ending, state):
            stands = f"{state.status.value} ({state.money.value}, {state.goods.value})"
            yield f"the order {order_id} is {stands}, and nobody does anything"


def every_hold_has_its_reason(ending: Ending) -> Iterator[str]:
    """An order that waits for goods is in the ledger's queue; one that waits for an address has none that is right."""
    stock = Desk(ending.store, INVENTORY).state(stock_stream())
    for order_id, state in ending.states():
        if Hold.BACKORDER in state.holds and order_id not in stock.backorders and not state.cancelling:
            yield f"the order {order_id} waits for goods, and the ledger does not know"
        if Hold.ADDRESS in state.holds and not problems_with(ending.store.read_stream(order_stream(order_id))):
            yield f"the order {order_id} is held for its address, which is right"


def _waits_for_the_carrier(ending: Ending, state: OrderState) -> bool:
    """A label was refused: a person must correct the address, or cancel."""
    refused = [f"fulfillment-{sending}" for sending in state.sendings]
    histories = ending.store.read_streams(refused)
    return any(history[-1].type == "shipping.label_refused.v1" for history in histories.values())


def nobody_waits(ending: Ending) -> Iterator[str]:
    """No call is open, and nothing is parked that a person could not help."""
    for process in ending.world.processes:
        for consumer in process.consumers():
            if getattr(consumer, "busy", 0):
                yield f"{process.name}: {consumer.name} still waits for an answer"
            if isinstance(consumer, Worker | Effects | Timekeeper):
                for parked in consumer.parking.entries():
                    yield f"{consumer.name} has parked position {parked.position}: {parked.reason}"


# Within the longest outage a pause of up to an hour is made between two questions; people and webhooks ask as well.
MOST_QUESTIONS = 100


def nobody_asks_without_end(ending: Ending) -> Iterator[str]:
    questions = Counter(recorded.stream for recorded in ending.of_type(PaymentOutcomeUnknown, LabelOutcomeUnknown))
    for stream, count in questions.items():
        if count > MOST_QUESTIONS:
            yield f"{stream}: {count} questions without an answer"


# --- goods ---------------------------------------------------------------------------------------------------------


def nothing_is_oversold(ending: Ending) -> Iterator[str]:
    """Counted from deliveries and parcels alone, without the ledger's own arithmetic."""
    units: Counter[tuple[str, str]] = Counter()
    for recorded in ending.log:
        event: Any = recorded.event
        if isinstance(event, StockReceived):
            _add(units, event.lines, 1)
        elif isinstance(event, StockAdjusted):
            _add(units, event.added, 1)
            _add(units, event.removed, -1)
        elif isinstance(event, ParcelShipped):
            _add(units, {event.location: event.lines}, -1)
        if any(left < 0 for left in units.values()):
            short = {place: left for place, left in units.items() if left < 0}
            yield f"position {recorded.position} sends what is not there: {short}"
            return


def _add(units: Counter[tuple[str, str]], postings: dict[str, dict[str, int]], sign: int) -> None:
    for place, lines in postings.items():
        for sku, quantity in lines.items():
            units[place, sku] += sign * quantity


def nothing_is_kept_for_closed_orders(ending: Ending) -> Iterator[str]:
    stock = Desk(ending.store, INVENTORY).state(stock_stream())
    for order_id, state in ending.states():
        if state.closed and order_id in stock.allocations:
            yield f"the order {order_id} is {state.status.value}, and goods are kept for it"
        if state.closed and order_id in stock.backorders:
            yield f"the order {order_id} is {state.status.value}, and waits for goods"


def nobody_waits_for_what_is_there(ending: Ending) -> Iterator[str]:
    stock = Desk(ending.store, INVENTORY).state(stock_stream())
    for order_id, waiting in stock.backorders.items():
        if not shortage(waiting.lines, stock.free):
            yield f"the order {order_id} waits for goods that are there"


def no_reservation_outlives_its_time(ending: Ending) -> Iterator[str]:
    """The longest lasts a day, and there were some of peace."""
    for reservation_id in Desk(ending.store, INVENTORY).state(stock_stream()).reservations:
        yield f"the reservation {reservation_id} still holds goods"


def one_label_for_each_parcel(ending: Ending) -> Iterator[str]:
    asked = Counter(recorded.event.parcel_id for recorded in ending.of_type(LabelRequested))  # type: ignore[attr-defined]
    for parcel, labels in ending.world.carrier.sandbox.labels().items():
        if len(labels) > 1:
            yield f"{len(labels)} labels were bought for the parcel {parcel}, which was asked for {asked[parcel]} times"
    shipping = Desk(ending.store, SHIPPING)
    for recorded in ending.of_type(ParcelShipped):
        state: Any = shipping.state(recorded.stream)
        sold = ending.world.carrier.sandbox.labels().get(state.parcel_id, [])
        if state.tracking_number not in [label.tracking_number for label in sold]:
            yield f"{recorded.stream} left with a label that was never sold"


# --- money ---------------------------------------------------------------------------------------------------------


def the_providers_books_equal_ours(ending: Ending) -> Iterator[str]:
    ours: Counter[str] = Counter()
    asked: Counter[str] = Counter()
    for recorded in ending.of_type(PaymentCaptured, PaymentRefunded, PaymentInitiated):
        event: Any = recorded.event
        if isinstance(event, PaymentInitiated):
            asked[event.order_id] += 1
        else:
            ours[event.order_id] += event.amount_minor * (1 if isinstance(event, PaymentCaptured) else -1)
    theirs: Counter[str] = Counter()
    payments: Counter[str] = Counter()
    for payment in ending.world.provider.sandbox.ledger():
        theirs[payment.order_ref] += payment.captured_minor - payment.refunded_minor
        payments[payment.order_ref] += 1
    for order_id in {**payments, **ours}:
        if ours[order_id] != theirs[order_id]:
            yield f"the order {order_id}: the provider has taken {theirs[order_id]}, the log says {ours[order_id]}"
        if payments[order_id] > asked[order_id]:
            yield f"the order {order_id}: {payments[order_id]} payments at the provider, {asked[order_id]} were meant"


def closed_orders_hold_no_money(ending: Ending) -> Iterator[str]:
    for payment in ending.world.provider.sandbox.ledger():
        state: OrderState = ending.orders.state(order_stream(payment.order_ref))
        taken = payment.captured_minor - payment.refunded_minor
        if state.status is Status.COMPLETED:
            if taken not in (0, state.amount_minor):
                yield f"the order {payment.order_ref} cost {state.amount_minor}, and {taken} were taken"
        elif state.closed and (taken or _is_held(payment.state)) and Hold.PAYMENT not in state.holds:
            yield f"the order {payment.order_ref} is {state.status.value}, and money is held: {payment.state.value}"


def _is_held(state: PaymentState) -> bool:
    return state in (PaymentState.AUTHORIZED, PaymentState.REQUIRES_ACTION)


def completed_orders_are_paid(ending: Ending) -> Iterator[str]:
    charged = ending.world.provider.sandbox.charges()
    asked = {recorded.event.order_id for recorded in ending.of_type(PaymentRequested)}  # type: ignore[attr-defined]
    for order_id, state in ending.states():
        if state.status is Status.COMPLETED and charged.get(order_id, 0) != state.amount_minor:
            yield f"the order {order_id} is completed: {charged.get(order_id, 0)} of {state.amount_minor} were taken"
        if charged.get(order_id) and order_id not in asked:
            yield f"the order {order_id} was charged, and nobody asked for it"


# --- projections and replays ---------------------------------------------------------------------------------------


def replayed_projections_equal_live_ones(ending: Ending) -> Iterator[str]:
    views = MemoryViews()
    runner = ProjectionRunner(ending.store, views, PROJECTIONS)
    while runner.step():
        pass
    live, replayed = ending.world.shown.views.contents(), views.contents()
    different = sorted(key for key in {**live, **replayed} if live.get(key) != replayed.get(key))
    if different:
        yield f"{len(different)} keys of the projections are not what a replay gives: {', '.join(different[:5])}"


def a_replay_calls_nobody(ending: Ending) -> Iterator[str]:
    yield from replaying.calls_made_by_a_replay(ending.world)


LAWS = (
    the_auditor_finds_nothing,
    what_was_acknowledged_is_in_the_log,
    what_cannot_be_read_was_parked,
    every_order_ends_or_waits_for_a_reason,
    every_hold_has_its_reason,
    nobody_waits,
    nobody_asks_without_end,
    nothing_is_oversold,
    nothing_is_kept_for_closed_orders,
    nobody_waits_for_what_is_there,
    no_reservation_outlives_its_time,
    one_label_for_each_parcel,
    the_providers_books_equal_ours,
    closed_orders_hold_no_money,
    completed_orders_are_paid,
    replayed_projections_equal_live_ones,
    a_replay_calls_nobody,
)
