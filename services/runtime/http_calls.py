"""HTTP calls to a provider or a carrier on another machine: one pool of connections, and what a missing answer means.

The only importer of aiohttp. It is here and not httpx because a call costs a tenth of the processor time
(docs/decisions.md).

    HttpCallError
    ├── NotReached    there was no connection: nothing was sent
    ├── NoAnswer      it was sent, and no whole answer came: it may or may not have been done
    └── AddressRefused    the address is no http(s) URL

A connection that is refused is tried again for a moment, because nothing was sent. What was sent is never sent again
from here: whoever sent it has to find out first.

What is sent may hold an address, so no error repeats anything of it. Not its job: what an answer says.
"""

from __future__ import annotations

import asyncio
import time
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

MAX_ANSWER_BYTES: Final = 1_000_000
"""Far more than any provider says; less than would hurt us."""
CONNECTIONS: Final = 256
"""More than there are lanes for calls, by default, so that none waits for a connection."""
KEEP_S: Final = 10.0
"""How long an idle connection is kept: shorter than the sandbox keeps it, or a call might go into a closing one."""
RECONNECT_FOR_S: Final = 2.0
"""As long as a program takes to start again."""
RECONNECT_PAUSE_S: Final = 0.1


class HttpCallError(Exception):
    """See the tree in the module's docstring."""


class NotReached(HttpCallError):
    """Nothing was sent."""


class NoAnswer(HttpCallError):
    """Sent, but not (wholly) answered: the outcome is unknown."""


class AddressRefused(HttpCallError):
    """A setting names no address that can be called."""


class Answer(NamedTuple):
    status: int
    body: bytes


class _Request(NamedTuple):
    method: str
    path: str
    query: dict[str, str]
    body: bytes | None
    headers: dict[str, str]


class HttpCalls:
    """Calls to one base address. Made anywhere, but used on one event loop only, where it must be closed as well."""

    def __init__(self, base_url: str, *, timeout_s: float, reconnect_for_s: float = RECONNECT_FOR_S) -> None:
        """`timeout_s` bounds what is sent once, with connecting and answering. Raises AddressRefused."""
        self.peer = _host_and_port(base_url)
        """For messages: without a password, should the address hold one."""
        self._base_url = base_url.rstrip("/")
        self._timeout_s = timeout_s
        self._reconnect_for_s = min(reconnect_for_s, timeout_s / 2)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, path: str, body: bytes, *, key: str) -> Answer:
        """`body` is JSON. Raises NotReached or NoAnswer."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return await self._call(_Request("POST", path, {}, body, headers))

    async def get(self, path: str, **query: str) -> Answer:
        """Raises NotReached or NoAnswer."""
        return await self._call(_Request("GET", path, query, None, {}))

    async def aclose(self) -> None:
        """Idempotent. Calls under way end without an answer."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _call(self, request: _Request) -> Answer:
        give_up_s = time.monotonic() + self._reconnect_for_s
        while True:
            try:
                return await self._send(request)
            except NotReached:
                if time.monotonic() + RECONNECT_PAUSE_S >= give_up_s:
                    raise
            await asyncio.sleep(RECONNECT_PAUSE_S)

    async def _send(self, request: _Request) -> Answer:
        method, path, query, body, headers = request
        try:
            async with self._opened().request(
                method, self._base_url + path, params=query, data=body, headers=headers, allow_redirects=False
            ) as response:
                return Answer(response.status, await self._body(response))
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotReached(f"{self.peer} cannot be reached: {_reason(error)}") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{self.peer} did not answer: {_reason(error)}") from None

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = b""
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                response.close()
                raise NoAnswer(f"{self.peer} answers more than {MAX_ANSWER_BYTES:,} bytes")
        return body

    def _opened(self) -> aiohttp.ClientSession:
        """Made at the first call, because it belongs to the event loop that is running then."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_S),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=self._timeout_s / 2),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What is sent holds addresses: no proxy of the environment gets to see them.
                trust_env=False,
            )
        return self._session


def _host_and_port(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts.netloc.rpartition("@")[2]
    except ValueError:  # no number for a port, or a bracket left open: said below
        pass
    raise AddressRefused("the address of a provider or carrier has to look like http://host:port")


def _reason(error: Exception) -> str:
    """In the words of the operating system where there are some; else what kind of fault. Never what was sent."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
