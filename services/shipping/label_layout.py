"""Where everything stands on a label. All measures are millimetres; the page is 100 x 150."""

from __future__ import annotations

from typing import Final

from services.shipping.papers import LabelContent
from services.shipping.pen import Pen, Style

_LEFT: Final = 5.0
_RIGHT: Final = 95.0
_WIDTH: Final = _RIGHT - _LEFT
_QR: Final = 20.0
_FROM_WIDTH: Final = _WIDTH - _QR - 4

_CAPTION: Final = Style(6.5, bold=True)
_SENDER: Final = Style(8)
_RECIPIENT_PT: Final = (16.0, 14.5, 13.0, 11.5, 10.0, 9.0, 8.0)
"""The largest that lets the whole address in is taken: somebody reads it in a dark van."""
_LINE_HEIGHT: Final = 1.22
_ALL_ROWS: Final = 100
_MAX_LINES: Final = 12
_MM_PER_PT: Final = 25.4 / 72

# The top edges of the bands, and the bottom of the last.
_HEAD, _FROM, _TO, _FACTS, _TRACKING, _FOOT = 4.0, 17.0, 43.0, 97.0, 110.0, 147.0


def draw_label(pen: Pen, content: LabelContent) -> None:
    _draw_head(pen, content)
    _draw_sender(pen, content)
    _draw_recipient(pen, content)
    _draw_facts(pen, content)
    _draw_tracking(pen, content)


def _draw_head(pen: Pen, content: LabelContent) -> None:
    service = Style(11, bold=True, white=True)
    text = pen.cut_to(36, content.service.upper(), service)
    box_width = max(pen.text_width_mm(text, service) + 8, 26)
    pen.block(_RIGHT - box_width, _HEAD, box_width, 10)
    pen.text(_RIGHT - box_width / 2, _HEAD + 6.6, text, service, "center")
    carrier = Style(21, bold=True)
    pen.text(_LEFT, _HEAD + 7.8, pen.cut_to(_WIDTH - box_width - 3, content.carrier.upper(), carrier), carrier)


def _draw_sender(pen: Pen, content: LabelContent) -> None:
    pen.rule(_FROM, x_mm=_LEFT, width_mm=_WIDTH)
    pen.text(_LEFT, _FROM + 4, "FROM", _CAPTION)
    for row, line in enumerate(content.sender[:5]):
        pen.text(_LEFT, _FROM + 8.2 + row * 3.7, pen.cut_to(_FROM_WIDTH, line, _SENDER), _SENDER)
    pen.qr(_RIGHT - _QR, _FROM + 3, _QR, content.tracking_number)


def _draw_recipient(pen: Pen, content: LabelContent) -> None:
    # A heavy rule: the eye, and the sorting machine, look for the address below it.
    pen.rule(_TO, x_mm=_LEFT, width_mm=_WIDTH, thick_pt=2.4)
    pen.text(_LEFT, _TO + 5.2, "TO", Style(9, bold=True))
    pen.text(_RIGHT, _TO + 8, content.country, Style(20, bold=True), "right")
    if not content.recipient:
        pen.text(_LEFT + 8, _TO + 24, "ADDRESS ON FILE", Style(20, bold=True))
        pen.text(_LEFT + 8, _TO + 31, "The sales channel has the address of this order.", Style(9))
        return
    size_pt, rows = _largest_that_fits(pen, content.recipient, width_mm=_WIDTH - 8, height_mm=_FACTS - _TO - 12)
    baseline = _TO + 10 + size_pt * _MM_PER_PT
    for text, bold in rows:
        pen.text(_LEFT + 8, baseline, text, Style(size_pt, bold=bold))
        baseline += size_pt * _MM_PER_PT * _LINE_HEIGHT


def _largest_that_fits(
    pen: Pen, lines: tuple[str, ...], *, width_mm: float, height_mm: float
) -> tuple[float, list[tuple[str, bool]]]:
    """The size, and the rows with whether they are bold. A line is cut only if no size lets all of it in."""
    smallest = _RECIPIENT_PT[-1]
    attempts = [*((size_pt, _ALL_ROWS) for size_pt in _RECIPIENT_PT), (smallest, 3), (smallest, 2)]
    for size_pt, rows_per_line in attempts:
        rows = _rows(pen, lines, size_pt, width_mm, rows_per_line)
        if len(rows) * size_pt * _MM_PER_PT * _LINE_HEIGHT <= height_mm:
            return size_pt, rows
    return smallest, _rows(pen, lines[:_MAX_LINES], smallest, width_mm, 1)


def _rows(
    pen: Pen, lines: tuple[str, ...], size_pt: float, width_mm: float, rows_per_line: int
) -> list[tuple[str, bool]]:
    """The name and the last line (town or country) are bold."""
    rows = []
    for number, line in enumerate(lines):
        bold = number in (0, len(lines) - 1)
        rows += [(row, bold) for row in pen.wrapped(width_mm, line, Style(size_pt, bold=bold), rows_per_line)]
    return rows


def _draw_facts(pen: Pen, content: LabelContent) -> None:
    pen.rule(_FACTS, x_mm=_LEFT, width_mm=_WIDTH)
    weight = "" if content.weight_g is None else f"{content.weight_g / 1000:.2f} kg"
    ship_on = "" if content.ship_on is None else content.ship_on.isoformat()
    facts = [
        ("ORDER", content.order_number, 31.0),
        ("PARCEL", f"{content.parcel} of {content.parcels}", 17.0),
        ("WEIGHT", weight, 18.5),
        ("SHIP DATE", ship_on, 23.5),
    ]
    value_style = Style(10, bold=True)
    x_mm = _LEFT
    for caption, value, width_mm in facts:
        if x_mm > _LEFT:
            pen.upright(x_mm - 1.5, y_mm=_FACTS, height_mm=_TRACKING - _FACTS, thick_pt=0.5)
        pen.text(x_mm, _FACTS + 4, caption, _CAPTION)
        pen.text(x_mm, _FACTS + 9.6, pen.cut_to(width_mm - 2.5, value, value_style), value_style)
        x_mm += width_mm
    pen.rule(_TRACKING, x_mm=_LEFT, width_mm=_WIDTH)


def _draw_tracking(pen: Pen, content: LabelContent) -> None:
    pen.barcode(_TRACKING + 3, 24, content.tracking_number, max_width_mm=_WIDTH - 6)
    number = Style(13, bold=True)
    text = pen.cut_to(_WIDTH, _in_groups(content.tracking_number), number)
    pen.text(pen.width_mm / 2, _FOOT - 3.2, text, number, "center")


def _in_groups(number: str) -> str:
    """ "CA123456785GB" -> "CA 1234 5678 5 GB": the international form is written so; others stay as they are."""
    if len(number) != 13 or not number[2:11].isdigit():
        return number
    return f"{number[:2]} {number[2:6]} {number[6:10]} {number[10]} {number[11:]}"
