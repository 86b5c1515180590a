"""Orders over HTTP: place one, and what people ask of one afterwards."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from events.base import Address, Contact
from events.order import Hold, OrderCancellationRefused, OrderCorrectionRefused, Problem, order_stream
from services.gateway.answers import WITH_A_BODY, Documented, Done, OrderTaken, documented, not_found, refused
from services.gateway.arrivals import Arrival, Verdict
from services.gateway.clerk import Clerk, Executed
from services.gateway.group_commit import GroupCommit
from services.gateway.requests import CancelBody, CorrectBody, HoldBody, OrderBody, ReleaseBody
from services.gateway.sender import HEADERS, Senders

_ORDER_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class OrderCommands(NamedTuple):
    """How the order service is asked. Handed over by the wiring: a gateway knows no service."""

    cancel: Callable[[str], Any]
    hold: Callable[[Hold, list[Problem]], Any]
    release: Callable[[Hold, str | None], Any]
    correct: Callable[[str, Contact | None, Address | None], Any]
    """Takes the order's id first: what would still be wrong depends on what is not replaced."""


def orders_router(intake: GroupCommit, clerk: Clerk, commands: OrderCommands, senders: Senders) -> APIRouter:
    router = APIRouter(tags=["orders"])
    _add_intake(router, intake, senders)
    _add_cancel_and_correct(router, clerk, commands, senders)
    _add_holds(router, clerk, commands, senders)
    return router


def _add_intake(router: APIRouter, intake: GroupCommit, senders: Senders) -> None:
    again: Documented = {200: {"model": OrderTaken, "description": "The same order came before: the same answer."}}

    @router.post(
        "/orders", status_code=201, responses={**again, **documented(409, 422, *WITH_A_BODY)}, openapi_extra=HEADERS
    )
    async def place_an_order(order: OrderBody, request: Request, response: Response) -> OrderTaken:
        """Acknowledged once it is in the log; whether it can be carried out, its status tells a moment later.

        The order's id follows from its channel and number. The same order again answers the same; another content
        under the same number is refused with 409, and reported in the log.
        """
        event = order.placed()
        stream = order_stream(event.order_id)
        outcome = await intake.take(Arrival(stream, event, senders.cause(request, event.order_id)))
        if outcome.verdict is Verdict.CONFLICTING:
            raise refused(
                "An order with this channel and number came before with another content. It stays as it was, and this "
                "one was reported. Send it under another number, or correct or cancel the first one."
            )
        if outcome.verdict is Verdict.KNOWN:
            response.status_code = 200
        taken = _taken(event.order_id, outcome.position)
        response.headers["Location"] = taken.status_url
        return taken


def _taken(order_id: str, position: int) -> OrderTaken:
    status_url = f"/orders/{order_id}?min_position={position}"
    return OrderTaken(order_id=order_id, position=position, status_url=status_url)


def _add_cancel_and_correct(router: APIRouter, clerk: Clerk, commands: OrderCommands, senders: Senders) -> None:
    @router.post("/orders/{order_id}/cancel", responses=documented(404, 409, 422, *WITH_A_BODY), openapi_extra=HEADERS)
    def cancel_an_order(order_id: str, body: CancelBody, request: Request) -> Done:
        """All or nothing: refused once goods have left. What was done so far is undone step by step."""
        stream = _stream(order_id)
        executed = clerk.execute(stream, lambda: commands.cancel(body.reason), senders.cause(request, order_id))
        return _done(executed, order_id, "The order is being cancelled.", "It is cancelled, or being cancelled.")

    @router.post("/orders/{order_id}/correct", responses=documented(404, 409, 422, *WITH_A_BODY), openapi_extra=HEADERS)
    def correct_an_order(order_id: str, body: CorrectBody, request: Request) -> Done:
        """Replaces the contact, the address, or both, as long as nothing is being sent."""
        stream = _stream(order_id)
        executed = clerk.execute(
            stream,
            lambda: commands.correct(order_id, body.contact, body.ship_to),
            senders.cause(request, order_id),
        )
        return _done(executed, order_id, "The order was corrected.", "Nothing had to be corrected.")


def _add_holds(router: APIRouter, clerk: Clerk, commands: OrderCommands, senders: Senders) -> None:
    @router.post("/orders/{order_id}/holds", responses=documented(404, 409, 422, *WITH_A_BODY), openapi_extra=HEADERS)
    def hold_an_order(order_id: str, body: HoldBody, request: Request) -> Done:
        """It takes no further step until the hold is released."""
        stream = _stream(order_id)
        problem = Problem(code="held_by_hand", where="order", message=body.note)
        executed = clerk.execute(stream, lambda: commands.hold(body.hold, [problem]), senders.cause(request, order_id))
        if executed and not executed.recorded and executed.state.closed:
            raise refused(f"The order is {executed.state.status.value} already: there is nothing to hold.")
        return _done(executed, order_id, "The order is held.", "The order is held for this reason already.")

    @router.post(
        "/orders/{order_id}/holds/{hold}/release",
        responses=documented(404, 409, 422, *WITH_A_BODY),
        openapi_extra=HEADERS,
    )
    def release_a_hold(order_id: str, hold: Hold, request: Request, body: ReleaseBody | None = None) -> Done:
        """The order goes on where it stopped, unless it is held for another reason as well."""
        stream = _stream(order_id)
        payment_token = body.payment_token if body else None
        executed = clerk.execute(
            stream, lambda: commands.release(hold, payment_token), senders.cause(request, order_id)
        )
        if hold is Hold.BACKORDER and executed and hold in executed.state.holds:
            raise refused("Only stock ends a backorder: receive stock for it, or cancel the order.")
        return _done(executed, order_id, "The hold is released.", "The order is not held for this reason.")


def _stream(order_id: str) -> str:
    """Whoever asks for something that cannot be an id need not trouble the log."""
    if not _ORDER_ID.fullmatch(order_id):
        raise _no_order()
    return order_stream(order_id)


def _no_order() -> Exception:
    return not_found("There is no such order.")


def _done(executed: Executed | None, order_id: str, changed: str, unchanged: str) -> Done:
    if executed is None:
        raise _no_order()
    for recorded in executed.recorded:
        if isinstance(recorded.event, OrderCancellationRefused | OrderCorrectionRefused):
            raise refused(recorded.event.reason)
    return done(executed, changed, unchanged)


def done(executed: Executed, changed: str, unchanged: str) -> Done:
    if not executed.recorded:
        return Done(changed=False, message=unchanged)
    events = [recorded.type for recorded in executed.recorded]
    return Done(changed=True, position=executed.recorded[-1].position, events=events, message=changed)
