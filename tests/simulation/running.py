"""Runs one world and says what came of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.simulation.faults import Plan
from tests.simulation.laws import violations
from tests.simulation.world import World


class Result(NamedTuple):
    """What came of one world."""

    plan: Plan
    topology: str
    orders: int
    events: int
    turns: int
    simulated_s: float
    faults: dict[str, int]
    violations: list[str]
    log_hash: str


def run(plan: Plan) -> Result:
    return ran(plan)[0]


def ran(plan: Plan) -> tuple[Result, World]:
    """The result, and the world with its story."""
    world = World(plan)
    with _quiet():
        world.live()
        found = violations(world)
        world.close()
    result = Result(
        plan,
        world.topology,
        len(world.orders),
        world.recorder.last_position(),
        world.scheduler.turns,
        world.clock.s(),
        {fault.value: count for fault, count in sorted(world.faults.counts.items())},
        found,
        world.log_hash(),
    )
    return result, world


@contextmanager
def _quiet() -> Iterator[None]:
    """What goes wrong here is meant to."""
    logger = logging.getLogger("services.runtime.engine")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
