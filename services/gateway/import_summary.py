"""What an import came to: every line counted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from events.order import OrderPlaced
from services.gateway.intake import Counts, Intake, Taken
from services.gateway.rejects import Refusal


@dataclass(frozen=True)
class ImportSummary:
    """`lines_read` is goods + charge + adjustment lines + all rejected ones.

    The counts say what the files hold, whether the log had it already (`already_imported` orders) or not
    (`new_orders`). `gross` is the exact sum of quantity x unit price over goods and charges, as decimal text.
    """

    lines_read: int
    orders: int
    goods_lines: int
    charge_lines: int
    adjustment_lines: int
    rejected: dict[str, int]
    units: int
    gross: str
    seconds: float
    orders_per_s: float
    files: int
    new_orders: int
    already_imported: int

    def as_json(self) -> dict[str, object]:
        return dict(vars(self))


class Tally:
    """The summary in the making."""

    def __init__(self) -> None:
        self.orders = 0
        self._new_orders = 0
        self._counts = Counts()
        self._rejected: Counter[str] = Counter()

    @property
    def lines(self) -> int:
        counts = self._counts
        return counts.goods_lines + counts.charge_lines + counts.adjustment_lines + self._rejected.total()

    def add_taken(self, taken: Taken) -> None:
        self._new_orders += _orders(taken.new)
        self.orders += _orders(taken.new) + _orders(taken.known)
        for intake in (*taken.new, *taken.known):
            self._counts = self._counts.plus(intake.counts)

    def add_refused(self, refusals: Iterable[Refusal]) -> None:
        self._rejected.update(refusal.reason.value for refusal in refusals)

    def summary(self, *, files: int, seconds: float) -> ImportSummary:
        counts = self._counts
        return ImportSummary(
            lines_read=self.lines,
            orders=self.orders,
            goods_lines=counts.goods_lines,
            charge_lines=counts.charge_lines,
            adjustment_lines=counts.adjustment_lines,
            rejected=dict(sorted(self._rejected.items())),
            units=counts.units,
            gross=exact_decimal(counts.gross_micros),
            seconds=round(seconds, 3),
            orders_per_s=round(self.orders / seconds, 1) if seconds else 0.0,
            files=files,
            new_orders=self._new_orders,
            already_imported=self.orders - self._new_orders,
        )


def exact_decimal(micros: int) -> str:
    """Millionths as decimal text with two decimals, or as many as it takes: "58960.79", "0.001"."""
    whole, fraction = divmod(abs(micros), 10**6)
    decimals = f"{fraction:06}".rstrip("0").ljust(2, "0")
    return f"{'-' if micros < 0 else ''}{whole}.{decimals}"


def _orders(intakes: Sequence[Intake]) -> int:
    return sum(isinstance(intake.event, OrderPlaced) for intake in intakes)
