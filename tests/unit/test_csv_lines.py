"""Records out of bytes: the rules of CSV, and what is done with what follows none."""

from __future__ import annotations

import csv
import io
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.csv_lines import MAX_RECORD_BYTES, Record, read_header, read_records
from services.gateway.import_faults import ImportRefused
from services.gateway.rejects import Reason


def records(data: bytes) -> list[Record]:
    return list(read_records(BytesIO(data)))


def seen(data: bytes) -> list[tuple[int, list[str] | str]]:
    """Line number, and the fields without the last one's line break, or the reason."""
    return [
        (record.line, record.refused.value if record.refused else [field.rstrip("\r\n") for field in record.fields])
        for record in records(data)
    ]


def test_lines_become_fields() -> None:
    assert seen(b"a,b\n1,2\r\n,\n") == [(1, ["a", "b"]), (2, ["1", "2"]), (3, ["", ""])]


def test_a_byte_order_mark_is_not_part_of_the_text() -> None:
    assert seen(b"\xef\xbb\xbfa,b\n") == [(1, ["a", "b"])]


def test_the_last_line_needs_no_line_break() -> None:
    assert seen(b"a\nb") == [(1, ["a"]), (2, ["b"])]


def test_blank_lines_are_counted_but_no_records() -> None:
    assert seen(b"\na\n \r\n\nb\n") == [(2, ["a"]), (5, ["b"])]


def test_quoted_fields_hold_commas_quotes_and_line_breaks() -> None:
    data = b'x,"a, b"\n"7"" SINGLE",y\n"one\ntwo\n",z\nlast\n'
    assert seen(data) == [(1, ["x", "a, b"]), (2, ['7" SINGLE', "y"]), (3, ["one\ntwo", "z"]), (6, ["last"])]


def test_a_quote_inside_an_unquoted_field_is_text() -> None:
    assert seen(b'RECORD 7" SINGLE,1\nnext,2\n') == [(1, ['RECORD 7" SINGLE', "1"]), (2, ["next", "2"])]


def test_text_behind_a_closing_quote_is_no_csv() -> None:
    assert seen(b'"a"b,c\nnext\n') == [(1, "not_csv"), (2, ["next"])]


def test_an_unclosed_quote_costs_its_own_line_only() -> None:
    assert seen(b'"a,b\nc,d\ne\n') == [(1, "unclosed_quote"), (2, ["c", "d"]), (3, ["e"])]


def test_an_unclosed_quote_does_not_swallow_more_than_a_record_may_hold() -> None:
    filler = b"x" * 60 + b"\n"
    count = 2 * MAX_RECORD_BYTES // len(filler)
    found = seen(b'"open\n' + filler * count)
    assert found[0] == (1, "unclosed_quote")
    assert [number for number, _ in found] == list(range(1, count + 2))


def test_lines_put_back_are_read_by_the_rules_again() -> None:
    """The quote on line 1 is closed on line 3 by what follows no rule: lines 2 and 3 get their own chance."""
    assert seen(b'"a\n\nb"c\n"d",e\n') == [(1, "not_csv"), (3, ['b"c']), (4, ["d", "e"])]


def test_bytes_that_are_not_utf8_are_refused_line_by_line() -> None:
    assert seen(b"ok\n\xa320\nok\n") == [(1, ["ok"]), (2, "not_utf8"), (3, ["ok"])]
    assert seen(b'"\xa3"\n"open\n\xa3"\n') == [(1, "not_utf8"), (2, "unclosed_quote"), (3, "not_utf8")]


def test_nul_bytes_are_no_text() -> None:
    assert seen(b"a\0b,c\n\0\0\0") == [(1, "not_text"), (2, "not_text")]


@pytest.mark.parametrize(("extra", "refused"), [(0, None), (1, Reason.LINE_TOO_LONG), (70_000, Reason.LINE_TOO_LONG)])
def test_a_line_may_have_64_kib(extra: int, refused: Reason | None) -> None:
    line = b"x" * (MAX_RECORD_BYTES + extra)
    first, second = records(line + b"\nnext\n")
    assert (first.refused, first.size) == (refused, len(line) + 1)
    assert (second.line, second.offset, second.fields) == (2, len(line) + 1, ["next\n"])


def test_a_line_that_is_too_long_may_end_the_file() -> None:
    assert seen(b"x" * 200_000) == [(1, "line_too_long")]


def test_places_are_those_of_the_bytes() -> None:
    data = b'\xef\xbb\xbfa,b\n\n"one\ntwo",x\nlast'
    places = [data[record.offset : record.offset + record.size] for record in records(data)]
    assert places == [b"a,b\n", b'"one\ntwo",x\n', b"last"]


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfea\0,\0b\0", b"x" * 100_000, b'"open\n'])
def test_a_file_without_a_header_is_refused(data: bytes) -> None:
    with pytest.raises(ImportRefused):
        read_header(read_records(BytesIO(data)))


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2), min_size=1))
def test_what_python_writes_as_csv_is_read_back(rows: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
    assert [record.fields for record in records(text.getvalue().encode())] == rows


@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_the_end_without_losing_a_line(data: bytes) -> None:
    found = records(data)
    assert [record.offset for record in found] == sorted({record.offset for record in found})
    covered = b"".join(data[record.offset : record.offset + record.size] for record in found)
    # Only blank lines and a byte order mark are in no record.
    assert covered.split() == data.removeprefix(b"\xef\xbb\xbf").split()
