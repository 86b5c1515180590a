"""`waybill up`: the engine in one thread, HTTP in another, from the first request to a clean stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import uvicorn

from services.runtime.engine import Engine
from services.server.app import build
from services.server.listening import HttpServer, ServerRefused, listen, stopped_by_signals, url_of
from services.server.protocol import BoundedProtocol
from services.wiring import House

__all__ = ["Server", "ServerRefused", "serve"]

log = logging.getLogger(__name__)

# Connections at one moment, idle ones included. Each may hold up to one answer.
MAX_CONNECTIONS = 400
# How long requests under way are given when we stop.
STOP_TIMEOUT_S = 5


def serve(house: House, host: str, port: int, *, say: Callable[[str], object] = print) -> None:
    """Work and serve until SIGINT or SIGTERM. Raises ServerRefused, or what the engine could not go on with."""
    server = Server(house, host, port)
    with stopped_by_signals(server.stop):
        server.run(ready=lambda url: say(f"Waybill serves {url}/ on the home {house.home}. Stop with Ctrl-C."))
    say("Stopped.")


class Server:
    """Listens from the beginning, so that a port in use is known at once; serves while `run` runs."""

    def __init__(
        self, house: House, host: str, port: int, *, protocol: type[BoundedProtocol] = BoundedProtocol
    ) -> None:
        """Port 0: any free one. Raises ServerRefused."""
        self._socket = listen(host, port)
        self._engine = _EngineThread(house.engine, house.bell, on_death=self.stop)
        application = build(house, self._engine.is_running)
        config = uvicorn.Config(
            application.asgi,
            http=protocol,
            ws="none",
            # Paths carry customers' numbers: nobody's access is written down, and logging is the caller's to set up.
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=STOP_TIMEOUT_S,
        )
        self._http = HttpServer(config, before_shutdown=application.live.close)

    @property
    def url(self) -> str:
        return url_of(self._socket)

    def run(self, *, ready: Callable[[str], object] = lambda url: None) -> None:
        """Until `stop`. `ready` is told the address once requests are answered."""
        url = self.url
        self._http.when_started = lambda: ready(url)
        with self._socket, self._engine:
            self._http.run(sockets=[self._socket])
        self._engine.raise_if_died()

    def stop(self) -> None:
        """From any thread or signal handler. A second time: without waiting for requests under way."""
        self._http.stop()


class _EngineThread:
    """Runs the engine beside the server; if it cannot go on, the server shall stop."""

    def __init__(self, engine: Engine, bell: threading.Event, *, on_death: Callable[[], object]) -> None:
        self._engine = engine
        self._bell = bell
        self._on_death = on_death
        self._stop = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="waybill-engine")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._bell.set()
        self._thread.join()

    def is_running(self) -> bool:
        return self._thread.is_alive()

    def raise_if_died(self) -> None:
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._engine.run(self._stop)
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for the server
            log.error("the engine stopped: %s", type(error).__name__)
            self._error = error
            self._on_death()
