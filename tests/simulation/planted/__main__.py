"""How many worlds it takes to find each planted bug: `python -m tests.simulation.planted`. Exit 1 if one survives."""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import sys
from typing import NamedTuple

from tests.simulation.faults import Plan
from tests.simulation.planted import BUGS
from tests.simulation.planted.bug import planted
from tests.simulation.running import run

# In a world with a bug much goes wrong at once; so many are the most that one of them may hide in.
MAX_SEEDS = 200
ORDERS = 20


class Found(NamedTuple):
    """In which world it was found first, and how; `seeds` is how many were looked at. None: it survived."""

    bug: str
    seeds: int | None
    seed: int | None
    topology: str
    by: str


def find(number: int, max_seeds: int = MAX_SEEDS) -> Found:
    """Run world after world with this bug planted, until a law is broken."""
    bug = BUGS[number]
    for seed in range(max_seeds):
        with planted(bug):
            result = run(Plan(seed, ORDERS))
        if result.violations:
            return Found(bug.name, seed + 1, seed, result.topology, result.violations[0])
        if seed % 20 == 0:
            gc.collect()
    return Found(bug.name, None, None, "", "")


def main() -> int:
    options = _options()
    numbers = [number for number, bug in enumerate(BUGS) if options.only in bug.name]
    found: list[Found] = []
    with multiprocessing.get_context("fork").Pool(len(os.sched_getaffinity(0))) as pool:
        for one in pool.imap(find, numbers, chunksize=1):
            found.append(one)
            print(f"{one.bug}: {one.seeds or 'SURVIVES'}", file=sys.stderr, flush=True)
    survivors = [one.bug for one in found if one.seeds is None]
    if options.json:
        rows = [one._asdict() for one in found]
        print(json.dumps({"bugs": len(found), "found": len(found) - len(survivors), "rows": rows}))
    else:
        print(_table(found))
    return 1 if survivors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.planted", description=__doc__)
    parser.add_argument("--json", action="store_true", help="the table as JSON instead of markdown")
    parser.add_argument("--only", default="", help="only bugs with this in their name")
    return parser.parse_args()


def _table(found: list[Found]) -> str:
    """As markdown, for the docs."""
    lines = ["| planted bug | worlds needed | the first thing that is seen |", "|---|---|---|"]
    lines += [f"| {one.bug} | {one.seeds or 'not found'} | {_short(one.by)} |" for one in found]
    return "\n".join(lines)


def _short(text: str) -> str:
    return " ".join(text.replace("|", "/").split())[:110]


if __name__ == "__main__":
    sys.exit(main())
