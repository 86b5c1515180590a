"""SIGKILL at every registered point of an embedded run, each in a new home; then the same command once more.

`python -m tests.e2e.sweep --all --json` kills at every pass of every point (moments.py) that an undisturbed import of
twelve orders makes, and prints `points, moments, kills, deviations`. Without `--all` it takes of each point the first,
the middle and the last pass, as the test suite does. A run that happens to pass a point less often than the one that
was counted (calls are answered together or apart) is not killed: it counts as a moment, not as a kill.

Three worlds: "house", with the projections inside of the process; "beside", with the projections in a process of their
own, where the command is killed; and "projector", where that process is killed and the command goes on by itself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from tests.e2e.launcher import Launcher
from tests.e2e.moments import BESIDE_A_PROJECTOR, IN_THE_HOUSE, IN_THE_PROJECTOR, PROJECTOR, WAS_KILLED, Point
from tests.e2e.processes import HEADER, Environment, importing
from tests.e2e.undisturbed import (
    SMALL_BATCHES,
    Undisturbed,
    ended_as_if_nothing_happened,
    is_dead,
    undisturbed,
)

INLINE: Environment = {**SMALL_BATCHES, "WAYBILL_PROJECTOR": "inline"}
BESIDE: Environment = {**SMALL_BATCHES, "WAYBILL_PROJECTOR": "process"}
# A projector whose parent dies at once has still to start, half a second on an idle machine, before it can notice.
ORPHANS_END_WITHIN_S = 20.0
# Some points are passed a different number of times in each run, by chance: they are counted in so many runs.
COUNTED_RUNS = 3


class World(NamedTuple):
    """Where it is killed: the environment of the command, and the points that there are."""

    name: str
    env: Environment
    points: tuple[Point, ...]
    prefix: str = ""
    """Of its moments: who it is that dies."""


WORLDS = (
    World("house", INLINE, IN_THE_HOUSE),
    World("beside", BESIDE, BESIDE_A_PROJECTOR),
    World("projector", BESIDE, IN_THE_PROJECTOR, PROJECTOR),
)


class Moment(NamedTuple):
    """One death: "before-commit" and 7."""

    world: World
    place: str
    number: int

    def __str__(self) -> str:
        return f"{self.world.prefix}{self.place}:{self.number}"


class Result(NamedTuple):
    """`deviation`: what was not as it should be; None if all was."""

    moment: Moment
    killed: bool
    deviation: str | None


def twelve_orders(folder: Path) -> Path:
    """And one line that is rejected, in the middle."""
    rows = [f"{700_000 + n},{21_000 + n % 5},THING,{1 + n % 3},2010-12-01 09:00:00,1.25,,France" for n in range(12)]
    rows.insert(6, "C700012,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom")
    file = folder / "twelve.csv"
    file.write_text("\n".join([HEADER, *rows, ""]))
    return file


# --- what there is to sweep ------------------------------------------------------------------------------------------


class Passes(NamedTuple):
    """How often an undisturbed run passes each place ("before-commit"), and what it changes at no registered point."""

    by_place: dict[str, int]
    unseen: list[str]


def passes_of(launcher: Launcher, file: Path, world: World, folder: Path) -> Passes:
    counts = folder / "counts.json"
    moment = f"{world.prefix}count:{counts}"
    outcome = launcher.run(*importing(file), home=folder / "home", env=world.env, moment=moment)
    assert outcome.code == 0, outcome
    found = json.loads(counts.read_bytes())
    return Passes(found["passed"], found["unseen"])


def moments_of(world: World, point: Point, counted: Sequence[Passes], *, every: bool) -> Iterator[Moment]:
    """Every pass that any of these runs made; or the first, the middle and the last that all of them made."""
    for place in (f"{when}-{point.name}" for when in point.whens):
        passes = [one.by_place.get(place, 0) for one in counted]
        last = max(passes) if every else min(passes)
        chosen = range(1, last + 1) if every else sorted({1, (1 + last) // 2, last} - {0})
        yield from (Moment(world, place, number) for number in chosen)


# --- one kill --------------------------------------------------------------------------------------------------------


def kill_and_repeat(launcher: Launcher, moment: Moment, expected: Undisturbed, home: Path, scratch: Path) -> Result:
    """Die at the moment; the same command again must come to what it would have come to."""
    killed = False
    try:
        outcome = launcher.run(*importing(expected.file), home=home, env=moment.world.env, moment=str(moment))
        if moment.world.prefix:
            killed = (home / WAS_KILLED).exists()
        else:
            killed = outcome.code == -signal.SIGKILL
            assert killed or outcome.code == 0, outcome
            is_dead(home, scratch, within_s=ORPHANS_END_WITHIN_S)
            outcome = launcher.run(*importing(expected.file), home=home, env=INLINE)
        assert outcome.code == 0, outcome
        ended_as_if_nothing_happened(expected, home, outcome)
    except AssertionError as deviation:
        return Result(moment, killed, str(deviation) or "an assertion failed")
    return Result(moment, killed, None)


# --- all of them -----------------------------------------------------------------------------------------------------


class Sweep:
    """Everything that the kills of one file have in common."""

    def __init__(self, folder: Path, launcher: Launcher, *, counted_runs: int = COUNTED_RUNS) -> None:
        self._folder = folder
        file = twelve_orders(folder)
        self._expected = undisturbed(file, folder / "undisturbed", run=launcher.run, env=INLINE)
        self._passes = {
            world.name: [passes_of(launcher, file, world, self._scratch()) for _ in range(counted_runs)]
            for world in WORLDS
        }

    def moments(self, world: World, point: Point, *, every: bool) -> list[Moment]:
        return list(moments_of(world, point, self._passes[world.name], every=every))

    @property
    def unseen(self) -> list[str]:
        """Changes that no registered point knows of."""
        return sorted({one for counted in self._passes.values() for passes in counted for one in passes.unseen})

    def kill(self, launcher: Launcher, moment: Moment) -> Result:
        scratch = self._scratch()
        home = scratch / "home"
        home.mkdir()
        return kill_and_repeat(launcher, moment, self._expected, home, scratch)

    def _scratch(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))


def run(sweep: Sweep, moments: Sequence[Moment], jobs: int) -> list[Result]:
    """By so many launchers at once."""
    own = threading.local()
    with ExitStack() as stack:

        def kill(moment: Moment) -> Result:
            if not hasattr(own, "launcher"):
                own.launcher = stack.enter_context(Launcher())
            result = sweep.kill(own.launcher, moment)
            if result.deviation:
                print(f"{moment}: {result.deviation[:500]}", file=sys.stderr, flush=True)
            return result

        with ThreadPoolExecutor(jobs) as threads:
            return list(threads.map(kill, moments))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.sweep", description="SIGKILL at every registered point.")
    parser.add_argument("--all", action="store_true", help="every pass of every point")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--jobs", type=int, default=2, help="commands at once")
    chosen = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="waybill-sweep-") as folder, Launcher() as launcher:
        sweep = Sweep(Path(folder), launcher)
        moments = [
            moment
            for world in WORLDS
            for point in world.points
            for moment in sweep.moments(world, point, every=chosen.all)
        ]
        results = run(sweep, moments, chosen.jobs)
    deviations = [f"{one.moment}: {one.deviation}" for one in results if one.deviation] + sweep.unseen
    found = {
        "points": len({(one.world.name, one.place) for one in moments}),
        "moments": len(moments),
        "kills": sum(one.killed for one in results),
        "deviations": deviations,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(found) if chosen.json else "\n".join(f"{name:12}{value}" for name, value in found.items()))
    return 1 if deviations else 0


if __name__ == "__main__":
    sys.exit(main())
