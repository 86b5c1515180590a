"""A carrier that behaves like a real one: stateful, durable, and difficult when the shipment asks for it.

It keeps the guarantees of the port (services/shipping/carrier.py), also over a kill -9 of our process: what it sold is
in an append-only journal. The journal holds no address: the parcel's id stands for it.

It does not carry to the countries XX and ZZ, nor an empty parcel. Beyond that a marker chooses how it behaves. The
marker is the shipment's `service`, or its postal code, or one whole line of its address:

    REFUSE1      refused: address_not_served
    SLOW1        sells the label, then answers after `slow_s` seconds
    TIMEOUT1     sells the label and drops the reply, once: the same call again, or `find`, tells the truth
    TIMEOUT0     sells nothing and does not answer, once
    DOWN1        cannot be reached, once
    LOST1        the parcel is lost on its way: its last scan is a failure
    RETURN1      the parcel comes back to the sender

Missing answers take no time: they raise at once, so that a test of a timeout need not wait for one. One process owns a
journal; calls come from one asyncio loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

from services.journal import Journal, JournalUnavailable
from services.shipping.carrier import (
    CarrierTimeout,
    CarrierUnavailable,
    IdempotencyKeyReused,
    Label,
    LabelRefused,
    Scan,
    Shipment,
)
from services.shipping.sandbox_journey import LOST, RETURNED, journey
from services.shipping.tracking_number import tracking_number as new_tracking_number

CARRIER: Final = "sandpost"
HOME: Final = "GB"
SLOW_S: Final = 0.2
"""Slow enough to be seen in a demo, quick enough for a test."""

_NOT_SERVED: Final = frozenset({"XX", "ZZ"})
_REFUSE, _SLOW, _SILENT_AFTER, _SILENT_BEFORE, _DOWN = "REFUSE1", "SLOW1", "TIMEOUT1", "TIMEOUT0", "DOWN1"
_MARKERS: Final = frozenset({_REFUSE, _SLOW, _SILENT_AFTER, _SILENT_BEFORE, _DOWN, LOST, RETURNED})


class _Order(NamedTuple):
    """A purchase as it is journaled. The facts of two calls under one key must agree; the address is not kept."""

    key: str
    marker: str
    ship_at_s: float
    refused_because: str
    parcel_id: str
    order_ref: str
    from_location: str
    country: str
    units: int
    weight_g: int

    def is_for(self, shipment: Shipment) -> bool:
        return self[4:] == _facts(shipment)


_SHAPES: Final = {"label": (str, str, float, str, str, str, str, str, int, int), "stumble": (str,)}
"""The types of the journal's records: those of an _Order, and the key of a call that failed."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SandboxCarrier:
    """Raises JournalError if its file cannot be opened or read. Without a path it forgets everything at the end.

    `haste` shortens the way of every parcel: 3600 makes an hour of carriage a second.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        now: Callable[[], datetime] = _utc_now,
        haste: float = 1.0,
        slow_s: float = SLOW_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._haste = haste
        self._slow_s = slow_s
        self._sleep = sleep
        self._answers: dict[str, tuple[_Order, Label | LabelRefused]] = {}
        self._sold: dict[str, _Order] = {}
        self._stumbled: set[str] = set()
        self._journal = Journal(path)
        self._journal.replay_into(lambda record: self._apply(record[0], record[1:]), _SHAPES)

    def close(self) -> None:
        self._journal.close()

    # The port

    async def buy_label(self, *, key: str, shipment: Shipment) -> Label | LabelRefused:
        known = self._answers.get(key)
        if known is not None:
            return _same_answer(known, shipment)
        marker = _marker(shipment)
        if marker in (_SILENT_BEFORE, _DOWN):
            self._stumble(key, marker)
        answer = self._sell(key, shipment, marker)
        if marker == _SLOW:
            await self._sleep(self._slow_s)
        if marker == _SILENT_AFTER:
            raise CarrierTimeout("the sandbox carrier did not answer")
        return answer

    async def find(self, *, key: str) -> Label | None:
        known = self._answers.get(key)
        return known[1] if known is not None and isinstance(known[1], Label) else None

    async def track(self, *, tracking_number: str) -> list[Scan]:
        order = self._sold.get(tracking_number)
        if order is None:
            return []
        scans = journey(
            order.marker,
            origin=order.from_location,
            country=order.country,
            abroad=order.country != HOME,
            ship_at=datetime.fromtimestamp(order.ship_at_s, UTC),
            haste=self._haste,
        )
        now = self._now()
        return [scan for scan in scans if scan.scanned_at <= now]

    # The carrier's own books, for tests and audits

    def labels(self) -> dict[str, list[Label]]:
        """Every label sold, by parcel id: also the second of two where there should be one."""
        sold: dict[str, list[Label]] = {}
        for order, answer in self._answers.values():
            if isinstance(answer, Label):
                sold.setdefault(order.parcel_id, []).append(answer)
        return sold

    # A sale is written, then applied; a restart applies what was written: there is one way only for it to happen.

    def _sell(self, key: str, shipment: Shipment, marker: str) -> Label | LabelRefused:
        ship_at_s = (shipment.ship_at or self._now()).timestamp()
        order = _Order(key, marker, ship_at_s, _refusal(shipment, marker), *_facts(shipment))
        self._write(("label", *order))
        return self._book(order)

    def _stumble(self, key: str, marker: str) -> None:
        """Fail before anything is done, once."""
        if key in self._stumbled:
            return
        self._write(("stumble", key))
        self._stumbled.add(key)
        if marker == _DOWN:
            raise CarrierUnavailable("the sandbox carrier is away")
        raise CarrierTimeout("the sandbox carrier did not answer")

    def _write(self, record: tuple[Any, ...]) -> None:
        try:
            self._journal.append(record)
        except JournalUnavailable as error:
            raise CarrierUnavailable(f"the sandbox carrier cannot keep its books: {error}") from error

    def _apply(self, kind: str, fields: list[Any]) -> None:
        if kind == "stumble":
            self._stumbled.add(fields[0])
        else:
            self._book(_Order(*fields))

    def _book(self, order: _Order) -> Label | LabelRefused:
        answer: Label | LabelRefused
        if order.refused_because:
            answer = LabelRefused(order.refused_because)
        else:
            answer = _label(len(self._sold) + 1)
            self._sold[answer.tracking_number] = order
        self._answers[order.key] = (order, answer)
        return answer


def _same_answer(known: tuple[_Order, Label | LabelRefused], shipment: Shipment) -> Label | LabelRefused:
    order, answer = known
    if not order.is_for(shipment):
        raise IdempotencyKeyReused("the key of a label came again for another shipment")
    return answer


def _label(number: int) -> Label:
    # Neighbours in the count are not neighbours in the numbers: 48,271,397 shares no factor with 10^8, so that each
    # of the 10^8 serials comes up once.
    serial = number * 48_271_397 % 10**8
    return Label(CARRIER, new_tracking_number(serial, country=HOME), f"shp_{number:08d}")


def _facts(shipment: Shipment) -> tuple[Any, ...]:
    return (
        shipment.parcel_id,
        shipment.order_ref,
        shipment.from_location,
        shipment.country,
        shipment.units,
        shipment.weight_g,
    )


def _marker(shipment: Shipment) -> str:
    if shipment.service in _MARKERS:
        return shipment.service
    if shipment.ship_to is None:
        return ""
    places = (shipment.ship_to.postal_code, *shipment.ship_to.lines)
    return next((place for place in places if place in _MARKERS), "")


def _refusal(shipment: Shipment, marker: str) -> str:
    """Why it is not carried; "" if nothing stands against it."""
    if shipment.country in _NOT_SERVED:
        return "country_not_served"
    if marker == _REFUSE:
        return "address_not_served"
    return "parcel_is_empty" if shipment.units < 1 else ""
