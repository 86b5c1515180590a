"""A carrier on another machine, behind the port. services/shipping/http_wire.py has what is said.

What a missing answer means is told apart here, and nowhere is anything sent a second time:

    no connection                          CarrierUnavailable: nothing was sent
    cut off, or no answer in time          CarrierTimeout: a label may or may not have been bought
    5xx, or an answer that makes no sense  CarrierUnavailable: the same

What is sent holds an address: no error repeats anything of it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, NoReturn, TypeVar

import msgspec

from services.runtime.http_calls import RECONNECT_FOR_S, Answer, HttpCalls, NoAnswer, NotReached
from services.shipping import http_wire as wire
from services.shipping.carrier import (
    CarrierTimeout,
    CarrierUnavailable,
    IdempotencyKeyReused,
    Label,
    LabelRefused,
    Scan,
    Shipment,
)

T = TypeVar("T", bound=msgspec.Struct)

_SERVER_FAULT: Final = 500


class HttpCarrier:
    """Belongs to the event loop of its first call, where `aclose` has to be awaited as well."""

    def __init__(self, base_url: str, timeout_s: float, *, reconnect_for_s: float = RECONNECT_FOR_S) -> None:
        """Raises AddressRefused if that is no http(s) URL."""
        self._calls = HttpCalls(base_url, timeout_s=timeout_s, reconnect_for_s=reconnect_for_s)

    async def aclose(self) -> None:
        await self._calls.aclose()

    async def buy_label(self, *, key: str, shipment: Shipment) -> Label | LabelRefused:
        answer = await self._answer_to(self._calls.post(wire.LABELS, wire.asked(shipment), key=key))
        if answer.body == wire.KEY_REUSED:
            raise IdempotencyKeyReused("the carrier knows this key from another shipment")
        try:
            return wire.understood(answer.body)
        except wire.NotUnderstood:
            self._makes_no_sense(answer.status)

    async def find(self, *, key: str) -> Label | None:
        found = self._decoded(await self._answer_to(self._calls.get(wire.LABELS, key=key)), wire.FoundLabels)
        return found.labels[0] if found.labels else None

    async def track(self, *, tracking_number: str) -> list[Scan]:
        answer = await self._answer_to(self._calls.get(wire.SCANS, tracking_number=tracking_number))
        return self._decoded(answer, wire.FoundScans).scans

    async def _answer_to(self, call: Awaitable[Answer]) -> Answer:
        try:
            answer = await call
        except NotReached as error:
            raise CarrierUnavailable(str(error)) from error
        except NoAnswer as error:
            raise CarrierTimeout(str(error)) from error
        if answer.status >= _SERVER_FAULT:
            raise CarrierUnavailable(f"{self._calls.peer} answered {answer.status}")
        return answer

    def _decoded(self, answer: Answer, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (msgspec.DecodeError, msgspec.ValidationError):
            self._makes_no_sense(answer.status)

    def _makes_no_sense(self, status: int) -> NoReturn:
        """Something answered that is not our carrier, or not as we know it: what it did is unknown."""
        raise CarrierUnavailable(
            f"{self._calls.peer} answered {status} with what no carrier says: "
            "does WAYBILL_CARRIER_URL name the right one?"
        )
