"""Lines of the "online-retail" format gathered into invoices, and what an invoice becomes. Pure.

The lines of one invoice may stand apart (one of 12,795 invoices does), so an invoice stays open for `SPAN_LINES` lines
of the file. Lines of the same number that come later are another invoice: the log has the number already, so they end
as a reported conflict. Memory is bounded by the span.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

from events.base import MAX_AMOUNT_MINOR, MAX_LINES, MAX_QUANTITY
from events.gateway import StockAdjustmentReported, report_stream
from events.money import line_total_minor
from events.order import Charge, OrderKey, OrderLine, OrderPlaced, order_stream
from services.gateway.csv_lines import Record
from services.gateway.intake import Counts, Intake
from services.gateway.online_retail import CURRENCY, NAME, Columns, Line, read_line
from services.gateway.rejects import Reason, Refusal, refuse
from services.runtime.decider import Cause

# Twice the longest order that the language can say.
SPAN_LINES = 2 * MAX_LINES

ACTOR = "import"
PAYMENT_TOKEN = "tok_ok"  # the files say nothing about payment: these orders were paid
_MINOR_DIGITS = 2  # of GBP
_NO_LINE = 2**63


class InvoiceReader:
    """Takes records, gives intakes and refusals; the caller empties both lists."""

    def __init__(self, header: list[str], location: str) -> None:
        """`location` is where stock is adjusted. Raises ImportRefused if the header is not this format's."""
        self.intakes: list[Intake] = []
        self.refusals: list[Refusal] = []
        self._columns = Columns(header)
        self._location = location
        self._open: OrderedDict[str, _Invoice] = OrderedDict()
        self._oldest_line = _NO_LINE
        self._too_long: set[str] = set()

    @property
    def held_from(self) -> int:
        """The first line of the oldest invoice still open; a huge number if there is none."""
        return self._oldest_line

    def feed(self, record: Record) -> None:
        while self._oldest_line + SPAN_LINES <= record.line:
            self._close_oldest()
        line = read_line(record, self._columns)
        reason = self._take(line, record.raw) if isinstance(line, Line) else line
        if reason is not None:
            self.refusals.append(Refusal(record.line, record.offset, record.size, reason))

    def finish(self) -> None:
        """The file is at its end: every invoice is complete."""
        while self._open:
            self._close_oldest()

    def _take(self, line: Line, raw: bytes) -> Reason | None:
        number = line.head.invoice
        invoice = self._open.get(number)
        if invoice is None:
            if number in self._too_long:
                return Reason.TOO_MANY_LINES
            invoice = self._open[number] = _Invoice(line)
            self._oldest_line = min(self._oldest_line, line.line)
        return invoice.take(line, raw)

    def _close_oldest(self) -> None:
        _, invoice = self._open.popitem(last=False)
        self._oldest_line = next(iter(self._open.values())).first_line if self._open else _NO_LINE
        if len(invoice.lines) > MAX_LINES:
            # Its rest must not come in as an order of its own.
            self._too_long.add(invoice.head.invoice)
            self.refusals += refuse(invoice.lines, Reason.TOO_MANY_LINES)
            return
        for part in decide_invoice(invoice, self._location):
            if isinstance(part, Intake):
                self.intakes.append(part)
            else:
                self.refusals += part


class _Invoice:
    """The lines of one invoice so far. Customer, country and time are those of the first."""

    __slots__ = ("_content", "first_line", "head", "lines")

    def __init__(self, first: Line) -> None:
        self.head = first.head
        self.first_line = first.line
        self.lines: list[Line] = []
        self._content = sha256()

    def take(self, line: Line, raw: bytes) -> Reason | None:
        if line.head is not self.head and line.head[2:] != self.head[2:]:
            return Reason.MIXED_INVOICE
        self.lines.append(line)
        self._content.update(raw)
        return None

    def cause(self, correlation_id: str) -> Cause:
        """The causation names what the invoice says, not its file: the same lines are the same event, byte for byte."""
        causation_id = f"{NAME}:{self._content.hexdigest()[:16]}"
        return Cause(self.head.occurred_at, correlation_id, causation_id, ACTOR, clock=NAME)


Part = Intake | list[Refusal]
"""What lines of an invoice become: an event, or nothing but reasons."""


def decide_invoice(invoice: _Invoice, location: str) -> list[Part]:
    """An order, a stock adjustment, or both; lines that can be neither are refused."""
    goods: list[Line] = []
    charges: list[Line] = []
    written_off: list[Line] = []
    for line in invoice.lines:
        if line.quantity < 0 and not line.price.micros:
            written_off.append(line)
        else:
            (charges if line.article.charge else goods).append(line)
    parts: list[Part] = []
    if goods or charges:
        parts.append(_order(invoice, goods, charges))
    if written_off:
        parts.append(_adjustment(invoice, written_off, location))
    return parts


def _adjustment(invoice: _Invoice, lines: list[Line], location: str) -> Part:
    units: dict[str, int] = {}
    for line in lines:
        units[line.article.sku] = units.get(line.article.sku, 0) + line.quantity
    if max(map(abs, units.values())) > MAX_QUANTITY:
        return refuse(lines, Reason.BAD_QUANTITY)
    reference = f"{NAME}/{invoice.head.invoice}"
    reasons = dict.fromkeys(line.description for line in lines if line.description)
    event = StockAdjustmentReported(
        reference=reference,
        reason="; ".join(reasons)[:500] or "no reason given",
        lines={location: units},
    )
    counts = Counts(adjustment_lines=len(lines))
    return Intake(report_stream("adjustment", reference), event, invoice.cause(reference), lines, counts)


def _order(invoice: _Invoice, goods: list[Line], charges: list[Line]) -> Part:
    lines = goods + charges
    if not goods:
        return refuse(lines, Reason.NO_GOODS)
    ordered = [_order_line(*one) for one in _merge(goods)]
    billed = [_charge(line) for line in charges]
    total = sum(minor for _, minor in ordered) + sum(charge.amount_minor for charge in billed)
    if not 0 <= total <= MAX_AMOUNT_MINOR:
        return refuse(lines, Reason.NEGATIVE_TOTAL if total < 0 else Reason.AMOUNT_TOO_LARGE)
    head = invoice.head
    order_id = OrderKey(NAME, head.invoice).order_id
    placed = OrderPlaced(
        order_id=order_id,
        channel=NAME,
        number=head.invoice,
        currency=CURRENCY,
        country=head.country,
        lines=[line for line, _ in ordered],
        charges=billed,
        total_minor=total,
        payment_token=PAYMENT_TOKEN,
        customer=head.customer or None,
    )
    counts = Counts(
        goods_lines=len(goods),
        charge_lines=len(charges),
        units=sum(line.quantity for line in goods),
        gross_micros=sum(line.quantity * line.price.micros for line in lines),
    )
    return Intake(order_stream(order_id), placed, invoice.cause(order_id), lines, counts)


def _merge(goods: Sequence[Line]) -> Iterable[tuple[str, int, str, str]]:
    """SKU, units, price and description of each order line: the same SKU at the same price adds up.

    Past the largest quantity that one line can say, another begins.
    """
    merged: dict[tuple[str, str, int], tuple[str, int, str, str]] = {}
    for line in goods:
        sku, price = line.article.sku, line.price.text
        full = 0
        while (same := merged.get((sku, price, full))) and same[1] + line.quantity > MAX_QUANTITY:
            full += 1
        _, units, _, description = same or (sku, 0, price, line.description)
        merged[sku, price, full] = (sku, units + line.quantity, price, description)
    return merged.values()


# Four lines in five are like one of the latest 16,000 in the data: remembering these (10 MB) halves the time to build
# an order.
@lru_cache(maxsize=16_384)
def _order_line(sku: str, quantity: int, unit_price: str, description: str) -> tuple[OrderLine, int]:
    """The line, and its total in minor units."""
    line = OrderLine(sku=sku, quantity=quantity, unit_price=unit_price, description=description)
    return line, line_total_minor(quantity, unit_price, _MINOR_DIGITS)


def _charge(line: Line) -> Charge:
    """A charge has no quantity and no code of its own: its description keeps both where they say something."""
    words = [line.article.sku] if line.article.charge in {"non_stock", "gift_voucher"} else []
    words.append(line.description)
    if line.quantity != 1:
        words.append(f"({line.quantity} x {line.price.text})")
    return Charge(
        kind=line.article.charge,
        amount_minor=line_total_minor(line.quantity, line.price.text, _MINOR_DIGITS),
        description=" ".join(words)[:200],
    )
