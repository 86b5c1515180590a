"""The embedded topology: one process that does everything, and perhaps a twin of it that should not be there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from events.base import Event
from events.feed import Feed, Page, StoreFeed, spellings
from projections.catalogue import PROJECTIONS
from projections.runner import ProjectionRunner
from services.inventory import worker as inventory
from services.order import worker as order
from services.payment import worker as payment
from services.runtime.context import Context
from services.runtime.effects import Effects
from services.runtime.engine import Consumer
from services.runtime.poller import Poller
from services.shipping import worker as shipping
from tests.simulation.faults import Fault
from tests.simulation.process import Process
from tests.simulation.shop import counter, gateway
from tests.simulation.station import Part

if TYPE_CHECKING:
    from tests.simulation.world import World


class StutteringFeed:
    """A feed that now and then delivers again what it has delivered before, in front of what is new."""

    def __init__(self, world: World, whose: str, feed: Feed) -> None:
        self._world = world
        self._whose = whose
        self._feed = feed

    def read(self, after: int, limit: int) -> Page:
        if self._world.faults.strikes(Fault.REDELIVERY, self._whose):
            back = self._world.faults.draw(Fault.REDELIVERY).choice((1, 20, 1_000))
            return self._feed.read(max(0, after - back), limit + back)
        return self._feed.read(after, limit)


def services(process: Process) -> list[Part]:
    """All services and the projections over the log itself."""
    world, store = process.world, process.store
    asked: list[frozenset[type[Event]]] = []

    def feed(classes: frozenset[type[Event]]) -> Feed:
        asked.append(classes)
        plain = StoreFeed(store, classes)
        return StutteringFeed(world, process.name, plain) if world.faults.in_mix(Fault.REDELIVERY) else plain

    context = Context(store, world.settings, process.watch, process.calls, process.call_finished, feed)
    consumers: list[Consumer] = [
        *order.consumers(context),
        *payment.consumers(context, world.provider),
        *inventory.consumers(context),
        *shipping.consumers(context, world.carrier),
    ]
    shown = ProjectionRunner(store, world.shown, PROJECTIONS, limit=world.shown_at_once)
    return [*map(_part, consumers, asked), Part(shown)]


def _part(consumer: Consumer, classes: frozenset[type[Event]]) -> Part:
    return Part(consumer, hears_calls=isinstance(consumer, Effects | Poller), types=spellings(classes))


def _with_counter(process: Process) -> list[Part]:
    return [*services(process), counter(process)]


def processes(world: World) -> list[Process]:
    """The counter is in the same process, or in one of its own."""
    if world.draw.random() < 0.5:
        found = [Process(world, "waybill", _with_counter)]
    else:
        found = [Process(world, "waybill", services), Process(world, "gateway", gateway)]
    if world.faults.strikes(Fault.TWIN, "waybill"):
        found.append(Process(world, "waybill's twin", services, is_one_too_many=True))
    return found
