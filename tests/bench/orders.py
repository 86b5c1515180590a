"""Orders to benchmark with: those of one real trading day, repeated as often as needed. The same on every run."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from itertools import cycle, islice
from pathlib import Path

from events.base import Quantities
from events.money import line_total_minor
from events.order import OrderKey, OrderLine, OrderPlaced

REAL_DAY = Path(__file__).parents[1] / "data" / "online-retail-2010-12-01.csv"
CHANNEL = "bench"
PAYMENT_TOKEN = "tok_ok"

# What is left out of the day: postage, discounts and manual lines (no such code), cancellations and write-offs (no
# positive quantity), gifts (no price). The benchmark is about goods on their way.
_GOODS_CODE = re.compile(r"^\d{5}[A-Z]{0,2}$")


def real_orders(count: int) -> list[OrderPlaced]:
    """`count` orders with the real day's baskets, in the day's order, starting again when the day is over."""
    baskets = islice(cycle(_baskets()), count)
    return [_placed(f"real-{index}", basket) for index, basket in enumerate(baskets)]


def uniform_orders(count: int, lines: int) -> list[OrderPlaced]:
    """`count` orders of exactly `lines` lines each, a different article on every line of an order."""
    catalogue = _catalogue()
    if lines > len(catalogue):
        raise ValueError(f"the real day knows {len(catalogue)} articles: too few for {lines} different lines")
    articles = cycle(catalogue)
    return [_placed(f"lines-{lines}-{index}", list(islice(articles, lines))) for index in range(count)]


def stock_for(orders: Sequence[OrderPlaced]) -> Quantities:
    """The opening stock that lets all of these orders ship, with something left over of every article."""
    needed = {line.sku: 1 for line in _catalogue()}
    for order in orders:
        for line in order.lines:
            needed[line.sku] = needed.get(line.sku, 1) + line.quantity
    return needed


@cache
def _baskets() -> list[list[OrderLine]]:
    by_invoice: dict[str, list[OrderLine]] = {}
    with REAL_DAY.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            line = _goods_line(row)
            if line is not None:
                by_invoice.setdefault(row["InvoiceNo"], []).append(line)
    return list(by_invoice.values())


@cache
def _catalogue() -> list[OrderLine]:
    articles = {line.sku: line for basket in _baskets() for line in basket}
    return [articles[sku] for sku in sorted(articles)]


def _goods_line(row: dict[str, str]) -> OrderLine | None:
    sku, quantity, price = row["StockCode"].strip().upper(), int(row["Quantity"]), row["UnitPrice"]
    if not _GOODS_CODE.match(sku) or quantity <= 0 or Decimal(price) <= 0:
        return None
    return OrderLine(sku=sku, quantity=quantity, unit_price=price, description=row["Description"].strip())


def _placed(number: str, lines: list[OrderLine]) -> OrderPlaced:
    return OrderPlaced(
        order_id=OrderKey(CHANNEL, number).order_id,
        channel=CHANNEL,
        number=number,
        currency="GBP",
        country="GB",
        lines=lines,
        total_minor=sum(line_total_minor(line.quantity, line.unit_price, 2) for line in lines),
        payment_token=PAYMENT_TOKEN,
        customer="17850",
    )
