"""What was started, written down so that another command can look after it and end it: `<folder>/cluster.json`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from deploy.local.machine import ServerError
from deploy.local.processes import STOP_TIMEOUT_S, Server

_POLL_S = 0.05


class Running(NamedTuple):
    """A process of the cluster. `began` tells it from a later one that was given the same number."""

    name: str
    pid: int
    began: str
    address: str
    stop_signal: int
    log: str

    def is_alive(self) -> bool:
        return bool(self.began) and _began(self.pid) == self.began


def running(server: Server, address: str) -> Running:
    return Running(server.name, server.pid, _began(server.pid), address, server.stop_signal, str(server.log))


def write(folder: Path, processes: Sequence[Running]) -> None:
    part = folder / "cluster.json.part"
    part.write_text(json.dumps([one._asdict() for one in processes], indent=1))
    part.rename(folder / "cluster.json")


def forget(folder: Path) -> None:
    (folder / "cluster.json").unlink(missing_ok=True)


def read(folder: Path) -> list[Running]:
    """What was started last, alive or not; nothing if nothing was. Raises ServerError if the file is not ours."""
    file = folder / "cluster.json"
    if not file.exists():
        return []
    try:
        return [Running(**one) for one in json.loads(file.read_text())]
    except (ValueError, TypeError) as error:
        raise ServerError(f"{file} cannot be read ({error}): end what runs by hand, and delete it") from None


def end(processes: Sequence[Running]) -> None:
    """Tell all of them at once, wait, and SIGKILL those that are still there after STOP_TIMEOUT_S."""
    for one in processes:
        _signal(one, signal.SIGCONT)  # a stopped process takes no other signal
        _signal(one, one.stop_signal)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while any(one.is_alive() for one in processes):
        if time.monotonic() > deadline:
            for one in processes:
                _signal(one, signal.SIGKILL)
        time.sleep(_POLL_S)


def _signal(one: Running, what: int) -> None:
    if one.is_alive():
        with suppress(ProcessLookupError):
            os.kill(one.pid, what)


def _began(pid: int) -> str:
    """When that process began, in the machine's own words; empty if there is none, or only its remains."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self/stat").exists():  # not Linux: the number alone has to do
        return "running" if _exists(pid) else ""
    try:
        # After the name in parentheses, which may hold anything: 1 is the state, 20 the start in ticks since boot.
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True
