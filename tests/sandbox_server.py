"""The sandbox over HTTP: in a thread of the test, with its clock; or as a process of its own, which can be killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from services.payment.sandbox import SandboxProvider
from services.sandbox.serving import SandboxServer
from services.shipping.sandbox import SandboxCarrier

ROOT = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
# Far more than anything takes: the machine may be busy with other tests.
PATIENCE_S = 20.0

_RUN = """
import sys
from pathlib import Path
from services.sandbox.serving import run_sandbox
home, host, port, silence_s = sys.argv[1:]
run_sandbox(Path(home), host, int(port), silence_s=float(silence_s), say=lambda line: print(line, flush=True))
"""


class ServedSandbox:
    """Serves these sandboxes, whose clock and sleep are the test's."""

    def __init__(
        self,
        provider: SandboxProvider | None = None,
        carrier: SandboxCarrier | None = None,
        *,
        port: int = 0,
        silence_s: float = 0.0,
    ) -> None:
        started = threading.Event()
        self._server = SandboxServer(
            provider or SandboxProvider(), carrier or SandboxCarrier(), LOOPBACK, port, silence_s=silence_s
        )
        self.url = self._server.url
        self._thread = threading.Thread(target=self._server.run, kwargs={"ready": lambda _: started.set()}, daemon=True)
        self._thread.start()
        assert started.wait(PATIENCE_S)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def stop(self) -> None:
        self._server.stop()
        self._server.stop()  # calls under way are not waited for
        self._thread.join(PATIENCE_S)


class SandboxProcess:
    """`run_sandbox` on a home, from the first answer to its end, however that comes."""

    def __init__(self, home: Path, port: int = 0, *, silence_s: float = 0.0) -> None:
        self.home = home
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(home), LOOPBACK, str(port), str(silence_s)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.said = self._process.stdout.readline()
        self.url = self.said.split()[3].rstrip("/") if self.said else ""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self.ended()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self) -> int:
        self._process.terminate()
        return self.ended()[0]

    def ended(self) -> tuple[int, str]:
        """The exit code, and what was said on standard error."""
        try:
            _, complaint = self._process.communicate(timeout=PATIENCE_S)
        finally:
            self._process.kill()  # nothing is left behind, should it not have ended
        return self._process.returncode, complaint
