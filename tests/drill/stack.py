"""The whole cluster as processes of this machine, and somebody who starts again what has died.

Of every role there are two processes, but for the sandbox, which stands for other people's machines.
"""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

from deploy.local.machine import LOOPBACK
from deploy.local.processes import Server
from deploy.local.role_process import RoleProcess
from deploy.local.servers import KafkaServer, PostgresServer, RedisServer
from events.inventory import DEFAULT_POOL
from events.slots import slot_of

SANDBOX = "sandbox"
GATEWAY = "gateway"
INTAKE = "intake"
MEMBERS: Final = ("order", "payment", "inventory", "shipping")
"""Share their work with their twin."""
LEADERS: Final = ("relay", "timekeeper", "projections")
"""One of the two works, the other one stands by."""
DOORS: Final = (GATEWAY, INTAKE)
TWINS = 2

_TEND_EVERY_S = 0.05


def say(words: str) -> None:
    print(f"drill: {words}", file=sys.stderr, flush=True)


class Stack:
    """Servers and roles. All of it is used from one thread: the kernel ends the processes together with it."""

    def __init__(self, folder: Path, *, roles: tuple[str, ...]) -> None:
        self.kafka = KafkaServer(folder / "kafka", tied=True)
        self.postgres = PostgresServer(folder / "postgres", tied=True)
        self.redis = RedisServer(folder / "redis", tied=True)
        self.roles = {role: [_process(folder, role, twin) for twin in range(TWINS)] for role in roles}
        self.sandbox = _process(folder, SANDBOX, 0)
        self._folder = folder
        self.killed: set[RoleProcess] = set()
        """Those whose death is our own doing."""
        self.died: Counter[str] = Counter()
        """Roles that ended by themselves, which none should."""
        self.on_tick: Callable[[], object] = lambda: None
        """Called again and again while somebody waits."""

    @property
    def processes(self) -> list[RoleProcess]:
        return [self.sandbox, *(twin for twins in self.roles.values() for twin in twins)]

    @property
    def gateways(self) -> list[str]:
        return [twin.url for twin in self.roles[GATEWAY]]

    @property
    def sandbox_url(self) -> str:
        return self.sandbox.url

    def start(self) -> None:
        """All servers, then all roles. Raises ServerError."""
        servers: list[Server] = [self.kafka, self.postgres, self.redis]
        for server in servers:
            server.launch()
        for server in servers:
            server.wait_until_ready()
        for role in self.processes:
            role.configure(self._settings())
            role.launch()
        for role in self.processes:
            role.wait_until_ready()

    def _settings(self) -> dict[str, str]:
        return {
            "WAYBILL_HOME": str(self._folder / "home"),
            "WAYBILL_STORE_URL": self.postgres.url,
            "WAYBILL_REDIS_URL": self.redis.url,
            "WAYBILL_KAFKA": self.kafka.bootstrap,
            "WAYBILL_PROVIDER_URL": self.sandbox_url,
            "WAYBILL_CARRIER_URL": self.sandbox_url,
            "WAYBILL_LOG_LEVEL": "INFO",
        }

    def stop(self) -> None:
        for server in (*self.processes, self.kafka, self.postgres, self.redis):
            server.resume()
            server.kill()

    def tend(self) -> None:
        """Start what has died, as an orchestrator would; nobody is waited for."""
        for role in self.processes:
            if role.is_alive():
                continue
            if role in self.killed:
                self.killed.remove(role)
            else:
                self.died[role.name] += 1
                say(f"{role.name} ended by itself: {role.last_words()}")
            role.launch()

    def wait(self, seconds: float) -> None:
        self.wait_for(lambda: False, seconds)

    def wait_for(self, is_so: Callable[[], object], patience_s: float) -> bool:
        """Until it is so, or the patience is over; whether it is so. Whatever dies meanwhile is started again."""
        deadline_s = time.monotonic() + patience_s
        while not is_so():
            if time.monotonic() >= deadline_s:
                return False
            self.tend()
            self.on_tick()
            time.sleep(_TEND_EVERY_S)
        return True

    def worker_of(self, role: str, twin: int) -> RoleProcess:
        """The process to hit: the one that does what only one may do; where both work, this twin."""
        twins = self.roles[role]
        does_it = _leads if role in LEADERS else _has_the_pool if role == "inventory" else None
        if does_it is None:
            return twins[twin]
        return next((one for one in twins if one.is_alive() and does_it(one)), twins[twin])


def _leads(role: RoleProcess) -> bool:
    return f'waybill_leads{{role="{role.name}"}} 1.0' in _metrics(role)


def _process(folder: Path, role: str, twin: int) -> RoleProcess:
    return RoleProcess(folder / "roles" / f"{role}-{twin}", role, tied=True)


def _has_the_pool(role: RoleProcess) -> bool:
    """All stock is one pool, and its work one slot's. The process says in its log which slots it has."""
    told = re.findall(r"works on the slots \[([0-9, ]*)\]", role.said())
    return bool(told) and str(slot_of(DEFAULT_POOL)) in told[-1].split(", ")


def _metrics(role: RoleProcess) -> str:
    try:
        with urlopen(f"http://{LOOPBACK}:{role.port}/metrics", timeout=2.0) as answer:
            return str(answer.read(), "utf-8")
    except OSError:
        return ""


@contextmanager
def running(folder: Path, roles: tuple[str, ...]) -> Iterator[Stack]:
    """Everything started; at the end nothing is left of it but its files."""
    stack = Stack(folder, roles=roles)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()
