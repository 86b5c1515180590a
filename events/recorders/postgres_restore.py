"""Fills an empty log in PostgreSQL with the rows of another log, positions and all. All of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg.rows import tuple_row

from events.recorders.port import StoredRow
from events.recorders.postgres import open_postgres
from events.recorders.postgres_connections import connect, in_words
from events.store_errors import StoreError


class LogNotEmpty(StoreError):
    """There are events already: two logs cannot be made one."""


def restore(url: str, rows: Iterable[StoredRow], tracked: Mapping[str, int]) -> int:
    """Copy rows, in order of position, and the consumers' positions; how many rows it were.

    Raises LogNotEmpty and StoreUnavailable; then nothing was written.
    """
    open_postgres(url).close()  # makes the tables
    with in_words(), connect(url) as connection, connection.transaction():
        cursor = connection.cursor(row_factory=tuple_row)
        cursor.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
        if cursor.execute("SELECT EXISTS (SELECT FROM stored_events)").fetchone() != (False,):
            raise LogNotEmpty("the PostgreSQL database has events already: name an empty one")
        count = last = 0
        columns = "notification_id, originator_id, originator_version, topic, state"
        with cursor.copy(f"COPY stored_events ({columns}) FROM STDIN") as copy:
            for row in rows:
                copy.write_row(row)
                count, last = count + 1, row[0]
        if last:
            cursor.execute("SELECT setval(pg_get_serial_sequence('stored_events', 'notification_id'), %s)", [last])
        cursor.executemany(
            "INSERT INTO notification_tracking (application_name, notification_id) VALUES (%s, %s)",
            list(tracked.items()),
        )
    return count
