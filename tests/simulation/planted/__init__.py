"""Bugs that are planted into the product, in memory, one at a time: the simulator must find every one of them."""

from __future__ import annotations

from tests.simulation.planted import cluster, runtime, services

BUGS = [*runtime.BUGS, *services.BUGS, *cluster.BUGS]
