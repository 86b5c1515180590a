"""For operators: is it well (`/healthz`), and the numbers (`/metrics`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from events.slots import without_slot
from events.store import EventStore, StoreError
from projections.catalogue import PROJECTIONS
from projections.reader import Progress
from projections.views import Views, ViewsError
from projections.web.sources import ConsumerStatus, Threads
from services.reads import consumer_lag, parked_events
from services.runtime import metrics
from services.runtime.engine import Engine


class Health(BaseModel):
    """What works, in words: "ok" or what is wrong. Everything must for `ok`."""

    ok: bool
    store: str
    redis: str
    engine: str
    trouble: Annotated[dict[str, str], Field(description="Consumers that are put off at the moment, and why.")]
    lag: Annotated[dict[str, int], Field(description="Positions that each consumer has still to handle.")]
    parked: Annotated[int, Field(description="Events that no consumer could handle.")]


class Operations:
    """What there is to know about a house at work. Asked from any thread."""

    def __init__(
        self,
        store: EventStore,
        views: Views,
        engine: Engine,
        is_running: Callable[[], bool],
        *,
        left_to_people: Collection[str] = (),
    ) -> None:
        """`is_running`: whether the engine's thread lives. `left_to_people`: consumers that nobody runs here."""
        self._store = store
        self._progress = Progress(views)
        self._engine = engine
        self._is_running = is_running
        self._left_to_people = left_to_people

    def consumers(self) -> list[ConsumerStatus]:
        """Every consumer, also those of other processes; the projections, which tell of themselves, only if they are
        put off. Raises StoreError.
        """
        lag, head = consumer_lag(self._store), self._store.last_position()
        troubles = {name: str(error) for name, error in self._engine.failing().items()}
        parked = [without_slot(one.consumer) for one in parked_events(self._store)]
        here = {one.name: max(0, head - getattr(one, "position", head)) for one in self._engine.consumers}
        return [
            ConsumerStatus(name, lag.get(name, here.get(name, 0)), parked.count(name), troubles.get(name))
            for name in dict.fromkeys([*here, *lag])
            if (name != "projections" or name in troubles) and name not in self._left_to_people
        ]

    def health(self) -> dict[str, Any]:
        """See Health."""
        store, consumers = self._asked(self.consumers, StoreError)
        redis, lag = self._asked(self._projections_lag, ViewsError, StoreError)
        engine = "ok" if self._is_running() else "stopped: look into the log, and start again"
        trouble = {name: str(error) for name, error in self._engine.failing().items()}
        return {
            "ok": (store, redis, engine) == ("ok", "ok", "ok") and not trouble,
            "store": store,
            "redis": redis,
            "engine": engine,
            "trouble": trouble,
            "lag": {**{one.name: one.lag for one in consumers or []}, **(lag or {})},
            "parked": sum(one.parked for one in consumers or []),
        }

    def set_gauges(self) -> None:
        """As of now, as far as the store and Redis can be asked: the rest of the metrics are of use all the same."""
        consumers = self._asked(self.consumers, StoreError)[1] or []
        lag = self._asked(self._projections_lag, ViewsError, StoreError)[1] or {}
        for name, positions in [*((one.name, one.lag) for one in consumers), *lag.items()]:
            metrics.lag.labels(name).set(positions)
        for one in consumers:
            metrics.parked_now.labels(one.name).set(one.parked)

    def _projections_lag(self) -> dict[str, int]:
        return self._progress.lag(PROJECTIONS, self._store.last_position())

    def _asked(self, ask: Callable[[], Any], *faults: type[Exception]) -> tuple[str, Any]:
        try:
            return "ok", ask()
        except faults as fault:
            return str(fault), None


def operations_router(operations: Operations, threads: Threads) -> APIRouter:
    router = APIRouter(tags=["operations"])

    unwell = {"model": Health, "description": "Something does not work; the answer says what."}

    @router.get("/healthz", response_model=Health, responses={503: unwell})
    async def tell_health() -> JSONResponse:
        """200 if everything works, 503 if not."""
        health = await threads.run(operations.health)
        return JSONResponse(health, 200 if health["ok"] else 503)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def tell_metrics() -> Response:
        """In Prometheus' text format."""
        await threads.run(operations.set_gauges)
        return Response(await threads.run(generate_latest), media_type=CONTENT_TYPE_LATEST)

    return router
