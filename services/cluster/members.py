"""One process's share of a service's work: a set of consumers for each slot that it was given.

Slots come and go with the consumer group, told from the broker's thread; the work is done in the engine's thread. A
slot that is taken away is let go of between two steps, so that a handover is clean; and if it is not (a process that
was stopped and goes on), the tracked position in the store refuses what the heir has done already.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from events.slots import Delivery, SlotWindow
from events.store import EventStore, StoreError
from services.runtime.engine import Consumer

Consumers = Sequence[Consumer]
Hire = Callable[[int, SlotWindow], Consumers]
"""Makes a slot's consumers. They begin where the store says that the slot's work stands."""


class Members:
    """A consumer to the engine, a slot owner to the broker."""

    # The relay marks quiet slots every second. After three without a word the log is asked, twice a second: a broker
    # that is away delays the work, it does not stop it.
    QUIET_S = 3.0
    LOOK_EVERY_S = 0.5

    def __init__(
        self,
        service: str,
        store: EventStore,
        hire: Hire,
        *,
        news: Callable[[], object],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """`news` is rung when there is something to do."""
        self.name = service
        self._store = store
        self._hire = hire
        self._news = news
        self._clock_s = clock_s
        self._owned: frozenset[int] = frozenset()
        self._members: dict[int, _Member] = {}
        self._working = threading.Lock()
        self._head = 0

    # --- the engine's side -------------------------------------------------------------------------------------------

    def step(self) -> int:
        """One step of every consumer of every slot; how much was done. Raises what they raise."""
        self._take_up()
        self._look()
        done = 0
        for slot in sorted(self._owned):
            with self._working:
                member = self._members.get(slot)
                if member is not None:
                    done += sum([consumer.step() for consumer in member.consumers])
        return done

    @property
    def busy(self) -> int:
        """Calls and questions that are out now."""
        return sum(getattr(one, "busy", 0) for one in self.consumers)

    @property
    def consumers(self) -> list[Consumer]:
        """All consumers that work here now."""
        return [consumer for member in list(self._members.values()) for consumer in member.consumers]

    def _take_up(self) -> None:
        for slot in sorted(self._owned - self._members.keys()):
            # What is in the log by now is read from the log; what is delivered from here on follows without a gap, or
            # says that it does not.
            window = SlotWindow(self._store.last_position())
            member = _Member(window, self._hire(slot, window), self._clock_s())
            with self._working:
                if slot in self._owned:  # it may have been taken away meanwhile
                    self._members[slot] = member

    def _look(self) -> None:
        now_s = self._clock_s()
        quiet = [one for one in list(self._members.values()) if now_s - one.heard_s >= self.QUIET_S]
        if quiet:
            head = self._store.last_position()
            for member in quiet:
                member.window.look(head)
                member.heard_s = now_s - self.QUIET_S + self.LOOK_EVERY_S

    # --- the broker's side -------------------------------------------------------------------------------------------

    @property
    def slots(self) -> frozenset[int]:
        """Those that are ours."""
        return self._owned

    def assigned(self, slots: frozenset[int]) -> None:
        self._owned |= slots
        self._news()

    def revoked(self, slots: frozenset[int]) -> None:
        self._owned -= slots
        with self._working:  # after the step that is under way
            for slot in slots:
                self._members.pop(slot, None)

    def delivered(self, deliveries: Sequence[Delivery]) -> None:
        by_slot: dict[int, list[Delivery]] = {}
        for one in self._of_our_log(deliveries):
            by_slot.setdefault(one.slot, []).append(one)
        for slot, found in by_slot.items():
            member = self._members.get(slot)
            if member is not None:
                member.window.add(found)
                member.heard_s = self._clock_s()
        self._news()

    def _of_our_log(self, deliveries: Sequence[Delivery]) -> Sequence[Delivery]:
        """Nothing is published before it is in the log. What claims to be beyond its end is of another log (topics that
        were kept when a database was wiped), and would have us pass over all that is yet to come. What is left out
        here for another reason (the store does not answer now) will be a gap, and be read from the log.
        """
        if max((one.position for one in deliveries), default=0) > self._head:
            with suppress(StoreError):
                self._head = self._store.last_position()
        return [one for one in deliveries if one.position <= self._head]

    def has_room(self, slot: int) -> bool:
        member = self._members.get(slot)
        if member is None:
            return True
        member.window.forget_until(member.position)
        return not member.window.is_full

    def handled(self) -> dict[int, int]:
        """Positions that every consumer of the slot has passed. Offsets are advice: after a crash the store knows."""
        return {slot: member.position for slot, member in list(self._members.items())}


class _Member:
    """A slot's consumers, and what they are fed from."""

    def __init__(self, window: SlotWindow, consumers: Consumers, heard_s: float) -> None:
        self.window = window
        self.consumers = consumers
        self.heard_s = heard_s

    @property
    def position(self) -> int:
        return min(getattr(one, "position", 0) for one in self.consumers)
