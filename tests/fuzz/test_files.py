"""Any file: every line of it ends as part of an event or as a reason, once, and a second import adds nothing."""

from __future__ import annotations

import csv
import io
import tempfile
from io import BytesIO
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from events.base import Recorded
from events.gateway import StockReceiptReported
from events.order import OrderPlaced
from events.store import EventStore, open_store
from services.audit.verify import verify
from services.gateway.csv_lines import MAX_RECORD_BYTES, read_records
from services.gateway.import_faults import ImportRefused
from services.gateway.import_summary import ImportSummary
from services.gateway.importer import FORMATS, Importer, checked_location
from services.gateway.online_retail import COLUMNS, Columns, Line, read_line
from tests.fuzz.budget import looking_at
from tests.fuzz.spoil import bytestrings

HEADER = ",".join(COLUMNS)
RIGHT = [
    '536365,85123A,"HEART, WHITE",6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom',
    "536365,71053,LANTERN,2,2010-12-01 08:28:00,3.39,17850.0,United Kingdom",
    "536366,POST,POSTAGE,1,2010-12-01 08:28:00,18,12583.0,France",
    "536366,22728,ALARM CLOCK,24,2010-12-01 08:45:00,3.75,12583.0,France",
    "536367,D,Discount,-1,2010-12-01 09:41:00,27.5,,EIRE",
    "536367,22728,ALARM CLOCK,1,2010-12-01 09:41:00,100.0,,EIRE",
    "536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom",
    "C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom",
]
LINES = st.sampled_from(RIGHT).map(str.encode)
FILES = st.lists(LINES | LINES.flatmap(bytestrings), max_size=12).map(
    lambda lines: b"\n".join([HEADER.encode(), *lines, b""])
)


# --- records ---------------------------------------------------------------------------------------------------------


@looking_at(150)
@given(data=FILES.flatmap(bytestrings))
def test_records_cover_the_file_in_order_and_are_as_large_as_they_say(data: bytes) -> None:
    at = 0
    for record in read_records(BytesIO(data)):
        assert at <= record.offset
        assert not data[at : record.offset].strip(b" \t\n\r\x0b\x0c").removeprefix(b"\xef\xbb\xbf")
        at = record.offset + record.size
        assert (record.refused is None) == bool(record.fields)
        assert record.refused or data[record.offset : at] == record.raw
        assert record.size <= MAX_RECORD_BYTES or record.refused
    assert not data[at:].strip()


# In upper case an old s is an S, the code of a kind of charge, and a ligature is two letters.
@looking_at(300)
@example(raw=RIGHT[0].replace("85123A", "\N{LATIN SMALL LETTER LONG S}").encode())
@example(raw=RIGHT[0].replace("85123A", "\N{LATIN SMALL LIGATURE FF}1").encode())
@example(raw=RIGHT[0].replace(",6,", ",\N{FULLWIDTH DIGIT SIX},").encode())
@given(raw=LINES.flatmap(bytestrings))
def test_what_is_read_of_a_line_is_what_it_says(raw: bytes) -> None:
    columns = Columns(list(COLUMNS))
    for record in read_records(BytesIO(raw)):
        line = read_line(record, columns)
        if isinstance(line, Line):
            _, code, _, quantity, _, price, _, _ = (field.strip() for field in record.fields)
            assert code.isascii()
            assert line.article.sku == code.upper()
            assert (str(line.quantity), line.quantity != 0) == (str(int(quantity)), True)
            assert line.price.micros == round(float(price) * 1e6)


# --- imports ---------------------------------------------------------------------------------------------------------


def take_in(store: EventStore, home: Path, files: list[Path]) -> ImportSummary:
    return Importer(store, home, FORMATS["online-retail"], 1_000, "main", lambda: None).run(files, lambda *_: None)


def log_of(store: EventStore) -> list[Recorded]:
    return store.read_after(0, limit=100_000)


@looking_at(120)
@example(contents=[b"", b"no header\n"])
@example(contents=[f"{HEADER}\n{RIGHT[0]}\n".encode(), f"{HEADER}\n{RIGHT[0].replace('6,2010', '7,2010')}\n".encode()])
@given(contents=st.lists(FILES | FILES.flatmap(bytestrings) | st.binary(max_size=60), min_size=1, max_size=3))
def test_any_files_are_accounted_for_and_taken_in_once(contents: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home, store = Path(folder) / "home", open_store("memory:")
        files = [Path(folder) / f"{number}.csv" for number in range(len(contents))]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        try:
            first = take_in(store, home, files)
        except ImportRefused:
            assert (log_of(store), home.exists()) == ([], False)
            return
        assert_accounted(first, contents, home)
        log, rejects = log_of(store), rejects_of(home)
        again = take_in(store, home, files)
        assert (log_of(store), rejects_of(home)) == (log, rejects)
        assert (again.new_orders, again.already_imported) == (0, first.orders)
        assert (again.lines_read, again.rejected, again.gross) == (first.lines_read, first.rejected, first.gross)
        verdict = verify(store)
        assert verdict.ok, verdict.violations


def assert_accounted(summary: ImportSummary, contents: list[bytes], home: Path) -> None:
    """Every line has one fate, and every rejected one its row."""
    fates = summary.goods_lines + summary.charge_lines + summary.adjustment_lines + sum(summary.rejected.values())
    there = sum(sum(1 for _ in read_records(BytesIO(content))) - 1 for content in contents)
    assert summary.lines_read == fates == there
    rows = [row for text in rejects_of(home).values() for row in list(csv.reader(io.StringIO(text.decode())))[1:]]
    assert len(rows) == sum(summary.rejected.values())


def rejects_of(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (home / "rejects").iterdir()}


@looking_at(60)
@given(content=FILES)
def test_what_is_taken_in_is_worth_what_the_file_says(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, store = Path(folder) / "day.csv", open_store("memory:")
        file.write_bytes(content)
        summary = take_in(store, Path(folder) / "home", [file])
        placed = [one.event for one in log_of(store) if isinstance(one.event, OrderPlaced)]
        assert summary.orders == len({order.order_id for order in placed})
        assert summary.units == sum(line.quantity for order in placed for line in order.lines)
        assert all(order.total_minor >= 0 and order.lines for order in placed)


@looking_at(60)
@example(location="a b")
@example(location="")
@given(location=st.text(max_size=40))
def test_a_location_is_known_or_refused_before_a_home_is_made(location: str) -> None:
    try:
        assert checked_location(location) == location
    except ImportRefused as refused:
        assert "location" in str(refused)  # noqa: PT017
    else:
        StockReceiptReported(reference="opening", lines={location: {"A": 1}})  # raises what it cannot say
