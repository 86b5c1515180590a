"""One server process of ours: started in a folder, waited for, stopped, killed, paused, started again in its place.

ServerError                 a server does not do what it should; the message says why, in words
└── Missing                 a program that it needs is not on this machine; the message says how to get it
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Self

from deploy.local.machine import ServerError, free_port, is_free

# An idle machine needs 3 s for the slowest (Kafka). Eleven roles that start at once on two busy cores took 40 s.
START_TIMEOUT_S = 150.0
# Kafka hands over its partitions and PostgreSQL writes a checkpoint before they end; both take under a second.
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.02


class Server:
    """One process. Subclasses say what to run and when it is ready. Its port and its data survive a restart.

    With `tied`, the kernel kills the process as soon as the thread that started it is gone (Linux): for tests, which
    may be killed themselves. Without it, the process lives on when the one that started it ends.
    """

    name: str
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, port: int | None = None, *, tied: bool = False) -> None:
        """`folder` is made if it is not there; `port` defaults to the one that it had there before, or any free one."""
        self.folder = folder.absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = port or self.kept_port("port")
        self.log = self.folder / "log"
        self._log_start = 0
        self.user: str | None = None
        self.environment: dict[str, str] | None = None  # None: ours
        self._tied = tied
        self._process: subprocess.Popen[bytes] | None = None

    # --- what a subclass says ----------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Whatever has to be there before a start; does nothing where it is there already. Raises ServerError."""

    def command(self) -> Sequence[str | Path]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        raise NotImplementedError

    # --- what is done with it ----------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        """Raises ServerError unless it runs."""
        if self._process is None:
            raise ServerError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> Self:
        """Start it and wait until it serves. Raises ServerError with the end of its log, Missing."""
        self.launch()
        return self.wait_until_ready()

    def launch(self) -> None:
        """Start it, and do not wait. Raises ServerError, Missing."""
        if self.is_alive():
            raise ServerError(f"{self.name} runs already (process {self.pid})")
        self.prepare()
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._process = self._spawn(log)

    def wait_until_ready(self) -> Self:
        """Raises ServerError if it ends, or is not ready within START_TIMEOUT_S; then nothing of it is left running."""
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.is_ready():
            if not self.is_alive() or time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"{self.name} does not start in {self.folder}: {self.last_words()}")
            time.sleep(_POLL_S)
        return self

    def stop(self) -> None:
        """End it in peace, or by SIGKILL after STOP_TIMEOUT_S. Does nothing if it does not run."""
        if self._process is None or self._process.poll() is not None:
            return
        self.resume()  # a stopped process takes no other signal
        self._process.send_signal(self.stop_signal)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """As if the machine had lost its power: SIGKILL to it and to every process that it started."""
        self._signal_all(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on as if no time had passed."""
        self._signal_all(signal.SIGCONT)

    def restart(self) -> None:
        """Stop, and start on the same port with the same data."""
        self.stop()
        self.start()

    def leave_running(self) -> None:
        """It lives on when we end; whoever ends it goes by its number."""
        if self._process is not None:
            self._process.returncode = 0  # else Python complains about a child that nobody waited for
            self._process = None

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def said(self) -> str:
        """What it has written since its last start."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def last_words(self) -> str:
        return " / ".join(self.said().strip().splitlines()[-4:])[-800:] or "it said nothing"

    def __enter__(self) -> Self:
        return self if self.is_alive() else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- how ---------------------------------------------------------------------------------------------------------

    def kept_port(self, file_name: str) -> int:
        """The port that is written down in that file if it is free, else another one, which is written down."""
        file = self.folder / file_name
        before = int(file.read_text()) if file.exists() else None
        port = before if before and is_free(before) else free_port()
        file.write_text(str(port))
        return port

    def run(self, program: str | Path, *arguments: str | Path, says: bytes = b"") -> None:
        """A short command that has to succeed; `says` is what it is told. Raises ServerError with what it answered."""
        done = subprocess.run(
            [program, *arguments],
            check=False,
            cwd=self.folder,
            user=self.user,
            input=says,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=START_TIMEOUT_S,
        )
        if done.returncode != 0:
            said = done.stdout.decode(errors="replace").strip()[-800:]
            raise ServerError(f"{Path(program).name} exited {done.returncode} in {self.folder}: {said}")

    def _spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        # util-linux's setpriv, so that no code of ours has to run between fork and exec: that may hang with threads.
        setpriv = shutil.which("setpriv") if self._tied else None
        prefix = [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
        return subprocess.Popen(
            [*prefix, *self.command()],
            cwd=self.folder,
            user=self.user,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C at the terminal is not for it
        )

    def _signal_all(self, what: signal.Signals) -> None:
        """To the process and to all that it started: a paused PostgreSQL is not paused while its backends work."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGSTOP)  # first of all: from here on it starts no more of them
        for pid in (*_descendants(self._process.pid), self._process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, what)


def _descendants(pid: int) -> list[int]:
    """Children, and theirs. Only Linux says; elsewhere none are found."""
    try:
        children = [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
    return [one for child in children for one in (child, *_descendants(child))]
