"""What is reported about stock: deliveries, announced or not, counts, baskets, thresholds; and what nobody can read."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from events.base import Event
from events.gateway import (
    LowStockThresholdReported,
    ReservationReleaseReported,
    ReservationReported,
    StockAdjustmentReported,
    StockExpectedReported,
    StockReceiptReported,
    report_stream,
)
from events.order import OrderPlaced
from tests.simulation.faults import Fault
from tests.simulation.workload import HOT, PLACES, SKUS, Pace

if TYPE_CHECKING:
    from tests.simulation.shop import Counter
    from tests.simulation.world import World

UNREADABLE = ("gateway.stock_receipt_reported.v1", "gateway.stock_adjustment_reported.v2")


class Warehouse:
    """All that is reported about stock."""

    def __init__(self, world: World, pace: Pace) -> None:
        self._world = world
        self._horizon_s = pace.horizon_s
        self._draw = Random(f"{world.plan.seed}/stock")
        self._numbers = 0
        self._places = PLACES[: self._draw.choice((1, 2, 2, 4))]
        self._plenty = self._draw.choice((0.5, 1.5, 4.0))

    def works(self, orders: list[OrderPlaced]) -> None:
        """Schedule all reports; how much there is follows from how much is wanted."""
        self._first_delivery(len(orders))
        for order in orders:
            if order.reservation_id is not None:
                self._basket(order)
        for _ in range(max(3, len(orders) // 3)):
            self._report(self._draw.random() * self._horizon_s)

    def _first_delivery(self, orders: int) -> None:
        draw = self._draw
        lines: dict[str, dict[str, int]] = {}
        for sku in SKUS:
            units = max(1, int(orders * self._plenty * (1.0 if sku in HOT else 0.5)))
            lines.setdefault(draw.choice(self._places), {})[sku] = units
            if draw.random() < 0.5:
                lines.setdefault(draw.choice(self._places), {})[sku] = max(1, units // 2)
        self._tell(0.0, "receipt", StockReceiptReported(reference="first", lines=lines), "first")

    def _report(self, at_s: float) -> None:
        draw, reference = self._draw, self._reference()
        sku, place, units = draw.choice(SKUS), draw.choice(self._places), draw.choice((1, 3, 10, 60))
        lines = {place: {sku: units}}
        kind = draw.random()
        if kind < 0.4:
            self._tell(at_s, "receipt", StockReceiptReported(reference=reference, lines=lines), reference)
        elif kind < 0.55:
            self._tell(at_s, "expected", StockExpectedReported(reference=reference, lines=lines), reference)
            came = {place: {sku: max(1, units - draw.choice((0, 0, 1)))}}
            later_s = at_s + draw.random() * self._horizon_s
            self._tell(later_s, "receipt", StockReceiptReported(reference=reference, lines=came), reference)
        elif kind < 0.9:
            counted = {place: {sku: draw.choice((-1, 1)) * units}}
            report = StockAdjustmentReported(reference=reference, reason="counted", lines=counted)
            self._tell(at_s, "adjustment", report, reference)
        else:
            report_of = LowStockThresholdReported(reference=reference, thresholds={sku: draw.choice((0, 5, 100))})
            self._tell(at_s, "threshold", report_of, reference)
        if self._world.faults.strikes(Fault.POISON, "a broken scanner"):
            self._world.scheduler.after(at_s, lambda: self._world.poison(reference, draw.choice(UNREADABLE)))

    def _basket(self, order: OrderPlaced) -> None:
        draw, basket = self._draw, order.reservation_id
        assert basket is not None
        lines = {line.sku: draw.randint(1, 3) for line in order.lines[:2]}
        report = ReservationReported(reservation_id=basket, lines=lines, ttl_s=draw.choice((1, 30, 3_600, 80_000)))
        at_s = draw.random() * self._horizon_s
        self._tell(at_s, "reservation", report, basket)
        if draw.random() < 0.3:
            gone = ReservationReleaseReported(reservation_id=basket)
            self._tell(at_s + draw.random() * 3_600, "reservation", gone, basket + "/release")

    def _tell(self, at_s: float, kind: str, report: Event, reference: str) -> None:
        stream = report_stream(kind, reference)

        def tell(counter: Counter) -> None:
            counter.take(stream, report, about=reference, request=f"{kind}-{reference}")

        self._world.ask_at(at_s, tell)
        if self._draw.random() < 0.1:
            self._world.ask_at(at_s + 1.0, tell)  # a scanner that is not sure whether it was heard

    def _reference(self) -> str:
        self._numbers += 1
        return f"report-{self._numbers}"
