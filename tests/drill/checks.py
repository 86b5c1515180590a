"""What must be true at the end: of the log, of the provider's and the carrier's own books, and of the projections."""

from __future__ import annotations

import json
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from events.order import Hold, OrderPlaced
from events.payment import PaymentCaptured
from events.shipping import LabelPurchased
from events.store import EventStore
from projections.catalogue import PROJECTIONS
from projections.rebuild import rebuild
from projections.redis_views import RedisViews
from services.audit.law import Law, Violation
from services.audit.laws.ending import check_ending
from services.audit.verify import Auditor
from tests.drill.orders import Sending, placed
from tests.drill.receipts import Receipts, body_of
from tests.drill.watch import Watch

OVERSOLD = frozenset(
    {Law.ALLOCATED_IS_THERE, Law.ALLOCATED_ONCE, Law.SHIPPED_IS_ALLOCATED, Law.SHIPPED_IS_BOOKED, Law.FULFILLED_ONCE}
)
OVERCHARGED = frozenset({Law.CAPTURED_ONCE, Law.CAPTURE_AFTER_AUTHORIZE, Law.AUTHORIZED_AS_ASKED})

_NAMED = 5
_ALL = 1_000_000
_PAGE = 5_000


@dataclass
class Findings:
    """Counts that must all be 0, and for each the first few in words."""

    counts: Counter[str] = field(default_factory=Counter)
    details: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, what: str, found: Iterable[str]) -> None:
        some = list(found)
        self.counts[what] += len(some)
        self.details[what] += some[: _NAMED - len(self.details[what])]

    @property
    def all_well(self) -> bool:
        return not self.counts.total()


class Log:
    """What the log says of orders, charges and labels, read once from its beginning."""

    def __init__(self, store: EventStore) -> None:
        self.placed: dict[str, list[OrderPlaced]] = defaultdict(list)
        self.captured_minor: Counter[str] = Counter()
        self.captures: Counter[str] = Counter()
        self.labels: dict[str, list[str]] = defaultdict(list)
        """The tracking numbers of each fulfillment, which is one parcel."""
        types = frozenset({OrderPlaced.type, PaymentCaptured.type, LabelPurchased.type})
        position = 0
        while found := store.read_after(position, limit=_PAGE, types=types):
            for recorded in found:
                self._note(recorded.event)
            position = found[-1].position

    def _note(self, event: Any) -> None:
        if isinstance(event, OrderPlaced):
            self.placed[event.order_id].append(event)
        elif isinstance(event, PaymentCaptured):
            self.captured_minor[event.order_id] += event.amount_minor
            self.captures[event.order_id] += 1
        else:
            self.labels[event.fulfillment_id].append(event.tracking_number)


def check_acknowledged(log: Log, receipts: Receipts, findings: Findings) -> None:
    """What was acknowledged is in the log, as it was sent, once; and nothing else is."""
    findings.add("lost", (order for order in receipts.taken if order not in log.placed))
    findings.add("duplicated", (order for order, found in log.placed.items() if len(found) > 1))
    findings.add("altered", (order for order in receipts.taken if not _is_as_sent(order, log, receipts)))
    findings.add("unheard_of", (order for order in log.placed if order not in receipts.taken))
    findings.add("wrong_answers", receipts.wrong)


def _is_as_sent(order: str, log: Log, receipts: Receipts) -> bool:
    contents = [placed(body_of(said)) for said in receipts.taken[order]]
    return order not in log.placed or log.placed[order][0] in contents


def check_both_rivals_taken(sendings: Iterable[Sending], receipts: Receipts, findings: Findings) -> None:
    """Of two contents under one number HTTP may acknowledge one; a topic acknowledges whatever comes."""
    both = (one.order_id for one in sendings if one.via == "http" and len(receipts.taken[one.order_id]) > 1)
    findings.add("duplicated", both)


def check_laws(store: EventStore, findings: Findings) -> None:
    """What `waybill verify` checks; all breaches are counted, not the first hundred alone."""
    tracked = store.tracked_positions()
    auditor = Auditor(store)
    auditor.books.MAX_VIOLATIONS = _ALL
    for _ in auditor.read_all():
        pass
    check_ending(auditor.books, tracked)
    told = auditor.books.violations
    findings.add("oversold", _words(told, OVERSOLD))
    findings.add("double_charged", _words(told, OVERCHARGED))
    findings.add("unlawful", _words(told, frozenset(Law) - OVERSOLD - OVERCHARGED))
    findings.add("parked", (f"{consumer} at {position}" for consumer, position in auditor.books.parked))


def _words(violations: Sequence[Violation], laws: frozenset[Law]) -> list[str]:
    return [str(one) for one in violations if one.law in laws]


def check_books(log: Log, sandbox_url: str, findings: Findings) -> None:
    """The provider and the carrier did what the log says, and nothing twice."""
    with urllib.request.urlopen(f"{sandbox_url}/books", timeout=60) as answer:
        books: dict[str, Any] = json.load(answer)
    findings.add("double_charged", books["paid_more_than_once"])
    findings.add("double_charged", (order for order, times in log.captures.items() if times > 1))
    findings.add("money_differs", _differences(books["captured_minor"], log.captured_minor))
    sold: dict[str, list[str]] = defaultdict(list)
    for parcel, labels in books["labels"].items():
        sold[parcel.rpartition("/")[0]] += [label["tracking_number"] for label in labels]
    findings.add("double_labeled", (name for name, labels in (sold | log.labels).items() if len(labels) > 1))
    findings.add("labels_differ", _differences(sold, log.labels))


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    return [
        f"{name}: the books have {theirs.get(name)}, the log has {ours.get(name)}"
        for name in theirs.keys() | ours.keys()
        if theirs.get(name) != ours.get(name)
    ]


def not_at_an_end(acknowledged: Iterable[str], declined: frozenset[str], watch: Watch) -> list[str]:
    """Orders that neither ended nor wait for what they are known to wait for: another payment."""
    return [
        order
        for order in acknowledged
        if order not in watch.ended and not (order in declined and Hold.PAYMENT in watch.holds.get(order, ()))
    ]


def check_ends(acknowledged: Iterable[str], declined: frozenset[str], watch: Watch, findings: Findings) -> None:
    """Stuck are those without an end; `ended_wrongly` those that ended otherwise than their payment allows."""
    findings.add("stuck", (_how_far(order, watch) for order in not_at_an_end(acknowledged, declined, watch)))
    wrongly = (
        f"{order}: {end.type}" for order, end in watch.ended.items()
        if end.type != "order.completed.v1" or order in declined
    )  # fmt: skip
    findings.add("ended_wrongly", wrongly)


def _how_far(order: str, watch: Watch) -> str:
    holds = ", ".join(watch.holds.get(order, ())) or "no hold"
    return f"{order}: placed {watch.placed.get(order, 0)} times, {holds}"


def projections_identical(store: EventStore, views: RedisViews, findings: Findings) -> bool:
    """The live ones against those that the log gives anew."""
    found = rebuild(store, views, PROJECTIONS)
    findings.add("projections_differ", found["differences"])
    return found["identical"]
