"""Comma-separated text as records, one at a time, whatever the bytes are: memory is bounded by one record.

The rules are those of RFC 4180: fields may be quoted, and a quoted field may hold commas, doubled quotes and line
breaks. A record is counted under the physical line on which it begins. Blank lines are skipped, as CSV readers do.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from services.gateway.import_faults import ImportInterrupted, ImportRefused
from services.gateway.rejects import Reason

# Real lines have about 100 bytes. A field of text may be long, but not that long.
MAX_RECORD_BYTES = 64 * 1024

_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """One record: the physical line it begins on (from 1), its place in the file in bytes, and its fields.

    A record that is no CSV has no fields but a reason why.
    """

    line: int
    offset: int
    size: int
    fields: list[str]
    refused: Reason | None
    raw: bytes


_Line = tuple[int, int, int, bytes]
"""A physical line: number, offset, size, and its bytes with the line break (none if the line is too long)."""


def read_records(file: BinaryIO) -> Iterator[Record]:
    """Every record of the file, from its start. Raises ImportInterrupted if it cannot be read on."""
    lines = _physical_lines(file)
    put_back: deque[_Line] = deque()
    while line := put_back.popleft() if put_back else next(lines, None):
        number, offset, size, raw = line
        if raw.isspace():
            continue
        if not raw:
            yield Record(number, offset, size, [], Reason.LINE_TOO_LONG, raw)
        elif b"\0" in raw:
            yield Record(number, offset, size, [], Reason.NOT_TEXT, raw)
        elif b'"' in raw:
            yield _quoted(line, lines, put_back)
        else:
            try:
                yield Record(number, offset, size, raw.decode().split(","), None, raw)
            except UnicodeDecodeError:
                yield Record(number, offset, size, [], Reason.NOT_UTF8, raw)


def read_header(records: Iterator[Record]) -> list[str]:
    """The column names in the first line. Raises ImportRefused if there is none."""
    first = next(records, None)
    if first is None:
        raise ImportRefused("the file is empty: it has not even a header line")
    if first.refused is not None:
        raise ImportRefused(f"the first line is not a header of column names in UTF-8 ({first.refused.value})")
    return [field.strip() for field in first.fields]


def _physical_lines(file: BinaryIO) -> Iterator[_Line]:
    number = 0
    try:
        offset = len(_BOM) if file.read(len(_BOM)) == _BOM else 0
        file.seek(offset)
        while raw := file.readline(MAX_RECORD_BYTES + 1):
            number += 1
            size = len(raw)
            if size > MAX_RECORD_BYTES and not raw.endswith(b"\n"):
                raw = b""
                size += _skip_line(file)
            yield number, offset, size, raw
            offset += size
    except OSError as error:
        raise ImportInterrupted(file.name, error) from error


def _skip_line(file: BinaryIO) -> int:
    """Read to the end of the line without holding it; the number of bytes."""
    skipped = 0
    while part := file.readline(MAX_RECORD_BYTES):
        skipped += len(part)
        if part.endswith(b"\n"):
            break
    return skipped


def _quoted(first: _Line, lines: Iterator[_Line], put_back: deque[_Line]) -> Record:
    """The record that begins on this line; what it took of the following lines if it cannot be closed is put back."""
    feed = _Feed(first, lines, put_back)
    number, offset, size, raw = first
    try:
        fields = next(csv.reader(feed, strict=True))
    except UnicodeDecodeError:
        refused = Reason.NOT_UTF8 if len(feed.taken) == 1 else Reason.UNCLOSED_QUOTE
    except csv.Error:
        refused = Reason.UNCLOSED_QUOTE if feed.exhausted else Reason.NOT_CSV
    else:
        raw = b"".join(line[-1] for line in feed.taken)
        return Record(number, offset, len(raw), fields, None, raw)
    put_back.extendleft(reversed(feed.taken[1:]))
    return Record(number, offset, size, [], refused, raw)


class _Feed:
    """Physical lines as text for the CSV parser, which pulls as many as the record has."""

    def __init__(self, first: _Line, lines: Iterator[_Line], put_back: deque[_Line]) -> None:
        self.taken: list[_Line] = []
        self.exhausted = False
        self._next: _Line | None = first
        self._lines = lines
        self._put_back = put_back
        self._room_bytes = MAX_RECORD_BYTES + 1

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        line = self._next or (self._put_back.popleft() if self._put_back else next(self._lines, None))
        self._next = None
        if line is None:
            self.exhausted = True
            raise StopIteration
        _, _, size, raw = line
        if size > self._room_bytes:
            self._put_back.appendleft(line)
            self.exhausted = True
            raise StopIteration
        self._room_bytes -= size
        self.taken.append(line)
        return raw.decode()
