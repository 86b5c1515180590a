"""Where everything stands on a packing slip. All measures are millimetres; the page is A4."""

from __future__ import annotations

from itertools import count
from typing import Final, NamedTuple

from services.shipping.papers import PackingSlipContent, SlipLine
from services.shipping.pen import Pen, Style

_LEFT: Final = 18.0
_RIGHT: Final = 192.0
_WIDTH: Final = _RIGHT - _LEFT

_SKU_X: Final = _LEFT + 9
_SKU_WIDTH: Final = 34.0
_TEXT_X: Final = _SKU_X + _SKU_WIDTH + 3
_TEXT_WIDTH: Final = _RIGHT - 20 - _TEXT_X

_TITLE: Final = Style(24, bold=True)
_CAPTION: Final = Style(7.5, bold=True)
_BODY: Final = Style(9.5)
_STRONG: Final = Style(9.5, bold=True)
_SMALL: Final = Style(8)
_STRIPE: Final = 0.95

_ROW_PAD: Final = 2.9
_ROW_LINE: Final = 4.3
_MAX_ROWS_OF_TEXT: Final = 3
_TABLE_TOP_FIRST: Final = 91.0
_TABLE_TOP_LATER: Final = 34.0
_TABLE_BOTTOM: Final = 272.0
_HEAD_HEIGHT: Final = 8.0


class _Row(NamedTuple):
    """A line of the order as it is set: its description may take several lines of text."""

    number: int
    line: SlipLine
    sku: str
    description: list[str]

    @property
    def height_mm(self) -> float:
        return _ROW_PAD + _ROW_LINE * max(1, len(self.description))


def draw_slip(pen: Pen, content: PackingSlipContent) -> None:
    pages = _pages([_row(pen, number, line) for number, line in zip(count(1), content.lines, strict=False)])
    for number, rows in enumerate(pages, start=1):
        if number == 1:
            _draw_first_head(pen, content)
        else:
            pen.next_page()
            _draw_later_head(pen, content)
        bottom_mm = _draw_table(pen, rows, top_mm=_table_top(number))
        if number == len(pages):
            _draw_sum(pen, content, bottom_mm)
        _draw_foot(pen, content, f"Page {number} of {len(pages)}")


def _row(pen: Pen, number: int, line: SlipLine) -> _Row:
    text = pen.wrapped(_TEXT_WIDTH, line.description, _BODY, _MAX_ROWS_OF_TEXT)
    return _Row(number, line, pen.cut_to(_SKU_WIDTH, line.sku, _STRONG), text)


def _pages(rows: list[_Row]) -> list[list[_Row]]:
    """At least one page. Room for the sum is kept on each, since each may be the last."""
    pages: list[list[_Row]] = [[]]
    y_mm = _table_top(1) + _HEAD_HEIGHT
    for row in rows:
        if y_mm + row.height_mm > _TABLE_BOTTOM - 9:
            pages.append([])
            y_mm = _table_top(len(pages)) + _HEAD_HEIGHT
        pages[-1].append(row)
        y_mm += row.height_mm
    return pages


def _table_top(page: int) -> float:
    return _TABLE_TOP_FIRST if page == 1 else _TABLE_TOP_LATER


def _draw_first_head(pen: Pen, content: PackingSlipContent) -> None:
    pen.text(_LEFT, 27, "Packing slip", _TITLE)
    pen.qr(_RIGHT - 20, 16, 20, content.order_number)
    pen.rule(41, x_mm=_LEFT, width_mm=_WIDTH, thick_pt=1.4)
    _draw_block(pen, _LEFT, "SHIP TO", content.recipient or ("Address on file with the sales channel",), 62)
    _draw_block(pen, _LEFT + 66, "FROM", content.sender, 48)
    _draw_facts(pen, content, _LEFT + 120)


def _draw_block(pen: Pen, x_mm: float, caption: str, lines: tuple[str, ...], width_mm: float) -> None:
    pen.text(x_mm, 48, caption, _CAPTION)
    for row, line in enumerate(lines[:7]):
        style = _STRONG if row == 0 else _BODY
        pen.text(x_mm, 53.5 + row * 4.5, pen.cut_to(width_mm, line, style), style)


def _draw_facts(pen: Pen, content: PackingSlipContent, x_mm: float) -> None:
    facts = [
        ("ORDER", content.order_number),
        ("DATE", content.ordered_on.isoformat() if content.ordered_on else ""),
        ("PARCEL", f"{content.parcel} of {content.parcels}"),
        ("TRACKING", content.tracking_number),
    ]
    for row, (caption, value) in enumerate(fact for fact in facts if fact[1]):
        y_mm = 48 + row * 10.0
        pen.text(x_mm, y_mm, caption, _CAPTION)
        pen.text(x_mm, y_mm + 4.6, pen.cut_to(_RIGHT - x_mm, value, _STRONG), _STRONG)


def _draw_later_head(pen: Pen, content: PackingSlipContent) -> None:
    pen.text(_LEFT, 24, "Packing slip", Style(14, bold=True))
    pen.text(_RIGHT, 24, pen.cut_to(100, f"Order {content.order_number}", _STRONG), _STRONG, "right")


def _draw_table(pen: Pen, rows: list[_Row], *, top_mm: float) -> float:
    """Returns where the table ends."""
    pen.block(_LEFT, top_mm, _WIDTH, _HEAD_HEIGHT)
    white = Style(8, bold=True, white=True)
    for x_mm, caption in ((_SKU_X, "SKU"), (_TEXT_X, "DESCRIPTION")):
        pen.text(x_mm, top_mm + 5.2, caption, white)
    pen.text(_RIGHT - 3, top_mm + 5.2, "QUANTITY", white, "right")
    y_mm = top_mm + _HEAD_HEIGHT
    for row in rows:
        _draw_row(pen, row, y_mm)
        y_mm += row.height_mm
    pen.rule(y_mm, x_mm=_LEFT, width_mm=_WIDTH)
    return y_mm


def _draw_row(pen: Pen, row: _Row, y_mm: float) -> None:
    if row.number % 2 == 0:
        pen.block(_LEFT, y_mm, _WIDTH, row.height_mm, grey=_STRIPE)
    baseline = y_mm + 4.9
    pen.text(_SKU_X - 3, baseline, str(row.number), _SMALL, "right")
    pen.text(_SKU_X, baseline, row.sku, _STRONG)
    for number, text in enumerate(row.description):
        pen.text(_TEXT_X, baseline + number * _ROW_LINE, text, _BODY)
    pen.text(_RIGHT - 3, baseline, f"{row.line.quantity:,}", _STRONG, "right")


def _draw_sum(pen: Pen, content: PackingSlipContent, bottom_mm: float) -> None:
    units = sum(line.quantity for line in content.lines)
    lines = len(content.lines)
    text = f"{lines:,} {'line' if lines == 1 else 'lines'}, {units:,} {'unit' if units == 1 else 'units'}"
    pen.text(_RIGHT - 3, bottom_mm + 6.5, text, Style(10.5, bold=True), "right")


def _draw_foot(pen: Pen, content: PackingSlipContent, page: str) -> None:
    pen.rule(281, x_mm=_LEFT, width_mm=_WIDTH, thick_pt=0.4)
    order = f"Order {content.order_number}, parcel {content.parcel} of {content.parcels}"
    pen.text(_LEFT, 286, pen.cut_to(120, order, _SMALL), _SMALL)
    pen.text(_RIGHT, 286, page, _SMALL, "right")
