"""The Faust app: facts from Kafka in, tables with a changelog in Kafka out. The only module that imports `faust`.

Faust runs in a thread of its own. It carries events to whoever counts them, and keeps the rows that they are counted
in; it counts nothing itself. That way what is known to go wrong in it (stalls and repetitions around rebalances, rows
that are written in part) costs time and nothing else: services/insights/insights.py reads from the log what does not
come, and passes over what comes twice.

Its changelog is made beforehand (CHANGELOG_CONFIG): Faust's own creation of topics fails when it meets other partition
counts.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
import threading
from collections import deque
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import faust
from faust.types import EventT

from events.base import Recorded
from events.cloudevents import Illegible, read_delivery
from events.kafka import KafkaSettings
from events.slots import SLOTS, Delivery, slot_of
from services.insights.fold import Rows

log = logging.getLogger(__name__)

APP = "waybill-insights"
TABLE = "panes"
FACTS = {"order": "waybill.order", "payment": "waybill.payment"}
"""Topics by what their slots are called as sources: "order/07"."""

SOURCES = tuple(f"{name}/{slot:02}" for name in FACTS for slot in range(SLOTS))

CHANGELOG_CONFIG = {
    "cleanup.policy": "compact",
    # What was written in the last ten minutes is not compacted yet: so much is read again at a start, not a week's.
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.2",
    "delete.retention.ms": "3600000",
}
"""Its topic has SLOTS partitions, however many the facts have."""

# Taken together: folding a batch costs one write for each row that it touches. Longer makes dashboards later.
_BATCH_EVENTS = 500
_BATCH_S = 0.1
# Some 100 MB. Whoever counts them is further behind than that only if the log is read faster anyway.
_MOST_WAITING = 50_000
# The least that brokers allow unless told otherwise. Nobody else takes over: it only bounds how long a restart waits.
_SESSION_S = 6.0
_HEARTBEAT_S = 1.0
_STOP_S = 10.0


class Names(NamedTuple):
    """What is called how on the broker; tests share one."""

    app: str = APP
    facts: Mapping[str, str] = FACTS

    @property
    def changelog(self) -> str:
        return f"{self.app}-{TABLE}-changelog"


WAYBILLS = Names()


def source_of(recorded: Recorded) -> str:
    """Where its message would come from."""
    return f"{recorded.type.partition('.')[0]}/{slot_of(recorded.stream):02}"


class _PaneTable(faust.Table):  # type: ignore[type-arg]
    """A table whose rows lie in the changelog's partition of their slot, whatever event made us write them.

    So a row is always in the same partition, where compaction finds it, and in one partition rows are written in the
    order in which the fold wrote them: what survives a crash is a beginning of it.
    """

    def partition_for_key(self, key: Any) -> int:
        return slot_of_row(key)


def slot_of_row(key: str) -> int:
    return int(key.partition("|")[0].rpartition("/")[2])


class FaustTables:
    """Events and rows, for one thread beside Faust's. Starts at once; made anew after any failure."""

    def __init__(self, kafka: KafkaSettings, *, ring: Callable[[], object], names: Names = WAYBILLS) -> None:
        """`ring` is called when there are deliveries, or when the rows are there."""
        self._kafka = kafka
        self._names = names
        self._ring = ring
        self._waiting: deque[tuple[str, Delivery]] = deque(maxlen=_MOST_WAITING)
        self._recovered: dict[str, Any] | None = None
        self._table: Any = None
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self.trouble: str | None = None
        """Why it ended, in words; None while it runs."""
        self._thread = threading.Thread(target=self._run, name="waybill-faust", daemon=True)
        self._thread.start()

    # --- from the other thread ---------------------------------------------------------------------------------------

    def rows(self) -> Rows | None:
        """The rows as they were kept, from now on kept up to date by whoever asks; None: they are not there yet."""
        return None if self._recovered is None else _Kept(self._recovered, self._write)

    def deliveries(self) -> list[tuple[str, Delivery]]:
        """What has come since this was asked last, by source, in the order of each source."""
        found: list[tuple[str, Delivery]] = []
        with suppress(IndexError):
            while len(found) < _MOST_WAITING:
                found.append(self._waiting.popleft())
        return found

    def close(self) -> None:
        """Leaves the group, so that the next one need not wait for us to be missed. May be called twice."""
        with suppress(RuntimeError):  # its loop is closed: it has ended
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(2 * _STOP_S)

    def _write(self, key: str, row: Any) -> None:
        with suppress(RuntimeError):  # it has ended: the log makes up for rows that were not kept
            self._loop.call_soon_threadsafe(self._put, key, row)

    # --- in Faust's thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        with tempfile.TemporaryDirectory(prefix="waybill-faust-") as folder:
            try:
                asyncio.set_event_loop(self._loop)
                self._loop.run_until_complete(self._live(folder))
            except Exception as error:  # noqa: BLE001 - whatever it is, Faust is made anew, and says why
                self.trouble = f"Faust has ended: {str(error) or type(error).__name__}"
            finally:
                self.trouble = self.trouble or "Faust was stopped"
                self._loop.close()
                self._ring()

    async def _live(self, folder: str) -> None:
        app = self._app(folder)
        starting = asyncio.ensure_future(app.start())
        try:
            await self._until_it_ends(app, starting)
        finally:
            starting.cancel()
            with suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(app.stop(), _STOP_S)
            await _cancel_the_rest()

    async def _until_it_ends(self, app: faust.App, starting: asyncio.Future[None]) -> None:
        while not self._stopping.is_set():
            if starting.done():
                starting.result()  # raises what kept it from starting
            if app.crashed:
                raise RuntimeError(f"{app.crash_reason}")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 0.2)

    def _app(self, folder: str) -> faust.App:
        app = faust.App(
            self._names.app,
            broker=[f"kafka://{one.strip()}" for one in self._kafka.bootstrap.split(",")],
            broker_credentials=_credentials(self._kafka.papers()),
            broker_client_id=self._kafka.client_id,
            broker_session_timeout=_SESSION_S,
            broker_heartbeat_interval=_HEARTBEAT_S,
            consumer_auto_offset_reset="latest",  # what was before is read from the log, which is faster
            store="memory://",
            datadir=folder,
            loop=self._loop,
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )
        app.conf.Table = _PaneTable  # type: ignore[assignment]
        self._table = app.Table(TABLE, partitions=SLOTS)
        for name, topic in self._names.facts.items():
            self._add_agent(app, name, topic)
        app.task(self._on_recovered)
        return app

    def _add_agent(self, app: faust.App, name: str, topic: str) -> None:
        facts = app.topic(topic, key_serializer="raw", value_serializer="raw", key_type=bytes, value_type=bytes)

        async def take(stream: Any) -> None:
            batches: AsyncIterable[Sequence[EventT[Any]]] = stream.take_events(_BATCH_EVENTS, within=_BATCH_S)
            async for batch in batches:
                self._take(name, batch)

        app.agent(facts, name=f"{name}-facts")(take)

    async def _on_recovered(self) -> None:
        self._recovered = dict(self._table.items())
        self._ring()

    def _take(self, name: str, batch: Sequence[EventT[Any]]) -> None:
        for event in batch:
            try:
                delivery = read_delivery(event.headers.items(), event.message.value)
            except Illegible as error:
                log.warning("passed over a message of %s: %s", event.message.topic, error)
                continue
            self._waiting.append((f"{name}/{delivery.slot:02}", delivery))
        self._ring()

    def _put(self, key: str, row: Any) -> None:
        if row is None:
            self._table.pop(key, None)
        else:
            self._table[key] = row


class _Kept(dict[str, Any]):
    """Rows in memory, each written to the table as well when it is set."""

    def __init__(self, rows: Mapping[str, Any], write: Callable[[str, Any], None]) -> None:
        super().__init__(rows)
        self._write = write

    def __setitem__(self, key: str, row: Any) -> None:
        super().__setitem__(key, row)
        self._write(key, row)

    def pop(self, key: str, default: Any = None) -> Any:
        self._write(key, None)
        return super().pop(key, default)


def _credentials(papers: Mapping[str, Any]) -> Any:
    if papers["security_protocol"].startswith("SASL"):
        return faust.SASLCredentials(
            username=papers["sasl_plain_username"],
            password=papers["sasl_plain_password"],
            mechanism=papers["sasl_mechanism"],
            ssl_context=papers.get("ssl_context"),
        )
    return faust.SSLCredentials(papers["ssl_context"]) if "ssl_context" in papers else None


async def _cancel_the_rest() -> None:
    """Some of Faust's tasks outlive it."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.wait(rest, timeout=1.0)
