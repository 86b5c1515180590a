"""The sandbox as a program: reads its journals, listens, and answers until it is stopped."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from services.outside import own_carrier, own_provider
from services.payment.sandbox import SandboxProvider
from services.sandbox.app import build
from services.server.listening import HttpServer, listen, stopped_by_signals, url_of
from services.server.protocol import BoundedProtocol
from services.shipping.sandbox import SandboxCarrier

MAX_CONNECTIONS = 2_000
"""Several workers, each with a pool; idle connections count as well."""
KEEP_ALIVE_S = 30
"""Longer than our callers keep an idle connection: they close it first, and never send into a closing one."""
STOP_TIMEOUT_S = 2
"""Calls under way that take longer are cut off: their callers have to live with that anyway."""


class CuttingProtocol(BoundedProtocol):
    """One connection, which a request can cut off in the middle: `request.state.cut_off()`."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["cut_off"] = self.transport.abort


def run_sandbox(
    home: Path, host: str, port: int, *, silence_s: float = 0.0, say: Callable[[str], object] = print
) -> None:
    """Serve the sandboxes of a home until SIGINT or SIGTERM. Port 0: any free one. `silence_s`: see app.py.

    Raises ServerRefused, or JournalError if another process has the journals or they cannot be read.
    """
    with ExitStack() as stack:
        server = SandboxServer(own_provider(stack, home), own_carrier(stack, home), host, port, silence_s=silence_s)
        stack.enter_context(stopped_by_signals(server.stop))
        server.run(ready=lambda url: say(f"The sandbox serves {url}/ on the home {home}. Stop with Ctrl-C."))
    say("Stopped.")


class SandboxServer:
    """Listens from the beginning, so that a port in use is known at once; answers while `run` runs."""

    def __init__(
        self, provider: SandboxProvider, carrier: SandboxCarrier, host: str, port: int, *, silence_s: float = 0.0
    ) -> None:
        """Port 0: any free one. `silence_s`: see services/sandbox/app.py. Raises ServerRefused."""
        self._socket = listen(host, port)
        config = uvicorn.Config(
            build(provider, carrier, silence_s=silence_s),
            http=CuttingProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        self._http = HttpServer(config)

    @property
    def url(self) -> str:
        return url_of(self._socket)

    def run(self, *, ready: Callable[[str], object] = lambda url: None) -> None:
        """Until `stop`. `ready` is told the address once requests are answered."""
        url = self.url
        self._http.when_started = lambda: ready(url)
        with self._socket:
            self._http.run(sockets=[self._socket])

    def stop(self) -> None:
        """From any thread or signal handler. A second time: without waiting for calls under way."""
        self._http.stop()
