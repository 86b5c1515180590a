"""The log in PostgreSQL, for several machines. Needs the `postgres` extra.

Every append takes the library's EXCLUSIVE lock on the table, so that positions become visible in order. The library's
"database functions" mode leaves the lock out and loses events to readers who follow the log: never use it.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from eventsourcing.persistence import IntegrityError, PersistenceError, StoredEvent, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresProcessRecorder
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, TupleRow, dict_row, tuple_row
from psycopg.sql import SQL, Composed, Identifier

from events.recorders.port import Batch, Row, StoredRow
from events.store_errors import AlreadyTracked, CommitOutcomeUnknown, StoreUnavailable

# How long to wait for a connection, and for another process's append: a batch takes milliseconds.
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 10
# A process that was stopped in the middle of an append holds the lock: the server ends its transaction after so long.
_IDLE_IN_TRANSACTION_S = 5
_MAX_CONNECTIONS = 16

# Any number of this project's processes may make the tables at the same moment; this lock lets one do it.
_TABLES_LOCK = 0x5741_5942_494C_4C00

_Connection = psycopg.Connection[DictRow]


def open_postgres(url: str) -> PostgresRecorder:
    """The recorder behind a URL as libpq reads it. Raises StoreUnavailable if there is nobody, or no such database."""
    try:
        # The pool would try for as long as it is told to, and then not say why it failed.
        psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_S).close()
    except psycopg.Error as error:
        raise StoreUnavailable(f"the event store's database: {error}") from error
    return PostgresRecorder(_datastore(conninfo_to_dict(url)))


def _datastore(params: dict[str, Any]) -> PostgresDatastore:
    datastore = PostgresDatastore(
        dbname="",
        host="",
        port="",
        user="",
        password="",
        connect_timeout=CONNECT_TIMEOUT_S,
        idle_in_transaction_session_timeout=_IDLE_IN_TRANSACTION_S,
        pool_size=1,
        max_overflow=_MAX_CONNECTIONS - 1,
        pre_ping=True,  # after a restart of the server, a dead connection is replaced instead of handed out
        lock_timeout=LOCK_TIMEOUT_S,
        originator_id_type="text",
    )
    # The library knows five parameters, libpq knows forty: give the pool exactly what the URL says.
    datastore.pool.kwargs = {"row_factory": dict_row, **params}
    return datastore


class PostgresRecorder(PostgresProcessRecorder):
    """The library's process recorder behind our port."""

    is_local = False
    is_shared = True

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._appending = threading.Lock()
        with _in_words():
            super().__init__(datastore)
            # The function that appends without the lock is not even made.
            del self.sql_create_statements[self.create_insert_function_statement_index]
            self._make_tables()

    def _make_tables(self) -> None:
        with self.datastore.get_connection() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_TABLES_LOCK,))
            try:
                self.create_table()
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (_TABLES_LOCK,))

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Sequence[int]:
        # One connection at a time for appending: the others would only wait for the table's lock.
        with self._appending, _in_words(), self.datastore.get_connection() as connection:
            with _rolled_back_on_failure(connection):
                positions = self._write(connection, batch)
            self._commit(connection)
            return positions

    def _write(self, connection: _Connection, batch: Batch) -> Sequence[int]:
        self._begin(connection)
        self._track(connection, batch)
        # Under the table's lock the answer stays true; the table's primary key is the fence behind it.
        conflict = batch.conflict(self._versions(connection, batch.expected))
        if conflict:
            raise conflict
        return self._insert(connection, batch.rows) if batch.rows else []

    def _begin(self, connection: _Connection) -> None:
        connection.execute("BEGIN")
        with connection.cursor() as cursor:
            self._lock_table(cursor)

    def _track(self, connection: _Connection, batch: Batch) -> None:
        if batch.tracked is None:
            return
        try:
            with connection.cursor() as cursor:
                self._insert_tracking(cursor, Tracking(*batch.tracked))
        except IntegrityError:
            raise AlreadyTracked(*batch.tracked) from None

    def _insert(self, connection: _Connection, rows: Sequence[Row]) -> list[int]:
        statement = self._sql(
            "INSERT INTO {events} (originator_id, originator_version, topic, state)"
            " SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %b::bytea[]) RETURNING notification_id"
        )
        columns = [list(column) for column in zip(*rows, strict=True)]
        with connection.cursor() as cursor:
            self._notify_channel(cursor)
        return [position for (position,) in _rows(connection, statement, columns)]

    def _commit(self, connection: _Connection) -> None:
        try:
            connection.execute("COMMIT")
        except psycopg.Error as error:
            raise CommitOutcomeUnknown(f"the reply to the commit was lost: {error}") from error

    def settle(self, batch: Batch) -> Sequence[int] | None:
        with self._appending, _in_words(), self.datastore.get_connection() as connection:
            with _rolled_back_on_failure(connection):
                # The lock is the answer's proof: whoever holds it knows that the lost transaction has ended.
                self._begin(connection)
                positions = self._find(connection, batch)
            connection.rollback()
            return positions

    def _find(self, connection: _Connection, batch: Batch) -> list[int] | None:
        if not batch.rows:
            at = self._tracked_positions(connection)
            return [] if batch.tracked and at.get(batch.tracked.consumer) == batch.tracked.position else None
        statement = self._sql(
            "SELECT notification_id FROM {events}"
            " WHERE originator_id = %s AND originator_version = %s AND topic = %s AND state = %s"
        )
        found = [position for row in batch.rows for (position,) in _rows(connection, statement, row)]
        return found if len(found) == len(batch.rows) else None

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """The library's way in, over our statements. Its own retries an insert that may have been committed."""
        rows = [(str(one.originator_id), one.originator_version, one.topic, one.state) for one in stored_events]
        tracking: Tracking | None = kwargs.get("tracking")
        with self._appending, self.datastore.transaction(commit=True) as cursor:
            self._lock_table(cursor)
            if tracking is not None:
                self._insert_tracking(cursor, tracking)
            return self._insert(cursor.connection, rows) if rows else None

    # --- reading -------------------------------------------------------------------------------------------------

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        where: LiteralString = "notification_id > %s"
        params: list[Any] = [position]
        if topics is not None:
            where += " AND topic = ANY(%s)"
            params.append(list(topics))
        if upto is not None:
            where += " AND notification_id <= %s"
            params.append(upto)
        return self._select(where + " ORDER BY notification_id LIMIT %s", [*params, limit])

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        where: LiteralString = "originator_id = %s AND originator_version > %s"
        return self._select(where + " ORDER BY originator_version", [stream, after_version])

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        where: LiteralString = "originator_id = ANY(%s)"
        return self._select(where + " ORDER BY originator_id, originator_version", [list(streams)])

    def _select(self, where: LiteralString, params: Sequence[Any]) -> list[StoredRow]:
        columns: LiteralString = "notification_id, originator_id, originator_version, topic, state"
        with _in_words(), self.datastore.get_connection() as connection:
            return _rows(connection, self._sql("SELECT " + columns + " FROM {events} WHERE " + where), params)

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        with _in_words(), self.datastore.get_connection() as connection:
            return self._versions(connection, streams)

    def _versions(self, connection: _Connection, streams: Collection[str]) -> dict[str, int]:
        """A sub-select per stream ends at its last version; GROUP BY would visit every one of them."""
        statement = self._sql(
            "SELECT stream, last.version FROM unnest(%s::text[]) AS stream, LATERAL (SELECT originator_version"
            " FROM {events} WHERE originator_id = stream ORDER BY originator_version DESC LIMIT 1) AS last(version)"
        )
        return dict(_rows(connection, statement, [list(streams)]))

    def last_position(self) -> int:
        with _in_words():
            return self.max_notification_id() or 0

    def tracked_positions(self) -> dict[str, int]:
        with _in_words(), self.datastore.get_connection() as connection:
            return self._tracked_positions(connection)

    def _tracked_positions(self, connection: _Connection) -> dict[str, int]:
        statement = self._sql("SELECT application_name, notification_id FROM {tracking} WHERE application_name <> %s")
        return dict(_rows(connection, statement, [self.table_migration_identifier]))

    def close(self) -> None:
        self.datastore.close()

    def _sql(self, statement: LiteralString) -> Composed:
        schema = self.datastore.schema
        return SQL(statement).format(
            events=Identifier(schema, self.events_table_name), tracking=Identifier(schema, self.tracking_table_name)
        )


def _rows(connection: _Connection, statement: Composed, params: Sequence[Any]) -> list[Any]:
    with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        rows: list[TupleRow] = cursor.execute(statement, params).fetchall()
        return rows


@contextmanager
def _rolled_back_on_failure(connection: _Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # A connection that is broken has rolled back on its own, and cannot be told to.
        if not connection.broken:
            connection.rollback()
        raise


@contextmanager
def _in_words() -> Iterator[None]:
    """Turns the database's faults into StoreUnavailable. Faults of ours (wrong SQL) pass through as they are."""
    try:
        yield
    except PersistenceError as error:
        fault = error.__cause__ if isinstance(error.__cause__, psycopg.Error) else error
        if isinstance(fault, psycopg.ProgrammingError | psycopg.IntegrityError):
            raise
        raise StoreUnavailable(f"the event store's database: {_advice(fault)}") from error


def _advice(fault: BaseException) -> str:
    match fault:
        case psycopg.errors.LockNotAvailable():
            return f"another process held the table's lock for more than {LOCK_TIMEOUT_S} s; see what it is doing"
        case psycopg.errors.DiskFull():
            return "its disk is full; free some space"
        case psycopg.errors.ReadOnlySqlTransaction():
            return "it is read-only (a standby?); name the primary"
        case _:
            return str(fault).strip() or type(fault).__name__
