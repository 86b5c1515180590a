"""The roles that a process can play, as a table. `waybill run ROLE...` plays one or several in one process.

order payment inventory shipping    a service's workers, for the slots that the consumer group gives to this process
relay                               publishes the log to Kafka; one at a time, others stand by
timekeeper                          keeps all deadlines; one at a time
projections                         keeps the read models in Redis; one at a time
intake                              takes orders from the intake topic
gateway                             the HTTP API and the page
insights                            windowed stream analytics with Faust; a process of its own
sandbox                             a payment provider and a carrier to try things with; a process of its own
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from events.feed import Feed, StoreFeed
from events.kafka import GroupHooks, KafkaGroup, KafkaPublisher, KafkaSettings
from events.relay import Relay
from events.slots import SlotFeed, SlotWindow
from events.store import EventStore, utc_now
from projections.catalogue import PROJECTIONS
from projections.runner import ProjectionRunner
from projections.views import Views
from services.cluster.leaders import Led
from services.cluster.measured import MeasuredPublisher, OrderGauges
from services.cluster.members import Members
from services.inventory import worker as inventory
from services.order import worker as order
from services.outside import Buyer
from services.payment import worker as payment
from services.payment.provider import PaymentProvider
from services.projector import SHOWN_AT_ONCE
from services.routing import INBOXES, ROUTES
from services.runtime import metrics
from services.runtime.calls import CallLoop
from services.runtime.context import Context
from services.runtime.engine import Consumer
from services.runtime.settings import Settings
from services.shipping import worker as shipping
from services.shipping.carrier import Carrier

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """What a role finds where it runs. `stack` closes what it opens, last first."""

    settings: Settings
    home: Path
    store: EventStore
    views: Callable[[], Views]
    provider: Callable[[], tuple[PaymentProvider, Buyer]]
    carrier: Callable[[], Carrier]
    kafka: KafkaSettings
    loop: CallLoop
    bell: threading.Event
    stack: ExitStack
    gauges: list[Callable[[], None]] = field(default_factory=list)
    """What roles have to set before their metrics are read. Asked from any thread."""

    def context(self, feed: Callable[..., Feed], slot: int | None = None) -> Context:
        return Context(self.store, self.settings, utc_now, self.loop, self.bell.set, feed, slot)

    @property
    def whole(self) -> Context:
        """All of the work, fed by the log itself."""
        return self.context(lambda classes: StoreFeed(self.store, classes))


Workers = Callable[[Context], Sequence[Consumer]]
Role = Callable[[Place], Consumer]


def _service(name: str, workers_at: Callable[[Place], Workers]) -> Role:
    """A role that does a service's work by slots."""

    def begin(place: Place) -> Members:
        workers, inbox = workers_at(place), INBOXES[name]

        def hire(slot: int, window: SlotWindow) -> Sequence[Consumer]:
            def feed(classes: frozenset[type]) -> Feed:
                return SlotFeed(window, place.store, classes, slot, inbox.key)

            return workers(place.context(feed, slot))

        members = Members(name, place.store, hire, news=place.bell.set)
        group = KafkaGroup(place.kafka, topic=inbox.topic, group=f"waybill.{name}", owner=members, hooks=Heard(name))
        group.start()
        place.stack.callback(group.close)
        return members

    return begin


class Heard(GroupHooks):
    """What a group member tells, in the log and in the metrics."""

    def __init__(self, service: str) -> None:
        self._service = service

    def trouble(self, words: str) -> None:
        log.warning("%s: %s", self._service, words, extra={"role": self._service})

    def holds(self, slots: frozenset[int]) -> None:
        log.info("%s works on the slots %s", self._service, sorted(slots), extra={"role": self._service})
        metrics.slots.labels(self._service).set(len(slots))

    def remade(self, words: str) -> None:
        metrics.consumers_remade.labels(self._service).inc()


def _order(place: Place) -> Workers:
    return order.consumers


def _payment(place: Place) -> Workers:
    provider, _ = place.provider()
    return lambda context: payment.workers(context, payment.desk_of(context), provider)


def _inventory(place: Place) -> Workers:
    return lambda context: inventory.workers(context, inventory.desk_of(context))


def _shipping(place: Place) -> Workers:
    carrier = place.carrier()
    return lambda context: shipping.workers(context, shipping.desk_of(context), carrier)


def _relay(place: Place) -> Led:
    publisher = KafkaPublisher(place.kafka)
    place.stack.callback(publisher.close)
    return _led(place, "relay", lambda: [Relay(place.store, MeasuredPublisher(publisher, utc_now), ROUTES)])


def _timekeeper(place: Place) -> Led:
    def hire() -> Sequence[Consumer]:
        return [
            keeper
            for service in (payment, inventory, shipping)
            for keeper in service.timekeepers(place.whole, service.desk_of(place.whole))
        ]

    return _led(place, "timekeeper", hire)


def _projections(place: Place) -> Led:
    views = place.views()
    led = _led(place, "projections", lambda: [ProjectionRunner(place.store, views, PROJECTIONS, limit=SHOWN_AT_ONCE)])
    place.gauges.append(OrderGauges(led, views).set)
    return led


def _led(place: Place, name: str, hire: Callable[[], Sequence[Consumer]]) -> Led:
    lead = place.store.leadership(name)
    place.stack.callback(lead.close)
    return Led(name, lead, hire)


ROLES: dict[str, Role] = {
    "order": _service("order", _order),
    "payment": _service("payment", _payment),
    "inventory": _service("inventory", _inventory),
    "shipping": _service("shipping", _shipping),
    "relay": _relay,
    "timekeeper": _timekeeper,
    "projections": _projections,
}
"""Roles that are work for an engine; the others are servers of their own (process.py)."""
