"""Draws on PDF pages: text in fonts that travel with the file, lines, boxes, barcodes. The only importer of reportlab.

Measures are millimetres from the top left corner of the page, letters are sized in points. The same calls give the same
bytes. reportlab keeps its fonts in one place for the whole process, unguarded: use one pen at a time.
"""

from __future__ import annotations

from collections.abc import Container
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Final, Literal, NamedTuple

from anyascii import anyascii
from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.code128 import Code128
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFError, TTFont
from reportlab.pdfgen.canvas import Canvas

from services.shipping.lettering import Run, lettering

Align = Literal["left", "center", "right"]

_FOLDER: Final = Path(__file__).with_name("fonts")
_MM: Final = 72 / 25.4
"""Points in a millimetre."""
_ELLIPSIS: Final = "…"
_INK: Final = (0.0, 0.0, 0.0)
_PAPER: Final = (1.0, 1.0, 1.0)


class Style(NamedTuple):
    """How letters look."""

    size_pt: float
    bold: bool = False
    white: bool = False


class _Fonts(NamedTuple):
    """Their names, and the code points they have."""

    regular: str
    bold: str
    usual: Container[int]
    extra: str
    extra_codes: Container[int]


@lru_cache(maxsize=4)  # an installation has one further font, or none
def _fonts(extra_font: Path | None) -> _Fonts:
    usual = _font("Roboto-Regular", _FOLDER / "Roboto-Regular.ttf")
    _font("Roboto-Bold", _FOLDER / "Roboto-Bold.ttf")
    if extra_font is None:
        return _Fonts("Roboto-Regular", "Roboto-Bold", usual, "Roboto-Regular", ())
    try:
        codes = _font(f"Extra-{extra_font.stem}", extra_font)
    except (TTFError, OSError) as error:
        raise ValueError(f"{extra_font} is no TrueType font that can be embedded: {error}") from error
    return _Fonts("Roboto-Regular", "Roboto-Bold", usual, f"Extra-{extra_font.stem}", codes)


def _font(name: str, path: Path) -> Container[int]:
    font = TTFont(name, str(path))
    pdfmetrics.registerFont(font)
    codes: dict[int, int] = font.face.charToGlyph
    return codes


class Pen:
    """Raises ValueError for an extra font that is none."""

    def __init__(self, page_mm: tuple[float, float], *, title: str, extra_font: Path | None = None) -> None:
        self.width_mm, self.height_mm = page_mm
        self._fonts = _fonts(extra_font)
        self._file = BytesIO()
        size_pt = (self.width_mm * _MM, self.height_mm * _MM)
        self._canvas = Canvas(self._file, pagesize=size_pt, invariant=1, pageCompression=1)
        self._canvas.setTitle(self._shown(title))
        self._canvas.setAuthor("Waybill")
        self._canvas.setCreator("Waybill")

    def finished(self) -> bytes:
        """The whole file. The pen is used up."""
        self._canvas.save()
        return self._file.getvalue()

    def next_page(self) -> None:
        self._canvas.showPage()

    # Letters

    def text(self, x_mm: float, baseline_mm: float, text: str, style: Style, align: Align = "left") -> None:
        x_pt = x_mm * _MM
        if align != "left":
            x_pt -= self.text_width_mm(text, style) * _MM * (0.5 if align == "center" else 1)
        self._canvas.setFillColorRGB(*(_PAPER if style.white else _INK))
        for run in self._runs(text):
            font = self._font_of(run, style)
            self._canvas.setFont(font, style.size_pt)
            self._canvas.drawString(x_pt, self._up(baseline_mm), run.text)
            x_pt += pdfmetrics.stringWidth(run.text, font, style.size_pt)

    def text_width_mm(self, text: str, style: Style) -> float:
        widths = (
            pdfmetrics.stringWidth(run.text, self._font_of(run, style), style.size_pt) for run in self._runs(text)
        )
        return float(sum(widths)) / _MM

    def cut_to(self, width_mm: float, text: str, style: Style) -> str:
        """The text, or as much of its beginning as fits, with an ellipsis."""
        shown = self._shown(text).strip()
        if self.text_width_mm(shown, style) <= width_mm:
            return shown
        keep = self._letters_that_fit(width_mm - self.text_width_mm(_ELLIPSIS, style), shown, style)
        return shown[:keep].rstrip() + _ELLIPSIS

    def wrapped(self, width_mm: float, text: str, style: Style, max_rows: int) -> list[str]:
        """The text in rows that fit, broken between words, or within one that is longer than a row.

        What `max_rows` do not hold is cut, with an ellipsis.
        """
        rows: list[str] = []
        rest = self._shown(text).strip()
        while rest:
            if len(rows) == max_rows - 1:
                return [*rows, self.cut_to(width_mm, rest, style)]
            fits = self._letters_that_fit(width_mm, rest, style)
            if fits < len(rest):
                space = rest.rfind(" ", 0, fits + 1)
                fits = space if space > 0 else fits
            rows.append(rest[:fits].rstrip())
            rest = rest[fits:].lstrip()
        return rows

    def _letters_that_fit(self, width_mm: float, text: str, style: Style) -> int:
        """At least one, however narrow the place."""
        if self.text_width_mm(text, style) <= width_mm:
            return len(text)
        low, high = 1, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            if self.text_width_mm(text[:middle], style) <= width_mm:
                low = middle
            else:
                high = middle - 1
        return low

    def _shown(self, text: str) -> str:
        return "".join(run.text for run in self._runs(text))

    def _runs(self, text: str) -> list[Run]:
        return lettering(text, self._fonts.usual, self._fonts.extra_codes, anyascii)

    def _font_of(self, run: Run, style: Style) -> str:
        if run.is_extra:
            return self._fonts.extra
        return self._fonts.bold if style.bold else self._fonts.regular

    # Shapes

    def rule(self, y_mm: float, *, x_mm: float, width_mm: float, thick_pt: float = 0.8) -> None:
        self._canvas.setLineWidth(thick_pt)
        self._canvas.setStrokeColorRGB(*_INK)
        self._canvas.line(x_mm * _MM, self._up(y_mm), (x_mm + width_mm) * _MM, self._up(y_mm))

    def upright(self, x_mm: float, *, y_mm: float, height_mm: float, thick_pt: float = 0.8) -> None:
        self._canvas.setLineWidth(thick_pt)
        self._canvas.setStrokeColorRGB(*_INK)
        self._canvas.line(x_mm * _MM, self._up(y_mm), x_mm * _MM, self._up(y_mm + height_mm))

    def block(self, x_mm: float, y_mm: float, width_mm: float, height_mm: float, *, grey: float = 0.0) -> None:
        """A filled rectangle: `grey` 0 is black, 1 is white."""
        self._canvas.setFillColorRGB(grey, grey, grey)
        self._canvas.rect(x_mm * _MM, self._up(y_mm + height_mm), width_mm * _MM, height_mm * _MM, stroke=0, fill=1)

    # Codes for scanners

    def barcode(self, y_mm: float, height_mm: float, value: str, *, max_width_mm: float) -> None:
        """Code 128, centred on the page. The quiet zones beside it are the caller's to leave."""
        narrow_mm = min(0.5, max_width_mm / _code128(value, 1.0, 1.0).width)
        code = _code128(value, narrow_mm * _MM, height_mm * _MM)
        self._canvas.setFillColorRGB(*_INK)
        code.drawOn(self._canvas, (self.width_mm * _MM - code.width) / 2, self._up(y_mm + height_mm))

    def qr(self, x_mm: float, y_mm: float, size_mm: float, value: str) -> None:
        """A QR code of medium error correction, without quiet zone."""
        size_pt = size_mm * _MM
        widget = QrCodeWidget(value, barLevel="M", barBorder=0, barWidth=size_pt, barHeight=size_pt)
        drawing = Drawing(size_pt, size_pt)
        drawing.add(widget)
        renderPDF.draw(drawing, self._canvas, x_mm * _MM, self._up(y_mm + size_mm))

    def _up(self, y_mm: float) -> float:
        """PDF counts from the bottom."""
        return (self.height_mm - y_mm) * _MM


def _code128(value: str, narrow_pt: float, height_pt: float) -> Code128:
    # Code 128 knows ASCII only; a carrier's number has nothing else, and a wrong one must not stop the printing.
    return Code128(anyascii(value), barWidth=narrow_pt, barHeight=height_pt, quiet=False, humanReadable=False)
