"""Builds the views once more from position 0 beside the live ones, compares the two, and puts the new ones in place.

The live generation goes on meanwhile. Only for the comparison is it held: both are brought to one position, and nobody
else may write until all keys were looked at and the generations were switched (a second per some 200,000 keys).

`identical` speaks of what could be compared. A live generation that had lagged is brought up to the head first, by the
ordinary way of steps. One that was empty (a new or emptied Redis), or ahead of the log (a restored log), has nothing to
compare: the first counts as identical with nothing, the second as different.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import TypedDict
from uuid import uuid4

from projections.reader import Progress
from projections.replica import Log, Replica
from projections.runner import ProjectionRunner
from projections.table import Projection
from projections.views import BUILDER_TTL_S, Standing, Views

# Rows that many events of a batch change are written once: the larger, the better, until memory and Redis feel it.
BATCH_EVENTS = 5000
# Each step of the comparison takes milliseconds and renews the hold. After a crash nobody waits longer than this.
_HOLD_TTL_S = 10.0
_NAMED_DIFFERENCES = 10


class Rebuilt(TypedDict):
    """What a rebuild did. The speed is that of building; comparing and deleting the old views are not in it."""

    events: int
    events_per_s: float
    identical: bool
    compared_keys: int
    differences: list[str]
    """The first keys that differ, or why nothing could be compared."""


def rebuild(
    log: Log,
    views: Views,
    projections: Sequence[Projection],
    *,
    limit: int = BATCH_EVENTS,
    on_progress: Callable[[int, int], None] = lambda position, head: None,
) -> Rebuilt:
    """Build anew, compare, switch, delete the old. `on_progress` is told the position reached and the log's head.

    Raises ViewsBusy if another rebuild is under way, StaleWriter if Redis was emptied meanwhile, ViewsUnavailable; in
    each case the live views are as they were, and what was built is deleted by the next rebuild.
    """
    builder = f"rebuild {os.getpid()} {uuid4().hex}"
    generation = views.begin_generation(builder, BUILDER_TTL_S)
    built = Replica(log, views, projections, Standing(generation, {}), holder=builder)
    started = time.perf_counter()
    events = _build(log, built, limit, on_progress)
    events_per_s = events / max(time.perf_counter() - started, 1e-9)
    compared_keys, differences = _compare_and_switch(log, views, projections, built, builder)
    return {
        "events": events,
        "events_per_s": round(events_per_s, 1),
        "identical": not differences,
        "compared_keys": compared_keys,
        "differences": differences,
    }


def _build(log: Log, built: Replica, limit: int, on_progress: Callable[[int, int], None]) -> int:
    events = 0
    while (left := (head := log.last_position()) - built.position) > 0:
        events += built.advance(head, limit)
        on_progress(built.position, head)
        if left <= limit:
            break  # what came meanwhile is left for the hold: a log that grows all the time must not keep us for ever
    built.settle()
    return events


def _compare_and_switch(
    log: Log, views: Views, projections: Sequence[Projection], built: Replica, builder: str
) -> tuple[int, list[str]]:
    before = views.standing()
    shown, head = max(before.checkpoints.values(), default=0), log.last_position()
    if 0 < shown <= head:
        _bring_up(log, views, projections)
    views.hold(builder, _HOLD_TTL_S)
    head, live = log.last_position(), views.standing()
    _finish(built, head)
    if shown == 0:
        compared: tuple[int, list[str]] = (0, [])
    elif shown > head:
        compared = (0, [f"the live views stand at position {shown}, ahead of the log"])
    else:
        _finish(Replica(log, views, projections, live, holder=builder), head)
        compared = _compare(views, live.generation, built.generation, builder)
    views.switch(live.generation, built.generation, holder=builder)
    return compared


def _bring_up(log: Log, views: Views, projections: Sequence[Projection]) -> None:
    """The live views to within a batch of the head, if nobody else does."""
    runner = ProjectionRunner(log, views, projections)
    progress = Progress(views)
    while max(progress.lag(projections, log.last_position()).values()) > BATCH_EVENTS:
        runner.step()


def _finish(replica: Replica, head: int) -> None:
    while replica.advance(head, BATCH_EVENTS):
        pass


def _compare(views: Views, live: int, built: int, builder: str) -> tuple[int, list[str]]:
    keys, different = 0, list[str]()
    for looked_at, found in views.differences(live, built):
        views.hold(builder, _HOLD_TTL_S)
        keys += looked_at
        different += found[: _NAMED_DIFFERENCES - len(different)]
    return keys, different
