"""A payment provider on another machine, behind the port. services/payment/http_wire.py has what is said.

What a missing answer means is told apart here, and nowhere is anything sent a second time:

    no connection                          ProviderUnavailable: nothing was sent
    cut off, or no answer in time          ProviderTimeout: it may or may not have been done
    5xx, or an answer that makes no sense  ProviderUnavailable: the same

Only an answer in the provider's own words is a refusal. A 404 of some other program at that address must not decline
anybody's payment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, NoReturn, TypeVar

import msgspec

from services.payment import http_wire as wire
from services.payment.provider import (
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    IdempotencyKeyReused,
    Payment,
    ProviderTimeout,
    ProviderUnavailable,
    Refunded,
    Refused,
    Voided,
)
from services.runtime.http_calls import RECONNECT_FOR_S, Answer, HttpCalls, NoAnswer, NotReached

T = TypeVar("T", bound=msgspec.Struct)

_SERVER_FAULT: Final = 500


class HttpProvider:
    """Belongs to the event loop of its first call, where `aclose` has to be awaited as well."""

    def __init__(self, base_url: str, timeout_s: float, *, reconnect_for_s: float = RECONNECT_FOR_S) -> None:
        """Raises AddressRefused if that is no http(s) URL."""
        self._calls = HttpCalls(base_url, timeout_s=timeout_s, reconnect_for_s=reconnect_for_s)

    async def aclose(self) -> None:
        await self._calls.aclose()

    # The port

    async def authorize(
        self, *, key: str, order_ref: str, amount_minor: int, currency: str, token: str
    ) -> Authorized | Declined | ActionRequired:
        answer = await self._tell(wire.AUTHORIZE, wire.AuthorizeBody(order_ref, amount_minor, currency, token), key)
        return answer if isinstance(answer, Authorized | Declined | ActionRequired) else self._makes_no_sense()

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | Refused:
        answer = await self._tell(wire.CAPTURE, wire.AmountBody(reference, amount_minor), key)
        return answer if isinstance(answer, Captured | Refused) else self._makes_no_sense()

    async def void(self, *, key: str, reference: str) -> Voided | Refused:
        answer = await self._tell(wire.VOID, wire.ReferenceBody(reference), key)
        return answer if isinstance(answer, Voided | Refused) else self._makes_no_sense()

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | Refused:
        answer = await self._tell(wire.REFUND, wire.AmountBody(reference, amount_minor), key)
        return answer if isinstance(answer, Refunded | Refused) else self._makes_no_sense()

    async def find(self, *, order_ref: str) -> Payment | None:
        answer = await self._answer_to(self._calls.get(wire.FIND, order_ref=order_ref))
        # Only a list says "there is none": whatever else may stand there is no answer to the question.
        found = self._decoded(answer, wire.Found).payments
        return found[0] if found else None

    async def act_for_buyer(self, path: str, reference: str) -> bool:
        """What the buyer does at the sandbox: not a part of the port."""
        body = msgspec.json.encode(wire.ReferenceBody(reference))
        # It is done once however often it is said, so the payment's own name will do as a key.
        answer = await self._answer_to(self._calls.post(path, body, key=reference))
        return self._decoded(answer, wire.Acted).acted

    async def _tell(self, path: str, body: msgspec.Struct, key: str) -> wire.Answer:
        answer = await self._answer_to(self._calls.post(path, msgspec.json.encode(body), key=key))
        if answer.body == wire.KEY_REUSED:
            raise IdempotencyKeyReused("the provider knows this key from another call")
        try:
            return wire.understood(answer.body)
        except wire.NotUnderstood:
            self._makes_no_sense(answer.status)

    async def _answer_to(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except NotReached as error:
            raise ProviderUnavailable(str(error)) from error
        except NoAnswer as error:
            raise ProviderTimeout(str(error)) from error
        if answer.status >= _SERVER_FAULT:
            raise ProviderUnavailable(f"{self._calls.peer} answered {answer.status}")
        return answer

    def _decoded(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._makes_no_sense(answer.status)

    def _makes_no_sense(self, status: int | None = None) -> NoReturn:
        """Something answered that is not our provider, or not as we know it: what it did is unknown."""
        raise ProviderUnavailable(
            f"{self._calls.peer} answered{f' {status}' if status else ''} with what no provider says: "
            "does WAYBILL_PROVIDER_URL name the right one?"
        )


class HttpBuyer:
    """What the buyer does at the sandbox, for callers without an event loop: a demonstration, not a hot path."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        self._base_url = base_url
        self._timeout_s = timeout_s

    def complete_action(self, reference: str) -> bool:
        """The buyer confirmed. False: no payment of that name waits for its buyer (any more). Raises ProviderError."""
        return asyncio.run(self._act(wire.BUYER_COMPLETES, reference))

    def fail_action(self, reference: str) -> bool:
        """The buyer gave up, or did not pass. False and raises as above."""
        return asyncio.run(self._act(wire.BUYER_FAILS, reference))

    async def _act(self, path: str, reference: str) -> bool:
        provider = HttpProvider(self._base_url, self._timeout_s)
        try:
            return await provider.act_for_buyer(path, reference)
        finally:
            await provider.aclose()
