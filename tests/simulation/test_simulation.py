"""Some worlds in every test run, and what the simulator promises: it repeats itself, finds bugs, makes them small."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.faults import Fault, Plan
from tests.simulation.planted import BUGS
from tests.simulation.planted.bug import Bug, planted
from tests.simulation.regressions import REGRESSIONS, Regression
from tests.simulation.running import Result, ran, run
from tests.simulation.shrink import shrunk

ROOT = Path(__file__).parents[2]


def bug_named(name: str) -> Bug:
    [found] = [bug for bug in BUGS if bug.name == name]
    return found


@pytest.mark.parametrize("topology", ["embedded", "cluster"])
@pytest.mark.parametrize("seed", range(1_000, 1_005))
def test_in_every_world_the_laws_hold(seed: int, topology: str) -> None:
    result = run(Plan(seed, orders=12, topology=topology))
    assert result.violations == []
    assert result.orders == 12


@pytest.mark.parametrize("regression", REGRESSIONS, ids=lambda one: f"seed {one.plan.seed}")
def test_what_was_found_once_stays_mended(regression: Regression) -> None:
    assert run(regression.plan).violations == []
    with planted(bug_named(regression.bug)):
        assert run(regression.plan).violations != []


@pytest.mark.parametrize("topology", ["embedded", "cluster"])
def test_one_seed_is_one_world(topology: str) -> None:
    plan = Plan(7, orders=6, topology=topology)
    assert run(plan) == run(plan)


def test_a_world_is_the_same_in_every_process() -> None:
    """Nothing depends on `hash`, on the time of day, or on what ran before."""
    assert _report(hash_seed="1") == _report(hash_seed="2")


def _report(hash_seed: str) -> dict[str, object]:
    command = [sys.executable, "-m", "tests.simulation", "--seeds", "6", "--orders", "6", "--json"]
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    report: dict[str, object] = json.loads(done.stdout)
    assert report["violations"] == 0
    return {name: report[name] for name in ("seeds", "orders", "events", "faults", "log_hash")}


@pytest.mark.parametrize(
    "name", ["drop the tracking row", "keep the goods of the cancelled", "ignore gaps in what is delivered"]
)
def test_a_planted_bug_is_found_and_gone_afterwards(name: str) -> None:
    topology = "cluster" if "gaps" in name else "embedded"
    plans = [Plan(seed, orders=12, topology=topology) for seed in range(20)]
    with planted(bug_named(name)):
        failed = next(result for plan in plans if (result := run(plan)).violations)
    assert run(failed.plan).violations == []


def test_a_failing_world_is_made_smaller_and_told() -> None:
    with planted(bug_named("allocate from the sum over all places")):
        failed = next(result for seed in range(20) if (result := run(Plan(seed, orders=12))).violations)
        smallest = shrunk(failed)
        result, world = ran(smallest.plan)
    assert result.violations
    assert result.orders <= 3
    assert sum(result.faults.values()) <= sum(failed.faults.values())
    story = "\n".join(world.story.last(500))
    assert "order.placed.v2" in story
    assert "inventory.stock_allocated.v1" in story


def test_the_shrinker_leaves_out_what_does_not_matter() -> None:
    """It needs three orders, and the crashes but no other fault."""

    def needs_crashes(plan: Plan) -> Result:
        faults = {fault.value: 2 for fault in (Fault.CRASH, Fault.STALL, Fault.RACE) if fault not in plan.without}
        struck = min(sum(faults.values()), 6 if plan.limit is None else plan.limit)
        fails = plan.orders >= 3 and Fault.CRASH.value in faults and struck >= 2
        return Result(plan, "embedded", plan.orders, 0, 0, 0.0, faults, ["wrong"] if fails else [], "")

    plan = shrunk(needs_crashes(Plan(1, orders=40)), needs_crashes).plan
    assert plan.orders == 3
    assert plan.limit == 2
