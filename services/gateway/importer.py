"""Takes files into the log: finds them, reads them, appends what they say in batches, and counts every line.

Killed at any moment and run again with the same command it loses nothing and doubles nothing: a batch is one
transaction, each event is the first of a stream whose name follows from the file's content, and what the log has
already is recognized. Counts and rejects files come out the same as without the interruption.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from events.store import EventStore
from services.gateway.csv_lines import ImportInterrupted, ImportRefused, Record, read_header, read_records
from services.gateway.intake import IntakeLog, Taken
from services.gateway.invoices import Counts, Intake, InvoiceReader
from services.gateway.online_retail import MICROS, NAME
from services.gateway.rejects import Refusal, RejectsFile

# One transaction's worth: a group commit is paid for by 100 orders already, and 256 of 25 lines are about 2 MB.
BATCH_INTAKES = 256
# Lines between two looks at what is ready, and between two reports of progress.
STEP_LINES = 4_096


class Reader(Protocol):
    """Makes intakes and refusals of records; the importer empties both lists."""

    intakes: list[Intake]
    refusals: list[Refusal]

    @property
    def held_from(self) -> int:
        """The first line of which the fate is still open; a huge number if there is none."""
        ...

    def feed(self, record: Record) -> None: ...

    def finish(self) -> None: ...


Format = Callable[[list[str], str], Reader]
"""A reader for a file with this header, of stock at this location. Raises ImportRefused for a header not its own."""

FORMATS: dict[str, Format] = {NAME: InvoiceReader}

Progress = Callable[[int, int, int, int], None]
"""Told now and then: lines done, bytes done, bytes in all, orders so far."""


@dataclass(frozen=True)
class ImportSummary:
    """What the files came to. `lines_read` is the sum of the four line counts."""

    lines_read: int
    orders: int
    goods_lines: int
    charge_lines: int
    adjustment_lines: int
    rejected: dict[str, int]
    units: int
    gross: str
    seconds: float
    orders_per_s: float
    files: int
    new_orders: int
    already_imported: int

    def as_json(self) -> dict[str, object]:
        return dict(vars(self))


@dataclass
class _Tally:
    """The summary in the making."""

    lines: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    orders: int = 0
    new_orders: int = 0
    already: int = 0
    counts: Counts = Counts()

    def add(self, taken: Taken) -> None:
        for intake, is_new in taken.accepted:
            self.counts = self.counts.plus(intake.counts)
            self.orders += intake.is_order
            self.new_orders += intake.is_order and is_new
            self.already += intake.is_order and not is_new

    def summary(self, files: int, seconds: float) -> ImportSummary:
        goods, charges, adjustments, units, gross_micros = self.counts
        return ImportSummary(
            lines_read=self.lines,
            orders=self.orders,
            goods_lines=goods,
            charge_lines=charges,
            adjustment_lines=adjustments,
            rejected=dict(sorted(self.rejected.items())),
            units=units,
            gross=exact_decimal(gross_micros),
            seconds=round(seconds, 3),
            orders_per_s=round(self.orders / seconds, 1) if seconds else 0.0,
            files=files,
            new_orders=self.new_orders,
            already_imported=self.already,
        )


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
    ) -> None:
        """`opening_stock` units of each SKU are received before the first order that names it (None: nothing is).

        `pump` lets the workers catch up: called after about every 256 orders, so that the backlog stays bounded.
        """
        self._rejects = home / "rejects"
        self._format = fmt
        self._location = location
        self._pump = pump
        self._log = IntakeLog(store, opening_stock, location)

    def run(self, paths: Sequence[Path], progress: Progress) -> ImportSummary:
        """Import these files, and the .csv files in these folders, in order of their names.

        Raises ImportRefused before anything is written if one of them is not of this format, ImportInterrupted if the
        disk fails on the way, and what the store and the pump raise.
        """
        started_s = time.monotonic()
        files = find_files(paths)
        for path in files:
            self._check(path)
        try:
            self._rejects.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ImportRefused(f"cannot make the folder {self._rejects}: {error.strerror}") from error
        run = _Run(files, progress)
        for path, rejects_name in zip(files, _rejects_names(files), strict=True):
            self._import_file(path, self._rejects / rejects_name, run)
        self._pump()
        return run.tally.summary(len(files), time.monotonic() - started_s)

    def _check(self, path: Path) -> None:
        try:
            with path.open("rb") as file:
                self._open(file)
        except ImportRefused as refusal:
            raise ImportRefused(f"{path}: {refusal}") from refusal
        except OSError as error:
            raise ImportRefused(f"{path}: {error.strerror}") from error

    def _open(self, file: BinaryIO) -> tuple[Iterator[Record], Reader]:
        records = read_records(file)
        return records, self._format(read_header(records), self._location)

    def _import_file(self, path: Path, rejects_path: Path, run: _Run) -> None:
        try:
            with path.open("rb") as file, RejectsFile(rejects_path, file) as rejects:
                records, reader = self._open(file)
                for record in records:
                    reader.feed(record)
                    run.tally.lines += 1
                    if run.tally.lines % STEP_LINES == 0 or len(reader.intakes) >= BATCH_INTAKES:
                        self._take(reader, rejects, run)
                        run.report(record.offset + record.size)
                reader.finish()
                self._take(reader, rejects, run)
        except OSError as error:
            raise ImportInterrupted(f"{path}: {error.strerror}; the same command again goes on from here") from error
        run.file_done(path)
