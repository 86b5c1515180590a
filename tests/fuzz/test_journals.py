"""A sandbox's journal that somebody has changed: it is read, or refused in words; what was read can be worked with."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from services.journal import Journal, JournalDamaged, JournalError
from services.payment.provider import Payment, ProviderError
from services.payment.sandbox import SandboxProvider
from services.shipping.carrier import CarrierError, Shipment
from services.shipping.sandbox import SandboxCarrier
from tests.examples import HOME, NOON
from tests.fuzz.budget import looking_at
from tests.fuzz.spoil import bytestrings, trees

PAYMENTS: list[Any] = [
    ["authorize", 1.7e9, "k1", "order-1", 1880, "GBP", "tok_ok", "authorized", ""],
    ["capture", 1.7e9, "k2", "pay_00000001", 1880, ""],
    ["refund", 1.7e9, "k3", "pay_00000001", 80, ""],
    ["authorize", 1.7e9, "k4", "order-2", 500, "GBP", "tok_action", "requires_action", ""],
    ["action", 1.7e9, "pay_00000002", ""],
    ["void", 1.7e9, "k5", "pay_00000002", ""],
    ["stumble", "order-3"],
]
PARCELS: list[Any] = [
    ["label", "k1", "", 1.7e9, "", "order-1-LDN", "order-1", "LDN", "GB", 6, 1200],
    ["label", "k2", "LOST1", 1.7e9, "", "order-2-LDN", "order-2", "LDN", "FR", 1, 200],
    ["label", "k3", "", 1.7e9, "country_not_served", "order-3-LDN", "order-3", "LDN", "ZZ", 1, 200],
    ["stumble", "k4"],
]


def lines(records: Any) -> bytes:
    return b"".join(orjson.dumps(record) + b"\n" for record in records)


def journals(right: list[Any]) -> st.SearchStrategy[bytes]:
    """Journals that were right, with something changed in their records or in their bytes."""
    spoiled = trees(right).filter(lambda tree: isinstance(tree, list)).filter(_is_json).map(lines)
    return spoiled | bytestrings(lines(right))


def _is_json(tree: Any) -> bool:
    try:
        orjson.dumps(tree)
    except orjson.JSONEncodeError:  # numbers and letters that no journal can hold
        return False
    return True


def with_file(content: bytes, look: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        path.write_bytes(content)
        look(path)


# --- the file --------------------------------------------------------------------------------------------------------


@looking_at(100)
@given(content=st.binary(max_size=80) | bytestrings(lines(PAYMENTS)))
def test_any_bytes_are_records_or_refused_and_a_torn_end_is_cut_off(content: bytes) -> None:
    def look(path: Path) -> None:
        journal = Journal(path)
        try:
            assert path.read_bytes() == content[: content.rfind(b"\n") + 1]
            records = list(journal.replay())
            journal.append(["one", "more"])
            assert list(journal.replay()) == [*records, ["one", "more"]]
        except JournalDamaged as refused:
            assert str(path) in str(refused)  # noqa: PT017
        finally:
            journal.close()

    with_file(content, look)


# --- the payment provider's ------------------------------------------------------------------------------------------


async def use(provider: SandboxProvider) -> None:
    """Everything that we ask of a provider: answered, or refused as its port says."""
    for reference in [payment.reference for payment in provider.ledger()] + ["pay_9"]:
        for number, call in enumerate((provider.capture, provider.refund)):
            await _answered(call(key=f"{reference}/{number}", reference=reference, amount_minor=1))
        await _answered(provider.void(key=f"{reference}/void", reference=reference))
    await _answered(provider.authorize(key="new", order_ref="new", amount_minor=5, currency="GBP", token="tok_ok"))
    await _answered(provider.authorize(key="k1", order_ref="order-1", amount_minor=5, currency="GBP", token="tok_ok"))
    found = [await provider.find(order_ref=name) for name in ("new", "order-1", "order-2")]
    assert all(one is None or isinstance(one, Payment) for one in found)
    assert sum(provider.charges().values()) >= 0


async def _answered(call: Awaitable[object]) -> None:
    try:
        assert await call
    except ProviderError as refused:
        assert str(refused)  # noqa: PT017


FIRST, TAKEN, *_ = PAYMENTS


@looking_at(200)
@example(content=lines([FIRST, ["capture", 1.7e9, "k2", "pay_00000001", " ", ""]]))  # an amount in words
@example(content=lines([FIRST, ["capture", None, "k2", "pay_00000001", 1880, ""]]))  # never
@example(content=lines([[*FIRST[:6], None, *FIRST[7:]], TAKEN]))  # no token
@example(content=lines([["authorize", None, *FIRST[2:]]]))
@given(content=journals(PAYMENTS))
def test_a_payment_journal_is_worked_with_or_refused(content: bytes) -> None:
    def look(path: Path) -> None:
        try:
            provider = SandboxProvider(path, now=lambda: NOON)
        except JournalError as refused:
            assert str(path) in str(refused)  # noqa: PT017
            return
        asyncio.run(use(provider))
        provider.close()

    with_file(content, look)


# --- the carrier's ---------------------------------------------------------------------------------------------------


async def ship(carrier: SandboxCarrier) -> None:
    shipment = Shipment("new", "order-9", "LDN", "GB", HOME, 1, 200, ship_at=NOON)
    for key in ("new", "k1", "k4"):
        try:
            await carrier.buy_label(key=key, shipment=shipment)
        except CarrierError as refused:
            assert str(refused)  # noqa: PT017
    for labels in carrier.labels().values():
        for label in labels:
            await carrier.track(tracking_number=label.tracking_number)
    assert await carrier.find(key="nobody's") is None


@looking_at(200)
@example(content=lines([[*PARCELS[0][:3], None, *PARCELS[0][4:]]]))  # handed over at no time
@example(content=lines([[*PARCELS[0][:3], 1e300, *PARCELS[0][4:]]]))  # and after all time
@given(content=journals(PARCELS))
def test_a_parcel_journal_is_worked_with_or_refused(content: bytes) -> None:
    def look(path: Path) -> None:
        try:
            carrier = SandboxCarrier(path, now=lambda: NOON + timedelta(days=2))
        except JournalError as refused:
            assert str(path) in str(refused)  # noqa: PT017
            return
        asyncio.run(ship(carrier))
        carrier.close()

    with_file(content, look)
