"""The projections in a process of their own, beside the workers: on a second core they cost the workers nothing.

The two processes share the log, the Redis, and a pipe. Each line in the pipe means "there is news"; its end means that
the other process is gone, however it went, and so does this one. Whether the projections have caught up is asked of
Redis, where their checkpoints lie beside their data.

Run as `python -m services.projector HOME`; nobody but `ProjectorProcess` needs to.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from events.store import EventStore, StoreUnavailable
from projections.catalogue import PROJECTIONS
from projections.reader import Progress
from projections.runner import ProjectionRunner
from projections.views import Views, ViewsUnavailable

log = logging.getLogger(__name__)

# Events per step. An order's 22 events fall into one step as a rule, and its row is written once.
SHOWN_AT_ONCE = 6_000
# Without news it looks by itself now and then: another process may have appended.
_LOOK_EVERY_S = 0.5
_PAUSE_S = 0.2
# It ends as soon as the pipe does, after the step that is under way; a step takes 0.1 s.
_STOP_TIMEOUT_S = 5.0


class ProjectorProcess:
    """The engine's side: a consumer that passes the news on, and asks what became of them."""

    name = "projections"

    def __init__(self, home: Path, store: EventStore, views: Views, environment: Mapping[str, str]) -> None:
        """`environment` are settings that the child shall see, where they differ from the process's own."""
        self._home = home
        self._environment = environment
        self._store = store
        self._progress = Progress(views)
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1
        self._shown = -1
        self._ended = ""
        self.busy = 0
        """Positions that were not shown yet at the latest step."""

    def step(self) -> int:
        """Say that there is news. Raises ViewsUnavailable while Redis is away, or a projector that ended was started
        anew and has shown nothing yet: one that ends again and again is no success.
        """
        self._look_after()
        head = self._store.last_position()
        if head != self._told:
            self._tell(head)
        self.busy = max(self._progress.lag(PROJECTIONS, head).values(), default=0)
        if not self.busy or head - self.busy != self._shown:
            self._ended = ""
        self._shown = head - self.busy
        if self._ended:
            raise ViewsUnavailable(self._ended)
        return 0

    def _look_after(self) -> None:
        """Start it, if it does not run."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            self._ended = f"the projector ended with exit code {code} and was started anew"
            self.close()
        if self._process is None:
            self._process, self._told = _start(self._home, self._environment), -1

    def _tell(self, head: int) -> None:
        assert self._process is not None
        try:
            _pipe(self._process).write(b"\n")
        except BrokenPipeError:
            return  # it has just ended: the next step finds out
        self._told = head

    def close(self) -> None:
        """End it, after the step that is under way."""
        process, self._process = self._process, None
        if process is None:
            return
        _pipe(process).close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _start(home: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # -P and the path: a folder of the user's that is called `services` too must not be taken for ours.
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "services.projector", str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        bufsize=0,
        env={**os.environ, **environment, "PYTHONPATH": path},
        # A session of its own: Ctrl-C is for the process that was asked, which then ends this one by itself.
        start_new_session=True,
    )
    # A pipe that is full of news need not be told more; the workers do not wait for it.
    os.set_blocking(_pipe(process).fileno(), False)
    return process


def _pipe(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdin is not None
    return process.stdin


def main(home: Path) -> None:
    """Show the log until the pipe ends."""
    from services.wiring import open_log_and_views

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open_log_and_views(home) as (store, views):
        runner = ProjectionRunner(store, views, PROJECTIONS, limit=SHOWN_AT_ONCE)
        wait_s = 0.0
        while _is_wanted(wait_s):
            wait_s = _step(runner)


def _step(runner: ProjectionRunner) -> float:
    """One step; how long to wait for news before the next."""
    try:
        return 0.0 if runner.step() else _LOOK_EVERY_S
    except (ViewsUnavailable, StoreUnavailable) as error:
        log.info("put off: %s", error)  # the engine's process notices the same, and says so
        time.sleep(_PAUSE_S)
        return 0.0


def _is_wanted(wait_s: float) -> bool:
    """After so long, or as soon as there is news; False once the pipe has ended."""
    readable, _, _ = select.select([0], [], [], wait_s)
    return not readable or bool(os.read(0, 65_536))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
