"""What people do about parked events once all is quiet: drop what cannot be read, try the rest again."""

from __future__ import annotations

from collections.abc import Collection

from services.runtime.effects import Effects
from services.runtime.timekeeper import Timekeeper
from services.runtime.worker import Worker
from tests.simulation.process import Process


def look_at_parked(process: Process, unreadable: Collection[int]) -> None:
    """`unreadable`: positions of what nobody will ever read."""
    for consumer in process.consumers():
        if isinstance(consumer, Worker | Effects | Timekeeper):
            consumer.parking.refresh()
            for parked in consumer.parking.entries():
                if parked.position in unreadable:
                    consumer.parking.drop(parked.position, "cannot be read", actor="cli", now=process.watch())
        if isinstance(consumer, Worker | Effects):
            consumer.replay_parked()
    process.wake_all()
