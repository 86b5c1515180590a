"""Worlds that once broke a law, each with what was wrong. They are run by every test run."""

from __future__ import annotations

from typing import NamedTuple

from tests.simulation.faults import Plan


class Regression(NamedTuple):
    """`bug`: the planted one that is the old mistake, so that a test can tell that this world still finds it."""

    plan: Plan
    what: str
    bug: str


REGRESSIONS = [
    Regression(
        Plan(seed=5, orders=20),
        "A correction that came before validation was held by what validation said of the old address, for ever.",
        "judge the address as it was placed",
    ),
]
