"""The papers that go with a parcel: the carrier's label and the packing slip, as PDF.

They are drawn on demand from plain arguments and never stored. The same content gives the same bytes, so that a label
printed twice is one label. Fonts are embedded: Roboto for Latin, Greek and Cyrillic; services/shipping/lettering.py
tells what becomes of other letters. `extra_font` is a TrueType file that has them (Chinese, Japanese, Korean).

This is for a person's request, never for the hot path: the libraries load at the first call. The papers carry the
buyer's name and address; the title and the author of the PDF do not.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

LABEL_MM: Final = (100.0, 150.0)
"""What label printers and carriers know as 4 x 6 inches."""
SLIP_MM: Final = (210.0, 297.0)
"""A4."""

_one_at_a_time: Final = Lock()
"""The pen asks for it."""


@dataclass(frozen=True, slots=True)
class LabelContent:
    """What stands on a label. Sender and recipient are the lines of an address, the name first."""

    carrier: str
    service: str
    tracking_number: str
    order_number: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    """Empty where the channel keeps the address on file."""
    country: str
    parcel: int = 1
    parcels: int = 1
    weight_g: int | None = None
    ship_on: date | None = None


class SlipLine(NamedTuple):
    sku: str
    description: str
    quantity: int


@dataclass(frozen=True, slots=True)
class PackingSlipContent:
    """What stands on a packing slip: what is in this parcel, and never a price."""

    order_number: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    lines: tuple[SlipLine, ...]
    tracking_number: str = ""
    parcel: int = 1
    parcels: int = 1
    ordered_on: date | None = None


def label_pdf(content: LabelContent, *, extra_font: Path | None = None) -> bytes:
    """One page of 100 x 150 mm, black on white: thermal printers have no grey. ValueError: that is no font."""
    from services.shipping.label_layout import draw_label
    from services.shipping.pen import Pen

    with _one_at_a_time:
        pen = Pen(LABEL_MM, title=f"Label {content.tracking_number}", extra_font=extra_font)
        draw_label(pen, content)
        return pen.finished()


def packing_slip_pdf(content: PackingSlipContent, *, extra_font: Path | None = None) -> bytes:
    """A4, as many pages as the lines need. ValueError: that is no font."""
    from services.shipping.pen import Pen
    from services.shipping.slip_layout import draw_slip

    with _one_at_a_time:
        pen = Pen(SLIP_MM, title=f"Packing slip {content.order_number}", extra_font=extra_font)
        draw_slip(pen, content)
        return pen.finished()
