"""What a file brings in, on its way into the log; and the opening stock that an imported history needs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, TypeVar

from events.gateway import StockAdjustmentReported, StockReceiptReported, report_stream
from events.order import OrderPlaced
from events.store import EventStore
from services.gateway.arrivals import Arrival, Arrivals, Outcome, Verdict
from services.gateway.rejects import Placed
from services.runtime.decider import Cause

# SKUs known to have their opening stock: 100,000 short strings are about 10 MB. Beyond that the log is asked again.
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
    """One event that a file brings in, the first of its stream, and the lines it was made of."""

    stream: str
    event: OrderPlaced | StockAdjustmentReported
    cause: Cause
    lines: Sequence[Placed]
    counts: Counts

    @property
    def skus(self) -> list[str]:
        if isinstance(self.event, OrderPlaced):
            return [line.sku for line in self.event.lines]
        return [sku for goods in self.event.lines.values() for sku in goods]


class Taken(NamedTuple):
    """What became of intakes: new in the log, there already, or at odds with what is there."""

    new: list[Intake]
    known: list[Intake]
    conflicting: list[Intake]


class IntakeLog:
    """Appends intakes. `opening_stock` units of each SKU are received before what first names it (None: nothing is)."""

    def __init__(self, store: EventStore, opening_stock: int | None, location: str) -> None:
        self._arrivals = Arrivals(store)
        self._opening_stock = opening_stock
        self._location = location
        self._known_skus: set[str] = set()

    def take(self, batch: Sequence[Intake]) -> Taken:
        """Append what is new of these, in one transaction. Their streams must differ. Raises what the store raises."""
        opening = self._opening(batch)
        arrivals = [Arrival(intake.stream, intake.event, intake.cause) for intake in batch]
        outcomes = self._arrivals.take([*opening.values(), *arrivals])
        self._remember(opening)
        return _sorted_out(batch, outcomes[len(opening) :])

    def _opening(self, batch: Sequence[Intake]) -> dict[str, Arrival]:
        """Opening receipts by SKU. One that the log has already is recognized there, whatever its quantity."""
        receipts: dict[str, Arrival] = {}
        if self._opening_stock is not None:
            for intake in batch:
                for sku in intake.skus:
                    if sku not in self._known_skus and sku not in receipts:
                        receipts[sku] = self._receipt(sku, intake.cause)
        return receipts

    def _receipt(self, sku: str, cause: Cause) -> Arrival:
        reference = f"opening-stock/{sku}"
        lines = {self._location: {sku: self._opening_stock}}
        receipt = StockReceiptReported.model_validate({"reference": reference, "lines": lines})
        return Arrival(report_stream("receipt", reference), receipt, cause._replace(correlation_id=reference))

    def _remember(self, skus: dict[str, Arrival]) -> None:
        if len(self._known_skus) > _KNOWN_SKUS:
            self._known_skus.clear()
        self._known_skus.update(skus)


def _sorted_out(batch: Sequence[Intake], outcomes: Sequence[Outcome]) -> Taken:
    taken = Taken([], [], [])
    piles = {Verdict.NEW: taken.new, Verdict.KNOWN: taken.known, Verdict.CONFLICTING: taken.conflicting}
    for intake, outcome in zip(batch, outcomes, strict=True):
        piles[outcome.verdict].append(intake)
    return taken


class _OfStream(Protocol):
    @property
    def stream(self) -> str: ...


OfStream = TypeVar("OfStream", bound=_OfStream)


def batches(intakes: Sequence[OfStream], size: int) -> Iterator[list[OfStream]]:
    """The intakes in order, at most `size` at a time, and never two of the same stream together."""
    batch: dict[str, OfStream] = {}
    for intake in intakes:
        if len(batch) == size or intake.stream in batch:
            yield list(batch.values())
            batch = {}
        batch[intake.stream] = intake
    if batch:
        yield list(batch.values())
