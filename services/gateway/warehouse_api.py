"""Fulfillment orders over HTTP: what people in the warehouse do, and the papers that go with a parcel."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from events.shipping import fulfillment_stream
from services.gateway.answers import AT_THE_DOOR, Documented, Done, documented, not_found, refused
from services.gateway.clerk import Clerk
from services.gateway.orders_api import done
from services.gateway.sender import HEADERS, Senders

_FULFILLMENT_ID = re.compile(r"[0-9a-f-]{36}-[A-Za-z0-9_-]{1,43}")


class Step(StrEnum):
    """What is done to a fulfillment order, in this order."""

    PICK = "pick"
    PACK = "pack"
    LABEL = "label"
    SHIP = "ship"


class Paper(StrEnum):
    LABEL = "label"
    PACKING_SLIP = "packing-slip"


class WarehouseCommands(NamedTuple):
    """How the shipping service is asked. Handed over by the wiring: a gateway knows no service.

    refusal   why nothing comes of a step, judged by the state it was decided on; None: it was done before
    paper     a parcel's paper as PDF; raises LookupError in words if there is none (yet), None: no such fulfillment
    """

    command: Callable[[Step], Any]
    refusal: Callable[[Step, Any], str | None]
    paper: Callable[[Paper, str], bytes | None]
    by_hand: bool
    """False: the sandbox warehouse picks, packs and ships by itself."""


def warehouse_router(clerk: Clerk, commands: WarehouseCommands, senders: Senders) -> APIRouter:
    router = APIRouter(tags=["warehouse"])

    @router.post(
        "/fulfillments/{fulfillment_id}/{step}", responses=documented(404, 409, *AT_THE_DOOR), openapi_extra=HEADERS
    )
    def do_a_step(fulfillment_id: str, step: Step, request: Request) -> Done:
        """Pick, pack (which asks for the label), ship. `label` asks the carrier again after it refused."""
        _check(fulfillment_id)
        if not commands.by_hand and step is not Step.LABEL:
            raise refused("The sandbox warehouse does this by itself. Set WAYBILL_WAREHOUSE=manual to do it by hand.")
        cause = senders.cause(request, fulfillment_id[:36])
        executed = clerk.execute(fulfillment_stream(fulfillment_id), lambda: commands.command(step), cause)
        if executed is None:
            raise _no_fulfillment()
        refusal = None if executed.recorded else commands.refusal(step, executed.state)
        if refusal is not None:
            raise refused(refusal)
        return done(executed, "Done.", "It was done before.")

    pdf: Documented = {200: {"content": {"application/pdf": {}}}}

    @router.get(
        "/fulfillments/{fulfillment_id}/{paper}.pdf",
        response_class=Response,
        responses={**pdf, **documented(404, 409, 503)},
    )
    def print_a_paper(fulfillment_id: str, paper: Paper) -> Response:
        """Drawn anew each time; the same parcel gives the same bytes."""
        _check(fulfillment_id)
        try:
            content = commands.paper(paper, fulfillment_id)
        except LookupError as error:
            raise refused(str(error)) from None
        if content is None:
            raise _no_fulfillment()
        headers = {"Content-Disposition": f'inline; filename="{paper.value}-{fulfillment_id}.pdf"'}
        # It carries a name and an address: nobody on the way shall keep a copy.
        return Response(content, media_type="application/pdf", headers={**headers, "Cache-Control": "no-store"})

    return router


def _check(fulfillment_id: str) -> None:
    if not _FULFILLMENT_ID.fullmatch(fulfillment_id):
        raise _no_fulfillment()


def _no_fulfillment() -> Exception:
    return not_found("There is no such fulfillment.")
