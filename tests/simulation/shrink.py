"""Makes a failing world smaller: fewer orders, fewer faults, fewer kinds of them, as long as it still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.simulation.faults import Fault, Plan
from tests.simulation.running import Result, run

# Every try is a whole world, some tenths of a second.
MAX_TRIES = 60


def shrunk(failed: Result, try_out: Callable[[Plan], Result] = run) -> Result:
    """The smallest failing world that was found on the way down from this one."""
    smallest = failed
    tries = 0
    progress = True
    while progress:
        progress = False
        for plan in _smaller(smallest):
            if tries == MAX_TRIES:
                return smallest
            tries += 1
            result = try_out(plan)
            if result.violations:
                smallest, progress = result, True
                break
    return smallest


def _smaller(failed: Result) -> Iterator[Plan]:
    """What may still fail, the greatest steps first."""
    plan = failed.plan._replace(topology=failed.topology)
    for orders in dict.fromkeys((1, plan.orders // 4, plan.orders // 2, plan.orders - 1)):
        if 0 < orders < plan.orders:
            yield plan._replace(orders=orders)
    struck = sum(failed.faults.values())
    for limit in dict.fromkeys((0, struck // 4, struck // 2, struck - 1, struck)):
        if limit >= 0 and (plan.limit is None or limit < plan.limit):
            yield plan._replace(limit=limit)
    for fault in Fault:
        if fault.value in failed.faults:
            yield plan._replace(without=plan.without | {fault})
