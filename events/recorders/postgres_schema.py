"""The log's tables in PostgreSQL: made, and changed, once, whoever comes first and however many come together.

A migration only adds: during an upgrade, processes of the version before it work on the same tables.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString, Protocol

import psycopg
from psycopg.rows import tuple_row

from events.recorders.postgres_connections import Connection, Connections

# Any number of this project's processes may come at the same moment; this lock lets one of them do it.
TABLES_LOCK = 0x5741_5942_494C_4C00
# How long the others wait for it: making an index over millions of events takes a while.
MIGRATION_TIMEOUT_S = 120

_MAKE_LIST: LiteralString = """
CREATE TABLE IF NOT EXISTS waybill_migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())
"""

MIGRATIONS: dict[int, LiteralString] = {
    # Number 1 is the tables of the library, which it makes itself.
    2: """
    -- One row per consumer, written again with every append: room for its next versions on the same page, and cleaned
    -- up in time. (The library's table waits for a hundred million dead rows.)
    ALTER TABLE notification_tracking SET (fillfactor = 20, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_scale_factor = 0, autovacuum_analyze_threshold = 100000);
    -- Streams are compared byte by byte: by the rules of a language, an append to five million events took twice as
    -- long as one to none. The table stays as it is, its index is made anew (9 s for five million).
    ALTER TABLE stored_events ALTER COLUMN originator_id TYPE text COLLATE "C";
    """,
}
LATEST = max(MIGRATIONS)


class Library(Protocol):
    """The library's recorder, as far as it is needed here."""

    def create_table(self) -> None: ...


def migrate(library: Library, connections: Connections) -> None:
    """Bring the tables up to date. Raises psycopg.Error."""
    with connections.connection() as connection:
        # Who finds everything done, as nearly all do, waits for nobody.
        if _applied(connection) >= LATEST:
            return
        with _only_one(connection):
            applied = _applied(connection)
            if not applied:
                library.create_table()
                _apply(connection, 1, _MAKE_LIST)
            for number in range(max(applied, 1) + 1, LATEST + 1):
                _apply(connection, number, MIGRATIONS[number])


@contextmanager
def _only_one(connection: Connection) -> Iterator[None]:
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (f"{MIGRATION_TIMEOUT_S}s",))
    connection.execute("SELECT pg_advisory_lock(%s)", (TABLES_LOCK,))
    try:
        yield
    finally:
        # The lock, and the patience, end with the session: also if the connection has broken by now.
        connection.close()


def _applied(connection: Connection) -> int:
    """The number of the last migration; 0 for a new database."""
    with connection.cursor(row_factory=tuple_row) as cursor:
        try:
            found = cursor.execute("SELECT max(number) FROM waybill_migrations").fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
    return int(found[0] or 0) if found else 0


def _apply(connection: Connection, number: int, statements: LiteralString) -> None:
    with connection.transaction():
        connection.execute(statements)
        connection.execute("INSERT INTO waybill_migrations (number) VALUES (%s)", (number,))
