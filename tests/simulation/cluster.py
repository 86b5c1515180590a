"""The cluster topology: the roles of services/cluster/roles.py in several processes, over the simulated broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from events.base import Event
from events.feed import Feed, StoreFeed, spellings
from events.relay import Relay
from events.slots import SlotFeed, SlotWindow
from projections.catalogue import PROJECTIONS
from projections.runner import ProjectionRunner
from services.cluster.leaders import Led
from services.cluster.members import Members
from services.inventory import worker as inventory
from services.inventory.reactions import DEADLINES as INVENTORY
from services.order import worker as order
from services.payment import worker as payment
from services.payment.reactions import DEADLINES as PAYMENT
from services.routing import INBOXES, ROUTES
from services.runtime.context import Context
from services.runtime.engine import Consumer
from services.runtime.timekeeper import MOVES_CLOCKS
from services.shipping import worker as shipping
from services.shipping.reactions import DEADLINES as SHIPPING
from tests.simulation.broker import Broker, Fetcher
from tests.simulation.process import Process
from tests.simulation.shop import counter
from tests.simulation.station import Part

if TYPE_CHECKING:
    from tests.simulation.world import World

SETS_DEADLINES = spellings(frozenset({*PAYMENT, *INVENTORY, *SHIPPING}) | MOVES_CLOCKS)

# How long the engine's thread takes to wake up when the broker's thread rings.
BELL_S = 0.005

Role = Callable[[Process], list[Part]]


def _whole(process: Process) -> Context:
    return Context(
        process.store,
        process.world.settings,
        process.watch,
        process.calls,
        process.call_finished,
        lambda classes: StoreFeed(process.store, classes),
    )


def _workers(service: str, context: Context, world: World) -> Sequence[Consumer]:
    match service:
        case "order":
            return order.consumers(context)
        case "payment":
            return payment.workers(context, payment.desk_of(context), world.provider)
        case "inventory":
            return inventory.workers(context, inventory.desk_of(context))
        case _:
            return shipping.workers(context, shipping.desk_of(context), world.carrier)


def _service(service: str) -> Role:
    """A service's work, for the slots that the group gives to this process."""

    def begin(process: Process) -> list[Part]:
        key = INBOXES[service].key

        def hire(slot: int, window: SlotWindow) -> Sequence[Consumer]:
            def feed(classes: frozenset[type[Event]]) -> Feed:
                return SlotFeed(window, process.store, classes, slot, key)

            context = _whole(process)._replace(news=lambda: process.call_finished(members), feed=feed, slot=slot)
            return _workers(service, context, process.world)

        members = Members(
            service, process.store, hire, news=lambda: process.wake(members, BELL_S), clock_s=process.world.clock.s
        )
        members.QUIET_S = process.world.quiet_s
        fetcher = Fetcher(process, process.world.broker.groups[service], members)
        return [
            Part(members, follows_log=False, hears_calls=True, patience_s=members.QUIET_S + members.LOOK_EVERY_S + 0.1),
            Part(fetcher, follows_log=False),
        ]

    return begin


def _led(name: str, hire: Callable[[Process], Sequence[Consumer]], types: frozenset[str] | None = None) -> Role:
    """Work that one process does at a time."""

    def begin(process: Process) -> list[Part]:
        world = process.world
        led = Led(name, process.store.leadership(name), lambda: hire(process))
        patience_s = world.mark_every_s + 0.1 if name == "relay" else None
        return [Part(led, types=types, patience_s=patience_s, lag_s=world.news_lag_s)]

    return begin


def _relay(process: Process) -> Sequence[Consumer]:
    relay = Relay(process.store, process.world.broker, ROUTES, clock_s=process.world.clock.s)
    relay.MARK_EVERY_S = process.world.mark_every_s
    return [relay]


def _timekeepers(process: Process) -> Sequence[Consumer]:
    whole = _whole(process)
    return [
        keeper
        for service in (payment, inventory, shipping)
        for keeper in service.timekeepers(whole, service.desk_of(whole))
    ]


def _projections(process: Process) -> Sequence[Consumer]:
    return [ProjectionRunner(process.store, process.world.shown, PROJECTIONS, limit=process.world.shown_at_once)]


ROLES: dict[str, Role] = {
    "order": _service("order"),
    "payment": _service("payment"),
    "inventory": _service("inventory"),
    "shipping": _service("shipping"),
    "relay": _led("relay", _relay),
    "timekeeper": _led("timekeeper", _timekeepers, SETS_DEADLINES),
    "projections": _led("projections", _projections),
    "gateway": lambda process: [counter(process)],
}


def _plays(*roles: str) -> Role:
    return lambda process: [part for role in roles for part in ROLES[role](process)]


def processes(world: World) -> list[Process]:
    """Every role in processes of its own, one to three; or two or three processes that play all of them."""
    world.broker = Broker(world)
    draw = world.draw
    if draw.random() < 0.4:
        return [Process(world, f"node-{one}", _plays(*ROLES)) for one in range(1, draw.choice((3, 4)))]
    counts = {role: draw.choice((1, 1, 2, 3)) for role in ROLES}
    return [Process(world, f"{role}-{one}", _plays(role)) for role in ROLES for one in range(1, counts[role] + 1)]
