"""Kafka, PostgreSQL, Redis and Prometheus as processes of this machine, on the loopback address.

    with KafkaServer(folder) as kafka:
        ...  # kafka.bootstrap, kafka.pause(), kafka.kill(), kafka.restart()

What can be done with any of them, and what it raises: processes.py. What goes into them is not this module's job.
"""

from __future__ import annotations

import secrets
import shutil
import signal
import socket
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.broker import KafkaServer
from deploy.local.machine import LOOPBACK, Missing, listens, program, unprivileged_user
from deploy.local.processes import Server
from projections.redis_server import RedisServerError, find_program

__all__ = ["KafkaServer", "PostgresServer", "PrometheusServer", "RedisServer"]


class PostgresServer(Server):
    """A PostgreSQL of our own with the database `waybill`, behind a password that was drawn when it was made."""

    name = "PostgreSQL"
    stop_signal = signal.SIGINT  # "fast": SIGTERM would wait until the last client has gone by itself

    def __init__(
        self, folder: Path, port: int | None = None, *, options: Mapping[str, str] | None = None, tied: bool = False
    ) -> None:
        """`options` are settings of postgresql.conf, as {"fsync": "off"} for data that is thrown away."""
        super().__init__(folder, port, tied=tied)
        self._options = options or {}
        self._data = self.folder / "data"
        self._password_file = self.folder / "password"

    @property
    def url(self) -> str:
        """Holds the password: not for logs."""
        return self.url_of("waybill")

    def url_of(self, database: str) -> str:
        """As `url`, for another database of the same server. Makes none."""
        return f"postgresql://waybill:{self._password_file.read_text()}@{LOOPBACK}:{self.port}/{database}"

    def prepare(self) -> None:
        self._programs = _postgres_programs()
        self.user = unprivileged_user()
        if self.user:
            self._hand_over(self.user)
        if not (self._data / "PG_VERSION").exists():
            self._create()

    def command(self) -> Sequence[str | Path]:
        places = {"listen_addresses": LOOPBACK, "port": str(self.port), "unix_socket_directories": ""}
        settings = {**places, "max_connections": "200", "cluster_name": "waybill", **self._options}
        arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [self._programs / "postgres", "-D", self._data, *arguments]

    def is_ready(self) -> bool:
        return listens(self.port) and "ready to accept connections" in self.said()

    def _hand_over(self, user: str) -> None:
        """PostgreSQL refuses to run as root, so the folder is another user's. Raises ServerError."""
        shutil.chown(self.folder, user)
        for parent in self.folder.parents:
            if not parent.stat().st_mode & 0o001:
                raise Missing(
                    f"PostgreSQL does not run as root, and the user {user} may not look into {parent}: "
                    "name a folder that everybody may reach"
                )

    def _create(self) -> None:
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(24))
        if self.user:
            shutil.chown(self._password_file, self.user)
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)  # left by one that was killed half-way
        locale = ("-E", "UTF8", "--locale=C")
        self.run(
            self._programs / "initdb", "-D", new, "-U", "waybill", "-A", "scram-sha-256",
            "--pwfile", self._password_file, *locale,
        )  # fmt: skip
        self._create_database(new)
        new.rename(self._data)

    def _create_database(self, data: Path) -> None:
        """By the server's own single-user mode: no client, no password, no port."""
        self.run(self._programs / "postgres", "--single", "-D", data, "postgres", says=b"CREATE DATABASE waybill;\n")


def _postgres_programs() -> Path:
    """The folder with `initdb` and `postgres`. Debian keeps it off the PATH, one per version. Raises Missing."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    return program("initdb", "PostgreSQL's server; Debian: apt-get install postgresql").resolve().parent


class RedisServer(Server):
    """A Redis with an append-only file that loses at most a second."""

    name = "Redis"

    @property
    def url(self) -> str:
        return f"redis://{LOOPBACK}:{self.port}/0"

    def prepare(self) -> None:
        try:
            self._program = find_program()
        except RedisServerError as error:
            raise Missing(str(error)) from None
        (self.folder / "data").mkdir(exist_ok=True)

    def command(self) -> Sequence[str | Path]:
        options = {"port": str(self.port), "bind": LOOPBACK, "dir": str(self.folder / "data"), "save": ""}
        durable = {"appendonly": "yes", "appendfsync": "everysec", "daemonize": "no"}
        return [self._program, *(part for name, value in (options | durable).items() for part in (f"--{name}", value))]

    def is_ready(self) -> bool:
        with socket.socket() as connection:
            connection.settimeout(1.0)
            try:
                connection.connect((LOOPBACK, self.port))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


class PrometheusServer(Server):
    """A Prometheus with a configuration file that somebody else wrote (cluster.py)."""

    name = "Prometheus"

    def __init__(self, folder: Path, config: Path, port: int | None = None, *, tied: bool = False) -> None:
        super().__init__(folder, port, tied=tied)
        self._config = config.absolute()

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def prepare(self) -> None:
        self._program = program("prometheus", "Debian: apt-get install prometheus")

    def command(self) -> Sequence[str | Path]:
        return [
            self._program,
            f"--config.file={self._config}",
            f"--storage.tsdb.path={self.folder / 'data'}",
            "--storage.tsdb.retention.time=2d",
            f"--web.listen-address={LOOPBACK}:{self.port}",
        ]

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=1.0) as answer:
                return int(answer.status) == 200
        except OSError:
            return False
