"""An append-only file of small records, for the sandboxes that stand in for the outside world.

A sandbox has to remember what it did even if our process is killed in the middle of a call: a real provider is
another machine and would. Each record is one line, written by one `write()` to a file opened with O_APPEND. A killed
process loses nothing that was written; a power cut may, and no sandbox needs to survive one, so there is no fsync.

One process owns a journal, and the kernel lets go of it when that process ends, however it ends: two that wrote to one
file would each be unaware of what the other sold.

Not its job: compaction, money of anyone's. The truth of Waybill is the event store, never this file.

    JournalError
    ├── JournalUnavailable    the file cannot be opened, is another process's or closed, or a record could not be
    │                         written: nothing was recorded
    └── JournalDamaged        a line of the file is not a record, or not one of its owner's
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson


class JournalError(Exception):
    """See the tree in the module's docstring."""


class JournalUnavailable(JournalError):
    """The disk refused."""


class JournalDamaged(JournalError):
    """The file is not what we wrote."""


Shapes = Mapping[str, tuple[type, ...]]
"""What follows a record's first field, by that field. A `float` is a time in seconds since 1970."""

_LATEST_S = 10**11  # the year 5138: further off, and the calendar ends


class Journal:
    """Records in the order they were appended. Without a path nothing is kept: for tests and simulations."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._fd = -1
        self._size_bytes = 0
        if path is not None:
            self._open(path)

    def replay(self) -> Iterator[list[Any]]:
        """Every record written so far, oldest first. Reads the file line by line: its size does not matter."""
        if self._path is None:
            return
        with self._path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield self._parse(number, line)

    def replay_into(self, apply: Callable[[list[Any]], object], shapes: Shapes) -> None:
        """Apply every record. Raises JournalDamaged for one that its owner never wrote."""
        for number, record in enumerate(self.replay(), start=1):
            try:
                _must_have(shapes[record[0]], record[1:])
                apply(record)
            except (LookupError, TypeError, ValueError) as error:
                raise self._damaged(number) from error

    def append(self, record: Sequence[Any]) -> None:
        """Write one record, or raise JournalUnavailable with the file as it was before."""
        if self._path is None:
            return
        if self._fd < 0:
            raise JournalUnavailable(f"{self._path} was closed")
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
        try:
            written = os.write(self._fd, line)
            if written != len(line):
                # A torn line must not stay: the next record would be glued to it.
                os.ftruncate(self._fd, self._size_bytes)
                raise OSError(f"{written} of {len(line)} bytes fitted")
        except OSError as error:
            raise JournalUnavailable(f"cannot write to {self._path}: {error}") from error
        self._size_bytes += written

    def close(self) -> None:
        """Idempotent. Nothing can be appended afterwards."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self._own(path)
            self._size_bytes = _whole_lines_bytes(self._fd)
            os.ftruncate(self._fd, self._size_bytes)
        except OSError as error:
            raise JournalUnavailable(f"cannot open {path}: {error}") from error

    def _own(self, path: Path) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.close()
            raise JournalUnavailable(
                f"another process works with {path}: stop it, or share one sandbox (WAYBILL_PROVIDER_URL, "
                "WAYBILL_CARRIER_URL)"
            ) from None

    def _parse(self, number: int, line: bytes) -> list[Any]:
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise self._damaged(number) from error
        if not isinstance(record, list) or not record:
            raise self._damaged(number)
        return record

    def _damaged(self, number: int) -> JournalDamaged:
        return JournalDamaged(f"{self._path}, line {number}: not a record; move the file away to start anew")


def _must_have(shape: tuple[type, ...], fields: Sequence[Any]) -> None:
    if not (len(shape) == len(fields) and all(map(_is_a, shape, fields))):
        raise ValueError("these are not the fields of such a record")


def _is_a(kind: type, field: object) -> bool:
    if kind is float:
        return type(field) in (int, float) and 0 <= field < _LATEST_S  # type: ignore[operator]
    return type(field) is kind


def _whole_lines_bytes(fd: int) -> int:
    """How far the file holds whole lines: a process killed while writing may leave a torn last one."""
    end = os.fstat(fd).st_size
    step = 4096
    while end > 0:
        start = max(0, end - step)
        newline_at = os.pread(fd, end - start, start).rfind(b"\n")
        if newline_at >= 0:
            return start + newline_at + 1
        end = start
    return 0
