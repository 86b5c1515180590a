"""The drill itself: orders come in, faults strike, everything is waited for, and everything is checked."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.cluster.process import ALL_ROLES
from tests.drill import checks
from tests.drill.faults import Fault, plan
from tests.drill.intake_topic import IntakeTopic
from tests.drill.orders import Sending, deliveries, sendings
from tests.drill.recovery import Cohort, Probes, percentile, summary
from tests.drill.shop import Shop
from tests.drill.stack import DOORS, INTAKE, LEADERS, MEMBERS, Stack, running, say
from tests.drill.watch import Watch

# A fault whose probes are not done by then is given up on, and counts with what it has taken so far.
GIVE_UP_AFTER_S = 90.0
# Between the end of one fault's recovery and the next fault.
BREATH_S = 0.5
# Unknown outcomes are asked about after 5, 10, 20 and 40 s.
IDLE_WITHIN_S = 240.0
RECOVERY_P99_S = 15.0
_PROBES_PER_FAULT = 24
_UNDISTURBED = 3
_SAY_EVERY_S = 10.0
_NAMED = 8


@dataclass(frozen=True)
class Wanted:
    """`rate` is in orders a second; of kinds of faults all that are known, unless some are named."""

    orders: int
    faults: int
    rate: float
    seed: int
    folder: Path
    kinds: frozenset[str] = frozenset()


def roles_there_are() -> tuple[str, ...]:
    return tuple(role for role in (*MEMBERS, *LEADERS, *DOORS) if role in ALL_ROLES)


def drill(wanted: Wanted) -> dict[str, Any]:
    """The report. Raises ServerError if the cluster cannot be started."""
    roles = roles_there_are()
    with ExitStack() as closing:
        say(f"starting {', '.join(roles)}, two processes each, in {wanted.folder}")
        stack = closing.enter_context(running(wanted.folder, roles))
        watch = Watch(stack.postgres.url, stack.redis.url)
        closing.callback(watch.close)
        watch.start()
        topic = IntakeTopic(stack.kafka.bootstrap) if INTAKE in roles else None
        if topic is not None:
            closing.callback(topic.close)
        shop = Shop(stack.gateways, topic, seed=wanted.seed)
        shop.start()
        closing.callback(shop.close)
        return _Drill(wanted, stack, watch, shop, with_topic=topic is not None).run()


class _Drill:
    def __init__(self, wanted: Wanted, stack: Stack, watch: Watch, shop: Shop, *, with_topic: bool) -> None:
        self._wanted = wanted
        self._stack = stack
        self._watch = watch
        self._shop = shop
        self._probes = Probes(shop, watch)
        self._open: list[Cohort] = []
        self._struck: Counter[str] = Counter()
        self._said_s = 0.0
        self._slow: list[tuple[float, str]] = []
        self._sendings = sendings(wanted.orders, wanted.seed, topic_share=0.5 if with_topic else 0.0)
        stack.on_tick = self._tick

    def run(self) -> dict[str, Any]:
        first, rest = deliveries(self._sendings, probed=1_000 + _PROBES_PER_FAULT * self._wanted.faults)
        self._shop.deliver_stock(first)
        began_s = time.monotonic()
        self._shop.begin(self._sendings, self._wanted.rate)
        undisturbed_s = self._undisturbed()
        for number, fault in enumerate(self._plan(), 1):
            self._strike(number, fault)
        self._stack.wait_for(lambda: self._shop.sent == len(self._sendings), self._wanted.orders / self._wanted.rate)
        self._shop.deliver_stock(rest)
        self._until_idle()
        seconds = time.monotonic() - began_s
        return {**self._report(seconds), "undisturbed_s": undisturbed_s}

    def _undisturbed(self) -> float:
        """What probes take under load while nothing is wrong, in seconds: the best of a few, the first being slow."""
        took_s = []
        for _ in range(_UNDISTURBED):
            cohort = self._probes.cohort("nothing")
            self._open = [cohort]
            self._stack.wait_for(lambda one=cohort: one.took_s is not None, GIVE_UP_AFTER_S)  # type: ignore[misc]
            took_s.append(cohort.took_s or cohort.waited_s)
        say(f"undisturbed: {', '.join(f'{one:.1f}' for one in took_s)} s")
        return round(min(took_s), 2)

    def _plan(self) -> Sequence[Fault]:
        faults = plan(self._wanted.faults, self._wanted.seed, roles_there_are())
        return [fault for fault in faults if not self._wanted.kinds or fault.kind in self._wanted.kinds]

    def _strike(self, number: int, fault: Fault) -> None:
        began_s = time.monotonic()
        cohorts: list[Cohort] = []
        for _ in fault.strike(self._stack):
            cohorts.append(self._probes.cohort(fault.kind))
            self._open = cohorts
        self._stack.wait_for(lambda: all(one.took_s is not None for one in cohorts), GIVE_UP_AFTER_S)
        took_s = self._probes.note(fault.kind, cohorts)
        self._struck[fault.kind] += 1
        each = ", ".join(f"{one.took_s:.1f}" if one.took_s is not None else "-" for one in cohorts)
        say(f"{number}. {fault.kind}: {each} s ({time.monotonic() - began_s:.1f} s in all)")
        self._slow.append((round(took_s, 1), f"{number}. {fault.kind} at {datetime.now(UTC):%H:%M:%S}"))
        self._open = []
        self._stack.wait(BREATH_S)

    def _tick(self) -> None:
        for cohort in self._open:
            _ = cohort.took_s  # looked at often, so that it is known to the twentieth of a second
        if time.monotonic() - self._said_s >= _SAY_EVERY_S:
            self._said_s = time.monotonic()
            say(
                f"{self._shop.sent} sent, {self._shop.waiting} not answered yet, {len(self._watch.placed)} in the log, "
                f"{len(self._watch.ended)} at an end"
            )

    # --- the end -----------------------------------------------------------------------------------------------------

    def _until_idle(self) -> None:
        """All are acknowledged and at an end, and the projections show all there is."""
        say("all is sent; waiting for the last orders")
        self._stack.wait_for(lambda: not self._shop.waiting, IDLE_WITHIN_S)
        self._stack.wait_for(lambda: not self._stuck(), IDLE_WITHIN_S)
        self._stack.wait(2.0)  # what follows the end of an order: the ledger books the parcel out
        head = self._watch.store.last_position()
        self._stack.wait_for(lambda: self._watch.shown[0] >= head, IDLE_WITHIN_S)

    def _declined(self) -> frozenset[str]:
        return frozenset(one.order_id for one in self._sendings if one.is_declined)

    def _stuck(self) -> list[str]:
        return checks.not_at_an_end(list(self._shop.receipts.taken), self._declined(), self._watch)

    def _report(self, seconds: float) -> dict[str, Any]:
        say("checking")
        receipts, store, findings = self._shop.receipts, self._watch.store, checks.Findings()
        everything: list[Sending] = [*self._sendings, *self._probes.sent]
        log = checks.Log(store)
        findings.add("unacknowledged", (one.order_id for one in everything if one.order_id not in receipts.taken))
        checks.check_acknowledged(log, receipts, findings)
        checks.check_both_rivals_taken(everything, receipts, findings)
        checks.check_laws(store, findings)
        checks.check_books(log, self._stack.sandbox_url, findings)
        checks.check_ends(receipts.taken, self._declined(), self._watch, findings)
        identical = checks.projections_identical(store, self._watch.views, findings)
        findings.add("died", (f"{role}: {times} times" for role, times in self._stack.died.items()))
        findings.add("not_recovered", self._probes.given_up)
        recovery_s = summary(self._probes.took_s)
        counts = findings.counts
        return {
            "orders": len(everything),
            "acknowledged": len(receipts.taken),
            **{name: counts[name] for name in ("lost", "duplicated", "oversold", "double_charged", "stuck")},
            "projections_identical": identical,
            "other_findings": {name: count for name, count in counts.items() if count},
            "details": {name: some for name, some in findings.details.items() if some},
            "faults_struck": self._struck.total(),
            "faults": dict(sorted(self._struck.items())),
            "recovery_s": recovery_s,
            "slowest": sorted(self._slow, reverse=True)[:_NAMED],
            "accept_s": {f"p{percent}": round(percentile(receipts.accept_s, percent), 3) for percent in (50, 99)},
            "attempts": receipts.attempts,
            "unanswered": receipts.unanswered,
            "events": store.last_position(),
            "seconds": round(seconds, 1),
            "orders_per_s": round(len(everything) / seconds, 1),
            "ok": findings.all_well and identical and recovery_s["p99"] <= RECOVERY_P99_S,
        }
