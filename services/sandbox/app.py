"""The sandboxes over HTTP. services/payment/http_wire.py and services/shipping/http_wire.py have what is said.

What they do not answer in process, they do not answer here: the connection is cut, after `silence_s` seconds. A fault
of theirs is a 503. Bodies hold addresses, so neither answers nor logs repeat anything of them.

Starlette without FastAPI on top: what two workers of the pipeline ask of it for every order should cost the machine as
little as may be. It serves us alone, so it needs no OpenAPI page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.payment import http_wire as payment
from services.payment.provider import IdempotencyKeyReused as PaymentKeyReused
from services.payment.provider import ProviderTimeout, ProviderUnavailable
from services.payment.sandbox import SandboxProvider
from services.sandbox.books import books_of
from services.shipping import http_wire as shipping
from services.shipping.carrier import CarrierTimeout, CarrierUnavailable
from services.shipping.carrier import IdempotencyKeyReused as LabelKeyReused
from services.shipping.sandbox import SandboxCarrier

MAX_BODY_BYTES = 64_000
"""A shipment with the longest address that an event takes is a tenth of it."""

T = TypeVar("T")
Endpoint = Callable[[Request], Awaitable[Response]]


class BadRequest(Exception):
    """A sentence for whoever sent it."""


def build(provider: SandboxProvider, carrier: SandboxCarrier, *, silence_s: float = 0.0) -> Starlette:
    """`silence_s`: how long an answer that never comes keeps its caller waiting before the connection is cut."""
    routes = [
        *_payment_routes(provider, silence_s),
        *_carrier_routes(carrier, silence_s),
        Route("/books", _books(provider, carrier)),
        Route("/livez", _well),
        Route("/readyz", _well),
    ]
    return Starlette(routes=routes)


async def _well(_: Request) -> Response:
    """The journals were read before the first request is answered, so whoever answers is ready."""
    return Response('{"ok":true}', media_type="application/json")


# --- the provider ----------------------------------------------------------------------------------------------------


def _payment_routes(provider: SandboxProvider, silence_s: float) -> list[Route]:
    async def authorize(request: Request) -> Response:
        asked = await _body(request, payment.AuthorizeBody)
        return _said(*payment.spoken(await provider.authorize(key=_key(request), **msgspec.structs.asdict(asked))))

    async def capture(request: Request) -> Response:
        asked = await _body(request, payment.AmountBody)
        return _said(*payment.spoken(await provider.capture(key=_key(request), **msgspec.structs.asdict(asked))))

    async def void(request: Request) -> Response:
        asked = await _body(request, payment.ReferenceBody)
        return _said(*payment.spoken(await provider.void(key=_key(request), reference=asked.reference)))

    async def refund(request: Request) -> Response:
        asked = await _body(request, payment.AmountBody)
        return _said(*payment.spoken(await provider.refund(key=_key(request), **msgspec.structs.asdict(asked))))

    async def find(request: Request) -> Response:
        found = await provider.find(order_ref=_query(request, "order_ref"))
        return _json(payment.Found([found] if found else []))

    async def complete(request: Request) -> Response:
        return _json(payment.Acted(provider.complete_action((await _body(request, payment.ReferenceBody)).reference)))

    async def fail(request: Request) -> Response:
        return _json(payment.Acted(provider.fail_action((await _body(request, payment.ReferenceBody)).reference)))

    posts = {
        payment.AUTHORIZE: authorize, payment.CAPTURE: capture, payment.VOID: void, payment.REFUND: refund,
        payment.BUYER_COMPLETES: complete, payment.BUYER_FAILS: fail,
    }  # fmt: skip
    return _routes(posts, {payment.FIND: find}, silence_s)


# --- the carrier -----------------------------------------------------------------------------------------------------


def _carrier_routes(carrier: SandboxCarrier, silence_s: float) -> list[Route]:
    async def buy(request: Request) -> Response:
        try:
            shipment = shipping.shipment_of(await _bytes(request))
        except shipping.NotUnderstood:
            raise BadRequest("the body is no shipment") from None
        return _said(*shipping.spoken(await carrier.buy_label(key=_key(request), shipment=shipment)))

    async def find(request: Request) -> Response:
        found = await carrier.find(key=_query(request, "key"))
        return _json(shipping.FoundLabels([found] if found else []))

    async def track(request: Request) -> Response:
        return _json(shipping.FoundScans(await carrier.track(tracking_number=_query(request, "tracking_number"))))

    return _routes({shipping.LABELS: buy}, {shipping.LABELS: find, shipping.SCANS: track}, silence_s)


def _books(provider: SandboxProvider, carrier: SandboxCarrier) -> Endpoint:
    async def books(_: Request) -> Response:
        return _json(books_of(provider.ledger(), provider.charges(), carrier.labels()))

    return books


# --- requests and answers --------------------------------------------------------------------------------------------


def _routes(posts: Mapping[str, Endpoint], gets: Mapping[str, Endpoint], silence_s: float) -> list[Route]:
    return [
        *(Route(path, _answering(endpoint, silence_s), methods=["POST"]) for path, endpoint in posts.items()),
        *(Route(path, _answering(endpoint, silence_s), methods=["GET"]) for path, endpoint in gets.items()),
    ]


def _answering(endpoint: Endpoint, silence_s: float) -> Endpoint:
    """With every way a call can end, besides well, in terms of HTTP."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (ProviderTimeout, CarrierTimeout):
            return await _cut_off(request, silence_s)
        except (ProviderUnavailable, CarrierUnavailable):
            return _said(HTTPStatus.SERVICE_UNAVAILABLE, b'{"message":"away for the moment"}')
        except PaymentKeyReused:
            return _said(payment.KEY_REUSED_STATUS, payment.KEY_REUSED)
        except LabelKeyReused:
            return _said(shipping.KEY_REUSED_STATUS, shipping.KEY_REUSED)
        except BadRequest as problem:
            return _said(HTTPStatus.BAD_REQUEST, msgspec.json.encode({"message": str(problem)}))

    return answer


async def _cut_off(request: Request, silence_s: float) -> Response:
    """No answer: the caller hears nothing for a while, and then that the connection is gone."""
    await asyncio.sleep(silence_s)
    request.state.cut_off()
    while not await request.is_disconnected():  # it takes the loop a turn or two to notice
        await asyncio.sleep(0)
    return Response()  # goes nowhere


async def _body(request: Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await _bytes(request), type=kind)
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise BadRequest("the body does not fit this path") from None


async def _bytes(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(f"a body may have {MAX_BODY_BYTES:,} bytes")
    return body


def _key(request: Request) -> str:
    key = request.headers.get("Idempotency-Key", "")
    if not key:
        raise BadRequest("the header Idempotency-Key is missing")
    return key


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name, "")
    if not value:
        raise BadRequest(f"the query lacks {name}")
    return value


def _json(body: Any) -> Response:
    return _said(HTTPStatus.OK, msgspec.json.encode(body))


def _said(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")
