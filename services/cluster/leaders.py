"""Work that one process does at a time: the relay, the timekeepers, the projections. Others stand by.

Who leads holds a lock in the store's database for as long as its connection lives; when it dies, a standby takes over.
The consumers are made anew each time the lead is taken: what they remembered of an earlier one may be old.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from services.runtime.engine import Consumer


class Lead(Protocol):
    """The right to do it, held by at most one process. See events/leadership.py."""

    def try_lead(self) -> bool:
        """Take it if it is free; whether it is ours now."""
        ...

    def still_leads(self) -> bool:
        """Whether it is still ours."""
        ...


class Led:
    """Consumers that work only while this process leads."""

    def __init__(self, name: str, lead: Lead, hire: Callable[[], Sequence[Consumer]]) -> None:
        """`hire` makes the consumers when the lead is taken."""
        self.name = name
        self._lead = lead
        self._hire = hire
        self.consumers: Sequence[Consumer] = ()

    def step(self) -> int:
        """One step of each, if we lead. Raises what they raise."""
        if self.consumers and not self._lead.still_leads():
            self.consumers = ()
        if not self.consumers:
            if not self._lead.try_lead():
                return 0
            self.consumers = list(self._hire())
        return sum([consumer.step() for consumer in self.consumers])

    @property
    def leads(self) -> bool:
        return bool(self.consumers)

    @property
    def busy(self) -> int:
        return sum(getattr(one, "busy", 0) for one in self.consumers)
