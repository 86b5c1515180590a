"""A replay of a whole log by the consumers that act on the outside, with an outside that must not be called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from events.feed import StoreFeed
from events.recorders.memory import MemoryRecorder
from events.recorders.port import Batch
from events.store import EventStore
from services.payment import worker as payment
from services.runtime.context import Context
from services.runtime.effects import Effects
from services.shipping import worker as shipping
from tests.simulation.loop import VirtualCalls, VirtualLoop
from tests.simulation.providers import MustNotBeCalled

if TYPE_CHECKING:
    from tests.simulation.world import World


def calls_made_by_a_replay(world: World) -> list[str]:
    """The consumers know of no position that they had: all intents that there ever were pass by them again."""
    copy = MemoryRecorder()
    rows = world.recorder.after(0, limit=10**9, topics=None, upto=None)
    copy.append(Batch([row[1:] for row in rows], {}, None))
    store = EventStore(copy, now=world.clock)
    loop = VirtualLoop(world.clock)
    outside = MustNotBeCalled()
    context = Context(
        store,
        world.settings,
        world.clock,
        VirtualCalls(loop, world.clock, lambda: None),
        lambda: None,
        lambda classes: StoreFeed(store, classes),
    )
    found = []
    consumers = [*payment.consumers(context, outside), *shipping.consumers(context, outside)]
    for consumer in consumers:
        if isinstance(consumer, Effects):
            while consumer.step():
                loop.turn()
            if consumer.busy:
                found.append(f"a replay of {consumer.name} makes {consumer.busy} calls")
    loop.abandon()
    return found
