"""What goes wrong, and how often. Each seed draws its own mix (swarm testing): a world in which everything happens at
once hides what only a few things together bring about.

Every kind draws from a stream of its own, so that leaving one kind out changes as little as possible.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import NamedTuple


class Fault(StrEnum):
    """Kinds of faults; the value is how a story tells them."""

    # processes
    CRASH = "crash between two steps"
    CRASH_BEFORE_APPEND = "crash before an append"
    CRASH_AFTER_APPEND = "crash between an append and its acknowledgement"
    CRASH_READING = "crash while reading"
    STALL = "stopped for a while"
    TWIN = "a second process of the same name"
    SLOW_CONSUMER = "a consumer gets no turn for a while"
    CLOCK_SKEW = "a machine's clock jumps"
    # the store
    STORE_AWAY = "store away, nothing written"
    STORE_OUTAGE = "store away for a while"
    STORE_READ_AWAY = "store away while reading"
    COMMIT_REPLY_LOST = "written, but the commit's reply is lost"
    COMMIT_LOST = "the commit is lost and nobody knows"
    COMMIT_NOT_SETTLED = "nobody can say what became of a commit"
    RACE = "another process writes between decision and append"
    # feeds
    REDELIVERY = "what was delivered is delivered again"
    POISON = "an event that cannot be read"
    OLD_VERSION = "an event of an old version"
    # the provider and the carrier
    REQUEST_LOST = "a request is lost"
    REQUEST_LATE = "a request arrives long after its caller gave up"
    REQUEST_TWICE = "a request arrives twice"
    ANSWER_LOST = "done, but the answer is lost"
    ANSWER_SLOW = "the answer is slow"
    PROVIDER_OUTAGE = "provider or carrier away for a while"
    NONSENSE = "an answer that nobody foresaw"
    # projections
    VIEWS_AWAY = "Redis away"
    VIEWS_REPLY_LOST = "shown, but Redis' reply is lost"
    VIEWS_FLUSHED = "projections flushed"
    VIEWS_STALE = "projections restored from an old copy"
    # the cluster
    REBALANCE = "rebalance"
    ZOMBIE = "works on with slots that were given away"
    MESSAGE_LOST = "a message is lost"
    MESSAGE_DELAYED = "messages are delayed"
    REPUBLICATION = "the relay begins again further back"
    PUBLISH_FAILED = "the broker confirms only a part"
    LEAD_LOST = "the lead is taken by another process"


# How often it happens when it is in the mix, per opportunity. The counts of opportunities differ a lot: thousands of
# reads, hundreds of appends, tens of calls.
RATES: dict[Fault, float] = {
    Fault.CRASH: 0.003,
    Fault.CRASH_BEFORE_APPEND: 0.02,
    Fault.CRASH_AFTER_APPEND: 0.02,
    Fault.CRASH_READING: 0.001,
    Fault.STALL: 0.002,
    Fault.TWIN: 0.5,
    Fault.SLOW_CONSUMER: 0.003,
    Fault.CLOCK_SKEW: 0.3,
    Fault.STORE_AWAY: 0.03,
    Fault.STORE_OUTAGE: 0.003,
    Fault.STORE_READ_AWAY: 0.002,
    Fault.COMMIT_REPLY_LOST: 0.03,
    Fault.COMMIT_LOST: 0.02,
    Fault.COMMIT_NOT_SETTLED: 0.3,
    Fault.RACE: 0.15,
    Fault.REDELIVERY: 0.02,
    Fault.POISON: 0.02,
    Fault.OLD_VERSION: 0.2,
    Fault.REQUEST_LOST: 0.05,
    Fault.REQUEST_LATE: 0.05,
    Fault.REQUEST_TWICE: 0.05,
    Fault.ANSWER_LOST: 0.08,
    Fault.ANSWER_SLOW: 0.1,
    Fault.PROVIDER_OUTAGE: 0.01,
    Fault.NONSENSE: 0.01,
    Fault.VIEWS_AWAY: 0.02,
    Fault.VIEWS_REPLY_LOST: 0.02,
    Fault.VIEWS_FLUSHED: 0.01,
    Fault.VIEWS_STALE: 0.01,
    Fault.REBALANCE: 0.01,
    Fault.ZOMBIE: 0.5,
    Fault.MESSAGE_LOST: 0.05,
    Fault.MESSAGE_DELAYED: 0.05,
    Fault.REPUBLICATION: 0.01,
    Fault.PUBLISH_FAILED: 0.03,
    Fault.LEAD_LOST: 0.005,
}


# How many faults befall one world at most. Endless ones find nothing that these do not, and take their time.
BUDGETS = (30, 100, 200, 400)


class Plan(NamedTuple):
    """One world to be run. Beyond the seed it only takes away: that is how a failing one is made smaller.

    topology   "embedded", "cluster", or "" where the seed chooses
    without    kinds of faults that do not happen
    limit      how many faults happen at most; None: as many as the seed says
    """

    seed: int
    orders: int
    topology: str = ""
    without: frozenset[Fault] = frozenset()
    limit: int | None = None


class Faults:
    """Asked at every opportunity whether something goes wrong there."""

    def __init__(self, plan: Plan, note: Callable[[str, str], None]) -> None:
        """`note` is told who was struck, and by what."""
        budget = Random(f"{plan.seed}/budget").choice(BUDGETS)
        self._limit = budget if plan.limit is None else min(budget, plan.limit)
        self._struck = 0
        self._note = note
        self._draws = {fault: Random(f"{plan.seed}/{fault.name}") for fault in Fault}
        self._rates = _mix(plan)
        self.counts: Counter[Fault] = Counter()
        self.healed = False

    def strikes(self, fault: Fault, whom: str) -> bool:
        rate = self._rates.get(fault)
        if rate is None or self.healed or self._draws[fault].random() >= rate:
            return False
        if self._struck >= self._limit:
            return False
        self._struck += 1
        self.counts[fault] += 1
        self._note(whom, fault.value)
        return True

    def draw(self, fault: Fault) -> Random:
        """For what a fault of this kind needs to be drawn: how long, how much."""
        return self._draws[fault]

    def in_mix(self, fault: Fault) -> bool:
        return fault in self._rates


def _mix(plan: Plan) -> dict[Fault, float]:
    """Some seeds are calm, some wild; each leaves out about half of the kinds."""
    draw = Random(f"{plan.seed}/mix")
    share = draw.choice((0.15, 0.5, 0.5, 0.8))
    wildness = draw.choice((0.3, 1.0, 1.0, 3.0))
    mix = {}
    for fault in Fault:
        chosen, factor = draw.random() < share, draw.uniform(0.3, 2.0)
        if chosen and fault not in plan.without:
            mix[fault] = min(0.9, RATES[fault] * factor * wildness)
    return mix
