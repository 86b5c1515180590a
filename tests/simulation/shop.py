"""Where the world meets the shop: requests come in at a counter, which answers, or dies, or cannot reach the store.

Whoever gets no answer asks again later, under the same number: that is what makes acknowledgements worth something.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from events.base import Address, Event
from events.order import order_stream
from events.store import StoreUnavailable, VersionConflict
from services.gateway.arrivals import Arrival, Arrivals
from services.gateway.clerk import Clerk
from services.order.commands import CorrectOrder
from services.order.decider import DECIDER as ORDER
from services.payment.decider import DECIDER as PAYMENT
from services.runtime.decider import Cause, Decider
from services.runtime.desk import Desk
from services.shipping.decider import DECIDER as SHIPPING
from tests.simulation.addresses import problems_with
from tests.simulation.process import Process
from tests.simulation.station import Part

if TYPE_CHECKING:
    pass

Act = Callable[["Counter"], None]
"""Something that somebody asks for. Done again until it is answered."""


class Counter:
    """A consumer of requests: the gateway's own code, without HTTP around it."""

    name = "gateway"

    def __init__(self, process: Process) -> None:
        store = process.store
        self._world = process.world
        self._whose = process.name
        self._watch = process.watch
        self._arrivals = Arrivals(store)
        rules: dict[str, Decider[Any, Any]] = {"order": ORDER, "payment": PAYMENT, "shipping": SHIPPING}
        self._clerks = {name: Clerk(Desk(store, decider), ring=lambda: None) for name, decider in rules.items()}
        self.store = store

    def step(self) -> int:
        """Serve one request; 0 if nobody waits."""
        waiting = self._world.waiting
        if not waiting:
            return 0
        act = waiting.popleft()
        try:
            act(self)
        except (StoreUnavailable, VersionConflict):
            self._world.ask_later(act)
        except BaseException:
            self._world.ask_later(act)  # no answer: the process is gone
            raise
        return 1

    def take(self, stream: str, event: Event, *, about: str, request: str) -> None:
        """An order or a report comes in; once this returns, its sender takes it for taken."""
        cause = Cause(self._watch(), about, request, "http")
        [outcome] = self._arrivals.take([Arrival(stream, event, cause)])
        self._world.acknowledged(stream, event, outcome)

    def correct(self, order_id: str, ship_to: Address, *, request: str) -> None:
        """The buyer gives another address; what is wrong with it is found out first."""
        stream = order_stream(order_id)
        problems = problems_with(self.store.read_stream(stream), ship_to)
        self.ask("order", stream, CorrectOrder(None, ship_to, problems), about=order_id, request=request)

    def ask(self, service: str, stream: str, command: Any, *, about: str, request: str) -> None:
        """Somebody asks for something that a decider answers."""
        cause = Cause(self._watch(), about, request, "http")
        executed = self._clerks[service].execute(stream, lambda: command, cause)
        if executed is not None:
            self._world.promised.extend(executed.recorded)


def gateway(process: Process) -> list[Part]:
    """A process that only serves requests."""
    return [counter(process)]


def counter(process: Process) -> Part:
    found = Counter(process)
    return Part(found, follows_log=False, hears_requests=True)
