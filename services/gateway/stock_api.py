"""Stock over HTTP: what is reported about it. The inventory service answers in its ledger a moment later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from events.base import Event, Recorded, Write
from events.gateway import ReservationReleaseReported, report_stream
from events.store import EventStore, VersionConflict
from services.gateway.answers import Done, Taken, documented, not_found, refused, too_large
from services.gateway.arrivals import Arrival, Verdict
from services.gateway.group_commit import GroupCommit
from services.gateway.requests import AdjustmentBody, DeliveryBody, ReservationBody, ThresholdsBody
from services.gateway.sender import Now, RequestId, sent

# Only two requests for the same reservation at the same moment can be in each other's way.
_RELEASE_ATTEMPTS = 5

_AGAIN: dict[int | str, dict[str, Any]] = {
    200: {"model": Taken, "description": "The same report came before: the same answer."}
}
_RESPONSES = {**_AGAIN, **documented(409, 422, 503)}


def stock_router(intake: GroupCommit, store: EventStore, now: Now, ring: Callable[[], object]) -> APIRouter:
    router = APIRouter(tags=["stock"])
    reports = _Reports(intake, now)
    _add_deliveries(router, reports)
    _add_corrections(router, reports)
    _add_reservations(router, reports, _Releases(store, now, ring))
    return router


class _Reports:
    """Takes reports; the stream of each is named by its kind and the sender's reference."""

    def __init__(self, intake: GroupCommit, now: Now) -> None:
        self._intake = intake
        self._now = now

    async def take(
        self, kind: str, reference: str, event: Callable[[], Event], request_id: str, response: Response
    ) -> Taken:
        try:
            arrival = Arrival(report_stream(kind, reference), event(), sent(request_id, reference, self._now))
        except ValidationError as error:
            raise too_large(error) from None
        outcome = await self._intake.take(arrival)
        if outcome.verdict is Verdict.CONFLICTING:
            raise refused(
                "A report with this reference came before with another content; it stays as it was. "
                "Send this one under a reference of its own."
            )
        if outcome.verdict is Verdict.KNOWN:
            response.status_code = 200
        return Taken(position=outcome.position)


def _add_deliveries(router: APIRouter, reports: _Reports) -> None:
    @router.post("/stock/receipts", status_code=201, responses=_RESPONSES)
    async def report_a_receipt(body: DeliveryBody, request_id: RequestId, response: Response) -> Taken:
        """Goods were unloaded: they are on hand, and the oldest waiting order gets them first."""
        return await reports.take("receipt", body.reference, body.received, request_id, response)

    @router.post("/stock/expected", status_code=201, responses=_RESPONSES)
    async def announce_a_delivery(body: DeliveryBody, request_id: RequestId, response: Response) -> Taken:
        """Goods are on their way: `incoming` until they are received."""
        return await reports.take("expected", body.reference, body.expected, request_id, response)


def _add_corrections(router: APIRouter, reports: _Reports) -> None:
    @router.post("/stock/adjustments", status_code=201, responses=_RESPONSES)
    async def adjust_stock(body: AdjustmentBody, request_id: RequestId, response: Response) -> Taken:
        """A count or a write-off. What is promised to orders cannot be written off: that part is not booked."""
        return await reports.take("adjustment", body.reference, body.adjusted, request_id, response)

    @router.put("/stock/thresholds", status_code=201, responses=_RESPONSES)
    async def set_thresholds(body: ThresholdsBody, request_id: RequestId, response: Response) -> Taken:
        """From now on these SKUs count as low at or below so many available units."""
        return await reports.take("threshold", body.reference, body.wanted, request_id, response)


def _add_reservations(router: APIRouter, reports: _Reports, releases: _Releases) -> None:
    @router.post("/stock/reservations", status_code=201, responses=_RESPONSES)
    async def reserve_stock(body: ReservationBody, request_id: RequestId, response: Response) -> Taken:
        """Asks to hold goods softly for a while: all lines or none. An order that names it uses it up."""
        return await reports.take("reservation", body.reservation_id, body.reserved, request_id, response)

    @router.delete("/stock/reservations/{reservation_id}", responses=documented(404, 503))
    async def release_a_reservation(reservation_id: str, request_id: RequestId) -> Done:
        """The shop no longer needs it."""
        return await run_in_threadpool(releases.release, reservation_id, request_id)


class _Releases:
    """Ends reservations, each on its own stream: behind the report that began it."""

    def __init__(self, store: EventStore, now: Now, ring: Callable[[], object]) -> None:
        self._store = store
        self._now = now
        self._ring = ring

    def release(self, reservation_id: str, request_id: str) -> Done:
        for _ in range(_RELEASE_ATTEMPTS - 1):
            try:
                return self._release(reservation_id, request_id)
            except VersionConflict:
                continue
        return self._release(reservation_id, request_id)

    def _release(self, reservation_id: str, request_id: str) -> Done:
        stream = report_stream("reservation", reservation_id)
        history = self._store.read_stream(stream)
        if not history:
            raise not_found("There is no such reservation.")
        if any(isinstance(recorded.event, ReservationReleaseReported) for recorded in history):
            return Done(changed=False, message="The reservation was released before.")
        [released] = self._append(stream, history[-1].version, reservation_id, request_id)
        self._ring()
        message = "The reservation is released."
        return Done(changed=True, position=released.position, events=[released.type], message=message)

    def _append(self, stream: str, version: int, reservation_id: str, request_id: str) -> list[Recorded]:
        event = ReservationReleaseReported(reservation_id=reservation_id)
        cause = sent(request_id, reservation_id, self._now)
        return self._store.append([Write(stream, version, [cause.envelope(event)])])
