"""Leadership by an advisory lock of a PostgreSQL session: it ends with the session, whatever ends that."""

from __future__ import annotations

from hashlib import sha256
from types import TracebackType
from typing import LiteralString, Self

import psycopg
from psycopg.rows import tuple_row

from events.recorders.postgres_connections import Connection, connect, in_words

# A leader that has not said a word for so long is stopped, or on a machine that has gone: the server ends its session.
LEASE_S = 10.0


class AdvisoryLeadership:
    """Holds a connection of its own. `lease_s` bounds how long nobody leads after the leader was stopped."""

    def __init__(self, url: str, name: str, *, lease_s: float = LEASE_S) -> None:
        self._url = url
        self._lease_s = lease_s
        self._key = int.from_bytes(sha256(b"waybill leadership: " + name.encode()).digest()[:8], signed=True)
        self._connection: Connection | None = None
        self._leads = False

    def try_lead(self) -> bool:
        if self.still_leads():  # asking the server for the lock again would count it twice
            return True
        with in_words():
            self._leads = self._ask(self._connected(), "SELECT pg_try_advisory_lock(%s)", self._key)
        return self._leads

    def still_leads(self) -> bool:
        """One round trip, which is also what keeps the session from being ended."""
        if not self._leads or self._connection is None:
            return False
        try:
            return self._ask(self._connection, "SELECT %s IS NOT NULL", self._key)
        except psycopg.Error:
            # With the session the lock has gone. Who leads now is found out by asking for it on a new one.
            self._let_go()
            return False

    def close(self) -> None:
        if self._leads and self._connection is not None and not self._connection.closed:
            self._unlock(self._connection)
        self._let_go()

    def _unlock(self, connection: Connection) -> None:
        """At once: after hanging up, the server would take a moment to notice."""
        try:
            self._ask(connection, "SELECT pg_advisory_unlock(%s)", self._key)
        except psycopg.Error:
            self._let_go()  # the session has ended, and the lock with it

    def _connected(self) -> Connection:
        if self._connection is not None and self._answers(self._connection):
            return self._connection
        self._let_go()
        self._connection = connect(self._url, idle_session_s=self._lease_s)
        return self._connection

    def _answers(self, connection: Connection) -> bool:
        try:
            return self._ask(connection, "SELECT %s IS NOT NULL", self._key)
        except psycopg.Error:
            return False

    def _let_go(self) -> None:
        self._leads = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _ask(self, connection: Connection, question: LiteralString, key: int) -> bool:
        with connection.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(question, (key,)).fetchone()
        return found is not None and bool(found[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
