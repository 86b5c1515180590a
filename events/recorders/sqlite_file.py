"""An SQLite file as our recorder wants it: its connections, its one writer, and its faults in words."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import ConnectionPoolClosedError, IntegrityError, PersistenceError
from eventsourcing.sqlite import (
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteCursor,
    SQLiteDatastore,
    SQLiteTransaction,
)

from events.store_errors import StoreUnavailable

# How long a writer waits for another process's transaction: a batch takes milliseconds, a checkpoint under a second.
LOCK_TIMEOUT_S = 10

# A checkpoint per 16 MB of write-ahead log: 1,000 pages (the default) cost 15 us per event, 4,000 cost 12, and 10,000
# no less, but pauses twice as long.
PRAGMAS = ("synchronous=FULL", "wal_autocheckpoint=4000")
# Streams have random names, so that inserts touch the whole index: keep 64 MB of it (about a million events) at hand.
# The readers' connections keep SQLite's 2 MB: they scan, and the system's page cache serves them.
WRITER_CACHE_KIB = 64 * 1024
_MAX_READERS = 16


class Connection(SQLiteConnection):
    """A connection whose writing transactions take the write lock at once, so that none fails half-way."""

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        with _Transaction(self, commit=commit) as cursor, cursor:
            yield cursor

    def begin(self) -> SQLiteCursor:
        cursor = self.cursor()
        cursor.execute("BEGIN IMMEDIATE")
        return cursor

    def rows(self, statement: str, params: Sequence[Any] = ()) -> list[Any]:
        """What the statement selects, as plain tuples: the library's named rows cost as much again as the reading."""
        cursor = self._sqlite_conn.cursor()
        cursor.row_factory = None
        return cursor.execute(statement, params).fetchall()


class _Transaction(SQLiteTransaction):
    connection: Connection

    def __enter__(self) -> SQLiteCursor:
        return self.connection.begin() if self.commit else super().__enter__()


class _Pool(SQLiteConnectionPool):
    def _create_connection(self) -> Connection:
        connection = sqlite3.connect(
            self.db_name, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False, cached_statements=64
        )
        try:
            _use_write_ahead_log(connection)
            for pragma in PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error:
            connection.close()
            raise
        connection.row_factory = sqlite3.Row  # the library's own reads go by column name
        return Connection(connection, self.max_age)

    def put_connection(self, conn: SQLiteConnection) -> None:
        with self._put_condition:
            if not self._closed:
                super().put_connection(conn)
                return
            del self._in_use[id(conn)]
            conn.close()

    def close(self) -> None:
        """Leaves a connection in use to its user: to close it under another thread's hands crashes the process."""
        with self._put_condition:
            self._closed = True
            while self._pool:
                self._pool.popleft().close()


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """SQLite does not wait for the lock that this change needs: processes that make a log together would fail here."""
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


class Datastore(SQLiteDatastore):
    """The library's datastore, with one connection kept for writing.

    A connection forgets its page cache when another one commits. The library's pool hands connections out in turn;
    with one writer, the index stays in its cache.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), originator_id_type="text")
        self.pool = _Pool(db_name=str(path), pool_size=_MAX_READERS, max_overflow=_MAX_READERS)
        self._writing = threading.Lock()
        self._writer = self.pool._create_connection()
        self._writer.rows(f"PRAGMA cache_size=-{WRITER_CACHE_KIB}")

    @contextmanager
    def get_connection(self, *, commit: bool) -> Iterator[Connection]:
        if commit:
            with self._writing:
                yield self._writer
            return
        # The pool's own interlocking (`is_writer`) is left alone: it makes readers queue behind a waiting writer.
        reader = self.pool.get_connection()
        assert isinstance(reader, Connection)
        try:
            yield reader
        finally:
            self.pool.put_connection(reader)

    def close(self) -> None:
        writer = getattr(self, "_writer", None)  # absent if opening it failed
        if writer is not None:
            with self._writing:
                writer.close()
        super().close()


# --- faults in words -------------------------------------------------------------------------------------------------

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full; free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written; check its permissions, and whether the disk is mounted read-only",
    sqlite3.SQLITE_BUSY: f"another process held the write lock for more than {LOCK_TIMEOUT_S} s; see what it is doing",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database; name another file",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; check the folder, its permissions and the number of open files",
    sqlite3.SQLITE_IOERR: "the disk failed or is full; check the space and the system's log",
    sqlite3.SQLITE_CORRUPT: "it is damaged; restore it from a backup",
}

# These are raised before the commit's last frame is written. Any other failure of a commit leaves its outcome open.
_BEFORE_THE_COMMIT_FRAME = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_BUSY}


def is_certainly_not_committed(error: sqlite3.Error) -> bool:
    """Whether a COMMIT that failed like this has left nothing behind."""
    return getattr(error, "sqlite_errorcode", None) in _BEFORE_THE_COMMIT_FRAME


@contextmanager
def in_words(path: Path) -> Iterator[None]:
    """Turns the database's faults into StoreUnavailable. Faults of ours (wrong SQL) pass through as they are."""
    try:
        yield
    except ConnectionPoolClosedError:
        raise StoreUnavailable(f"the event store {path} is closed") from None
    except (sqlite3.Error, PersistenceError) as error:
        fault = error.__cause__ if isinstance(error, PersistenceError) and error.__cause__ else error
        if _is_ours(fault):
            raise
        raise StoreUnavailable(f"the event store {path}: {_advice(fault)}") from error


def _is_ours(fault: BaseException) -> bool:
    """Wrong SQL, or a broken invariant. To use a closed connection counts as wrong SQL with Python, not with us."""
    wrong = isinstance(fault, sqlite3.ProgrammingError | sqlite3.IntegrityError | IntegrityError)
    return wrong and "closed database" not in str(fault)


def _advice(fault: BaseException) -> str:
    code = getattr(fault, "sqlite_errorcode", 0)
    return f"{_ADVICE[code & 0xFF]} ({fault})" if code & 0xFF in _ADVICE else str(fault)


def refuse_unwritable(path: Path) -> None:
    """SQLite would say "unable to open database file" to all of these, or notice at the first append."""
    if not path.parent.is_dir():
        raise StoreUnavailable(f"the event store {path}: its folder does not exist; make it first")
    if path.is_dir():
        raise StoreUnavailable(f"the event store {path}: it is a folder; name a file")
    for needed in (path, path.parent):  # the write-ahead log is a second file beside it
        if needed.exists() and not os.access(needed, os.W_OK):
            raise StoreUnavailable(
                f"the event store {path}: {needed} cannot be written; "
                "check its permissions, and whether the disk is mounted read-only"
            )
