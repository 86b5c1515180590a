"""A process that plays roles: from its start to a shutdown that hands its work over.

SIGTERM or SIGINT: no more steps are begun, the consumer groups are left at once so that others take the slots over, and
the connections are closed. What was under way is in the log, or will be done again by whoever is next.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import cache

from pydantic import SecretStr

from events.kafka import KafkaSettings, KafkaUnavailable, ensure_topics
from events.relay import PublishFailed
from events.store import CommitOutcomeUnknown, EventStore, StoreError, open_store
from projections.redis_server import ExternalRedis
from projections.redis_views import RedisViews
from projections.views import Views
from services.cluster import insights, intake
from services.cluster.faults import RoleRefused
from services.cluster.leaders import Led
from services.cluster.measures import Measures
from services.cluster.probes import Probes
from services.cluster.roles import ROLES, Place
from services.insights.board import BoardUnavailable
from services.insights.consumer import TablesUnavailable
from services.outside import open_carrier, open_provider
from services.routing import CONSUMES, TOPICS
from services.runtime import metrics
from services.runtime.calls import CallLoop
from services.runtime.engine import Consumer, Engine
from services.runtime.logs import write_logs
from services.runtime.settings import Settings
from services.sandbox.serving import run_sandbox
from services.server.listening import stopped_by_signals
from services.server.serving import serve
from services.wiring import OPERATING_FAULTS, House, collect_garbage_less_often, made

log = logging.getLogger(__name__)

# A commit whose outcome stays unknown is put off as well: in PostgreSQL every append is fenced, and can be repeated.
CLUSTER_FAULTS = (
    *OPERATING_FAULTS, CommitOutcomeUnknown, PublishFailed, KafkaUnavailable, BoardUnavailable, TablesUnavailable
)  # fmt: skip
# How long a thread that waits for news takes to notice that the process ends.
_LISTEN_S = 0.5

GATEWAY, INTAKE, INSIGHTS, SANDBOX = "gateway", "intake", "insights", "sandbox"
ALONE = (INSIGHTS, SANDBOX)
"""Roles with a server or a loop of their own: each needs a process to itself."""
ALL_ROLES = (*ROLES, INTAKE, GATEWAY, *ALONE)


def run(roles: Sequence[str], settings: Settings, *, say: Callable[[str], object] = print) -> None:
    """Play these roles until SIGTERM or SIGINT. Raises RoleRefused and what cannot be opened, in words."""
    _check(roles, settings)
    write_logs(settings)
    collect_garbage_less_often()
    if roles[0] == SANDBOX:
        run_sandbox(made(settings.home), settings.http_host, settings.http_port)
        return
    with ExitStack() as stack:
        place = _place(settings, stack)
        _refuse_a_homes(place.store)
        _have_topics(place.kafka, settings)
        consumers = [ROLES[role](place) for role in roles if role in ROLES]
        consumers += [insights.begin(place)] if INSIGHTS in roles else []
        engine = Engine(consumers, operating_faults=CLUSTER_FAULTS, bell=place.bell)
        inlets = [intake.begin(place)] if INTAKE in roles else []
        probes = _probes(stack, settings, Measures(place.store, engine, inlets, place.gauges))
        _wake_on_news(stack, place.store, place.bell, _in_a_hurry(consumers))
        say(f"Waybill plays {', '.join(roles)}; {probes.url}/readyz says how it is.")
        if GATEWAY in roles:
            _serve(place, engine, say)
        else:
            _work(engine, place.bell)
    say("Stopped.")


def _check(roles: Sequence[str], settings: Settings) -> None:
    unknown = [role for role in roles if role not in ALL_ROLES]
    if unknown or not roles:
        raise RoleRefused(f"there is no role {', '.join(unknown) or '(none named)'}; there are: {', '.join(ALL_ROLES)}")
    if len(roles) > 1 and any(role in ALONE for role in roles):
        raise RoleRefused(f"{', '.join(ALONE)} each need a process of their own: name one of them alone")
    needed = {
        "WAYBILL_STORE_URL": settings.store_url,
        "WAYBILL_REDIS_URL": settings.redis_url,
        "WAYBILL_KAFKA": settings.kafka,
    }
    missing = [name for name, value in needed.items() if value is None]
    if missing and roles[0] != SANDBOX:
        raise RoleRefused(f"roles share a store, a Redis and a Kafka: set {', '.join(missing)} (docs/cluster.md)")


def _place(settings: Settings, stack: ExitStack) -> Place:
    assert settings.store_url is not None
    store = open_store(settings.store_url.get_secret_value(), appended=metrics.append_s.observe)
    stack.callback(store.close)
    loop = CallLoop()
    stack.callback(loop.close)
    home = settings.home

    # Each once in a process, whichever of its roles need it: a sandbox's journal has one owner.
    @cache
    def views() -> Views:
        assert settings.redis_url is not None
        found = RedisViews(ExternalRedis(settings.redis_url.get_secret_value()))
        stack.callback(found.close)
        return found

    return Place(
        settings=settings,
        home=home,
        store=store,
        views=views,
        provider=cache(lambda: open_provider(stack, home, settings, loop)),
        carrier=cache(lambda: open_carrier(stack, home, settings, loop)),
        kafka=kafka_settings(settings),
        loop=loop,
        bell=threading.Event(),
        stack=stack,
    )


def kafka_settings(settings: Settings) -> KafkaSettings:
    """As Kafka's clients want them."""
    assert settings.kafka is not None
    return KafkaSettings(
        bootstrap=settings.kafka,
        security_protocol=settings.kafka_security.value,
        sasl_mechanism=settings.kafka_mechanism.value,
        user=settings.kafka_user or "",
        password=settings.kafka_password or SecretStr(""),
        ca_file=settings.kafka_ca_file,
    )


def _refuse_a_homes(store: EventStore) -> None:
    """Slots know nothing of what a consumer without them did: they would do all of it once more."""
    if any(name in CONSUMES for name in store.tracked_positions()):
        raise RoleRefused(
            "one process has worked on this store without slots: move it to an empty one (waybill migrate)"
        )


def _have_topics(kafka: KafkaSettings, settings: Settings) -> None:
    """Whoever comes first makes them. Raises KafkaTrouble in words, after a broker that is away was waited for."""
    remarks = ensure_topics(
        kafka,
        TOPICS,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
        patience_s=settings.patience_s,
    )
    for remark in remarks:
        log.warning(remark)


def _probes(stack: ExitStack, settings: Settings, measures: Measures) -> Probes:
    probes = Probes(
        settings.metrics_host,
        settings.metrics_port,
        alive=measures.alive,
        ready=measures.ready,
        before_metrics=measures.set_gauges,
    )
    stack.callback(probes.close)
    return probes


def _in_a_hurry(consumers: Sequence[Consumer]) -> list[Led]:
    """Leaders that follow the log closely. A deadline is seconds away: a timekeeper looks often enough by itself."""
    return [one for one in consumers if isinstance(one, Led) and one.name != "timekeeper"]


def _wake_on_news(stack: ExitStack, store: EventStore, bell: threading.Event, led: Sequence[Led]) -> None:
    """Rings the bell when anybody has appended: PostgreSQL tells, so that nobody has to look again and again.

    Only for those who lead. Group members hear of their work from the broker, a standby has none, and a look into the
    log at every append by each of twenty processes is more than all the work itself.
    """
    ended = threading.Event()

    def listen() -> None:
        seen = 0
        while not ended.is_set():
            if not any(one.leads for one in led):
                ended.wait(_LISTEN_S)
                continue
            with suppress(StoreError):  # the engine finds out by itself, and says so
                if store.wait(seen, _LISTEN_S):
                    seen = store.last_position()
                    bell.set()
                continue
            ended.wait(_LISTEN_S)

    if not led:
        return
    thread = threading.Thread(target=listen, name="waybill-news", daemon=True)
    thread.start()
    stack.callback(thread.join, 2 * _LISTEN_S)
    stack.callback(ended.set)


def _work(engine: Engine, bell: threading.Event) -> None:
    stop = threading.Event()

    def end() -> None:
        stop.set()
        bell.set()

    with stopped_by_signals(end):
        engine.run(stop)


def _serve(place: Place, engine: Engine, say: Callable[[str], object]) -> None:
    settings = place.settings
    provider, buyer = place.provider()
    house = House(
        home=place.home,
        settings=settings,
        store=place.store,
        views=place.views(),
        provider=provider,
        carrier=place.carrier(),
        buyer=buyer,
        engine=engine,
        bell=place.bell,
    )
    serve(house, settings.http_host, settings.http_port, say=say)
