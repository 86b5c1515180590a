"""Refusals and faults as answers: one shape, sentences, and never anything of what was sent."""

from __future__ import annotations

import logging
from collections.abc import Callable
from traceback import format_tb

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from events.codec import CodecError
from events.store import CommitOutcomeUnknown, StoreUnavailable, VersionConflict
from projections.views import ViewsUnavailable
from services.gateway.group_commit import IntakeOverloaded
from services.gateway.problems import complaint, named_place
from services.insights.board import BoardUnavailable
from services.payment.provider import ProviderTimeout, ProviderUnavailable

log = logging.getLogger(__name__)

# A body of 2,000 wrong lines is told about its first ones.
MAX_PROBLEMS = 20

_LATER: dict[type[Exception], str] = {
    StoreUnavailable: "The event store is away for the moment. Nothing was taken: send the same again.",
    CommitOutcomeUnknown: "It could not be found out whether this was taken. Send the same again: it is taken once.",
    VersionConflict: "Others were faster again and again. Nothing was taken: send the same again.",
    IntakeOverloaded: "More is coming in than can be taken. Nothing was taken: send the same again.",
    ProviderUnavailable: "The sandbox provider cannot keep its books. Nothing was done: send the same again.",
    ProviderTimeout: "The sandbox provider did not answer. Send the same again: it is done once.",
    BoardUnavailable: "The insights are away for the moment (Redis). Commands are taken all the same.",
    ViewsUnavailable: "The read models are away for the moment (Redis). Commands are taken all the same.",
}
"""Faults that pass."""
RETRY_AFTER_S = 2

_PLAIN = {
    400: "The body is not JSON in UTF-8.",
    404: "There is nothing at this address. /openapi.json tells what there is.",
    405: "This address does not take this method. /openapi.json tells which it takes.",
}


def add_fault_handlers(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(CodecError, _unreadable)
    for fault, message in _LATER.items():
        app.add_exception_handler(fault, _later(message))


def in_words(fault: Exception) -> str:
    """For people who watch: what is away. A fault that is ours is logged, without its message."""
    for kind, message in _LATER.items():
        if isinstance(fault, kind):
            return message
    log.error("the summary cannot be made: %s\n%s", type(fault).__name__, "".join(format_tb(fault.__traceback__)))
    return "The summary cannot be made at the moment; why was logged."


def _later(message: str) -> Callable[[Request, Exception], JSONResponse]:
    def answer(_: Request, fault: Exception) -> JSONResponse:
        log.warning("answered 503: %s", type(fault).__name__)
        return _answer(503, message, headers={"Retry-After": str(RETRY_AFTER_S)})

    return answer


def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods_of(request))
    # What the framework says by itself is a word or two, and a sentence only where it speaks of bodies.
    is_ours = error.detail.endswith(".") and error.status_code not in (400, 405)
    message = error.detail if is_ours else _PLAIN.get(error.status_code, f"{error.detail}.")
    return _answer(error.status_code, message, headers=headers)


def _methods_of(request: Request) -> list[str]:
    """What the address takes. The framework names those of the first route only that begins to fit."""
    return [
        method
        for method in ("DELETE", "GET", "POST", "PUT")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


def _unreadable(_: Request, error: Exception) -> JSONResponse:
    """Names a position, and no data: see events/codec.py."""
    log.error("%s", error)
    return _answer(500, f"The history of this cannot be read: {error}.")


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    if any(one["type"] == "json_invalid" for one in found):
        at = next(one["loc"][-1] for one in found)
        return _answer(400, f"The body is not JSON: it cannot be read from character {at} on.")
    problems = [{"where": _where(one["loc"]), "message": complaint(one)} for one in found[:MAX_PROBLEMS]]
    more = f" These are the first {MAX_PROBLEMS} of {len(found)}." if len(found) > MAX_PROBLEMS else ""
    return _answer(422, f"The request is not understood.{more}", problems)


def _where(location: tuple[int | str, ...]) -> str:
    if location[:1] == ("body",):
        return named_place(location[1:]) or "body"
    return named_place(location, known=location)


def _answer(
    status: int, message: str, problems: list[dict[str, str]] | None = None, *, headers: dict[str, str] | None = None
) -> JSONResponse:
    return JSONResponse({"message": message, "problems": problems or []}, status, headers)
