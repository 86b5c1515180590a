"""A private PostgreSQL server for tests: its own data folder, its own port, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT_S = 60  # initdb and the first start take 2 s on an idle machine

_CONNECTIONS = "-c max_connections=200"
_FAST = "-c fsync=off -c full_page_writes=off"  # thrown away afterwards: safety costs seconds


def server_programs() -> Path | None:
    """The folder with `initdb` and `pg_ctl`. Debian keeps it off the PATH, one per version."""
    on_path = shutil.which("pg_ctl")
    if on_path:
        return Path(on_path).resolve().parent  # a link to one of them leads to all of them
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """Started on entering, stopped and deleted on leaving. Not for data anybody wants to keep."""

    def __init__(
        self,
        programs: Path,
        *,
        durable: bool = False,
        settings: Sequence[str] = (),
        standby_of: PostgresServer | None = None,
    ) -> None:
        """`durable`: with the settings that a server is delivered with, for measuring and for pulling plugs.

        `settings` are more of them, as "name=value". A standby begins as a copy of its primary, and follows it until
        it is promoted.
        """
        self._primary = standby_of
        self._programs = programs
        more = [f"-c {setting}" for setting in settings]
        self._settings = " ".join([_CONNECTIONS, *(() if durable else (_FAST,)), *more])
        self._user = _unprivileged_user()
        self._numbers = count(1)
        # Not under pytest's own folder: that one is closed to the other user that the server may have to run as.
        self._folder = Path(tempfile.mkdtemp(prefix="waybill-postgres-"))
        if self._user:
            shutil.chown(self._folder, self._user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]

    def __enter__(self) -> Self:
        try:
            self._make()
            self.start()
        except BaseException:
            shutil.rmtree(self._folder)
            raise
        return self

    def _make(self) -> None:
        if self._primary is None:
            self._run("initdb", "-U", "waybill", "-A", "trust", "-E", "UTF8", "--no-sync")
        else:
            copying = ("-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", self._primary.url("postgres"))
            self._run("pg_basebackup", *copying)

    def start(self) -> None:
        """Again, after `stop`; on the same port."""
        sockets = f"-c unix_socket_directories={self._folder} -c listen_addresses=127.0.0.1 -p {self.port}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-w", "-t", str(START_TIMEOUT_S), "-l", log, "-o", f"{self._settings} {sockets}", "start")

    def stop(self, *, at_once: bool = False) -> None:
        """As an administrator does, or (`at_once`) as a power cut: connections break, and the log is recovered."""
        self._run("pg_ctl", "-w", "-m", "immediate" if at_once else "fast", "stop")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if (self._folder / "data" / "postmaster.pid").exists():
            self.stop(at_once=True)
        shutil.rmtree(self._folder)

    def promote(self) -> None:
        """A standby becomes a server that can be written to, with what it has received."""
        self._run("pg_ctl", "-w", "promote")

    def new_database(self) -> str:
        """The URL of a new, empty database. The server trusts everybody who can reach its loopback port."""
        import psycopg  # only here: the tests load without the `postgres` extra

        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def url(self, database: str) -> str:
        """Of a database of this server."""
        return f"postgresql://waybill:waybill@127.0.0.1:{self.port}/{database}"

    def _run(self, program: str, *arguments: str) -> None:
        # The server outlives this call and must not hold our pipes: whoever reads them would wait for it.
        done = subprocess.run(
            [self._programs / program, "-D", self._folder / "data", *arguments],
            check=False,
            cwd=self._folder,
            user=self._user,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=START_TIMEOUT_S + 10,
        )
        if done.returncode != 0:
            log = self._folder / "log"
            tail = log.read_text(errors="replace")[-2_000:] if log.exists() else "(no log)"
            raise RuntimeError(f"{program} exited {done.returncode}: {tail}")


def _unprivileged_user() -> str | None:
    """PostgreSQL refuses to run as root. None: stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"
