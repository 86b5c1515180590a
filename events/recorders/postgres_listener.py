"""Hears of appends by LISTEN/NOTIFY, on a connection and in a thread of its own.

A message is a hint to look, never the news itself: one that is lost costs its reader a second (it looks by itself).
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Callable

import psycopg
from psycopg.sql import SQL, Identifier

from events.recorders.postgres_connections import Connection, connect

log = logging.getLogger(__name__)

# A connection on which nothing was heard for so long is asked whether it still exists.
QUIET_S = 10.0
RECONNECT_PAUSE_S = 1.0


class Listener:
    """Calls `on_news` after every append of any process, and after every gap in listening."""

    def __init__(self, url: str, channel: str, on_news: Callable[[], None]) -> None:
        self._url = url
        self._listen = SQL("LISTEN {}").format(Identifier(channel))
        self._on_news = on_news
        self._closed = threading.Event()
        # To write to one end wakes whoever waits at the other.
        self._end, self._end_to_wake = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="waybill-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        away = False
        while not self._closed.is_set():
            try:
                connection = connect(self._url)
                away = False
                try:
                    self._hear(connection)
                finally:
                    connection.close()
            except psycopg.Error as error:
                if not away:
                    log.warning("appends are not announced, looking for them every second: %s", str(error).strip())
                away = True
                self._closed.wait(RECONNECT_PAUSE_S)

    def _hear(self, connection: Connection) -> None:
        connection.execute(self._listen)
        self._on_news()  # what was appended before we listened
        poll = select.poll()
        for one in (connection, self._end):
            poll.register(one, select.POLLIN)
        while not self._closed.is_set():
            if not poll.poll(QUIET_S * 1000):
                connection.execute("SELECT 1")
            # Many appends at one time are one message here.
            if list(connection.notifies(timeout=0)):
                self._on_news()

    def close(self) -> None:
        """May be called twice."""
        if not self._closed.is_set():
            self._closed.set()
            self._end_to_wake.send(b"!")
            self._thread.join()
            self._end.close()
            self._end_to_wake.close()
