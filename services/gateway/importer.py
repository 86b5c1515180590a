"""Takes files into the log: reads them, appends what they say in batches, and counts every line.

Killed at any moment and run again with the same command it loses nothing and doubles nothing: a batch is one
transaction, each event is the first of a stream whose name follows from the file's content, and what the log has
already is recognized. Counts and rejects files come out as they would have without the interruption.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from pydantic import TypeAdapter, ValidationError

from events.base import Location
from events.store import EventStore
from services.gateway.csv_lines import Record, read_header, read_records
from services.gateway.import_faults import ImportRefused
from services.gateway.import_files import find_files, rejects_names
from services.gateway.import_summary import ImportSummary, Tally
from services.gateway.intake import Intake, IntakeLog, batches
from services.gateway.invoices import InvoiceReader
from services.gateway.online_retail import NAME
from services.gateway.rejects import Reason, Refusal, RejectsFile, refuse

# One transaction's worth: a group commit has paid for itself at 100 orders, and 256 of 25 lines are about 1 MB.
BATCH_INTAKES = 512
# Lines that are read before what they came to is appended: bounds what is held in memory beside open invoices.
STEP_LINES = 4_096


class Reader(Protocol):
    """Makes intakes and refusals of one file's records; the importer empties both lists."""

    intakes: list[Intake]
    refusals: list[Refusal]

    @property
    def held_from(self) -> int:
        """The first line of which the fate is still open; a huge number if there is none."""
        ...

    def feed(self, record: Record) -> None: ...

    def finish(self) -> None:
        """There are no more records: nothing is left open."""
        ...


Format = Callable[[list[str], str], Reader]
"""A reader for a file with this header, of stock at this location. Raises ImportRefused for a header not its own."""

FORMATS: dict[str, Format] = {NAME: InvoiceReader}

Progress = Callable[[int, int, int, int], None]
"""Told now and then: lines done, bytes done, bytes in all, orders so far."""


def checked_files(paths: Sequence[Path], fmt: Format) -> list[Path]:
    """The files that these paths name, each with a header of this format. Raises ImportRefused, and writes nothing."""
    files = find_files(paths)
    for path in files:
        _check(path, fmt)
    return files


def checked_location(location: str) -> str:
    """The location's name. Raises ImportRefused for one that the language cannot say."""
    try:
        return TypeAdapter(Location).validate_python(location)
    except ValidationError:
        raise ImportRefused(
            f"{location!r} is no name of a location: 1 to 32 letters, digits, - and _, the first a letter or digit"
        ) from None


def _check(path: Path, fmt: Format) -> None:
    try:
        with path.open("rb") as file:
            _open(file, fmt, "")
    except ImportRefused as refusal:
        raise ImportRefused(f"{path}: {refusal}") from refusal
    except OSError as error:
        raise ImportRefused(f"{path}: {error.strerror or error}") from error


def _open(file: BinaryIO, fmt: Format, location: str) -> tuple[Iterator[Record], Reader]:
    records = read_records(file)
    return records, fmt(read_header(records), location)


class Importer:
    """Runs imports of one format into one store."""

    def __init__(
        self,
        store: EventStore,
        home: Path,
        fmt: Format,
        opening_stock: int | None,
        location: str,
        pump: Callable[[], object],
        finish: Callable[[], object] | None = None,
    ) -> None:
        """`opening_stock` units of each SKU are received before the first order that names it (None: nothing is).

        `pump` lets the workers catch up. It is called after each 512 orders or so, so that neither the backlog nor
        what the workers hold in memory grows with the files. `finish` is called at the end; without it, `pump`.
        """
        self._rejects = home / "rejects"
        self._format = fmt
        self._location = location
        self._pump = pump
        self._finish = finish or pump
        self._log = IntakeLog(store, opening_stock, location)

    def run(self, paths: Sequence[Path], progress: Progress) -> ImportSummary:
        """Import these files, and the .csv files in these folders, in order of their names.

        Raises ImportRefused before anything is written if one of them is not of this format, ImportInterrupted if the
        disk fails on the way, and what the store and the pump raise.
        """
        started_s = time.monotonic()
        files = checked_files(paths, self._format)
        self._make_rejects_folder()
        run = _Run(progress, bytes_total=sum(path.stat().st_size for path in files))
        for path, rejects_name in zip(files, rejects_names(files), strict=True):
            self._import_file(path, self._rejects / rejects_name, run)
        self._finish()
        return run.tally.summary(files=len(files), seconds=time.monotonic() - started_s)

    def _make_rejects_folder(self) -> None:
        try:
            self._rejects.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImportRefused(f"cannot make the folder {self._rejects}: {error.strerror or error}") from error

    def _import_file(self, path: Path, rejects_path: Path, run: _Run) -> None:
        with path.open("rb") as file, RejectsFile(rejects_path, file) as rejects:
            records, reader = _open(file, self._format, self._location)
            while _feed(reader, records):
                self._take(reader, rejects, run)
                run.report(bytes_in_file=file.tell())
            reader.finish()
            self._take(reader, rejects, run)
            run.report(bytes_in_file=file.tell())
            run.bytes_before += file.tell()

    def _take(self, reader: Reader, rejects: RejectsFile, run: _Run) -> None:
        """Append what the reader has made, and write down what it has refused."""
        intakes, reader.intakes = reader.intakes, []
        refusals, reader.refusals = reader.refusals, []
        for batch in batches(intakes, BATCH_INTAKES):
            taken = self._log.take(batch)
            run.tally.add_taken(taken)
            for intake in taken.conflicting:
                refusals += refuse(intake.lines, Reason.CONFLICTING_INVOICE)
            self._pump_if_due(len(batch), run)
        run.tally.add_refused(refusals)
        rejects.add(refusals, below=reader.held_from)

    def _pump_if_due(self, appended: int, run: _Run) -> None:
        run.unpumped += appended
        if run.unpumped >= BATCH_INTAKES:
            run.unpumped = 0
            self._pump()


class _Run:
    """How far one import has got."""

    def __init__(self, progress: Progress, bytes_total: int) -> None:
        self.tally = Tally()
        self.bytes_before = 0
        self.unpumped = 0
        self._progress = progress
        self._bytes_total = bytes_total

    def report(self, *, bytes_in_file: int) -> None:
        done = self.bytes_before + bytes_in_file
        self._progress(self.tally.lines, done, self._bytes_total, self.tally.orders)


def _feed(reader: Reader, records: Iterator[Record]) -> bool:
    """Give the reader some lines; False if there were none left."""
    last: Record | None = None
    for last in islice(records, STEP_LINES):
        reader.feed(last)
    return last is not None
