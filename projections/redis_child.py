"""The Redis child process, and the locks and the folder that are about it. How they are used: redis_server.py."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import orjson

# A child is ready in some 50 ms; with a large append-only file to load it may take a minute. A child that was told to
# end writes what it has and is gone in well under a second; a busy disk may need some more.
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
POLL_S = 0.005

# Linux allows 107 bytes for a socket's path, macOS 103.
_MAX_SOCKET_PATH_BYTES = 100
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


class Running(NamedTuple):
    """A child as its lock file names it; process id 0: not written down yet."""

    pid: int
    socket: str


class Child:
    """A Redis process of ours, and the thread that started it and waits for its end.

    The kernel ends the child with the *thread* that started it, not with its process; this thread lives as long as the
    child, and ends with the process.
    """

    def __init__(self, command: Sequence[str], *, socket_path: str, lock: int, log: Path) -> None:
        """The child inherits the open file `lock`, and writes its `Running` into it. Raises OSError."""
        self._command = [sys.executable, "-I", "-S", "-c", _LAUNCH, str(os.getpid()), str(lock), socket_path, *command]
        self._socket_path = socket_path
        self._lock = lock
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
                    pass_fds=(self._lock,),
                    start_new_session=True,  # a Ctrl-C at the terminal is for us; we stop the child when we are done
                )
        except OSError as error:
            self._error = error
            return
        finally:
            self._spawned.set()
        self._process.wait()

    def wait_until_ready(self) -> bool:
        """False if the child ended, or did not answer in time."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._thread.is_alive() and time.monotonic() < deadline:
            if answers(self._socket_path):
                return True
            time.sleep(POLL_S)
        return False

    def stop(self) -> None:
        for end in (signal.SIGTERM, signal.SIGKILL):
            if self._process is not None and self._thread.is_alive():
                self._process.send_signal(end)
                self._thread.join(STOP_TIMEOUT_S)


def answers(socket_path: str) -> bool:
    """Does a Redis serve at this socket? One that is still loading does not yet."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(socket_path)
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def read_running(lock_file: Path) -> Running:
    """Who the lock file says holds it, or held it last."""
    try:
        found = orjson.loads(lock_file.read_bytes())
        return Running(int(found["pid"]), str(found["socket"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Running(0, "")


def end(orphan: Running, *, hard: bool) -> None:
    """Of a child whose lock is held: the process id in the file is the child's, and nobody else's."""
    if orphan.pid:
        with suppress(ProcessLookupError):
            os.kill(orphan.pid, signal.SIGKILL if hard else signal.SIGTERM)


def try_lock(path: Path) -> int | None:
    """An open file with the lock on it, or None if another open file has it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def new_socket_path(folder: Path) -> str:
    """In that folder if the path is short enough, else in a new private folder of the machine's temporary one."""
    path = str(folder / "redis.sock")
    if len(os.fsencode(path)) > _MAX_SOCKET_PATH_BYTES:
        short = len(os.fsencode(tempfile.gettempdir())) < _MAX_SOCKET_PATH_BYTES - 40
        path = os.path.join(tempfile.mkdtemp(prefix=_PRIVATE_PREFIX, dir=None if short else "/tmp"), "redis.sock")
    with suppress(FileNotFoundError):
        os.unlink(path)
    return path


def remove_private_folder(socket_path: str) -> None:
    """Of a child that is gone: its socket stood in a folder of its own, unless it stood in the home."""
    folder = os.path.dirname(socket_path)
    if os.path.basename(folder).startswith(_PRIVATE_PREFIX):
        shutil.rmtree(folder, ignore_errors=True)
