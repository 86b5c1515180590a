"""Connections to PostgreSQL: how they are set up, kept for reuse, and what their faults are called.

The library's pool asks the server before each use whether a connection is alive (a round trip), and after an outage
waits longer and longer before it tries again. This one looks at the socket, and connects when somebody needs it.
"""

from __future__ import annotations

import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg
from eventsourcing.persistence import PersistenceError
from eventsourcing.postgres import PostgresDatastore
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, dict_row, tuple_row

from events.store_errors import StoreUnavailable

# How long to wait for a connection, and for another process's append: a batch takes milliseconds.
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 10
# A process that was stopped in the middle of an append holds the lock: the server ends its transaction after so long.
IDLE_IN_TRANSACTION_S = 5
MAX_CONNECTIONS = 16

# A peer whose machine has gone says nothing. Without these a statement would wait for it for two hours; with them it
# fails after 11 s.
_DEFAULTS = {
    "application_name": "waybill",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 11_000,
}

# `synchronous_commit` may be stronger than "on", never weaker: what is acknowledged must be on the disk. Compiling a
# query just in time takes longer than any of ours runs. The last two are the server's side of the keep-alives above.
_SETTINGS = """
SELECT set_config('lock_timeout', %s, false),
    set_config('idle_in_transaction_session_timeout', %s, false),
    set_config('idle_session_timeout', %s, false),
    set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
        THEN 'on' ELSE current_setting('synchronous_commit') END, false),
    set_config('jit', 'off', false),
    set_config('tcp_keepalives_idle', '5', false),
    set_config('tcp_user_timeout', '11000', false),
    pg_backend_pid() AS pid, (SELECT backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started
"""


class Backend(NamedTuple):
    """The server's process behind a connection. Its number alone may be given to another one later."""

    pid: int
    started: str


class Connection(psycopg.Connection[DictRow]):
    """A connection that knows who serves it."""

    backend: Backend


def connect(url: str, *, idle_session_s: float = 0) -> Connection:
    """A connection in auto-commit mode. The server ends it after `idle_session_s` seconds without a word (0: never).

    Raises psycopg.OperationalError.
    """
    params: dict[str, Any] = {**_DEFAULTS, **conninfo_to_dict(url)}
    connection = Connection.connect(**params, autocommit=True, row_factory=dict_row)
    try:
        timeouts = [f"{seconds * 1000:.0f}ms" for seconds in (LOCK_TIMEOUT_S, IDLE_IN_TRANSACTION_S, idle_session_s)]
        with connection.cursor(row_factory=tuple_row) as cursor:
            found = cursor.execute(_SETTINGS, timeouts).fetchone()
        assert found is not None
        connection.backend = Backend(*found[-2:])
    except BaseException:
        connection.close()
        raise
    return connection


def is_alive(connection: Connection) -> bool:
    """Whether the server has not hung up: it never speaks first to an idle connection, except to say good-bye."""
    if connection.closed:
        return False
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return not poll.poll(0)


class Connections:
    """Idle connections, the one used last first: its statements are prepared. Stands in for the library's pool."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._idle: deque[Connection] = deque()
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._closed = False

    def open(self, wait: bool = False, timeout: float = 0) -> None:
        """Nothing to do: connections are made when they are needed. The library calls it before each use."""

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one user. Raises psycopg.OperationalError if there is none to be had."""
        if not self._free.acquire(timeout=CONNECT_TIMEOUT_S):
            raise psycopg.OperationalError(f"all {MAX_CONNECTIONS} connections are in use for {CONNECT_TIMEOUT_S} s")
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)
        finally:
            self._free.release()

    def _take(self) -> Connection:
        while True:
            with self._lock:
                if self._closed:
                    raise psycopg.OperationalError("the event store is closed")
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return connect(self._url)
            if is_alive(connection):
                return connection
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        # In the middle of a transaction after a failure: closing it rolls back.
        usable = not connection.closed and connection.info.transaction_status == TransactionStatus.IDLE
        with self._lock:
            if usable and not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Leaves a connection in use to its user. May be called twice."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, deque()
        for connection in idle:
            connection.close()


class Datastore(PostgresDatastore):
    """The library's datastore over our connections."""

    def __init__(self, url: str) -> None:
        super().__init__("", "", "", "", "", lock_timeout=LOCK_TIMEOUT_S, originator_id_type="text")
        self.connections = Connections(url)
        self.pool = self.connections  # type: ignore[assignment]


# --- faults in words -------------------------------------------------------------------------------------------------


@contextmanager
def in_words() -> Iterator[None]:
    """Turns the database's faults into StoreUnavailable. Faults of ours (wrong SQL) pass through as they are."""
    try:
        yield
    except (psycopg.Error, PersistenceError) as error:
        cause = error.__cause__ if isinstance(error, PersistenceError) else None
        fault = cause if isinstance(cause, psycopg.Error) else error
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
