"""How long it takes until everything works again, measured from outside and from end to end.

At the moment from which recovery counts, twelve small orders are sent, one for each slot of the work, on top of the
load. Recovery is over when the last of them has been carried through all services and is shown by the projections.
So it contains whatever had piled up before them, and the second or so that an order takes in any case. Where a
timekeeper was hit, their payments' outcomes are unknown at first, and the time counts from when they are due.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.drill.orders import UNANSWERED, Sending, Via, probes
from tests.drill.shop import Shop
from tests.drill.stack import INTAKE
from tests.drill.watch import Watch


class Cohort:
    """Twelve probes that were sent together."""

    def __init__(self, kind: str, sent: Sequence[Sending], watch: Watch) -> None:
        self.kind = kind
        self._ids = [one.order_id for one in sent]
        self._is_due_later = sent[0].body["payment_token"] == UNANSWERED
        self._watch = watch
        self._began_s = time.monotonic()
        self._took_s: float | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds until all were done and shown; None: not yet."""
        if self._took_s is None:
            self._took_s = self._look()
        return self._took_s

    @property
    def waited_s(self) -> float:
        """So far."""
        return time.monotonic() - self._began_s

    def open(self) -> list[str]:
        return [one for one in self._ids if one not in self._watch.ended]

    def _look(self) -> float | None:
        ended = [self._watch.ended.get(one) for one in self._ids]
        last = max((one.position for one in ended if one is not None), default=0)
        shown, seen_s = self._watch.shown
        if None in ended or shown < last:
            return None
        return max(0.0, max(seen_s, *(one.seen_s for one in ended if one is not None)) - self._due_s())

    def _due_s(self) -> float:
        """When the last of them could have been done, on the monotonic clock."""
        due = [self._watch.asks_at[one] for one in self._ids if one in self._watch.asks_at]
        if not self._is_due_later or not due:
            return self._began_s
        return max(self._began_s, time.monotonic() + (max(due) - datetime.now(UTC)).total_seconds())


class Probes:
    """Sends cohorts; what they took, by kind of fault."""

    def __init__(self, shop: Shop, watch: Watch) -> None:
        self._shop = shop
        self._watch = watch
        self.sent: list[Sending] = []
        self.took_s: dict[str, list[float]] = defaultdict(list)
        """By kind of fault: for each fault the longest of its cohorts."""
        self.given_up: list[str] = []

    def cohort(self, kind: str) -> Cohort:
        via = Via.TOPIC if kind.endswith(INTAKE) else Via.HTTP
        token = UNANSWERED if kind.endswith("timekeeper") else "tok_ok"
        sent = probes(str(len(self.sent)), via, token)
        found = Cohort(kind, sent, self._watch)
        for one in sent:
            self._shop.send(one)
        self.sent += sent
        return found

    def note(self, kind: str, cohorts: Iterable[Cohort]) -> float:
        """The fault is over, or given up on; how long recovery took."""
        took_s = []
        for cohort in cohorts:
            if cohort.took_s is None:
                self.given_up.append(f"{kind}: {len(cohort.open())} probes are still open: {cohort.open()[:3]}")
            took_s.append(cohort.took_s if cohort.took_s is not None else cohort.waited_s)
        self.took_s[kind].append(max(took_s))
        return max(took_s)


def summary(took_s: dict[str, list[float]]) -> dict[str, Any]:
    """p50, p99 and the longest in seconds, over all faults and by kind."""
    return {**_of([one for some in took_s.values() for one in some]), "by_kind": _by_kind(took_s)}


def _by_kind(took_s: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {kind: _of(some) for kind, some in sorted(took_s.items())}


def _of(seconds: list[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(seconds, 50), 2),
        "p99": round(percentile(seconds, 99), 2),
        "max": round(max(seconds, default=0.0), 2),
    }


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest of them that so many percent of them do not exceed; 0 of none."""
    ordered = sorted(values)
    index = -(-len(ordered) * percent // 100) - 1
    return ordered[int(max(0, index))] if ordered else 0.0
