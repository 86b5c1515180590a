"""Puts a home together: store, services, sandboxes, Redis and projections. The only module, beside the command line
that uses it, which knows everybody.
"""

from __future__ import annotations

import fcntl
import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from events.feed import StoreFeed
from events.slots import without_slot
from events.store import EventStore, StoreUnavailable, VersionConflict, open_store, utc_now
from projections.catalogue import PROJECTIONS
from projections.redis_server import RedisServer, open_redis
from projections.redis_views import RedisViews
from projections.runner import ProjectionRunner
from projections.views import Views, ViewsUnavailable
from services.inventory import worker as inventory
from services.order import worker as order
from services.outlook import watch
from services.outside import Buyer, open_carrier, open_provider
from services.payment import worker as payment
from services.payment.provider import PaymentProvider
from services.projector import SHOWN_AT_ONCE, ProjectorProcess
from services.reads import Reads, parked_events
from services.runtime import metrics
from services.runtime.calls import CallLoop
from services.runtime.context import Context
from services.runtime.effects import Effects
from services.runtime.engine import Consumer, Engine
from services.runtime.logs import write_logs
from services.runtime.settings import Projector, Settings
from services.runtime.worker import Worker
from services.shipping import worker as shipping
from services.shipping.carrier import Carrier

__all__ = ["HomeInUse", "House", "Reads", "open_home", "open_reads", "open_store_of", "parked_events"]

# Commands that only look hold the lock while they bring the read models up: a second or two after a crash.
LOCK_PATIENCE_S = 2.0

# A conflict that outlasts a worker's own attempts is contention: it is put off like any other trouble.
OPERATING_FAULTS = (StoreUnavailable, VersionConflict, ViewsUnavailable)


class HomeInUse(Exception):
    """Another process works on this home."""


@dataclass(frozen=True)
class House:
    """A home with everything running in it. `engine` does the work when it is asked to."""

    home: Path
    settings: Settings
    store: EventStore
    views: Views
    provider: PaymentProvider
    carrier: Carrier
    buyer: Buyer
    engine: Engine
    bell: threading.Event

    def catch_up(self) -> None:
        """Let all consumers and projections work until nothing is left to do. Raises StillFailing."""
        self.engine.run_until_idle(patience_s=self.settings.patience_s)

    def keep_up(self) -> None:
        """Let the workers do all there is to do. The projections follow meanwhile, on the second core: between the
        steps of a long work there is no reason to wait for them. Raises StillFailing.
        """
        self.engine.run_until_idle(patience_s=self.settings.patience_s, followers=False)

    @property
    def parkable(self) -> dict[str, Worker | Effects]:
        """The consumers whose parked events can be replayed, by name."""
        return {one.name: one for one in self.engine.consumers if isinstance(one, Worker | Effects)}


@contextmanager
def open_home(home: Path, settings: Settings | None = None) -> Iterator[House]:
    """Everything of a home, for the one process that may write to it.

    Raises HomeInUse, StoreUnavailable, RedisServerError or JournalError, each in words.
    """
    settings = settings or Settings()
    write_logs(settings)
    home = made(home)
    collect_garbage_less_often()
    with ExitStack() as stack:
        stack.enter_context(locked(home, patience_s=LOCK_PATIENCE_S))
        store = open_store(store_url(home, settings), appended=metrics.append_s.observe)
        stack.callback(store.close)
        _refuse_a_clusters(store)
        views = RedisViews(_redis(stack, home, settings))
        stack.callback(views.close)
        loop = CallLoop()
        stack.callback(loop.close)
        provider, buyer = open_provider(stack, home, settings, loop)
        carrier = open_carrier(stack, home, settings, loop)
        bell = threading.Event()
        context = Context(store, settings, utc_now, loop, bell.set, lambda classes: StoreFeed(store, classes))
        projections = _projections(stack, home, settings, store, views)
        engine = Engine(
            [*_services(context, provider, carrier), *watch(store, settings, bell.set)],
            followers=[projections],
            operating_faults=OPERATING_FAULTS,
            bell=bell,
        )
        yield House(home, settings, store, views, provider, carrier, buyer, engine, bell)


def _refuse_a_clusters(store: EventStore) -> None:
    """Consumers of one process know nothing of slots: they would do all of a cluster's work once more."""
    if any(without_slot(name) != name for name in store.tracked_positions()):
        raise StoreUnavailable(
            "the store at WAYBILL_STORE_URL is a cluster's: its roles work on it (`waybill run`), this command must not"
        )


def collect_garbage_less_often() -> None:
    """Events and states hold no cycles: reference counts free them. The cycle collector's default, a look at every 700
    new objects, cost a fifth of all time (docs/decisions.md)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _projections(stack: ExitStack, home: Path, settings: Settings, store: EventStore, views: RedisViews) -> Consumer:
    if settings.projector is Projector.INLINE:
        return ProjectionRunner(store, views, PROJECTIONS, limit=SHOWN_AT_ONCE)
    urls = {"WAYBILL_STORE_URL": settings.store_url, "WAYBILL_REDIS_URL": settings.redis_url}
    environment = {name: url.get_secret_value() for name, url in urls.items() if url is not None}
    projector = ProjectorProcess(home, store, views, environment)
    stack.callback(projector.close)
    return projector


def _services(context: Context, provider: PaymentProvider, carrier: Carrier) -> list[Consumer]:
    return [
        *order.consumers(context),
        *payment.consumers(context, provider),
        *inventory.consumers(context),
        *shipping.consumers(context, carrier),
    ]


@contextmanager
def open_store_of(home: Path, settings: Settings | None = None) -> Iterator[EventStore]:
    """The event store of a home, to read: works while another process writes. StoreUnavailable if there is none."""
    settings = settings or Settings()
    write_logs(settings)
    collect_garbage_less_often()
    if settings.store_url is None and not database(home).exists():
        raise StoreUnavailable(
            f"there is no event store in {home}: import or place orders first, or name another --home"
        )
    store = open_store(store_url(home, settings))
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_log_and_views(home: Path, settings: Settings | None = None) -> Iterator[tuple[EventStore, Views]]:
    """The log and the read models of a home: joins the Redis of the process that works on it, or starts one."""
    settings = settings or Settings()
    with ExitStack() as stack:
        store = stack.enter_context(open_store_of(home, settings))
        views = RedisViews(_redis(stack, home.resolve(), settings))
        stack.callback(views.close)
        yield store, views


@contextmanager
def open_reads(home: Path, settings: Settings | None = None) -> Iterator[Reads]:
    """A home to ask.

    If nobody works on it, the read models are brought up to the log first: a killed process may have left them behind.
    """
    with open_log_and_views(home, settings) as (store, views):
        with suppress(HomeInUse), locked(home.resolve()):
            runner = ProjectionRunner(store, views, PROJECTIONS, limit=SHOWN_AT_ONCE)
            while runner.step():
                pass
        yield Reads(home, store, views)


def _redis(stack: ExitStack, home: Path, settings: Settings) -> RedisServer:
    server = open_redis(home, settings.redis_url.get_secret_value() if settings.redis_url else None)
    stack.callback(server.close)
    return server


def store_url(home: Path, settings: Settings) -> str:
    return settings.store_url.get_secret_value() if settings.store_url else f"sqlite:///{database(home)}"


def database(home: Path) -> Path:
    return home / "waybill.db"


def made(home: Path) -> Path:
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(f"cannot create the home {home}: {error.strerror}. Name another with --home") from None
    return home.resolve()


@contextmanager
def locked(home: Path, *, patience_s: float = 0.0) -> Iterator[None]:
    """One writer per home. The kernel lets go of the lock when the process ends, however it ends."""
    with _lock_file(home) as file:
        deadline_s = time.monotonic() + patience_s
        while not _lock(file):
            if time.monotonic() >= deadline_s:
                file.seek(0)
                holder = file.read().strip() or "another process"
                raise HomeInUse(f"{home} is in use by {holder}: stop it first, or name another home with --home")
            time.sleep(0.05)
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()}")
        file.flush()
        yield


def _lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_file(home: Path) -> IO[str]:
    try:
        return (home / "lock").open("a+")
    except OSError as error:
        raise StoreUnavailable(f"cannot write to the home {home}: {error.strerror}. Name another with --home") from None
