"""One `waybill run ROLE` as a process of this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.local.machine import LOOPBACK, Missing
from deploy.local.processes import Server
from deploy.roles import SERVING_HTTP

WAYBILL = (sys.executable, "-m", "services.cli")


class RoleProcess(Server):
    """Ready when one of its ports says so (`/readyz`). `port` is for metrics, `http_port` for callers."""

    def __init__(self, folder: Path, role: str, *, tied: bool = False) -> None:
        super().__init__(folder, tied=tied)
        self.name = role
        self.http_port = self.kept_port("http-port") if role in SERVING_HTTP else None

    @property
    def url(self) -> str:
        """Where its HTTP is served. Only for roles that serve it."""
        return f"http://{LOOPBACK}:{self.http_port}"

    def configure(self, settings: Mapping[str, str]) -> None:
        """`settings` are WAYBILL_ variables; the caller's own environment lies under them."""
        ports = {"WAYBILL_METRICS_PORT": str(self.port)}
        if self.http_port:
            ports["WAYBILL_HTTP_PORT"] = str(self.http_port)
        self.environment = {**os.environ, "PYTHONUNBUFFERED": "1", **settings, **ports}

    def command(self) -> Sequence[str | Path]:
        return [*WAYBILL, "run", self.name]

    def is_ready(self) -> bool:
        return any(_says_ready(port) for port in (self.port, self.http_port) if port)


def _says_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=1.0) as answer:
            return int(answer.status) == 200
    except OSError:  # not there yet, or 503: not ready yet
        return False


def check_that_roles_exist() -> None:
    """Raises Missing unless this Waybill can `run` roles."""
    done = subprocess.run(
        [*WAYBILL, "run", "--help"], check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
    )
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-1:] or ["nothing"]
        raise Missing(f"this Waybill has no roles to run (`waybill run --help` says: {said[0]})")
