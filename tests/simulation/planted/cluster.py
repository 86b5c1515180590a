"""Bugs in how the log reaches several processes, and how it is shown."""

from __future__ import annotations

from typing import Any

from events import codec, relay, slots
from events.base import Recorded
from events.codec import Unreadable
from events.relay import Message, Relay
from events.slots import Delivery, SlotWindow
from projections.replica import Replica
from projections.runner import ProjectionRunner
from projections.views import Batch, Move
from services.cluster.members import Members
from services.runtime.worker import Worker
from tests.simulation.planted.bug import Bug, Patch
from tests.simulation.process import Process


def _ignore_gaps() -> list[Patch]:
    def add(self: Any, one: Delivery) -> None:
        if one.position > self.upto:
            if one.recorded is not None:
                self._events.append(one.recorded)
            self.upto = one.position

    return [Patch(SlotWindow, "_add", add)]


def _vouch_for_what_was_not_seen() -> list[Patch]:
    honest = Relay._messages

    def messages(self: Any, recorded: Recorded, last: Any) -> list[Message]:
        start, self._start = self._start, 0
        found = honest(self, recorded, last)
        self._start = start
        return found

    return [Patch(Relay, "_messages", messages)]


def _do_not_publish_the_unreadable() -> list[Patch]:
    honest = Relay._messages

    def messages(self: Any, recorded: Recorded, last: Any) -> list[Message]:
        return [] if isinstance(recorded.event, Unreadable) else honest(self, recorded, last)

    return [Patch(Relay, "_messages", messages)]


def _mark_what_was_not_published() -> list[Patch]:
    """After a publication that failed, the relay goes on with what comes next."""
    honest = Relay._publish

    def publish(self: Any, events: Any) -> None:
        last = dict(self._last)
        try:
            honest(self, events)
        except relay.PublishFailed:
            for recorded in events:
                self._messages(recorded, last)
            self._last = last
            self.position = events[-1].position
            raise

    return [Patch(Relay, "_publish", publish)]


def _find_slots_by_hash() -> list[Patch]:
    """`hash` of a text differs from one process to the next, and so do the slots."""
    at_work: list[str] = [""]
    honest_step = Process.step
    honest_slot = slots.slot_of

    def step(self: Process, engine: Any) -> int:
        at_work.append(f"{self.name} {self.starts}")
        try:
            return honest_step(self, engine)
        finally:
            at_work.pop()

    def slot_of(key: str) -> int:
        return honest_slot(key + at_work[-1])

    return [
        Patch(Process, "step", step),
        Patch(slots, "slot_of", slot_of),
        Patch(relay, "slot_of", slot_of),
    ]


def _let_zombies_write() -> list[Patch]:
    """Slots that are taken away are worked on, and nobody compares how far the heir is."""
    return [
        Patch(Members, "revoked", lambda self, slots: None),
        Patch(Worker, "_tracked_at", lambda self, reached: None),
    ]


def _begin_a_slot_at_the_head() -> list[Patch]:
    """A new owner goes on with what is delivered from now on, whatever its forerunner has left."""
    honest = Members._take_up

    def take_up(self: Any) -> None:
        before = set(self._members)
        honest(self)
        for slot in sorted(set(self._members) - before):
            for consumer in self._members[slot].consumers:
                consumer.position = max(consumer.position, self._members[slot].window.upto)

    return [Patch(Members, "_take_up", take_up)]


def _never_look_into_the_log() -> list[Patch]:
    """A broker that loses the last message of a slot is believed that there was none."""
    return [Patch(Members, "_look", lambda self: None), Patch(Relay, "_mark", lambda self: None)]


def _move_the_checkpoint_apart() -> list[Patch]:
    def commit(self: Any, fed: Any, events: Any, after: int, reached: int) -> None:
        shares = self._shares(events)
        tables = [changes for one in fed for changes in one.fold(shares)]
        self._views.commit(Batch(self.generation, [], tables, self._holder)).wait()
        moves = [Move(one.name, after, reached) for one in fed]
        self._under_way = self._views.commit(Batch(self.generation, moves, [], self._holder))
        for one in fed:
            self.checkpoints[one.name] = reached

    return [Patch(Replica, "_commit", commit)]


def _trust_rows_after_a_failed_commit() -> list[Patch]:
    return [Patch(ProjectionRunner, "_forget", lambda self: None)]


def _lift_old_events_wrongly() -> list[Patch]:
    def lift(data: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        del data["ship_country"]
        return "order.placed.v2", {**data, "country": "FR", "charges": []}

    return [Patch(codec.UPCASTERS, "order.placed.v1", lift)]


BUGS = [
    Bug("ignore gaps in what is delivered", _ignore_gaps),
    Bug("vouch for what the relay has not seen", _vouch_for_what_was_not_seen),
    Bug("do not publish what cannot be read", _do_not_publish_the_unreadable),
    Bug("go on after a publication that failed", _mark_what_was_not_published),
    Bug("find slots by hash()", _find_slots_by_hash),
    Bug("let zombies write", _let_zombies_write),
    Bug("begin a slot at the head of the log", _begin_a_slot_at_the_head),
    Bug("never look into the log when it is quiet", _never_look_into_the_log),
    Bug("move a projection's checkpoint apart from its rows", _move_the_checkpoint_apart),
    Bug("trust rows after a commit that failed", _trust_rows_after_a_failed_commit),
    Bug("lift old events wrongly", _lift_old_events_wrongly),
]
