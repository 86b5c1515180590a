"""Labels and packing slips: what stands on them, that nothing is missing, and that they always come out the same."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path

import pytest
from anyascii import anyascii
from hypothesis import given
from hypothesis import strategies as st
from pypdf import PdfReader

from events.base import Address
from services.shipping.address_block import address_block
from services.shipping.lettering import Run, lettering
from services.shipping.papers import LabelContent, PackingSlipContent, SlipLine, label_pdf, packing_slip_pdf

ROOT = Path(__file__).parents[2]
SENDER = ("Waybill Trading Ltd", "Unit 7, Canal Wharf", "LONDON", "E14 5AB", "UNITED KINGDOM")
ADA = ("Ada Lovelace", "12 St James's Square", "LEEDS", "LS1 4AP")

LABEL = LabelContent(
    carrier="sandpost",
    service="standard",
    tracking_number="CA473124829GB",
    order_number="536365",
    sender=SENDER,
    recipient=ADA,
    country="GB",
    parcel=1,
    parcels=2,
    weight_g=1250,
    ship_on=date(2010, 12, 1),
)
SLIP = PackingSlipContent(
    order_number="536365",
    sender=SENDER,
    recipient=ADA,
    lines=(SlipLine("85123A", "WHITE HANGING HEART T-LIGHT HOLDER", 6), SlipLine("71053", "WHITE METAL LANTERN", 8)),
    tracking_number="CA473124829GB",
    ordered_on=date(2010, 12, 1),
)


def texts(pdf: bytes) -> list[str]:
    """The text of each page."""
    return [page.extract_text() for page in PdfReader(BytesIO(pdf)).pages]


def size_mm(pdf: bytes) -> tuple[int, int]:
    box = PdfReader(BytesIO(pdf)).pages[0].mediabox
    return round(float(box.width) * 25.4 / 72), round(float(box.height) * 25.4 / 72)


# Labels


def test_a_label_is_one_page_of_the_usual_size_with_everything_on_it() -> None:
    pdf = label_pdf(LABEL)
    [text] = texts(pdf)
    assert size_mm(pdf) == (100, 150)
    for piece in (*SENDER, *ADA, "SANDPOST", "STANDARD", "536365", "1 of 2", "1.25 kg", "2010-12-01"):
        assert piece in text
    assert "CA 4731 2482 9 GB" in text


def test_a_label_without_an_address_says_where_it_is() -> None:
    [text] = texts(label_pdf(replace(LABEL, recipient=())))
    assert "ADDRESS ON FILE" in text


def test_letters_of_the_world_are_shown() -> None:
    names = ("Łukasz Żółć", "Σωκράτης", "Ольга Щукина", "Nguyễn Thị Ánh")
    [text] = texts(label_pdf(replace(LABEL, recipient=names)))
    assert all(name in text for name in names)


def test_what_the_font_lacks_is_spelled_in_latin_letters() -> None:
    [text] = texts(label_pdf(replace(LABEL, recipient=("北京 张伟", "さくら", "محمد", "😀"))))
    assert "Bei Jing Zhang Wei" in text
    assert "sa ku ra" in text
    assert "mhmd" in text
    assert ":grinning:" in text


@pytest.mark.parametrize(
    "content",
    [
        replace(LABEL, recipient=tuple(200 * letter for letter in "XWMxéж東 ")),
        replace(LABEL, recipient=("\x00\t\n", "", " ", "\u202e\u200b\ufeff", "\ud7ff\U0010ffff")),
        replace(LABEL, sender=(), recipient=("x",) * 40),
        replace(LABEL, order_number="9" * 100, carrier="C" * 100, service="S" * 100, weight_g=10**9),
        replace(LABEL, tracking_number="1Z" + "9" * 98, ship_on=None, weight_g=None),
        replace(LABEL, tracking_number="日本-1"),
    ],
)
def test_nothing_is_too_long_or_too_strange_for_a_label(content: LabelContent) -> None:
    pdf = label_pdf(content)
    assert len(texts(pdf)) == 1
    assert len(pdf) < 100_000


# Packing slips


def test_a_packing_slip_lists_what_is_in_the_parcel() -> None:
    pdf = packing_slip_pdf(SLIP)
    [text] = texts(pdf)
    assert size_mm(pdf) == (210, 297)
    for piece in (*SENDER, *ADA, "85123A", "WHITE HANGING HEART T-LIGHT HOLDER", "71053", "2 lines, 14 units"):
        assert piece in text
    assert "Page 1 of 1" in text


def test_a_long_order_fills_pages_and_loses_no_line() -> None:
    lines = tuple(SlipLine(f"SKU-{n:04d}", "SET OF 3 CAKE TINS " * (n % 5 + 1), n) for n in range(1, 251))
    pages = texts(packing_slip_pdf(replace(SLIP, lines=lines)))
    assert len(pages) > 5
    for number, text in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in text
        assert "DESCRIPTION" in text
    whole = "\n".join(pages)
    assert [whole.count(line.sku) for line in lines] == [1] * 250
    assert f"250 lines, {sum(range(251)):,} units" in pages[-1]


def test_an_empty_slip_and_strange_descriptions_are_drawn() -> None:
    assert "0 lines, 0 units" in texts(packing_slip_pdf(replace(SLIP, lines=(), recipient=())))[0]
    strange = (SlipLine("A" * 40, "", 1), SlipLine("B", "x" * 200, 10_000_000), SlipLine("C", "\x00東京\n", 1))
    [text] = texts(packing_slip_pdf(replace(SLIP, lines=strange, order_number="n°" * 50)))
    assert "10,000,000" in text
    assert "Dong Jing" in text


# Both


_DIGESTS = """
import hashlib
from tests.unit.test_papers import LABEL, SLIP, label_pdf, packing_slip_pdf
for pdf in (label_pdf(LABEL), packing_slip_pdf(SLIP), label_pdf(LABEL)):
    print(hashlib.sha256(pdf).hexdigest())
"""


def test_the_same_content_gives_the_same_bytes_in_every_process() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", _DIGESTS],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert runs[0][0] == runs[0][2]


def test_fonts_travel_with_the_file_and_the_buyer_is_not_in_its_properties() -> None:
    for pdf in (label_pdf(LABEL), packing_slip_pdf(SLIP)):
        reader = PdfReader(BytesIO(pdf))
        assert b"/FontFile2" in pdf
        assert reader.metadata is not None
        assert "Ada" not in str(dict(reader.metadata))
        assert reader.metadata.author == "Waybill"


def test_a_font_that_is_none_is_reported(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.ttf"
    garbage.write_bytes(b"no font")
    for font in (garbage, tmp_path / "absent.ttf"):
        with pytest.raises(ValueError, match="no TrueType font"):
            label_pdf(LABEL, extra_font=font)


def test_papers_cost_nothing_until_one_is_drawn() -> None:
    check = "import sys, services.shipping.papers; assert not {'reportlab', 'anyascii'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True)


# Lettering

LATIN = frozenset(range(0x20, 0x17F))
HAN = frozenset(map(ord, "北京東"))


def spelled(text: str, extra: frozenset[int] = frozenset()) -> list[Run]:
    return lettering(text, LATIN, extra, anyascii)


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("plain", [Run("plain", False)]),
        ("", []),
        ("Cafe\u0301", [Run("Café", False)]),
        ("two\n lines\t", [Run("two lines ", False)]),
        ("Ж!", [Run("Zh!", False)]),
        ("北京, 1", [Run(" Bei Jing , 1", False)]),
        ("\ue000", [Run("?", False)]),
    ],
)
def test_lettering(text: str, runs: list[Run]) -> None:
    assert spelled(text) == runs


def test_a_further_font_keeps_the_original_letters() -> None:
    assert spelled("1 北京 x", HAN) == [Run("1 ", False), Run("北京", True), Run(" x", False)]


def test_letters_that_must_be_joined_are_spelled_whatever_fonts_there_are() -> None:
    assert spelled("محمد", frozenset(map(ord, "محمد"))) == [Run("mhmd", False)]


@given(st.text())
def test_whatever_comes_only_letters_that_the_fonts_have_come_out(text: str) -> None:
    for run in spelled(text, HAN):
        assert set(map(ord, run.text)) <= (HAN if run.is_extra else LATIN)


# Address blocks


@pytest.mark.parametrize(
    ("address", "block"),
    [
        (
            Address(lines=["1 High Street", "Flat 2"], city="Leeds", postal_code="LS1 4AP", country="GB"),
            ("Ada", "1 High Street", "Flat 2", "LEEDS", "LS1 4AP"),
        ),
        (
            Address(lines=["Unter den Linden 1"], city="Berlin", postal_code="10117", country="DE"),
            ("Ada", "Unter den Linden 1", "10117 BERLIN", "GERMANY"),
        ),
        (
            Address(lines=["1 Main St"], city="Springfield", region="IL", postal_code="62701", country="US"),
            ("Ada", "1 Main St", "SPRINGFIELD, IL 62701", "UNITED STATES"),
        ),
        (Address(lines=["Somewhere"], city="Nowhere", country="XX"), ("Ada", "Somewhere", "Nowhere", "XX")),
    ],
)
def test_addresses_are_written_as_their_country_wants_it(address: Address, block: tuple[str, ...]) -> None:
    assert address_block("Ada", address, from_country="GB") == block
