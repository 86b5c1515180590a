"""What every consumer of a process shares, handed over explicitly by the wiring."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from events.base import Event
from events.feed import Feed
from events.slots import slot_name
from events.store import EventStore
from services.runtime.calls import Calls
from services.runtime.settings import Settings
from services.runtime.worker import Now


class Context(NamedTuple):
    """The surroundings of a service.

    feed   a feed of these event classes; the only thing that differs between embedded and distributed
    news   rings the engine's bell: something finished outside of its thread
    slot   the part of the work that this process's consumers shall do; None: all of it (events/slots.py)
    """

    store: EventStore
    settings: Settings
    now: Now
    loop: Calls
    news: Callable[[], None]
    feed: Callable[[frozenset[type[Event]]], Feed]
    slot: int | None = None

    def name(self, consumer: str) -> str:
        """Under which name a consumer is tracked."""
        return consumer if self.slot is None else slot_name(consumer, self.slot)
