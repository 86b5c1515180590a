"""What the query API and the page are made from."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple, ParamSpec, TypeVar

from projections.views import Views

P = ParamSpec("P")
T = TypeVar("T")

# Reads that wait for a Redis in trouble must not hold up commands: they have threads of their own, and few.
_THREADS = 16


class ConsumerStatus(NamedTuple):
    """How one consumer of the log is doing.

    lag      positions between what it has handled and the head of the log
    parked   events it could not handle, kept for a person
    trouble  why it is put off at the moment; None: it runs
    """

    name: str
    lag: int
    parked: int
    trouble: str | None


class Sources(NamedTuple):
    """`views` hold the projections; the log and its consumers are asked through functions, from any thread."""

    views: Views
    last_position: Callable[[], int]
    consumers: Callable[[], list[ConsumerStatus]]


class Threads:
    """Runs blocking reads beside the event loop."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, "waybill-reads")

    async def run(self, read: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(read, *args, **kwargs))

    def close(self) -> None:
        """Without waiting for reads that hang: they end with their own timeouts."""
        self._pool.shutdown(wait=False, cancel_futures=True)
