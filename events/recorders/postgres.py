"""The log in PostgreSQL (14 or later), for several machines. Needs the `postgres` extra.

Every append takes the library's EXCLUSIVE lock on the table, so that positions become visible in order. The library's
"database functions" mode leaves the lock out and loses events to readers who follow the log: never use it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any, LiteralString

import psycopg
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresProcessRecorder
from psycopg.rows import TupleRow, tuple_row
from psycopg.sql import SQL, Identifier
from psycopg.types.numeric import Int8

from events.leadership import Leadership
from events.recorders import postgres_statements as sql
from events.recorders.port import NO_TAIL, Batch, StoredRow, Tail
from events.recorders.postgres_connections import Backend, Connection, Datastore, connect, in_words
from events.recorders.postgres_leadership import AdvisoryLeadership
from events.recorders.postgres_listener import Listener
from events.recorders.postgres_schema import migrate
from events.store_errors import AlreadyTracked, CommitOutcomeUnknown, StoreUnavailable, StoreWentBack, VersionConflict

# How long a server may take to end a process of its own whose client has gone.
END_BACKEND_TIMEOUT_S = 5

# After these the connection is gone, and what it was doing may have been done: operator intervention, and its loss.
_CONNECTION_LOST = ("57P", "08")


def open_postgres(url: str) -> PostgresRecorder:
    """The recorder behind a URL as libpq reads it. Raises StoreUnavailable if there is nobody, or no such database."""
    with in_words():
        connect(url).close()
    return PostgresRecorder(url)


class PostgresRecorder(PostgresProcessRecorder):
    """The library's process recorder behind our port."""

    is_local = False
    is_shared = True

    datastore: Datastore

    def __init__(self, url: str) -> None:
        self._url = url
        self._appending = threading.Lock()
        self._lost: list[Backend] = []
        self._listeners: list[Listener] = []
        self._statements: dict[str, bytes] = {}
        with in_words():
            super().__init__(Datastore(url))
            # The function that appends without the lock is not even made.
            del self.sql_create_statements[self.create_insert_function_statement_index]
            migrate(self, self.datastore.connections)

    # --- writing -------------------------------------------------------------------------------------------------

    def append(self, batch: Batch) -> Sequence[int]:
        # One connection at a time for appending: the others would only wait for the table's lock.
        with self._appending, in_words(), self.datastore.connections.connection() as connection:
            try:
                rows = self._append(connection, batch)
            except psycopg.Error as error:
                self._fail(connection, batch, error)
                raise
        return _positions(rows, batch)

    def _append(self, connection: Connection, batch: Batch) -> list[TupleRow]:
        """Everything is sent at once, and the server goes through with it, or with nothing, whatever becomes of us.

        The first failure makes it skip the rest. A refusal by APPEND has written nothing, and commits that.
        """
        with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            with connection.pipeline():
                connection.execute(b"BEGIN")
                connection.execute(self._sql(sql.LOCK))
                cursor.execute(self._sql(sql.APPEND), sql.of_append(batch), prepare=True)
                if batch.rows:
                    connection.execute(self._sql(sql.NOTIFY))
                connection.execute(b"COMMIT", prepare=False)
            return cursor.fetchall()

    def _fail(self, connection: Connection, batch: Batch, error: psycopg.Error) -> None:
        """Raises what there is to say of an append that failed, if it is not the error itself."""
        if connection.closed or (error.sqlstate or "08").startswith(_CONNECTION_LOST):
            connection.close()
            self._lost.append(connection.backend)
            raise CommitOutcomeUnknown(f"the reply to the commit was lost: {str(error).strip()}") from error
        connection.rollback()
        if not isinstance(error, psycopg.errors.UniqueViolation):
            return
        if error.diag.constraint_name == self.notification_id_index_name:
            # The sequence was put back without the table, or the other way round.
            raise StoreWentBack(batch.tail.position) from error
        raise batch.lost_race(self._versions(connection, batch.written())) from error

    def settle(self, batch: Batch) -> Sequence[int] | None:
        with self._appending, in_words(), self.datastore.connections.connection() as connection:
            # What we had sent may still be on its way to a server's process that does not know yet that we have gone.
            for backend in list(self._lost):
                self._end(connection, backend)
                self._lost.remove(backend)
            return self._find(connection, batch)

    def _end(self, connection: Connection, backend: Backend) -> None:
        params = [Int8(END_BACKEND_TIMEOUT_S * 1000), *backend]
        if not all(ended for (ended,) in self._rows(connection, sql.END_BACKEND, params)):
            raise StoreUnavailable("the event store's database does not end the transaction whose commit was cut short")

    def _find(self, connection: Connection, batch: Batch) -> list[int] | None:
        if not batch.rows:
            at = self._tracked_positions(connection)
            return [] if batch.tracked and at.get(batch.tracked.consumer) == batch.tracked.position else None
        found = [position for (position,) in self._rows(connection, sql.FIND, sql.of_rows(batch.rows))]
        return found if len(found) == len(batch.rows) else None

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """The library's way in, over our statements. Its own retries an insert that may have been committed."""
        rows = [(str(one.originator_id), one.originator_version, one.topic, one.state) for one in stored_events]
        tracking: Tracking | None = kwargs.get("tracking")
        with self._appending, self.datastore.transaction(commit=True) as cursor:
            self._lock_table(cursor)
            if tracking is not None:
                self._insert_tracking(cursor, tracking)
            if not rows:
                return None
            self._notify_channel(cursor)
            return [one["notification_id"] for one in cursor.execute(self._sql(sql.INSERT), sql.of_rows(rows))]

    # --- reading -------------------------------------------------------------------------------------------------

    def after(
        self, position: int, *, limit: int, topics: Collection[str] | None, upto: int | None
    ) -> Sequence[StoredRow]:
        where: LiteralString = "notification_id > %b"
        params: list[Any] = [Int8(position)]
        if topics is not None:
            where += " AND topic = ANY(%b::text[])"
            params.append(list(topics))
        if upto is not None:
            where += " AND notification_id <= %b"
            params.append(Int8(upto))
        return self._select(where + " ORDER BY notification_id LIMIT %b", [*params, Int8(limit)])

    def stream(self, stream: str, after_version: int) -> Sequence[StoredRow]:
        where: LiteralString = "originator_id = %b AND originator_version > %b"
        return self._select(where + " ORDER BY originator_version", [stream, Int8(after_version)])

    def streams(self, streams: Collection[str]) -> Sequence[StoredRow]:
        where: LiteralString = "originator_id = ANY(%b::text[])"
        return self._select(where + " ORDER BY originator_id, originator_version", [list(streams)])

    def _select(self, where: LiteralString, params: Sequence[Any]) -> list[StoredRow]:
        return self._read("SELECT " + sql.COLUMNS + " FROM {events} WHERE " + where, params)

    def versions(self, streams: Collection[str]) -> dict[str, int]:
        return dict(self._read(sql.VERSIONS, [list(streams)]))

    def _versions(self, connection: Connection, streams: Collection[str]) -> dict[str, int]:
        return dict(self._rows(connection, sql.VERSIONS, [list(streams)]))

    def last_position(self) -> int:
        return int(self._read(sql.LAST_POSITION, [])[0][0])

    def verify(self, seen: Tail) -> Tail:
        position, *row = sql.of_tail(seen)
        found = self._read(sql.TAIL, [position, position, *row])
        if not found:
            tail, is_there = NO_TAIL, not seen.position
        else:
            [(*last, is_there)] = found
            tail = Tail(*last)
        if not is_there:
            raise StoreWentBack(seen.position)
        return tail

    def tracked_positions(self) -> dict[str, int]:
        return dict(self._read(sql.TRACKED, [self.table_migration_identifier]))

    def _tracked_positions(self, connection: Connection) -> dict[str, int]:
        return dict(self._rows(connection, sql.TRACKED, [self.table_migration_identifier]))

    def _read(self, statement: LiteralString, params: Sequence[Any]) -> list[Any]:
        with in_words(), self.datastore.connections.connection() as connection:
            return self._rows(connection, statement, params)

    def _rows(self, connection: Connection, statement: LiteralString, params: Sequence[Any]) -> list[Any]:
        with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
            rows: list[TupleRow] = cursor.execute(self._sql(statement), params).fetchall()
            return rows

    # --- beside the log --------------------------------------------------------------------------------------------

    def hear(self, on_news: Callable[[], None]) -> bool:
        self._listeners.append(Listener(self._url, self.channel_name, on_news))
        return True

    def leadership(self, name: str) -> Leadership:
        return AdvisoryLeadership(self._url, name)

    def close(self) -> None:
        self.datastore.close()
        for listener in self._listeners:
            listener.close()

    def _sql(self, statement: LiteralString) -> bytes:
        """With the names of our tables in it."""
        found = self._statements.get(statement)
        if found is None:
            schema = self.datastore.schema
            names = {
                "events": Identifier(schema, self.events_table_name),
                "tracking": Identifier(schema, self.tracking_table_name),
                "channel": Identifier(self.channel_name),
            }
            found = self._statements[statement] = SQL(statement).format(**names).as_bytes(None)
        return found


def _positions(rows: Sequence[TupleRow], batch: Batch) -> list[int]:
    """What APPEND answered: the positions of what it wrote. Raises its refusal; the worst one comes first."""
    match rows:
        case [(_, "gone", _), *_]:
            raise StoreWentBack(batch.tail.position)
        case [(_, "tracked", _), *_]:
            assert batch.tracked is not None
            raise AlreadyTracked(batch.tracked.consumer, batch.tracked.position)
        case [(actual, "conflict", stream), *_]:
            raise VersionConflict(stream, batch.expected[stream], actual)
        case _:
            return [position for position, _, _ in rows]
