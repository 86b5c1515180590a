"""The log in an SQLite file: one writer at a time over all processes, readers never wait for it.

Durability: write-ahead log with `synchronous=FULL`, so that every commit is on the disk before it is acknowledged.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eventsourcing.persistence import IntegrityError, StoredEvent, Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteProcessRecorder

from events.base import Tracked
from events.leadership import Leadership, SoleLeadership
from events.recorders.port import Batch, Row, StoredRow, Tail
from events.recorders.sqlite_file import Connection, Datastore, in_words, is_certainly_not_committed, refuse_unwritable
from events.store_errors import AlreadyTracked, CommitOutcomeUnknown


class SqliteRecorder(SQLiteProcessRecorder):
    """The library's process recorder behind our port."""

    is_local = True
    is_shared = True

    def __init__(self, path: Path) -> None:
        """Opens the file, or makes it. Raises StoreUnavailable in words if that cannot be done."""
        self._path = Path(os.path.abspath(path))
        refuse_unwritable(self._path)
        with in_words(self._path):
            super().__init__(Datastore(self._path))
            self._make_tables()

    def _make_tables(self) -> None:
        # Asking first spares the readers among the commands the wait for the write lock.
        with self._reader() as connection:
            tables = connection.rows("SELECT COUNT(*) FROM sqlite_master WHERE name IN ('stored_events', 'tracking')")
        if tables == [(2,)]:
            return
        try:
            self.create_table()
        except IntegrityError:
            # Another process made them at the same moment: the library's migration marker was there already.
            return

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Sequence[int]:
        with self._writer() as connection:
            try:
                positions = self._write(connection, batch)
            except sqlite3.IntegrityError as error:
                connection.rollback()
                raise batch.lost_race(self._versions(connection, batch.written())) from error
            except BaseException:
                connection.rollback()
                raise
            self._commit(connection)
            return positions

    def _write(self, connection: Connection, batch: Batch) -> Sequence[int]:
        cursor = connection.begin()
        self._track(connection, cursor, batch.tracked)
        # Under the write lock the answer stays true; the table's primary key is the fence behind it.
        conflict = batch.conflict(self._versions(connection, batch.expected))
        if conflict:
            raise conflict
        return self._insert_rows(cursor, batch.rows)

    def _track(self, connection: Connection, cursor: SQLiteCursor, tracked: Tracked | None) -> None:
        if tracked is None:
            return
        found = connection.rows("SELECT notification_id FROM tracking WHERE application_name = ?", (tracked.consumer,))
        if not tracked.follows(found[0][0] if found else 0):
            raise AlreadyTracked(tracked.consumer, tracked.position)
        self._insert_tracking(cursor, Tracking(tracked.consumer, tracked.position))

    def _insert_events(self, c: Any, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """What the library's own `insert_events` calls: the same statements as `append` uses."""
        positions = self._insert_rows(c, [_row(stored) for stored in stored_events])
        tracking: Tracking | None = kwargs.get("tracking")
        if tracking is not None:
            self._insert_tracking(c, tracking)
        return positions

    def _insert_rows(self, c: Any, rows: Sequence[Row]) -> list[int]:
        """One statement for all rows. Each rowid is the greatest before it plus one, and nobody else may write."""
        if not rows:
            return []
        c.executemany(self.insert_events_statement, rows)
        c.execute("SELECT last_insert_rowid()")
        last = int(c.fetchone()[0])
        return list(range(last - len(rows) + 1, last + 1))

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except sqlite3.Error as error:
            connection.rollback()
            if is_certainly_not_committed(error):
                raise
            raise CommitOutcomeUnknown(f"the commit failed: {error}") from error

    def settle(self, batch: Batch) -> Sequence[int] | None:
        with self._writer() as connection:
            try:
                connection.begin()
                positions = self._find(connection, batch)
                # A commit whose fsync failed may lie complete in the write-ahead log, unseen, and be found by the
                # recovery after a crash. Any later commit overwrites it; this one writes a page of its own.
                connection.rows("PRAGMA user_version=1")
                connection.commit()
            except BaseException:
                connection.rollback()
                raise
            return positions

    def _find(self, connection: Connection, batch: Batch) -> list[int] | None:
        if not batch.rows:
            at = dict(connection.rows("SELECT application_name, notification_id FROM tracking"))
            return [] if batch.tracked and at.get(batch.tracked.consumer) == batch.tracked.position else None
        statement = (
            "SELECT rowid FROM stored_events"
            " WHERE originator_id = ? AND originator_version = ? AND topic = ? AND state = ?"
        )
        found = [position for row in batch.rows for (position,) in connection.rows(statement, row)]
        return found if len(found) == len(batch.rows) else None

    # --- reading -------------------------------------------------------------------------------------------------

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        where, params = "rowid > ?", [position, *(topics or ())]
        if topics is not None:
            where += f" AND topic IN ({','.join('?' * len(topics))})"
        if upto is not None:
            where += " AND rowid <= ?"
            params.append(upto)
        return self._select(f"WHERE {where} ORDER BY rowid LIMIT ?", (*params, limit))

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        where = "originator_id = ? AND originator_version > ?"
        return self._select(f"WHERE {where} ORDER BY originator_version", (stream, after_version))

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        # The names as one JSON parameter: the statement stays the same, and is prepared once, for any number of them.
        where = "originator_id IN (SELECT value FROM json_each(?))"
        return self._select(f"WHERE {where} ORDER BY originator_id, originator_version", (json.dumps(list(streams)),))

    def _select(self, rest: str, params: Sequence[Any]) -> list[StoredRow]:
        columns = "rowid, originator_id, originator_version, topic, state"
        with self._reader() as connection:
            return connection.rows(f"SELECT {columns} FROM stored_events {rest}", params)

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        with self._reader() as connection:
            return self._versions(connection, streams)

    def _versions(self, connection: Connection, streams: Collection[str]) -> dict[str, int]:
        """3 us per stream: each sub-select ends at its last version, where GROUP BY would visit all of them."""
        statement = (
            "SELECT value, (SELECT MAX(originator_version) FROM stored_events WHERE originator_id = value)"
            " FROM json_each(?)"
        )
        found = connection.rows(statement, (json.dumps(list(streams)),))
        return {stream: version for stream, version in found if version}

    def last_position(self) -> int:
        with self._reader() as connection:
            return int(connection.rows("SELECT MAX(rowid) FROM stored_events")[0][0] or 0)

    def verify(self, seen: Tail) -> Tail:
        raise AssertionError("a file that is open does not go back")

    def hear(self, on_news: Callable[[], None]) -> bool:
        return False  # SQLite tells nobody: look

    def leadership(self, name: str) -> Leadership:
        return SoleLeadership()

    def tracked_positions(self) -> dict[str, int]:
        statement = "SELECT application_name, notification_id FROM tracking WHERE application_name <> ?"
        with self._reader() as connection:
            return dict(connection.rows(statement, (self.table_migration_identifier,)))

    def close(self) -> None:
        self.datastore.close()

    @contextmanager
    def _reader(self) -> Iterator[Connection]:
        with in_words(self._path), self.datastore.get_connection(commit=False) as connection:
            assert isinstance(connection, Connection)
            yield connection

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        with in_words(self._path), self.datastore.get_connection(commit=True) as connection:
            assert isinstance(connection, Connection)
            yield connection


def _row(stored: StoredEvent) -> Row:
    return str(stored.originator_id), stored.originator_version, stored.topic, stored.state
