"""Killed at every kind of point, in a new home each time, and run again: as if nothing had happened.

`python -m tests.e2e.sweep --all` kills at every pass of every point; here it is the first, the middle and the last.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.launcher import Launcher
from tests.e2e.moments import Point
from tests.e2e.sweep import WORLDS, Sweep, World

PLACES = [
    pytest.param(world, point, id=f"{world.name}-{point.name}")
    for world in WORLDS
    for point in world.points
]  # fmt: skip


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as running:
        yield running


@pytest.fixture(scope="module")
def sweep(launcher: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"), launcher, counted_runs=1)


def test_nothing_is_changed_but_at_a_registered_point(sweep: Sweep) -> None:
    assert sweep.unseen == []


@pytest.mark.parametrize(("world", "point"), PLACES)
def test_killed_there_and_run_again(world: World, point: Point, sweep: Sweep, launcher: Launcher) -> None:
    moments = sweep.moments(world, point, every=False)
    assert {moment.place for moment in moments} == {f"{when}-{point.name}" for when in point.whens}
    for moment in moments:
        result = sweep.kill(launcher, moment)
        assert result.deviation is None, (str(moment), result.deviation)
        # Later ones may be passed by: answers that come together share a commit.
        assert result.killed or moment.number > 1, f"it was not killed {moment}"
