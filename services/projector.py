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
from pathlib import Path

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
    """The engine's side: a consumer that passes the news on."""

    name = "projections"

    def __init__(self, home: Path, store: EventStore, views: Views) -> None:
        self._home = home
        self._store = store
        self._progress = Progress(views)
        self._process: subprocess.Popen[bytes] | None = None
        self._told = -1

    @property
    def busy(self) -> int:
        """Positions that are not shown yet."""
        head = self._store.last_position()
        return max(self._progress.lag(PROJECTIONS, head).values(), default=0)

    def step(self) -> int:
        """Say that there is news. Raises ViewsUnavailable if the process is gone; the next step starts another."""
        if self._process is None:
            self._process = _start(self._home)
        head = self._store.last_position()
        if head != self._told:
            self._tell()
            self._told = head
        return 0

    def _tell(self) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            code = self._process.wait()
            self._process, self._told = None, -1
            raise ViewsUnavailable(f"the projector ended with exit code {code}; another one is started") from None

    def close(self) -> None:
        """End it, after the step that is under way."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.close()
            self._process.wait(_STOP_TIMEOUT_S)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        self._process = None


def _start(home: Path) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C is for the process that was asked, which then ends this one by itself.
    command = [sys.executable, "-m", "services.projector", str(home)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True)


def main(home: Path) -> None:
    """Show the log until the pipe ends."""
    from services.wiring import open_log_and_views

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with open_log_and_views(home) as (store, views):
        runner = ProjectionRunner(store, views, PROJECTIONS, limit=SHOWN_AT_ONCE)
        while _wait():
            _show_all(runner)


def _show_all(runner: ProjectionRunner) -> None:
    try:
        while runner.step():
            pass
    except (ViewsUnavailable, StoreUnavailable) as error:
        log.warning("the projections are put off: %s", error)
        time.sleep(_PAUSE_S)


def _wait() -> bool:
    """Until there is news, or it is time to look; False once the pipe has ended."""
    readable, _, _ = select.select([0], [], [], _LOOK_EVERY_S)
    return not readable or bool(os.read(0, 65_536))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
