"""`waybill up`: the engine in one thread, HTTP in another, from the first request to a clean stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn

from services.runtime.engine import Engine
from services.server.app import build
from services.server.protocol import BoundedProtocol
from services.wiring import House

log = logging.getLogger(__name__)

# Connections at one moment, idle ones included. Each may hold up to one answer.
MAX_CONNECTIONS = 400
# How long requests under way are given when we stop.
STOP_TIMEOUT_S = 5


class ServerRefused(Exception):
    """The server cannot listen where it should; the message says why and what to do."""


def serve(house: House, host: str, port: int, *, say: Callable[[str], object] = print) -> None:
    """Work and serve until SIGINT or SIGTERM. Raises ServerRefused, or what the engine could not go on with."""
    server = Server(house, host, port)
    with _stopped_by_signals(server):
        server.run(ready=lambda url: say(f"Waybill serves {url}/ on the home {house.home}. Stop with Ctrl-C."))
    say("Stopped.")


class Server:
    """Listens from the beginning, so that a port in use is known at once; serves while `run` runs."""

    def __init__(
        self, house: House, host: str, port: int, *, protocol: type[BoundedProtocol] = BoundedProtocol
    ) -> None:
        """Port 0: any free one. Raises ServerRefused."""
        self._socket = _listen(host, port)
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
        self._http = _Http(config, application.live.close)

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def run(self, *, ready: Callable[[str], object] = lambda url: None) -> None:
        """Until `stop`. `ready` is told the address once requests are answered."""
        url = self.url
        self._http.when_started = lambda: ready(url)
        with self._socket, self._engine:
            self._http.run(sockets=[self._socket])
        self._engine.raise_if_died()

    def stop(self) -> None:
        """From any thread or signal handler. A second time: without waiting for requests under way."""
        self._http.force_exit = self._http.should_exit
        self._http.should_exit = True


class _Http(uvicorn.Server):
    """Leaves signals to us, and sends watchers away first: their requests never end by themselves."""

    def __init__(self, config: uvicorn.Config, close_streams: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self.when_started: Callable[[], object] = lambda: None
        self._close_streams = close_streams

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.when_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._close_streams()
        await super().shutdown(sockets)


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


@contextmanager
def _stopped_by_signals(server: Server) -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        server.stop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(host: str, port: int) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError):
        raise ServerRefused(f"there is no address {host!r} to listen on: choose another with --host") from None
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(2_048)
    except OSError as error:
        listening.close()
        raise ServerRefused(_why_not(error, host, port)) from None
    return listening


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} of {host} is in use by another program: stop it, or choose another with --port"
        case errno.EACCES:
            return f"this user may not listen on port {port}: choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine: choose another with --host"
        case _:
            return f"cannot listen on port {port} of {host}: {error.strerror}"
