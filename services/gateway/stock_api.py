"""Stock over HTTP: what is reported about it. The inventory service answers in its ledger a moment later."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError

from events.base import Event, Write
from events.gateway import ReservationReleaseReported, report_stream
from events.store import EventStore, VersionConflict
from services.gateway.answers import (
    AT_THE_DOOR,
    WITH_A_BODY,
    Documented,
    Done,
    Taken,
    documented,
    not_found,
    refused,
    too_large,
)
from services.gateway.arrivals import Arrival, Verdict
from services.gateway.group_commit import GroupCommit
from services.gateway.requests import AdjustmentBody, DeliveryBody, ReservationBody, ThresholdsBody
from services.gateway.sender import HEADERS, Senders
from services.runtime.decider import Cause

# Only two requests for the same reservation at the same moment can be in each other's way.
_RELEASE_ATTEMPTS = 5

_AGAIN: Documented = {200: {"model": Taken, "description": "The same report came before: the same answer."}}
_RESPONSES = {**_AGAIN, **documented(409, 422, *WITH_A_BODY)}


def stock_router(intake: GroupCommit, store: EventStore, senders: Senders, ring: Callable[[], object]) -> APIRouter:
    router = APIRouter(tags=["stock"])
    reports = _Reports(intake, senders)
    _add_deliveries(router, reports)
    _add_corrections(router, reports)
    _add_reservations(router, reports, _Releases(store, senders, ring))
    return router


class _Reports:
    """Takes reports; the stream of each is named by its kind and the sender's reference."""

    def __init__(self, intake: GroupCommit, senders: Senders) -> None:
        self._intake = intake
        self._senders = senders

    async def take(
        self, kind: str, reference: str, event: Callable[[], Event], request: Request, response: Response
    ) -> Taken:
        try:
            arrival = Arrival(report_stream(kind, reference), event(), self._senders.cause(request, reference))
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
    @router.post("/stock/receipts", status_code=201, responses=_RESPONSES, openapi_extra=HEADERS)
    async def report_a_receipt(body: DeliveryBody, request: Request, response: Response) -> Taken:
        """Goods were unloaded: they are on hand, and the oldest waiting order gets them first."""
        return await reports.take("receipt", body.reference, body.received, request, response)

    @router.post("/stock/expected", status_code=201, responses=_RESPONSES, openapi_extra=HEADERS)
    async def announce_a_delivery(body: DeliveryBody, request: Request, response: Response) -> Taken:
        """Goods are on their way: `incoming` until they are received."""
        return await reports.take("expected", body.reference, body.expected, request, response)


def _add_corrections(router: APIRouter, reports: _Reports) -> None:
    @router.post("/stock/adjustments", status_code=201, responses=_RESPONSES, openapi_extra=HEADERS)
    async def adjust_stock(body: AdjustmentBody, request: Request, response: Response) -> Taken:
        """A count or a write-off. What is promised to orders cannot be written off: that part is not booked."""
        return await reports.take("adjustment", body.reference, body.adjusted, request, response)

    @router.put("/stock/thresholds", status_code=201, responses=_RESPONSES, openapi_extra=HEADERS)
    async def set_thresholds(body: ThresholdsBody, request: Request, response: Response) -> Taken:
        """From now on these SKUs count as low at or below so many available units."""
        return await reports.take("threshold", body.reference, body.wanted, request, response)


def _add_reservations(router: APIRouter, reports: _Reports, releases: _Releases) -> None:
    @router.post("/stock/reservations", status_code=201, responses=_RESPONSES, openapi_extra=HEADERS)
    async def reserve_stock(body: ReservationBody, request: Request, response: Response) -> Taken:
        """Asks to hold goods softly for a while: all lines or none. An order that names it uses it up."""
        return await reports.take("reservation", body.reservation_id, body.reserved, request, response)

    # A shop's own name for it may have slashes in it.
    @router.delete(
        "/stock/reservations/{reservation_id:path}", responses=documented(404, *AT_THE_DOOR), openapi_extra=HEADERS
    )
    async def release_a_reservation(reservation_id: str, request: Request) -> Done:
        """The shop no longer needs it."""
        return await run_in_threadpool(releases.release, reservation_id, request)


class _Releases:
    """Ends reservations, each on its own stream: behind the report that began it."""

    def __init__(self, store: EventStore, senders: Senders, ring: Callable[[], object]) -> None:
        self._store = store
        self._senders = senders
        self._ring = ring

    def release(self, reservation_id: str, request: Request) -> Done:
        cause = self._senders.cause(request, reservation_id)
        for _ in range(_RELEASE_ATTEMPTS - 1):
            try:
                return self._release(reservation_id, cause)
            except VersionConflict:
                continue
        return self._release(reservation_id, cause)

    def _release(self, reservation_id: str, cause: Cause) -> Done:
        stream = report_stream("reservation", reservation_id)
        history = self._store.read_stream(stream)
        if not history:
            raise not_found("There is no such reservation.")
        if any(isinstance(recorded.event, ReservationReleaseReported) for recorded in history):
            return Done(changed=False, message="The reservation was released before.")
        event = ReservationReleaseReported(reservation_id=reservation_id)
        [released] = self._store.append([Write(stream, history[-1].version, [cause.envelope(event)])])
        self._ring()
        message = "The reservation is released."
        return Done(changed=True, position=released.position, events=[released.type], message=message)
