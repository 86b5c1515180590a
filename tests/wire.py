"""A line to a server that can be cut: at a COMMIT, or at any message, before it is passed on or after."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

Cut = Literal["before", "after", "after, then dead", "late"]


class Wire:
    """Stands between clients and the server.

    cut        what happens to the next COMMIT from a client: "before": it is not passed on; "after": its reply is not;
               "late": it is passed on when `arrive` is called, long after the client was cut off; None: nothing
    cut_at     the number of the message, from 1, to which `cut` happens instead of to a COMMIT
    dead       nobody answers any more
    """

    def __init__(self, server_port: int) -> None:
        self.cut: Cut | None = None
        self.cut_at: int | None = None
        self.dead = False
        self.messages = 0
        self.server_port = server_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._held_back: list[tuple[socket.socket, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in (self._listener, *self._open):
            one.close()

    @property
    def was_cut(self) -> bool:
        return self.cut is None

    def arrive(self) -> None:
        """What was cut off "late" reaches the server now, if it still listens."""
        for server, data in self._held_back:
            with suppress(OSError):
                server.sendall(data)

    def hang_up(self) -> None:
        """All lines are cut; new ones can be opened."""
        for one in self._open:
            _shut(one)

    def _accept(self) -> None:
        with suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        self._open.append(client)
        try:
            server = socket.create_connection(("127.0.0.1", self.server_port))
        except OSError:  # the server is away, as the client will notice
            client.close()
            return
        self._open.append(server)
        for come, go in ((client, server), (server, client)):
            threading.Thread(target=self._carry, args=(come, go, come is client), daemon=True).start()

    def _carry(self, come: socket.socket, go: socket.socket, from_client: bool) -> None:
        with suppress(OSError):  # the other side was closed
            while data := come.recv(65_536):
                if self.dead:
                    break
                if from_client and self._is_to_be_cut(data):
                    if self._cut_off(data, come, go):
                        return
                    break
                go.sendall(data)
        _shut(come)
        _shut(go)

    def _is_to_be_cut(self, data: bytes) -> bool:
        self.messages += 1
        if self.cut is None:
            return False
        return b"COMMIT" in data if self.cut_at is None else self.messages == self.cut_at

    def _cut_off(self, data: bytes, client: socket.socket, server: socket.socket) -> bool:
        """Whether the server's side stays open."""
        cut, self.cut = self.cut, None
        self.dead = cut == "after, then dead"
        # The client's side goes first: the server's reply has nowhere to go.
        _shut(client)
        if cut == "late":
            self._held_back.append((server, data))
            return True
        if cut != "before":
            server.sendall(data)
        return False


def _shut(side: socket.socket) -> None:
    with suppress(OSError):
        side.shutdown(socket.SHUT_RDWR)
