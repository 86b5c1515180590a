"""The whole cluster on this machine, without Docker: `python -m deploy.local.cluster up | status | down`.

Kafka, PostgreSQL, Redis, Prometheus where it is installed, and a process for each role, all on the loopback address
and on free ports. Everything lies in one folder (`.cluster`): data, logs, ports, and `env`, to be read into a shell so
that `waybill verify` and the others look at this cluster. What must be installed: docs/cluster.md.

Exit codes: 0 done; 1 `status`: something of it does not run; 2 it cannot be done, and why.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from deploy.local import state
from deploy.local.machine import LOOPBACK, Missing, ServerError
from deploy.local.processes import Server
from deploy.local.role_process import RoleProcess, check_that_roles_exist
from deploy.local.servers import KafkaServer, PostgresServer, PrometheusServer, RedisServer
from deploy.local.state import Running
from deploy.roles import MEASURED, ROLES, SANDBOX

_CHECKOUT = Path(__file__).resolve().parents[2]
_RULES = _CHECKOUT / "deploy" / "prometheus" / "rules.yml"

Say = Callable[[str], object]


class Cluster:
    """What is being started. Whoever makes it starts it, or stops what was started when that fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kafka = KafkaServer(folder / "kafka")
        self._postgres = PostgresServer(folder / "postgres")
        self._redis = RedisServer(folder / "redis")
        self._roles = {role: RoleProcess(folder / "roles" / role, role) for role in ROLES}
        self._started: list[Server] = []
        self._processes: list[Running] = []

    def start_servers(self) -> None:
        servers = (self._kafka, self._postgres, self._redis)
        for server in servers:
            self._launch(server, f"{LOOPBACK}:{server.port}")
        for server in servers:
            server.wait_until_ready()

    def settings(self) -> dict[str, str]:
        """Where everything is, as every role and every command reads it. Holds the store's password."""
        outside = self._roles[SANDBOX].url
        return {
            "WAYBILL_HOME": str(self._folder / "home"),
            "WAYBILL_STORE_URL": self._postgres.url,
            "WAYBILL_REDIS_URL": self._redis.url,
            "WAYBILL_KAFKA": self._kafka.bootstrap,
            "WAYBILL_PROVIDER_URL": outside,
            "WAYBILL_CARRIER_URL": outside,
        }

    def start_roles(self) -> None:
        """All at once, then wait for all."""
        for role in self._roles.values():
            role.configure(self.settings())
            self._launch(role, role.url if role.http_port else f"{LOOPBACK}:{role.port} (metrics)")
        for role in self._roles.values():
            role.wait_until_ready()

    def start_prometheus(self) -> None:
        """Raises Missing where it is not installed: the cluster runs without."""
        config = self._folder / "prometheus" / "prometheus.yml"
        prometheus = PrometheusServer(config.parent, config)
        config.write_text(prometheus_config({role: self._roles[role].port for role in MEASURED}))
        self._launch(prometheus, prometheus.url)
        prometheus.wait_until_ready()

    def stop(self) -> None:
        _end(self._folder, self._processes)
        for server in self._started:
            server.stop()  # they are gone; this takes note of it

    def leave_running(self) -> None:
        for server in self._started:
            server.leave_running()

    def _launch(self, server: Server, address: str) -> None:
        """Written down at once: should we be killed, `down` finds it all the same."""
        server.launch()
        self._started.append(server)
        self._processes.append(state.running(server, address))
        state.write(self._folder, self._processes)


def up(folder: Path, say: Say, *, servers_only: bool = False) -> None:
    """Start everything, or nothing. Raises ServerError, Missing."""
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        alive = [one.name for one in state.read(folder) if one.is_alive()]
        if alive:
            raise ServerError(f"a cluster runs in {folder} already ({', '.join(alive)}); `down` ends it")
        if not servers_only:
            check_that_roles_exist()
        cluster = Cluster(folder)
        try:
            _start(cluster, folder, say, servers_only=servers_only)
        except BaseException:  # a Ctrl-C as well: nothing half-started is left behind
            cluster.stop()
            raise


def _start(cluster: Cluster, folder: Path, say: Say, *, servers_only: bool) -> None:
    say(f"Starting Kafka, PostgreSQL and Redis in {folder} ...")
    cluster.start_servers()
    _write_environment(folder / "env", cluster.settings())
    if not servers_only:
        say(f"Starting {len(ROLES)} roles ...")
        cluster.start_roles()
        try:
            cluster.start_prometheus()
        except Missing as missing:
            say(f"Without Prometheus: {missing}")
    cluster.leave_running()


def down(folder: Path, say: Say, *, wipe: bool = False) -> None:
    """End whatever still runs, roles first; with `wipe` forget all data as well, but for Kafka's jars."""
    if not folder.exists():
        say(f"There is no cluster in {folder}.")
        return
    with _only_one(folder):
        alive = [one for one in state.read(folder) if one.is_alive()]
        _end(folder, alive)
        say(f"Stopped: {', '.join(one.name for one in alive) or 'nothing, because nothing ran'}.")
        if wipe:
            _wipe(folder)
            say(f"Deleted the data in {folder}.")


def _end(folder: Path, processes: Sequence[Running]) -> None:
    """Roles first: they hand over what they have."""
    state.end([one for one in processes if one.name in ROLES])
    state.end([one for one in processes if one.name not in ROLES])
    state.forget(folder)


def status(folder: Path, say: Say, *, as_json: bool = False) -> int:
    """0 if all of it runs, 1 if not."""
    found = state.read(folder)
    if as_json:
        say(json.dumps([{**one._asdict(), "alive": one.is_alive()} for one in found]))
    elif not found:
        say(f"No cluster runs in {folder}.")
    else:
        _table(found, say)
        say(f"For a shell:  . {shlex.quote(str(folder / 'env'))}")
    return 0 if found and all(one.is_alive() for one in found) else 1


def _table(processes: Sequence[Running], say: Say) -> None:
    rows = [("what", "process", "where", "log")]
    rows += [(one.name, str(one.pid) if one.is_alive() else "gone", one.address, one.log) for one in processes]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        say("  ".join([*(text.ljust(width) for text, width in zip(row, widths, strict=False)), row[3]]))


def _write_environment(file: Path, settings: dict[str, str]) -> None:
    file.touch(mode=0o600)  # before the password is in it
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items()))


def prometheus_config(targets: dict[str, int]) -> str:
    """As JSON, which is YAML as well. The same rules as in the other deployments."""
    jobs = [{"targets": [f"{LOOPBACK}:{port}"], "labels": {"role": role}} for role, port in targets.items()]
    return json.dumps(
        {
            "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
            "rule_files": [str(_RULES)],
            "scrape_configs": [{"job_name": "waybill", "static_configs": jobs}],
        },
        indent=1,
    )


def _wipe(folder: Path) -> None:
    for name in ("kafka", "postgres", "redis", "prometheus", "roles", "home"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "env").unlink(missing_ok=True)


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Raises ServerError while another command starts or ends this cluster. The servers do not inherit the lock."""
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServerError(f"another command is starting or ending the cluster in {folder}") from None
        yield


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.local.cluster", description="The cluster on this machine.")
    parser.add_argument("command", choices=("up", "down", "status"))
    parser.add_argument("--dir", type=Path, default=_CHECKOUT / ".cluster", help="where it lies (.cluster)")
    parser.add_argument("--servers-only", action="store_true", help="up: Kafka, PostgreSQL and Redis, but no roles")
    parser.add_argument("--wipe", action="store_true", help="down: delete the data as well")
    parser.add_argument("--json", action="store_true", help="status: one JSON array")
    wanted = parser.parse_args(arguments)
    folder = wanted.dir.absolute()
    try:
        if wanted.command == "down":
            down(folder, print, wipe=wanted.wipe)
            return 0
        if wanted.command == "up":
            up(folder, print, servers_only=wanted.servers_only)
        return status(folder, print, as_json=wanted.json)
    except ServerError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
