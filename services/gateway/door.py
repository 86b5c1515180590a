"""The first thing a request meets and the last thing its answer passes: no library, plain ASGI.

It lets in bodies that are JSON, not too large and not too slow, and no requests that a foreign web page made a browser
send. A fault of ours becomes a 500 that is logged without any of the data it was about.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})

# A body of the largest size takes a second on a line of 8 Mbit/s.
BODY_TIMEOUT_S = 10.0
# All bodies that are held at one moment. Beyond it nobody is let in, however slowly each of them comes.
MAX_HELD_BYTES = 64_000_000
# What is read and thrown away so that a sender who does not look up hears that it was too much, and how long.
_DRAINED_BYTES = 8_000_000
_DRAIN_TIMEOUT_S = 1.0

_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class _Refused(Exception):
    def __init__(self, status: int, message: str, *, retry_after_s: int | None = None) -> None:
        self.status = status
        self.message = message
        self.retry_after_s = retry_after_s


class _Gone(Exception):
    """The sender hung up."""


class Door:
    """Wraps the application."""

    def __init__(self, app: App, *, max_body_bytes: int, body_timeout_s: float = BODY_TIMEOUT_S) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._body_timeout_s = body_timeout_s
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(send)
        try:
            if scope["method"] in _UNSAFE:
                await self._with_body(scope, receive, answer)
            else:
                await self._app(scope, receive, answer.send)
        except _Refused as refused:
            await answer.refuse(refused)
        except _Gone:
            return
        except Exception as error:  # noqa: BLE001 - the last resort: told, and logged without its message
            _log_fault(scope, error)
            await answer.refuse(_Refused(500, "Something went wrong on our side; it was logged."))

    async def _with_body(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        _check_origin(headers)
        has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
        if has_body:
            _check_type(headers)
        body = await self._read(headers, receive) if has_body else b""
        self._held_bytes += len(body)
        try:
            await self._app(scope, _replay(body, receive), answer.send)
        finally:
            self._held_bytes -= len(body)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        try:
            async with asyncio.timeout(self._body_timeout_s):
                return await self._read_bounded(headers, receive)
        except TimeoutError:
            raise _Refused(408, f"The body did not come within {self._body_timeout_s:g} seconds.") from None

    async def _read_bounded(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        declared = headers.get(b"content-length", b"")
        if declared.isdigit() and int(declared) > self._max_body_bytes:
            if headers.get(b"expect", b"").lower() != b"100-continue":
                await _drain(receive)
            raise self._too_large()
        return await self._collect(receive)

    async def _collect(self, receive: Receive) -> bytes:
        body, more = bytearray(), True
        try:
            while more:
                chunk, more = await _next(receive)
                body += chunk
                self._held_bytes += len(chunk)
                if self._held_bytes > MAX_HELD_BYTES:
                    raise _Refused(503, "Too much is coming in at once. Send it a little later.", retry_after_s=1)
                if len(body) > self._max_body_bytes:
                    if more:
                        await _drain(receive)
                    raise self._too_large()
        finally:
            self._held_bytes -= len(body)
        return bytes(body)

    def _too_large(self) -> _Refused:
        return _Refused(413, f"The body is larger than {self._max_body_bytes:,} bytes. Send less at a time.")


class _Answer:
    """Passes the answer on, with our headers, and knows whether it has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            message["headers"] = [*message.get("headers", []), *_HEADERS]
        await self._send(message)

    async def refuse(self, refused: _Refused) -> None:
        """Nothing, if an answer has begun: the server then cuts the connection, which is the truth."""
        if self._started:
            return
        body = json.dumps({"message": refused.message, "problems": []}).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),  # what is left of the body, nobody reads
        ]
        if refused.retry_after_s is not None:
            headers.append((b"retry-after", str(refused.retry_after_s).encode()))
        await self.send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _check_origin(headers: dict[bytes, bytes]) -> None:
    """A browser says where a request comes from. Programs do not, and are let in."""
    if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
        raise _Refused(403, "This request was made by a page of another site; such pages may not change anything here.")


def _check_type(headers: dict[bytes, bytes]) -> None:
    media_type, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    media_type = media_type.strip()
    is_json = media_type == b"application/json" or (
        media_type.startswith(b"application/") and media_type.endswith(b"+json")
    )
    if not is_json:
        raise _Refused(415, "Send JSON, with the header Content-Type: application/json.")
    if b"charset" in parameters and b"utf-8" not in parameters:
        raise _Refused(415, "Send JSON in UTF-8.")
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise _Refused(415, "Send the body as it is, not compressed.")


async def _next(receive: Receive) -> tuple[bytes, bool]:
    """The next part of the body, and whether there is more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise _Gone
    return message.get("body", b""), bool(message.get("more_body", False))


async def _drain(receive: Receive) -> None:
    """Many senders write all of a body before they read an answer: take a little more, and keep none of it."""
    left, more = _DRAINED_BYTES, True
    try:
        async with asyncio.timeout(_DRAIN_TIMEOUT_S):
            while more and left > 0:
                chunk, more = await _next(receive)
                left -= len(chunk)
    except TimeoutError:
        return


def _replay(body: bytes, receive: Receive) -> Receive:
    """The body as one message; after it, what the server has to say (that the sender hung up)."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return pending.pop() if pending else await receive()

    return replay


def _log_fault(scope: Scope, error: Exception) -> None:
    """The route's template and our lines of code: neither the path nor the message, which may quote what was sent."""
    route = getattr(scope.get("route"), "path", "unknown route")
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s %s failed with %s:\n%s", scope["method"], route, type(error).__name__, frames)
