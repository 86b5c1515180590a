"""The board in a Redis, under `waybill:insights:board`."""

from __future__ import annotations

from typing import cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from services.insights.board import BoardUnavailable

KEY = "waybill:insights:board"

# A document is some 50 kB; two seconds without an answer is a Redis in trouble, and a newer document is due already.
_TIMEOUT_S = 2.0
# One writes, the gateway's threads read.
_MAX_CONNECTIONS = 8


class RedisBoard:
    """See Board. Connects when it is first asked, and anew after trouble."""

    def __init__(self, url: str, *, key: str = KEY) -> None:
        self._key = key
        try:
            pool = redis.BlockingConnectionPool.from_url(
                url,
                max_connections=_MAX_CONNECTIONS,
                timeout=_TIMEOUT_S,
                socket_timeout=_TIMEOUT_S,
                socket_connect_timeout=_TIMEOUT_S,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError as error:
            raise BoardUnavailable(f"there is no Redis: {error}") from None
        self._client = redis.Redis(connection_pool=pool)

    def show(self, document: bytes) -> None:
        try:
            self._client.set(self._key, document)
        except redis.RedisError as error:
            raise BoardUnavailable(f"Redis does not take the insights: {error}") from error

    def seen(self) -> bytes | None:
        try:
            return cast(bytes | None, self._client.get(self._key))
        except redis.RedisError as error:
            raise BoardUnavailable(f"Redis does not answer: {error}") from error

    def close(self) -> None:
        self._client.connection_pool.disconnect()
