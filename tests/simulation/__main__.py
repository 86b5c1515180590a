"""Runs many worlds: `python -m tests.simulation --seeds 2000 --orders 20`.

The first failing ones are made smaller and told as a story; the exit code is 1 if there is any.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import TypedDict

from tests.simulation.faults import Plan
from tests.simulation.running import Result, ran, run
from tests.simulation.shrink import shrunk

# A story longer than that is not read; the end of it is what counts.
STORY_LINES = 60
# Each takes about half a minute to be made smaller.
TOLD_FAILURES = 3
# Worlds are full of cycles; looking for them rarely and at a known place costs less than Python's own guesses.
WORLDS_PER_COLLECTION = 20


class Report(TypedDict):
    """What came of all of them. `speedup`: simulated over real time."""

    seeds: int
    orders: int
    events: int
    violations: int
    faults: dict[str, int]
    seeds_per_s: float
    speedup: float
    log_hash: str


def main() -> int:
    options = _options()
    plans = [Plan(seed, options.orders, options.topology) for seed in _seeds(options)]
    started = time.monotonic()
    results = list(_with_progress(run_all(plans), len(plans), started))
    report = report_of(results, time.monotonic() - started)
    failed = [result for result in results if result.violations]
    for result in failed[:TOLD_FAILURES]:
        _tell(result)
    if options.json:
        print(json.dumps(report))
    else:
        _print(report)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many worlds")
    parser.add_argument("--orders", type=int, default=20, help="orders in each of them")
    parser.add_argument("--seed", type=int, help="only this one; or the first one, if --seeds is given as well")
    parser.add_argument("--topology", choices=("embedded", "cluster"), default="", help="instead of what a seed draws")
    parser.add_argument("--json", action="store_true", help="the report as JSON")
    return parser.parse_args()


def _seeds(options: argparse.Namespace) -> range:
    if options.seed is None:
        return range(options.seeds)
    count = options.seeds if "--seeds" in sys.argv else 1
    return range(options.seed, options.seed + count)


def run_all(plans: list[Plan]) -> Iterator[Result]:
    """In order, on all processors. Each world is the same wherever and beside whatever it runs."""
    processes = min(len(os.sched_getaffinity(0)), len(plans))
    if processes == 1:
        yield from map(_run_one, plans)
        return
    with multiprocessing.get_context("fork").Pool(processes, initializer=_begin) as pool:
        yield from pool.imap(_run_one, plans, chunksize=min(8, 1 + len(plans) // 16))


def _begin() -> None:
    gc.collect()
    gc.freeze()
    gc.disable()


def _run_one(plan: Plan) -> Result:
    if plan.seed % WORLDS_PER_COLLECTION == 0:
        gc.collect()
    return run(plan)


def report_of(results: Iterable[Result], elapsed_s: float) -> Report:
    """`elapsed_s`: real seconds that all of them took together."""
    digest, faults = sha256(), Counter[str]()
    found = list(results)
    for result in found:
        digest.update(f"{result.plan.seed} {result.log_hash}\n".encode())
        faults.update(result.faults)
    return Report(
        seeds=len(found),
        orders=sum(result.orders for result in found),
        events=sum(result.events for result in found),
        violations=sum(len(result.violations) for result in found),
        faults=dict(sorted(faults.items())),
        seeds_per_s=round(len(found) / elapsed_s, 2),
        speedup=round(sum(result.simulated_s for result in found) / elapsed_s),
        log_hash=digest.hexdigest(),
    )


# --- telling -------------------------------------------------------------------------------------------------------


def _with_progress(results: Iterable[Result], count: int, started: float) -> Iterator[Result]:
    simulated_s = failed = 0.0
    told_s = started
    for number, result in enumerate(results, start=1):
        simulated_s += result.simulated_s
        failed += bool(result.violations)
        now = time.monotonic()
        if now - told_s >= 5.0 or number == count:
            told_s, elapsed_s = now, now - started
            hours_per_s = simulated_s / 3600 / elapsed_s
            rate = f"{number / elapsed_s:.1f} seeds/s, {hours_per_s:,.0f} simulated hours/s"
            print(f"{number} of {count} worlds, {failed:.0f} failed; {rate}", file=sys.stderr, flush=True)
        yield result


def _tell(failed: Result) -> None:
    """Its seed, what is wrong, the smallest world in which something still is, and how that came about."""
    print(f"\nThe world of seed {failed.plan.seed} ({failed.topology}) breaks a law:", file=sys.stderr)
    smallest = shrunk(failed)
    result, world = ran(smallest.plan)
    for line in world.story.last(STORY_LINES):
        print(line, file=sys.stderr)
    for violation in [*failed.violations[:5], "", "Made smaller:", str(result.plan), *result.violations[:5]]:
        print(violation, file=sys.stderr)
    print(f"Again: python -m tests.simulation --seed {failed.plan.seed} --orders {failed.plan.orders}", file=sys.stderr)


def _print(report: Report) -> None:
    for fault, count in sorted(report["faults"].items(), key=lambda one: -one[1]):
        print(f"{count:>8}  {fault}")
    print(
        f"{report['seeds']} worlds, {report['orders']} orders, {report['events']} events, "
        f"{sum(report['faults'].values())} faults, {report['violations']} violations; {report['seeds_per_s']} seeds/s, "
        f"{report['speedup']:,} times real time; log {report['log_hash'][:16]}"
    )


if __name__ == "__main__":
    sys.exit(main())
