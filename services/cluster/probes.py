"""What an orchestrator and Prometheus ask of a role: is it alive, is it ready, its numbers. A small threaded server.

/livez     200 while the engine turns; after a minute without a turn the process had better be started anew
/readyz    200 once the store answers and every role has begun its work, or stands by for it
/metrics   Prometheus' text format
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Troubles = Callable[[], dict[str, str]]
"""What is wrong, in words, by what it is about; empty if nothing is. Must not raise."""


class Probes:
    """Answers until it is closed. Raises OSError if the port is in use."""

    def __init__(
        self, host: str, port: int, *, alive: Troubles, ready: Troubles, before_metrics: Callable[[], None]
    ) -> None:
        handler = _handler({"/livez": alive, "/readyz": ready}, before_metrics)
        self._server = ThreadingHTTPServer((host, port), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="waybill-probes", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(probes: dict[str, Troubles], before_metrics: Callable[[], None]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        # A caller that does not go on is let go of.
        timeout = 5

        def do_GET(self) -> None:
            if self.path in probes:
                troubles = probes[self.path]()
                body = json.dumps({"ok": not troubles, "troubles": troubles}).encode()
                self._answer(503 if troubles else 200, "application/json", body)
            elif self.path == "/metrics":
                before_metrics()
                self._answer(200, CONTENT_TYPE_LATEST, generate_latest())
            else:
                self._answer(404, "text/plain", b"Ask for /livez, /readyz or /metrics.\n")

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes come every few seconds: nobody wants to read of them."""

    return Handler
