"""Runs `waybill` again and again, each time as a process of its own, without the second that a start costs.

`python -m tests.e2e.launcher` has imported everything and started nothing: no thread, no file, no connection. For each
line on its standard input it forks; the fork is the command, and what kills it kills nobody else.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.e2e.processes import NO_ENVIRONMENT, ROOT, TIMEOUT_S, Environment, Outcome


class Launcher:
    """The other end of the pipe. One command at a time."""

    def __enter__(self) -> Launcher:
        self._folder = tempfile.TemporaryDirectory(prefix="waybill-launcher-")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.launcher"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()
        self._folder.cleanup()

    def run(self, *arguments: object, home: Path, env: Environment = NO_ENVIRONMENT, moment: str = "") -> Outcome:
        """As `waybill` of processes.py; `moment` is when it dies, see moments.py."""
        out, err = (Path(self._folder.name) / name for name in ("out", "err"))
        words = [*map(str, arguments), "--home", str(home)]
        request = {"words": words, "env": dict(env), "moment": moment, "out": str(out), "err": str(err)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        code = int(self._process.stdout.readline())
        return Outcome(code, out.read_text(), err.read_text())


# --- the other side --------------------------------------------------------------------------------------------------


def serve() -> None:
    _import_everything()
    for line in sys.stdin:
        request = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_the_command(request)
        print(_code_of(pid), flush=True)


def _import_everything() -> None:
    for name in ("services.cli", "services.wiring", "services.gateway.importer", "services.faults"):
        importlib.import_module(name)


def _become_the_command(request: dict[str, Any]) -> None:
    for number, name in [(1, request["out"]), (2, request["err"])]:
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(request["env"])
    sys.argv = ["waybill", *request["words"]]
    from services.cli import main
    from tests.e2e.moments import arm

    arm(request["moment"])
    main()


def _code_of(pid: int) -> int:
    """How it ended: its exit code, or the number of the signal below zero."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(pid, 9)
            os.waitpid(pid, 0)
            raise TimeoutError(f"the command did not end within {TIMEOUT_S:g} s")
        time.sleep(0.002)


if __name__ == "__main__":
    serve()
