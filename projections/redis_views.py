"""The views in a Redis. The only module that imports `redis`.

Keys
----
waybill:live                                  number of the live generation; 1 if missing
waybill:generations                           the highest number that was given out
waybill:builder, waybill:hold                 who builds a generation, who holds the live one; both expire
waybill:<generation>:checkpoints              hash: projection -> position
waybill:<generation>:<table>:row:<key>        and `text:<key>` (strings), `index:<name>` (sorted set), `totals` (hash)

Written for one Redis, not for a Redis Cluster: the scripts reach keys that they are not told beforehand.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from projections import lua
from projections.redis_server import RedisServer, RedisServerError
from projections.views import (
    BUILDER_TTL_S,
    Batch,
    Commit,
    StaleWriter,
    Standing,
    TableChanges,
    ViewsBusy,
    ViewsHeld,
    ViewsUnavailable,
)

# A commit of several thousand events takes some 50 ms; ten seconds without an answer is a Redis in trouble.
_ANSWER_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 2.0
# More threads than this ask at once only under attack; they wait their turn for a moment, then are told to come again.
_MAX_CONNECTIONS = 32
_POOL_TIMEOUT_S = 5.0
# How many keys are looked at, or deleted, in one go: about a millisecond in which Redis serves nobody else.
_KEYS_PER_STEP = 500


class RedisViews:
    """Views in that Redis. The server is asked where it is whenever the connection was lost."""

    def __init__(self, server: RedisServer, *, namespace: str = "waybill") -> None:
        self._server = server
        self._namespace = namespace
        self._mutex = threading.Lock()
        self._client: redis.Redis | None = None

    def standing(self) -> Standing:
        live, flat = self._run(_STANDING, self._key("live"), f"{self._namespace}:", ":checkpoints")
        names, positions = flat[::2], flat[1::2]
        return Standing(int(live), {name.decode(): int(at) for name, at in zip(names, positions, strict=True)})

    def rows(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        return self._several(self._key(generation, table, "row:"), keys)

    def texts(self, generation: int, table: str, keys: Sequence[str]) -> list[bytes | None]:
        return self._several(self._key(generation, table, "text:"), keys)

    def page(
        self, generation: int, table: str, index: str, limit: int, *, after: str = "", descending: bool = False
    ) -> list[str]:
        key = self._key(generation, table, "index:" + index)
        if descending:
            found = self._do("ZREVRANGEBYLEX", key, f"({after}" if after else "+", "-", "LIMIT", 0, limit)
        else:
            found = self._do("ZRANGEBYLEX", key, f"({after}" if after else "-", "+", "LIMIT", 0, limit)
        return [member.decode() for member in found]

    def totals(self, generation: int, table: str, fields: Sequence[str] = ()) -> dict[str, int]:
        key = self._key(generation, table, "totals")
        if fields:
            counts = self._do("HMGET", key, *fields)
            return {name: int(count) for name, count in zip(fields, counts, strict=True) if count is not None}
        return {name.decode(): int(count) for name, count in self._do("HGETALL", key).items()}

    def commit(self, batch: Batch) -> Commit:
        arguments = self._arguments(batch)
        client = self._connected()
        with self._in_words(client):
            connection: Any = client.connection_pool.get_connection()
            try:
                connection.send_command("EVALSHA", _COMMIT.sha, 0, *arguments)
            except BaseException:
                client.connection_pool.release(connection)
                raise
        return _Sent(self, client, connection, arguments)

    def begin_generation(self, builder: str, ttl_s: float) -> int:
        names = self._key("builder"), self._key("live"), self._key("generations")
        number = self._run(_BEGIN, *names, builder, _ms(ttl_s))
        if number is None:
            raise ViewsBusy("another rebuild is under way, or was killed within the last minute: try again later")
        self._delete_all_but(self.standing().generation)
        return int(number)

    def hold(self, holder: str, ttl_s: float) -> None:
        _refuse(self._run(_HOLD, self._key("hold"), holder, _ms(ttl_s)))

    def differences(self, one: int, other: int) -> Iterator[tuple[int, list[str]]]:
        mine, theirs = self._key(one, ""), self._key(other, "")
        for keys in self._scan(mine):
            found = self._run(_DIFFERENT, mine, theirs, *[key[len(mine) :] for key in keys])
            yield len(keys), [end.decode() for end in found]
        for keys in self._scan(theirs):
            found = self._run(_MISSING, mine, *[key[len(theirs) :] for key in keys])
            yield 0, [end.decode() for end in found]

    def switch(self, old: int, new: int, *, holder: str = "") -> None:
        names = self._key("live"), self._key("hold"), self._key("builder"), self._key(old, "checkpoints")
        _refuse(self._run(_SWITCH, *names, old, new, holder))
        self._delete_all_but(new)

    def close(self) -> None:
        with self._mutex:
            if self._client is not None:
                self._client.connection_pool.disconnect()
                self._client = None

    def _key(self, *parts: object) -> str:
        return ":".join([self._namespace, *map(str, parts)])

    def _several(self, prefix: str, keys: Sequence[str]) -> list[bytes | None]:
        found: list[bytes | None] = self._do("MGET", *[prefix + key for key in keys]) if keys else []
        return found

    def _arguments(self, batch: Batch) -> list[Any]:
        """What the commit script reads: see lua.COMMIT."""
        head = {
            "live_key": self._key("live"),
            "hold_key": self._key("hold"),
            "builder_key": self._key("builder"),
            "builder_ms": _ms(BUILDER_TTL_S),
            "checkpoints_key": self._key(batch.generation, "checkpoints"),
            "generation": str(batch.generation),
            "holder": batch.holder,
            "moves": [[move.projection, str(move.expected), str(move.reached)] for move in batch.moves],
            "prefix": self._key(batch.generation, ""),
            "tables": [changes.table for changes in batch.tables],
        }
        return [orjson.dumps(head), *(part for changes in batch.tables for part in _lists(changes))]

    def _scan(self, prefix: str) -> Iterator[list[bytes]]:
        """Keys with this prefix, some at a time; a key may come twice."""
        cursor = 0
        while True:
            cursor, keys = self._do("SCAN", cursor, "MATCH", prefix + "*", "COUNT", _KEYS_PER_STEP)
            if keys:
                yield keys
            if cursor == 0:
                return

    def _delete_all_but(self, generation: int) -> None:
        digits, keep = f"{self._namespace}:[0-9]", f"{self._key(generation)}:".encode()
        for keys in self._scan(digits):
            dead = [key for key in keys if not key.startswith(keep)]
            if dead:
                self._do("UNLINK", *dead)

    def _run(self, script: _Script, *arguments: Any) -> Any:
        try:
            return self._do("EVALSHA", script.sha, 0, *arguments)
        except _UnknownScript:
            return self._do("EVAL", script.text, 0, *arguments)

    def _do(self, *command: Any) -> Any:
        client: Any = self._connected()  # redis-py types its methods for their asynchronous twins as well
        with self._in_words(client):
            return client.execute_command(*command)

    @contextmanager
    def _in_words(self, client: redis.Redis) -> Iterator[None]:
        try:
            yield
        except redis.exceptions.NoScriptError as error:
            raise _UnknownScript from error
        except (redis.ConnectionError, redis.TimeoutError) as error:
            self._forget(client)
            raise ViewsUnavailable(f"Redis does not answer: {error}") from error
        except redis.RedisError as error:
            raise ViewsUnavailable(f"Redis refuses: {error}") from error

    def _connected(self) -> redis.Redis:
        client = self._client
        if client is not None:
            return client
        # One thread connects, which takes as long as a Redis takes to start; the others do not wait for all of that.
        if not self._mutex.acquire(timeout=_CONNECT_TIMEOUT_S):
            raise ViewsUnavailable("there is no Redis: it is still being connected to")
        try:
            if self._client is None:
                self._client = self._connect()
            return self._client
        finally:
            self._mutex.release()

    def _connect(self) -> redis.Redis:
        try:
            client = _client_of(self._server.url())
        except (RedisServerError, ValueError) as error:
            raise ViewsUnavailable(f"there is no Redis: {error}") from error
        with self._in_words(client):
            # Told beforehand, so that a commit is made even if nobody waits for it to be refused.
            client.script_load(_COMMIT.text)
        return client

    def _forget(self, client: redis.Redis) -> None:
        # Without the mutex, which one who connects may hold for long. At worst a new client is made once too often.
        if self._client is client:
            self._client = None
        client.connection_pool.disconnect(inuse_connections=False)


class _Sent:
    """A commit on its way. It has a connection to itself until somebody has waited for it."""

    def __init__(self, views: RedisViews, client: redis.Redis, connection: Any, arguments: list[Any]) -> None:
        self._views = views
        self._client = client
        self._connection = connection
        self._arguments = arguments

    def wait(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with self._views._in_words(self._client):
            try:
                answer = self._answer(connection)
            finally:
                self._client.connection_pool.release(connection)
        _refuse(answer)

    def __del__(self) -> None:
        """Nobody waited. The answer may still come, so nobody else can have the connection as it is."""
        if self._connection is not None:
            self._connection.disconnect()
            self._client.connection_pool.release(self._connection)

    def _answer(self, connection: Any) -> Any:
        try:
            return connection.read_response()
        except redis.exceptions.NoScriptError:
            connection.send_command("EVAL", _COMMIT.text, 0, *self._arguments)
            return connection.read_response()


class _UnknownScript(Exception):
    """This Redis was not told the script yet."""


class _Script:
    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


_COMMIT = _Script(lua.COMMIT)
_STANDING = _Script(lua.STANDING)
_BEGIN = _Script(lua.BEGIN)
_HOLD = _Script(lua.HOLD)
_SWITCH = _Script(lua.SWITCH)
_DIFFERENT = _Script(lua.DIFFERENT)
_MISSING = _Script(lua.MISSING)


def _client_of(url: str) -> redis.Redis:
    pool = redis.BlockingConnectionPool.from_url(
        url,
        max_connections=_MAX_CONNECTIONS,
        timeout=_POOL_TIMEOUT_S,
        socket_timeout=_ANSWER_TIMEOUT_S,
        socket_connect_timeout=_CONNECT_TIMEOUT_S,
        retry=Retry(NoBackoff(), 0),  # who asks decides whether to ask again
        protocol=2,
    )
    return redis.Redis(connection_pool=pool)


def _refuse(answer: bytes) -> None:
    if answer == b"stale":
        raise StaleWriter("the views are not where this writer believed them to be")
    if answer == b"held":
        raise ViewsHeld("the views are held by somebody else for a moment")


def _ms(seconds: float) -> int:
    return int(seconds * 1000)


def _lists(changes: TableChanges) -> list[bytes]:
    """The twelve lists of one table, in the order in which the commit script takes them."""
    return [
        _names(changes.rows),
        _contents(changes.rows.values()),
        _names(changes.removed),
        _names(changes.dropped),
        _names(changes.texts),
        _contents(changes.texts.values()),
        _names([entry.name for entry in changes.unindexed]),
        _names([entry.member for entry in changes.unindexed]),
        _names([entry.name for entry in changes.indexed]),
        _names([entry.member for entry in changes.indexed]),
        _names(changes.totals),
        _names([str(change) for change in changes.totals.values()]),
    ]


def _names(names: Collection[str]) -> bytes:
    text = "\0".join(names)
    assert text.count("\0") == max(0, len(names) - 1), "a key, name or member has a NUL character in it"
    return text.encode()


def _contents(contents: Collection[bytes]) -> bytes:
    text = b"\0".join(contents)
    assert text.count(b"\0") == max(0, len(contents) - 1), "a row or a text has a NUL character in it"
    return text
