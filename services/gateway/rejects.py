"""Lines of an imported file that were not taken: why, and the file that lists them.

Every line of an imported file ends as part of an event, or as one row of `<home>/rejects/<file name>.rejects.csv`:
line number, reason, a sentence, and the line as it stood in the file.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple, Protocol

from services.gateway.import_faults import ImportInterrupted

# A line that is too long is quoted only so far in the rejects file: enough to recognize it, in bytes.
QUOTED_BYTES = 1_000


class Reason(StrEnum):
    """Why a line was not taken: the word for machines."""

    LINE_TOO_LONG = "line_too_long"
    NOT_UTF8 = "not_utf8"
    NOT_TEXT = "not_text"
    NOT_CSV = "not_csv"
    UNCLOSED_QUOTE = "unclosed_quote"
    WRONG_FIELD_COUNT = "wrong_field_count"
    BAD_INVOICE_NUMBER = "bad_invoice_number"
    BAD_STOCK_CODE = "bad_stock_code"
    BAD_QUANTITY = "bad_quantity"
    BAD_DATE = "bad_date"
    BAD_PRICE = "bad_price"
    BAD_CUSTOMER = "bad_customer"
    UNKNOWN_COUNTRY = "unknown_country"
    NEGATIVE_QUANTITY = "negative_quantity"
    AMOUNT_TOO_LARGE = "amount_too_large"
    CANCELLATION = "cancellation_not_yet_supported"
    BAD_DEBT = "bad_debt"
    MIXED_INVOICE = "mixed_invoice"
    TOO_MANY_LINES = "too_many_lines"
    NO_GOODS = "no_goods"
    NEGATIVE_TOTAL = "negative_total"
    CONFLICTING_INVOICE = "conflicting_invoice"


SENTENCES: dict[Reason, str] = {
    Reason.LINE_TOO_LONG: "The line is longer than 64 KiB; only its beginning is quoted here.",
    Reason.NOT_UTF8: "The line is not UTF-8 text; bytes that could not be read are quoted as \\xNN.",
    Reason.NOT_TEXT: "The line contains NUL bytes: this is not text.",
    Reason.NOT_CSV: "The quotes of this line do not follow the rules of CSV.",
    Reason.UNCLOSED_QUOTE: "A quoted field begins on this line and does not end within 64 KiB or the file.",
    Reason.WRONG_FIELD_COUNT: "The line has more or fewer fields than the header.",
    Reason.BAD_INVOICE_NUMBER: "The invoice number is not 1 to 12 digits, with at most a letter C or A before them.",
    Reason.BAD_STOCK_CODE: "The stock code is not 1 to 40 letters, digits and . _ / - characters.",
    Reason.BAD_QUANTITY: "The quantity is not a whole number between 1 and 10,000,000, or minus that.",
    Reason.BAD_DATE: "The date is not like 2010-12-01 08:26:00, or not between the years 1980 and 2100.",
    Reason.BAD_PRICE: "The unit price is not a plain decimal without a sign, of at most 12 digits and 6 decimals.",
    Reason.BAD_CUSTOMER: "The customer is not a number such as 17850.0, and not empty.",
    Reason.UNKNOWN_COUNTRY: "The country's name is not one that this format knows.",
    Reason.NEGATIVE_QUANTITY: "Goods with a negative quantity and a price, on an invoice that is not a cancellation.",
    Reason.AMOUNT_TOO_LARGE: "The amount of the line, or of its invoice, is beyond what can be real.",
    Reason.CANCELLATION: "The invoice is a cancellation (C...): taking these in is not supported yet.",
    Reason.BAD_DEBT: "The invoice is a bad-debt booking (A...), not an order.",
    Reason.MIXED_INVOICE: "The customer or the country differs from the first line of the same invoice.",
    Reason.TOO_MANY_LINES: "The invoice has more than 2,000 lines.",
    Reason.NO_GOODS: "The invoice has charges only and no goods: nothing to ship.",
    Reason.NEGATIVE_TOTAL: "The invoice's discounts are larger than its goods: nothing to pay.",
    Reason.CONFLICTING_INVOICE: "This invoice number was taken in before with another content; the first one counts.",
}


class Refusal(NamedTuple):
    """One line that was not taken: its number, where its bytes are in the file, and why."""

    line: int
    offset: int
    size: int
    reason: Reason


class Placed(Protocol):
    """Whatever knows the line of the file that it came from."""

    @property
    def line(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def size(self) -> int: ...


def refuse(lines: Iterable[Placed], reason: Reason) -> list[Refusal]:
    return [Refusal(line.line, line.offset, line.size, reason) for line in lines]


class RejectsFile:
    """Writes one file's rejects, in order of line number; it appears under its name only when it is complete.

    A context manager: left by an exception, it leaves behind what was there before. No rejects: no file. The same
    source gives the same bytes. Raises ImportInterrupted if the disk refuses.
    """

    def __init__(self, path: Path, source: BinaryIO) -> None:
        """`source` is the file being imported: refused lines are read from it once more, not kept in memory."""
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._source_fd = source.fileno()
        self._waiting: list[Refusal] = []
        self._file: IO[str] | None = None
        self._writer: Any = None

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._guarded(self._finish)
        else:
            self._abandon()

    def add(self, refusals: list[Refusal], *, below: int) -> None:
        """Take these in, and write everything about lines before line number `below`: no more of those will come."""
        self._waiting = sorted([*self._waiting, *refusals])
        count = sum(refusal.line < below for refusal in self._waiting)
        self._guarded(lambda: self._write(self._waiting[:count]))
        del self._waiting[:count]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            self._abandon()
            raise ImportInterrupted(self._path, error) from error

    def _write(self, refusals: Sequence[Refusal]) -> None:
        if refusals and self._file is None:
            self._file = self._part.open("w", encoding="utf-8", newline="")
            self._writer = csv.writer(self._file, lineterminator="\n")
            self._writer.writerow(["line", "reason", "sentence", "original"])
        for refusal in refusals:
            reason = refusal.reason
            self._writer.writerow([refusal.line, reason.value, SENTENCES[reason], self._original(refusal)])

    def _original(self, refusal: Refusal) -> str:
        cut = refusal.reason is Reason.LINE_TOO_LONG
        raw = os.pread(self._source_fd, QUOTED_BYTES if cut else refusal.size, refusal.offset)
        return raw.decode("utf-8", "backslashreplace").rstrip("\r\n") + ("…" if cut else "")

    def _finish(self) -> None:
        self._write(self._waiting)
        if self._file is None:
            self._path.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
            return
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self._path)

    def _abandon(self) -> None:
        """Take back what was begun. The disk may refuse that as well: then the part stays until the next import."""
        with suppress(OSError):
            if self._file is not None:
                self._file.close()
            self._part.unlink(missing_ok=True)
