"""A TCP server of a few lines that answers as it is told, or not at all: what real ones do on their bad days."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Script = Callable[[socket.socket], None]
"""What is done with a connection once a request came in. Afterwards the connection is closed."""


class ScriptedServer:
    """One request per connection. `requests` is everything that was ever received, one by one."""

    def __init__(self, script: Script) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _serve(self) -> None:
        with suppress(OSError):  # closed: nobody is waited for any more
            while True:
                connection, _ = self._socket.accept()
                with connection:
                    self._one(connection)

    def _one(self, connection: socket.socket) -> None:
        self.requests.append(_whole_request(connection))
        with suppress(OSError):  # the caller may have lost patience
            self._script(connection)


@contextmanager
def scripted(script: Script) -> Iterator[ScriptedServer]:
    server = ScriptedServer(script)
    try:
        yield server
    finally:
        server.close()


def says(answer: bytes) -> Script:
    """These bytes, and then the connection is closed."""
    return lambda connection: connection.sendall(answer)


def answers(status: int, body: bytes = b"", head: str = "") -> Script:
    """A whole answer of HTTP."""
    return says(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body)


def waits_for_its_caller_to_leave(connection: socket.socket) -> None:
    connection.recv(1)


def never_ends(connection: socket.socket) -> None:
    """An answer without an end, until the caller leaves."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        connection.sendall(b" " * 65_536)


def _whole_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65_536)
    return head + b"\r\n\r\n" + body
