"""What a file brings in, on its way into the log: each event once, whatever is interrupted or repeated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import islice
from typing import NamedTuple

from events.base import Event, NewEvent, Recorded, Write
from events.gateway import StockAdjustmentReported, StockReceiptReported, report_stream
from events.order import OrderIntakeConflicted, OrderPlaced
from events.store import EventStore, VersionConflict
from services.gateway.rejects import Placed

ACTOR = "import"

# Conflicts come only from somebody else who writes to the same streams at this moment (the same order over HTTP).
_ATTEMPTS = 5
# Streams asked for in one query; databases bound the number of parameters.
_QUERY_STREAMS = 500
# SKUs known to have their opening stock: 100,000 short strings are about 10 MB. Beyond that the store is asked again.
_KNOWN_SKUS = 100_000


class Counts(NamedTuple):
    """What some lines of a file added up to. `gross_micros` is quantity x unit price in millionths."""

    goods_lines: int = 0
    charge_lines: int = 0
    adjustment_lines: int = 0
    units: int = 0
    gross_micros: int = 0

    def plus(self, other: Counts) -> Counts:
        return Counts(*map(sum, zip(self, other, strict=True)))


class Intake(NamedTuple):
    """One event that a file brings in, the first of its stream, and the lines it was made of.

    `clock` is the name of the history whose time `occurred_at` follows.
    """

    stream: str
    event: OrderPlaced | StockAdjustmentReported
    occurred_at: datetime
    clock: str
    correlation_id: str
    causation_id: str
    lines: Sequence[Placed]
    counts: Counts

    @property
    def skus(self) -> list[str]:
        if isinstance(self.event, OrderPlaced):
            return [line.sku for line in self.event.lines]
        return list(self.event.lines)

    def envelope(self, event: Event) -> NewEvent:
        return NewEvent(event, self.occurred_at, self.correlation_id, self.causation_id, ACTOR, self.clock)


class Taken(NamedTuple):
    """What became of intakes: new in the log, there already, or at odds with what is there."""

    new: list[Intake]
    known: list[Intake]
    conflicting: list[Intake]


class IntakeLog:
    """Appends intakes. `opening_stock` units of each SKU are received before what first names it (None: nothing is)."""

    def __init__(self, store: EventStore, opening_stock: int | None, location: str) -> None:
        self._store = store
        self._opening_stock = opening_stock
        self._location = location
        self._known_skus: set[str] = set()

    def take(self, batch: Sequence[Intake]) -> Taken:
        """Append what is new of these, in one transaction. Their streams must differ. Raises what the store raises."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._take(batch)
            except VersionConflict:
                continue
        return self._take(batch)

    def _take(self, batch: Sequence[Intake]) -> Taken:
        taken = Taken([], [], [])
        histories = self._histories([intake.stream for intake in batch])
        writes: list[Write] = []
        for intake in batch:
            history = histories.get(intake.stream)
            if history is None:
                taken.new.append(intake)
                writes.append(Write(intake.stream, 0, [intake.envelope(intake.event)]))
            elif history[0].event == intake.event:
                taken.known.append(intake)
            else:
                taken.conflicting.append(intake)
                writes += _conflict(intake, history)
        opening = self._opening(taken.new)
        if writes:
            self._store.append([*opening.values(), *writes])
        self._remember(opening)
        return taken

    def _histories(self, streams: list[str]) -> dict[str, list[Recorded]]:
        """Asking for versions first costs an import of new orders one index look-up per stream, and no reading."""
        existing = self._store.stream_versions(streams)
        return self._store.read_streams(list(existing)) if existing else {}

    def _opening(self, intakes: Sequence[Intake]) -> dict[str, Write]:
        """The opening receipts, by SKU, that the log lacks before it takes these in. Known SKUs are not asked for."""
        if self._opening_stock is None:
            return {}
        naming: dict[str, Intake] = {}
        for intake in intakes:
            for sku in intake.skus:
                if sku not in self._known_skus:
                    naming.setdefault(sku, intake)
        writes = {sku: self._receipt(sku, intake) for sku, intake in naming.items()}
        streams = iter([write.stream for write in writes.values()])
        existing: set[str] = set()
        while chunk := list(islice(streams, _QUERY_STREAMS)):
            existing |= self._store.stream_versions(chunk).keys()
        self._remember(sku for sku, write in writes.items() if write.stream in existing)
        return {sku: write for sku, write in writes.items() if write.stream not in existing}

    def _receipt(self, sku: str, intake: Intake) -> Write:
        reference = f"opening-stock/{sku}"
        lines = {sku: {self._location: self._opening_stock}}
        receipt = StockReceiptReported.model_validate({"reference": reference, "lines": lines})
        envelope = intake.envelope(receipt)._replace(correlation_id=reference)
        return Write(report_stream("receipt", reference), 0, [envelope])

    def _remember(self, skus: Iterable[str]) -> None:
        if len(self._known_skus) > _KNOWN_SKUS:
            self._known_skus.clear()
        self._known_skus.update(skus)


def batches(intakes: Sequence[Intake], size: int) -> Iterator[list[Intake]]:
    """The intakes in order, at most `size` at a time, and never two of the same stream together."""
    batch: dict[str, Intake] = {}
    for intake in intakes:
        if len(batch) == size or intake.stream in batch:
            yield list(batch.values())
            batch = {}
        batch[intake.stream] = intake
    if batch:
        yield list(batch.values())


def _conflict(intake: Intake, history: Sequence[Recorded]) -> list[Write]:
    """Report it on the order's stream, once. (The language has no such event for stock reports.)"""
    if not isinstance(intake.event, OrderPlaced):
        return []
    received, accepted = _digest(intake.event), _digest(history[0].event)
    conflict = OrderIntakeConflicted(order_id=intake.event.order_id, received_digest=received, accepted_digest=accepted)
    if any(recorded.event == conflict for recorded in history):
        return []
    return [Write(intake.stream, history[-1].version, [intake.envelope(conflict)])]


def _digest(event: Event) -> str:
    return sha256(event.model_dump_json().encode()).hexdigest()
