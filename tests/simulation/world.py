"""One seeded world: a shop, its customers, and what befalls them; then peace, and time to put everything right."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from random import Random
from typing import TYPE_CHECKING

import orjson

from events.base import Event, NewEvent, Recorded
from events.codec import encode
from events.order import OrderPlaced, order_stream
from events.recorders.memory import MemoryRecorder
from events.recorders.port import Batch
from services.runtime.settings import Settings
from tests.simulation import cluster, embedded
from tests.simulation.broker import SESSION_S, Broker
from tests.simulation.clock import DAY_S, HOUR_S, Clock
from tests.simulation.faults import Faults, Plan
from tests.simulation.leads import SimLead
from tests.simulation.people import look_at_parked
from tests.simulation.process import Process
from tests.simulation.providers import SimCarrier, SimProvider
from tests.simulation.scheduler import Scheduler
from tests.simulation.story import Story
from tests.simulation.views import FaultyViews
from tests.simulation.warehouse import Warehouse
from tests.simulation.workload import Customers, Pace, cancel

if TYPE_CHECKING:
    from services.gateway.arrivals import Outcome
    from tests.simulation.shop import Act

# A world of twenty orders takes some thousand turns. Whoever needs so many more never comes to rest.
MAX_TURNS = 100_000
# Time to put things right: parcels abroad take four days, buyers may act for three, retries pause for an hour.
PEACE_S = 5 * DAY_S
# After people have looked: what was parked may wait for its buyer for three days.
SECOND_PEACE_S = 4 * DAY_S


class World:
    """Everything that is shared: the log, the time, the outside. Processes come and go."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.draw = Random(f"{plan.seed}/world")
        self.clock = Clock()
        self.story = Story(self.clock)
        self.faults = Faults(plan, self.story.note)
        self.scheduler = Scheduler(self.clock, Random(f"{plan.seed}/turns"))
        self.recorder = MemoryRecorder()
        self.store_is_local = self.draw.random() < 0.5
        self.settings = _settings(self.draw)
        self.provider = SimProvider(self)
        self.carrier = SimCarrier(self)
        self.shown = FaultyViews(self)
        self.news_lag_s = self.draw.choice((0.0, 0.005, 0.05, 0.3))
        # Quick ones cost a step of everybody every second; what they find, slow ones find as well, only later.
        self.mark_every_s, self.quiet_s = self.draw.choice(((1.0, 3.0), (30.0, 60.0), (300.0, 60.0)))
        self.shown_at_once = self.draw.choice((3, 100, 1_000))
        self.leaders: dict[str, SimLead] = {}
        self.broker: Broker
        self.waiting: deque[Act] = deque()
        self.taken: dict[str, Event] = {}
        self.promised: list[Recorded] = []
        self.poisoned: list[int] = []
        self.breaches: list[str] = []
        self.topology = plan.topology or self.draw.choice(("embedded", "embedded", "cluster"))
        self._pace = Pace.drawn(self.draw)
        self._customers = Customers(self, self._pace)
        self._warehouse = Warehouse(self, self._pace)
        self.processes: list[Process] = []

    @property
    def orders(self) -> list[OrderPlaced]:
        return self._customers.orders

    # --- the course of things ----------------------------------------------------------------------------------------

    def live(self) -> None:
        """From the first order until all is quiet."""
        topology = embedded if self.topology == "embedded" else cluster
        self.processes = topology.processes(self)
        for process in self.processes:
            process.start()
        self._customers.come(self.plan.orders)
        self._warehouse.works(self._customers.orders)
        if self._run(self._pace.horizon_s + HOUR_S):
            self._heal()

    def _heal(self) -> None:
        """Nothing goes wrong any more. First everything works itself right, then people do what is left to people."""
        self.story.note("the world", "heals")
        self.faults.healed = True
        for process in self.processes:
            process.recover()
        if not self._run(PEACE_S):
            return
        self._people_look()
        if not self._run(SECOND_PEACE_S):
            return
        if self.draw.random() < 0.3:
            for order in self.orders:
                self.ask_at(0.0, cancel(order.order_id))
            self._run(DAY_S)

    def _run(self, seconds: float) -> bool:
        came_to_rest = self.scheduler.run(until_us=self.clock.after_us(seconds), max_turns=MAX_TURNS)
        if not came_to_rest:
            self.breach("It never comes to rest.")
        return came_to_rest

    def _people_look(self) -> None:
        """At what was parked: what cannot be read is dropped, the rest is tried again."""
        for process in self.processes:
            look_at_parked(process, self.poisoned)

    # --- what the counter takes --------------------------------------------------------------------------------------

    def ask_at(self, at_s: float, act: Act) -> None:
        """Somebody comes to the counter so many seconds from now."""

        def come() -> None:
            self.waiting.append(act)
            for process in self.processes:
                process.request_came()

        self.scheduler.after(at_s, come)

    def ask_later(self, act: Act) -> None:
        """It was not answered: it is asked again."""
        self.ask_at(self.draw.choice((0.5, 5.0, 120.0)), act)

    def acknowledged(self, stream: str, event: Event, outcome: Outcome) -> None:
        if outcome.verdict != "conflicting":
            self.taken[stream] = event

    def buyer_acts(self, order_id: str, *, passes: bool) -> None:
        """The buyer confirms at the provider, or fails to."""
        provider = self.provider.sandbox
        for payment in provider.ledger():
            if payment.order_ref == order_id:
                act = provider.complete_action if passes else provider.fail_action
                self.story.note("a buyer", "acts ({}): {}", "passes" if passes else "fails", act(payment.reference))

    # --- the log -----------------------------------------------------------------------------------------------------

    def appended(self, whose: str, batch: Batch, positions: Sequence[int]) -> None:
        for (stream, version, topic, _), position in zip(batch.rows, positions, strict=True):
            self.story.note(whose, "{}: {} ({}/{})", position, topic, stream, version)
        if batch.rows:
            types = {row[2] for row in batch.rows}
            for process in self.processes:
                process.log_grew(types)

    def place_in_old_spelling(self, order: OrderPlaced) -> None:
        """A gateway of last year takes the order, as order.placed.v1."""
        stream = order_stream(order.order_id)
        new = NewEvent(order, self.clock(), order.order_id, f"old-{order.number}", "http")
        _, state = encode(new, self.recorded_at())
        body = orjson.loads(state)
        body["data"]["ship_country"] = body["data"].pop("country")
        del body["data"]["charges"]
        self._write_raw("an old shop", stream, "order.placed.v1", orjson.dumps(body))
        self.taken[stream] = order

    def poison(self, reference: str, topic: str) -> None:
        """Something comes into the log that cannot be read."""
        self.poisoned += self._write_raw("a broken scanner", f"report-{reference}-poison", topic, b"{}")

    def recorded_at(self) -> datetime:
        return self.clock()

    def _write_raw(self, whose: str, stream: str, topic: str, state: bytes) -> Sequence[int]:
        batch = Batch([(stream, 1, topic, state)], {stream: 0}, None)
        positions = self.recorder.append(batch)
        self.appended(whose, batch, positions)
        return positions

    # --- what processes tell -----------------------------------------------------------------------------------------

    def breach(self, what: str) -> None:
        """A law is broken, and seen at once: what would follow is of no interest."""
        self.scheduler.stopped = True
        self.story.note("THE LAW", "{}", what)
        self.breaches.append(what)

    def leadership(self, name: str, whose: str) -> SimLead:
        return SimLead(self, name, whose)

    def died(self, process: Process) -> None:
        """The database notices at once, the broker after a session."""
        leads = process.store.recorder.leads
        self.scheduler.after(1.0, lambda: self._release(leads))
        self.fell_silent(process)

    def _release(self, leads: Sequence[SimLead]) -> None:
        for lead in leads:
            lead.close()
        self.wake_everybody()

    def fell_silent(self, process: Process) -> None:
        """If nobody hears of it for a session, the groups go on without it."""
        fetchers = process.fetchers()

        def expire() -> None:
            for fetcher in fetchers:
                if fetcher.is_silent:
                    fetcher.group.leave(fetcher)

        if fetchers:
            self.scheduler.after(SESSION_S, expire)

    def wake_everybody(self) -> None:
        for process in self.processes:
            process.wake_all()

    def close(self) -> None:
        for process in self.processes:
            process.close()

    def log_hash(self) -> str:
        """Of every byte of the log, and of how far everybody is."""
        digest = sha256()
        for row in self.recorder.after(0, limit=10**9, topics=None, upto=None):
            digest.update(repr(row).encode())
        digest.update(repr(sorted(self.recorder.tracked_positions().items())).encode())
        return digest.hexdigest()


def _settings(draw: Random) -> Settings:
    return Settings(
        batch_events=draw.choice((1, 3, 20, 2_000)),
        calls_at_once=draw.choice((1, 4, 64)),
        call_timeout_s=10.0,
        tracking_every_s=draw.choice((6 * HOUR_S, DAY_S)),
    )
