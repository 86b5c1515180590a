"""Every point at which an embedded run writes, starts or ends something, and the `waybill` command that dies there.

`python -m tests.e2e.moments MOMENT ARGUMENTS...` is the command that ends itself with SIGKILL at a moment that a clock
would rarely meet: "before-commit:7" is the instant before the seventh commit, "torn-journal:3" comes when half of the
third record is in its file, "projector/after-views:1" kills the child that runs the projections, not the command.
"count:FILE" lets it live, and writes down how often each point was passed, and what was written at none of them.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import orjson

BEFORE, TORN, AFTER = "before", "torn", "after"


class Point(NamedTuple):
    """A function at which a process may die. `whens`: before it begins, half-way through, after it has returned.

    One that `encloses` others does several things one after the other: what its helpers change is not at this point.
    """

    name: str
    module: str
    function: str
    whens: tuple[str, ...] = (BEFORE, AFTER)
    encloses: bool = False


IN_THE_HOUSE = (
    # beginning
    Point("home", "services.wiring", "made"),
    Point("lock-file", "services.wiring", "_lock_file"),
    Point("lock", "services.wiring", "_lock"),
    Point("store-file", "events.recorders.sqlite_file", "_Pool._create_connection"),
    Point("store-tables", "events.recorders.sqlite", "SqliteRecorder._make_tables", encloses=True),
    Point("journal-file", "services.journal", "Journal._open"),
    Point("redis-look", "projections.redis_server", "EmbeddedRedis._join_or_start_in_words", encloses=True),
    Point("redis-lock", "projections.redis_server", "try_lock"),
    Point("redis-socket", "projections.redis_server", "new_socket_path"),
    Point("redis-own", "projections.redis_server", "EmbeddedRedis._own"),
    Point("redis-start", "projections.redis_server", "EmbeddedRedis._run", encloses=True),
    Point("redis-spawn", "projections.redis_child", "Child._keep", (BEFORE,)),
    Point("redis-spawned", "projections.redis_child", "Child.wait_until_ready"),
    Point("redis-connect", "projections.redis_views", "RedisViews._connect"),
    Point("rejects-folder", "services.gateway.importer", "Importer._make_rejects_folder"),
    # working
    Point("begin", "events.recorders.sqlite_file", "Connection.begin"),
    Point("insert", "events.recorders.sqlite", "SqliteRecorder._insert_rows"),
    Point("commit", "events.recorders.sqlite_file", "Connection.commit"),
    Point("journal", "services.journal", "Journal.append", (BEFORE, TORN, AFTER)),
    Point("views", "projections.redis_views", "RedisViews.commit"),
    Point("views-reply", "projections.redis_views", "_Sent.wait"),
    Point("rejects", "services.gateway.rejects", "RejectsFile._write", (BEFORE, TORN, AFTER)),
    Point("rejects-sync", "os", "fsync"),
    Point("rejects-finish", "services.gateway.rejects", "RejectsFile._finish"),
    # ending
    Point("journal-close", "services.journal", "Journal.close"),
    Point("views-close", "projections.redis_views", "RedisViews.close"),
    Point("redis-stop", "projections.redis_child", "Child.stop"),
    Point("store-close", "events.store", "EventStore.close"),
    Point("report", "services.report", "show"),
)
BESIDE_A_PROJECTOR = (
    Point("projector-start", "services.projector", "_start"),
    Point("projector-tell", "services.projector", "ProjectorProcess._tell"),
    Point("projector-end", "services.projector", "ProjectorProcess.close"),
)
IN_THE_PROJECTOR = tuple(
    point
    for point in IN_THE_HOUSE
    if point.name in ("store-file", "redis-connect", "views", "views-reply", "views-close")
)
POINTS = {point.name: point for point in (*IN_THE_HOUSE, *BESIDE_A_PROJECTOR)}
PROJECTOR = "projector/"
# A file in the home: the projector that was to be killed was.
WAS_KILLED = "projector-was-killed"


def dying(moment: str) -> list[object]:
    """The program that is `waybill`, but ends itself at "before-commit:7"."""
    return [sys.executable, "-m", "tests.e2e.moments", moment]


# --- half-way --------------------------------------------------------------------------------------------------------


def _half_a_record(journal: Any, record: Any) -> None:
    line = orjson.dumps(record)
    os.write(journal._fd, line[: len(line) // 2])


def _half_a_row(rejects: Any, refusals: Any) -> None:
    with rejects._part.open("w") as part:
        part.write("line,reason,sentence,original\n1,not_")


_TORN: dict[str, Callable[..., None]] = {"journal": _half_a_record, "rejects": _half_a_row}


# --- dying -----------------------------------------------------------------------------------------------------------


def arm(moment: str) -> None:
    """From now on this process dies at that moment, or counts its moments. The empty one changes nothing."""
    if moment.startswith("count:"):
        _count_into(Path(moment.removeprefix("count:")))
    elif moment.startswith(PROJECTOR):
        _arm_projector(moment.removeprefix(PROJECTOR))
    elif moment:
        _die_at(moment)


def _die_at(moment: str) -> None:
    place, _, number = moment.partition(":")
    when, _, name = place.partition("-")
    passed = iter(range(1, sys.maxsize))

    def die_if_it_is_time(at: str, *args: Any) -> None:
        if at == when and next(passed) == int(number):
            if when == TORN:
                _TORN[name](*args)
            os.kill(os.getpid(), signal.SIGKILL)

    _watch(POINTS[name], die_if_it_is_time)


def _watch(point: Point, passing: Callable[..., None]) -> Callable[..., Any]:
    """Call `passing` with "before", "torn" or "after", and the function's arguments, at each pass of the point.

    Returns the function itself.
    """
    owner: Any = importlib.import_module(point.module)
    *owners, name = point.function.split(".")
    for one in owners:
        owner = getattr(owner, one)
    real: Callable[..., Any] = getattr(owner, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        passing(BEFORE)
        if TORN in point.whens:
            passing(TORN, *args)
        result = real(*args, **kwargs)
        passing(AFTER)
        return result

    setattr(owner, name, watched)
    return real


def _arm_projector(moment: str) -> None:
    """The first projector that this process starts dies at the moment; the one that follows it lives."""
    start, moments = subprocess.Popen, iter([moment])

    def armed(command: Any, **wanted: Any) -> Any:
        if command[-2:-1] == ["services.projector"] and (its := next(moments, "")):
            command = [*command[:-2], "tests.e2e.moments", f"{PROJECTOR}{its}", command[-1]]
        return start(command, **wanted)

    subprocess.Popen = armed  # type: ignore[assignment,misc]


# --- counting --------------------------------------------------------------------------------------------------------

# What the interpreter itself reports before it does it. Writes, commits and messages it does not report.
_CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "shutil.rmtree", "fcntl.flock")
_STARTS = ("subprocess.Popen", "os.kill", "sqlite3.connect")


def _count_into(file: Path) -> None:
    passed: Counter[str] = Counter()
    unseen: set[str] = set()

    def note(point: Point, when: str) -> None:
        passed[f"{when}-{point.name}"] += 1
        file.write_bytes(orjson.dumps({"passed": passed, "unseen": sorted(unseen)}))

    def audit(event: str, args: tuple[Any, ...]) -> None:
        if _changes_something(event, args) and str(args[0]) != str(file):
            functions = list(_our_functions())
            if not _is_at_a_point(functions, registered):
                unseen.add(f"{event} in {functions[0] if functions else 'a library'}")

    registered: dict[str, Point] = {}
    for point in POINTS.values():
        real = _watch(point, lambda when, *_, point=point: note(point, when))
        registered[f"{real.__module__}.{real.__qualname__}"] = point
    sys.addaudithook(audit)


def _changes_something(event: str, args: tuple[Any, ...]) -> bool:
    if event == "open":
        flags = args[2] if isinstance(args[2], int) else 0
        return bool(flags & (os.O_WRONLY | os.O_RDWR)) and args[0] != os.devnull and not isinstance(args[0], int)
    return event in _CHANGES or event in _STARTS


def _our_functions() -> Iterator[str]:
    """The product's functions on the stack, the innermost first."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.partition(".")[0] in ("events", "services", "projections"):
            yield f"{module}.{frame.f_code.co_qualname}"
        frame = frame.f_back


def _is_at_a_point(functions: list[str], registered: dict[str, Point]) -> bool:
    nearest = next((number for number, name in enumerate(functions) if name in registered), None)
    return nearest is not None and (nearest == 0 or not registered[functions[nearest]].encloses)


# --- running ---------------------------------------------------------------------------------------------------------


def run_projector(moment: str, home: Path) -> None:
    from services import projector

    (home / WAS_KILLED).touch()
    arm(moment)
    projector.main(home)
    (home / WAS_KILLED).unlink()  # it came to its end: it was not


if __name__ == "__main__":
    chosen = sys.argv[1]
    if chosen.startswith(PROJECTOR) and len(sys.argv) == 3:
        run_projector(chosen.removeprefix(PROJECTOR), Path(sys.argv[2]))
    else:
        from services.cli import main

        arm(chosen)
        sys.argv[1:] = sys.argv[2:]
        main()
