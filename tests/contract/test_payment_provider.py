"""What every payment provider behind the port must do, and how the sandbox misbehaves when its token asks for it.

The same tests for the sandbox in this process and for the one behind HTTP: the calls are run to their end one after the
other.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from services.journal import Journal, JournalDamaged, JournalUnavailable
from services.payment.http_provider import HttpBuyer, HttpProvider
from services.payment.provider import (
    KEY_LIFETIME,
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    IdempotencyKeyReused,
    PaymentProvider,
    PaymentState,
    ProviderTimeout,
    ProviderUnavailable,
    Refunded,
    Refused,
    Voided,
)
from services.payment.sandbox import SandboxProvider
from tests.sandbox_server import PATIENCE_S, ServedSandbox

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
MONDAY = datetime(2024, 3, 4, 9, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = MONDAY

    def __call__(self) -> datetime:
        return self.now


class Bank:
    """A sandbox that can be killed: `restart` opens the same journal anew.

    provider    the port, as the payment service sees it
    buyer       what its buyers do there
    books       the sandbox's own books, as only a test can look into them
    """

    provider: SandboxProvider | HttpProvider
    buyer: SandboxProvider | HttpBuyer

    def __init__(self, path: Path | None, *, over_http: bool = False) -> None:
        self.path = path
        self.clock = Clock()
        self.slept_s: list[float] = []
        self._over_http = over_http
        self._runner = asyncio.Runner()
        self._served: ServedSandbox | None = None
        self._open()

    def restart(self) -> None:
        self._shut()
        self._open()

    def close(self) -> None:
        self._shut()
        self._runner.close()

    def _open(self) -> None:
        async def sleep(seconds: float) -> None:
            self.slept_s.append(seconds)

        self.books = SandboxProvider(self.path, now=self.clock, sleep=sleep, slow_s=0.2)
        if self._over_http:
            self._served = ServedSandbox(self.books)
            self.provider = HttpProvider(self._served.url, PATIENCE_S)
            self.buyer = HttpBuyer(self._served.url, PATIENCE_S)
        else:
            self.provider = self.buyer = self.books

    def _shut(self) -> None:
        if isinstance(self.provider, HttpProvider):
            self.run(self.provider.aclose())
        if self._served is not None:
            self._served.stop()
        self.books.close()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(call)

    def authorize(
        self, token: str = "tok_ok", *, key: str = "a/1", order: str = "order-1", amount_minor: int = 1000
    ) -> Authorized | Declined | ActionRequired:
        call = self.provider.authorize(key=key, order_ref=order, amount_minor=amount_minor, currency="GBP", token=token)
        return self.run(call)

    def authorized(self, token: str = "tok_ok", amount_minor: int = 1000) -> str:
        answer = self.authorize(token, amount_minor=amount_minor)
        assert isinstance(answer, Authorized)
        return answer.reference

    def capture(self, reference: str, amount_minor: int = 1000, *, key: str = "a/3") -> Captured | Refused:
        return self.run(self.provider.capture(key=key, reference=reference, amount_minor=amount_minor))

    def void(self, reference: str, *, key: str = "a/5") -> Voided | Refused:
        return self.run(self.provider.void(key=key, reference=reference))

    def refund(self, reference: str, amount_minor: int, *, key: str = "a/7") -> Refunded | Refused:
        return self.run(self.provider.refund(key=key, reference=reference, amount_minor=amount_minor))

    def state(self, order: str = "order-1") -> PaymentState | None:
        payment = self.run(self.provider.find(order_ref=order))
        return payment.state if payment else None


@pytest.fixture(params=["in memory", "in a file", "over http"])
def bank(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    path = None if request.param == "in memory" else tmp_path / "provider.journal"
    yield from opened(path, over_http=request.param == "over http")


@pytest.fixture
def durable(tmp_path: Path) -> Iterator[Bank]:
    yield from opened(tmp_path / "provider.journal")


@pytest.fixture(params=["in a file", "over http"])
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bank]:
    yield from opened(tmp_path / "provider.journal", over_http=request.param == "over http")


def opened(path: Path | None, *, over_http: bool = False) -> Iterator[Bank]:
    bank = Bank(path, over_http=over_http)
    yield bank
    bank.close()


# The port's contract


def test_it_is_a_provider(bank: Bank) -> None:
    provider: PaymentProvider = bank.provider
    assert bank.run(provider.find(order_ref="order-1")) is None


def test_authorize_capture_refund(bank: Bank) -> None:
    reference = bank.authorized()
    assert bank.state() is PaymentState.AUTHORIZED
    assert bank.capture(reference) == Captured(reference, 1000)
    assert bank.state() is PaymentState.CAPTURED
    assert bank.refund(reference, 400, key="a/7") == Refunded(reference, 400)
    assert bank.state() is PaymentState.CAPTURED
    assert bank.refund(reference, 600, key="a/9") == Refunded(reference, 600)
    payment = bank.run(bank.provider.find(order_ref="order-1"))
    assert payment is not None
    assert (payment.state, payment.captured_minor, payment.refunded_minor) == (PaymentState.REFUNDED, 1000, 1000)


def test_the_same_call_again_answers_the_same_and_moves_no_money(bank: Bank) -> None:
    reference = bank.authorized()
    assert bank.authorize() == Authorized(reference)
    assert [bank.capture(reference) for _ in range(50)] == [Captured(reference, 1000)] * 50
    assert [bank.refund(reference, 300) for _ in range(3)] == [Refunded(reference, 300)] * 3
    assert bank.books.charges() == {"order-1": 1000}
    [payment] = bank.books.ledger()
    assert payment.refunded_minor == 300


def test_a_refusal_is_remembered_too(bank: Bank) -> None:
    reference = bank.authorized()
    assert bank.refund(reference, 1) == Refused("nothing_captured")
    bank.capture(reference)
    assert bank.refund(reference, 1) == Refused("nothing_captured")
    assert bank.refund(reference, 1, key="a/9") == Refunded(reference, 1)


def test_one_key_for_two_calls_is_an_error_and_does_nothing(bank: Bank) -> None:
    reference = bank.authorized()
    with pytest.raises(IdempotencyKeyReused):
        bank.authorize(amount_minor=2000)
    with pytest.raises(IdempotencyKeyReused):
        bank.capture(reference, key="a/1")
    assert len(bank.books.ledger()) == 1
    assert bank.state() is PaymentState.AUTHORIZED


def test_a_key_is_forgotten_after_its_lifetime_but_find_is_not_fooled(bank: Bank) -> None:
    reference = bank.authorized()
    bank.clock.now += KEY_LIFETIME - timedelta(seconds=1)
    assert bank.authorize() == Authorized(reference)
    bank.clock.now += timedelta(seconds=1)
    assert bank.state() is PaymentState.AUTHORIZED
    # Sent again without asking first, the money is promised twice. This is what `find` is for.
    assert bank.authorize() != Authorized(reference)
    assert len(bank.books.ledger()) == 2


@pytest.mark.parametrize(
    ("prepare", "amount_minor", "reason"),
    [
        ([], 1001, "amount_over_authorized"),
        ([], 0, "amount_not_positive"),
        ([], -5, "amount_not_positive"),
        (["capture"], 1000, "payment_is_captured"),
        (["void"], 1000, "payment_is_voided"),
        (["capture", "refund"], 1000, "payment_is_refunded"),
    ],
)
def test_captures_that_are_refused(bank: Bank, prepare: list[str], amount_minor: int, reason: str) -> None:
    reference = bank.authorized()
    steps: dict[str, Callable[[], object]] = {
        "capture": lambda: bank.capture(reference),
        "void": lambda: bank.void(reference),
        "refund": lambda: bank.refund(reference, 1000),
    }
    for step in prepare:
        steps[step]()
    before = bank.books.ledger()
    assert bank.capture(reference, amount_minor, key="another") == Refused(reason)
    assert bank.books.ledger() == before


def test_what_cannot_be_undone_is_refused(bank: Bank) -> None:
    reference = bank.authorized()
    bank.capture(reference, 600)
    assert bank.void(reference) == Refused("payment_is_captured")
    assert bank.refund(reference, 601, key="r/1") == Refused("amount_over_captured")
    assert bank.refund(reference, 0, key="r/2") == Refused("amount_not_positive")
    assert bank.capture("pay_unheard_of", key="c/9") == Refused("unknown_reference")
    assert bank.void("pay_unheard_of", key="v/9") == Refused("unknown_reference")


def test_an_order_that_costs_nothing_can_be_paid(bank: Bank) -> None:
    reference = bank.authorized(amount_minor=0)
    assert bank.capture(reference, 0) == Captured(reference, 0)


def test_promises_lapse(bank: Bank) -> None:
    reference = bank.authorized()
    bank.clock.now += timedelta(days=7)
    assert bank.state() is PaymentState.EXPIRED
    assert bank.capture(reference) == Refused("payment_is_expired")


def test_a_decline_does_not_hide_a_payment_that_went_well(bank: Bank) -> None:
    assert bank.authorize("tok_decline", key="a/1") == Declined("declined_by_issuer")
    assert bank.state() is PaymentState.DECLINED
    assert isinstance(bank.authorize("tok_ok", key="a/2"), Authorized)
    assert isinstance(bank.authorize("tok_decline", key="a/3"), Declined)
    assert bank.state() is PaymentState.AUTHORIZED


# The tokens


@pytest.mark.parametrize(
    ("token", "answer"),
    [
        ("tok_decline", Declined("declined_by_issuer")),
        ("tok_decline_insufficient_funds", Declined("insufficient_funds")),
        ("tok_never_heard_of", Declined("unknown_token")),
        ("tok_decline_", Declined("unknown_token")),
        ("tok_unavailable_0", Declined("unknown_token")),
        ("", Declined("unknown_token")),
        ("tok_ok_visa", Authorized("pay_00000001")),
        ("tok_action", ActionRequired("pay_00000001")),
    ],
)
def test_tokens_choose_the_answer(bank: Bank, token: str, answer: object) -> None:
    assert bank.authorize(token) == answer


def test_slow(bank: Bank) -> None:
    reference = bank.authorized("tok_slow")
    bank.capture(reference)
    assert bank.slept_s == [0.2, 0.2]


def test_charged_but_the_reply_is_lost(bank: Bank) -> None:
    with pytest.raises(ProviderTimeout):
        bank.authorize("tok_timeout_after_charge")
    assert bank.state() is PaymentState.AUTHORIZED
    assert isinstance(bank.authorize("tok_timeout_after_charge"), Authorized)
    assert len(bank.books.ledger()) == 1


def test_no_answer_and_nothing_done(bank: Bank) -> None:
    with pytest.raises(ProviderTimeout):
        bank.authorize("tok_timeout_before_charge")
    assert bank.state() is None
    assert isinstance(bank.authorize("tok_timeout_before_charge"), Authorized)


@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
def test_done_but_the_reply_is_lost(bank: Bank, operation: str) -> None:
    reference = bank.authorized(f"tok_{operation}_timeout")
    if operation == "refund":
        bank.capture(reference)
    calls: dict[str, Callable[[], object]] = {
        "capture": lambda: bank.capture(reference),
        "void": lambda: bank.void(reference),
        "refund": lambda: bank.refund(reference, 1000),
    }
    with pytest.raises(ProviderTimeout):
        calls[operation]()
    done = {"capture": PaymentState.CAPTURED, "void": PaymentState.VOIDED, "refund": PaymentState.REFUNDED}
    assert bank.state() is done[operation]
    assert not isinstance(calls[operation](), Refused)


@pytest.mark.parametrize("operation", ["capture", "void", "refund"])
def test_refused_by_the_issuer(bank: Bank, operation: str) -> None:
    reference = bank.authorized(f"tok_{operation}_refused")
    calls: dict[str, Callable[[], object]] = {
        "capture": lambda: bank.capture(reference),
        "void": lambda: bank.void(reference),
        "refund": lambda: bank.refund(reference, 1000),
    }
    assert calls[operation]() == Refused(f"{operation}_refused_by_issuer")


def test_away_three_times(bank: Bank) -> None:
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            bank.authorize("tok_unavailable_3")
    assert isinstance(bank.authorize("tok_unavailable_3"), Authorized)


def test_the_buyer_acts(bank: Bank) -> None:
    answer = bank.authorize("tok_action")
    assert isinstance(answer, ActionRequired)
    assert bank.capture(answer.reference, key="early") == Refused("payment_is_requires_action")
    assert bank.buyer.complete_action(answer.reference)
    assert bank.state() is PaymentState.AUTHORIZED
    assert not bank.buyer.complete_action(answer.reference)
    assert bank.capture(answer.reference) == Captured(answer.reference, 1000)


def test_the_buyer_fails_or_comes_too_late(bank: Bank) -> None:
    first = bank.authorize("tok_action", key="a/1", order="order-1")
    second = bank.authorize("tok_action", key="a/2", order="order-2")
    assert isinstance(first, ActionRequired)
    assert isinstance(second, ActionRequired)
    assert bank.buyer.fail_action(first.reference)
    assert bank.state("order-1") is PaymentState.DECLINED
    bank.clock.now += timedelta(hours=24)
    assert not bank.buyer.complete_action(second.reference)
    assert bank.state("order-2") is PaymentState.EXPIRED
    assert not bank.buyer.complete_action("pay_unheard_of")


# Durability of the sandbox


def test_a_restart_remembers_everything(lasting: Bank) -> None:
    reference = lasting.authorized()
    lasting.capture(reference)
    lasting.refund(reference, 100)
    lasting.authorize("tok_action", key="b/1", order="order-2")
    with pytest.raises(ProviderUnavailable):
        lasting.authorize("tok_unavailable_1", key="c/1", order="order-3")
    before = lasting.books.ledger()

    lasting.restart()

    assert lasting.books.ledger() == before
    assert lasting.capture(reference) == Captured(reference, 1000)
    assert isinstance(lasting.authorize("tok_unavailable_1", key="c/1", order="order-3"), Authorized)
    assert lasting.books.charges() == {"order-1": 1000}


def test_a_torn_last_line_never_happened(durable: Bank) -> None:
    reference = durable.authorized()
    durable.capture(reference)
    assert durable.path is not None
    whole = durable.path.read_bytes()
    for torn_at in range(whole.index(b"\n") + 1, len(whole) - 1):
        durable.path.write_bytes(whole[:torn_at])
        durable.restart()
        assert durable.state() is PaymentState.AUTHORIZED
        assert durable.capture(reference) == Captured(reference, 1000)
        durable.restart()
        assert durable.state() is PaymentState.CAPTURED


def test_a_damaged_journal_is_reported_with_its_line(durable: Bank) -> None:
    durable.authorized()
    assert durable.path is not None
    damaged = durable.path.with_name("damaged")
    damaged.write_bytes(b"garbage\n" + durable.path.read_bytes())
    with pytest.raises(JournalDamaged, match="line 1"):
        SandboxProvider(damaged)


def test_a_journal_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(JournalUnavailable, match="cannot open"):
        SandboxProvider(tmp_path)


@contextmanager
def files_end_at(size_bytes: int) -> Iterator[None]:
    """A disk that is full from here on: the kernel lets no file of this process grow beyond."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("free_bytes", [0, 20])
def test_a_full_disk_means_not_done_and_does_no_damage(durable: Bank, free_bytes: int) -> None:
    reference = durable.authorized()
    assert durable.path is not None
    before = durable.path.read_bytes()
    with files_end_at(len(before) + free_bytes), pytest.raises(ProviderUnavailable):
        durable.capture(reference)
    assert durable.state() is PaymentState.AUTHORIZED
    assert durable.path.read_bytes() == before
    durable.capture(reference)
    durable.restart()
    assert durable.books.charges() == {"order-1": 1000}


_CHARGE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from services.payment.sandbox import SandboxProvider

async def main() -> None:
    provider = SandboxProvider(Path(sys.argv[1]))
    for n in range(1_000_000):
        answer = await provider.authorize(
            key=f"a/{n}", order_ref=f"order-{n}", amount_minor=5, currency="GBP", token="tok_ok")
        await provider.capture(key=f"c/{n}", reference=answer.reference, amount_minor=5)
        print(n, flush=True)

asyncio.run(main())
"""


def test_kill_9_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "provider.journal"
    child = subprocess.Popen([sys.executable, "-c", _CHARGE_UNTIL_KILLED, str(path)], cwd=ROOT, stdout=subprocess.PIPE)
    assert child.stdout is not None
    answered = [int(child.stdout.readline()) for _ in range(200)]
    child.send_signal(signal.SIGKILL)
    answered += [int(line) for line in child.stdout.read().splitlines(keepends=True) if line.endswith(b"\n")]
    child.wait()
    child.stdout.close()

    charges = SandboxProvider(path).charges()

    assert {f"order-{n}": 5 for n in answered}.items() <= charges.items()
    assert len(charges) - len(answered) in (0, 1)


def test_records_survive_as_they_were_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "journal")
    records: list[list[object]] = [["a", 1, 2.5, None], ["b", "line\nbreak", "ünïcode", '"quoted"']]
    for record in records:
        journal.append(record)
    journal.close()
    journal.close()
    assert list(Journal(tmp_path / "deep" / "journal").replay()) == records
