"""The provider and the carrier at the other end of a bad line.

They are the sandboxes, which keep the guarantees of their ports; what goes wrong goes wrong on the way. A request may
be lost, arrive twice, or long after its caller gave up; an answer may be lost or slow. Their books outlive us, and are
compared with the log in the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from services.payment import provider as money
from services.payment.sandbox import SandboxProvider
from services.shipping import carrier as parcels
from services.shipping.sandbox import SandboxCarrier
from tests.simulation.clock import HOUR_S, MINUTE_S
from tests.simulation.faults import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World

T = TypeVar("T")

Request = Callable[[], Coroutine[Any, Any, T]]
OUR_MISTAKES = (money.IdempotencyKeyReused, parcels.IdempotencyKeyReused)


async def no_sleep(_: float) -> None:
    """Slowness is the line's."""


def at_once(request: Request[T]) -> T:
    """What a sandbox answers: it never waits."""
    coroutine = request()
    try:
        coroutine.send(None)
    except StopIteration as answer:
        found: T = answer.value
        return found
    raise AssertionError("a sandbox waited")


class Line:
    """The way to one of them and back."""

    def __init__(self, world: World, name: str, silent: type[Exception], away: type[Exception]) -> None:
        """`silent` and `away` are what the port raises where there is no answer."""
        self._world = world
        self._name = name
        self._silent = silent
        self._away = away
        self._away_until_us = 0

    async def ask(self, what: str, request: Request[T]) -> T:
        faults, whom = self._world.faults, f"{self._name} ({what})"
        self._world.story.note(self._name, "is asked: {}", what)
        await self._travel(whom)
        if faults.strikes(Fault.REQUEST_LOST, whom):
            await self._no_answer(Fault.REQUEST_LOST)
        if faults.strikes(Fault.REQUEST_LATE, whom):
            self._later(Fault.REQUEST_LATE, request)
            await self._no_answer(Fault.REQUEST_LATE)
        if faults.strikes(Fault.REQUEST_TWICE, whom):
            self._later(Fault.REQUEST_TWICE, request)
        answer = self._done(request)
        if faults.strikes(Fault.ANSWER_LOST, whom):
            await self._no_answer(Fault.ANSWER_LOST)
        if faults.strikes(Fault.ANSWER_SLOW, whom):
            await asyncio.sleep(faults.draw(Fault.ANSWER_SLOW).choice((0.05, 2.0, 9.0, 30.0)))
        if faults.strikes(Fault.NONSENSE, whom):
            raise ValueError("an answer that nobody foresaw")
        told = f"{len(answer)} scans" if isinstance(answer, list) else answer
        self._world.story.note(self._name, "answers: {}", told)
        return answer

    async def _travel(self, whom: str) -> None:
        faults, clock = self._world.faults, self._world.clock
        if faults.strikes(Fault.PROVIDER_OUTAGE, whom):
            away_s = faults.draw(Fault.PROVIDER_OUTAGE).choice((MINUTE_S, HOUR_S, 30 * HOUR_S))
            self._away_until_us = clock.after_us(away_s)
        if clock.us < self._away_until_us and not faults.healed:
            raise self._away("cannot be reached")
        travel_s = self._world.draw.choice((0.0, 0.0, 0.01, 0.05))
        if travel_s:
            await asyncio.sleep(travel_s)

    def _done(self, request: Request[T]) -> T:
        try:
            return at_once(request)
        except OUR_MISTAKES as error:
            self._world.breach(f"{self._name}: {error}")
            raise

    def _later(self, fault: Fault, request: Request[Any]) -> None:
        """The request arrives when its caller may be gone."""

        def arrive() -> None:
            try:
                self._world.story.note(self._name, "gets a late request: {}", self._done(request))
            except (self._silent, self._away, *OUR_MISTAKES):
                return  # nobody hears the answer

        delay_s = self._world.faults.draw(fault).choice((1.0, 20.0, 5 * MINUTE_S, 2 * HOUR_S))
        self._world.scheduler.after(delay_s, arrive)

    async def _no_answer(self, fault: Fault) -> NoReturn:
        """Sometimes the line says so, sometimes it is simply silent until the caller gives up."""
        if self._world.faults.draw(fault).random() < 0.5:
            raise self._silent("did not answer")
        await asyncio.sleep(10 * HOUR_S)
        raise self._silent("did not answer")


class SimProvider:
    """The payment provider."""

    def __init__(self, world: World) -> None:
        self.sandbox = SandboxProvider(now=world.clock, sleep=no_sleep)
        self._line = Line(world, "provider", money.ProviderTimeout, money.ProviderUnavailable)

    async def authorize(
        self, *, key: str, order_ref: str, amount_minor: int, currency: str, token: str
    ) -> money.Authorized | money.Declined | money.ActionRequired:
        return await self._line.ask(
            f"authorize {key}",
            lambda: self.sandbox.authorize(
                key=key, order_ref=order_ref, amount_minor=amount_minor, currency=currency, token=token
            ),
        )

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> money.Captured | money.Refused:
        return await self._line.ask(
            f"capture {key}", lambda: self.sandbox.capture(key=key, reference=reference, amount_minor=amount_minor)
        )

    async def void(self, *, key: str, reference: str) -> money.Voided | money.Refused:
        return await self._line.ask(f"void {key}", lambda: self.sandbox.void(key=key, reference=reference))

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> money.Refunded | money.Refused:
        return await self._line.ask(
            f"refund {key}", lambda: self.sandbox.refund(key=key, reference=reference, amount_minor=amount_minor)
        )

    async def find(self, *, order_ref: str) -> money.Payment | None:
        return await self._line.ask(f"find {order_ref}", lambda: self.sandbox.find(order_ref=order_ref))


class SimCarrier:
    """The carrier."""

    def __init__(self, world: World) -> None:
        self.sandbox = SandboxCarrier(now=world.clock, sleep=no_sleep)
        self._line = Line(world, "carrier", parcels.CarrierTimeout, parcels.CarrierUnavailable)

    async def buy_label(self, *, key: str, shipment: parcels.Shipment) -> parcels.Label | parcels.LabelRefused:
        return await self._line.ask(f"label {key}", lambda: self.sandbox.buy_label(key=key, shipment=shipment))

    async def find(self, *, key: str) -> parcels.Label | None:
        return await self._line.ask(f"find {key}", lambda: self.sandbox.find(key=key))

    async def track(self, *, tracking_number: str) -> list[parcels.Scan]:
        return await self._line.ask(
            f"track {tracking_number}", lambda: self.sandbox.track(tracking_number=tracking_number)
        )


class MustNotBeCalled:
    """A provider and a carrier for whoever only replays."""

    async def _refuse(self, **_: object) -> NoReturn:
        raise AssertionError("a replay called the outside world")

    authorize = capture = void = refund = find = buy_label = track = _refuse
