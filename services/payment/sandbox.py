"""A payment provider that behaves like a real one: stateful, durable, and difficult when the token asks for it.

It keeps the guarantees of the port (services/payment/provider.py), also over a kill -9 of our process: what it did is
in an append-only journal. services/payment/sandbox_tokens.py tells which token makes it misbehave how. Missing answers
take no time: they raise at once, so that a test of a timeout need not wait for one.

One process owns a journal. Calls come from one asyncio loop; what the buyer does may come from any thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Final

from services.journal import Journal, JournalUnavailable
from services.payment import sandbox_tokens as tokens
from services.payment.provider import (
    ActionRequired,
    Authorized,
    Captured,
    Declined,
    Payment,
    PaymentState,
    ProviderTimeout,
    ProviderUnavailable,
    Refunded,
    Refused,
    Voided,
)
from services.payment.sandbox_books import SHAPES, Answer, Books, Call, Record

SLOW_S: Final = 0.2
"""Slow enough to be seen in a demo, quick enough for a test."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SandboxProvider:
    """Raises JournalError if its file cannot be opened or read. Without a path it forgets everything at the end."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        now: Callable[[], datetime] = _utc_now,
        slow_s: float = SLOW_S,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._now = now
        self._slow_s = slow_s
        self._sleep = sleep
        self._lock = Lock()
        self._books = Books()
        self._journal = Journal(path)
        self._journal.replay_into(lambda record: self._books.apply(tuple(record)), SHAPES)

    def close(self) -> None:
        self._journal.close()

    # The port

    async def authorize(
        self, *, key: str, order_ref: str, amount_minor: int, currency: str, token: str
    ) -> Authorized | Declined | ActionRequired:
        answer = await self._answer(key, ("authorize", order_ref, amount_minor, currency, token), token)
        assert isinstance(answer, (Authorized, Declined, ActionRequired))
        return answer

    async def capture(self, *, key: str, reference: str, amount_minor: int) -> Captured | Refused:
        answer = await self._answer(key, ("capture", reference, amount_minor), self._token_of(reference))
        assert isinstance(answer, (Captured, Refused))
        return answer

    async def void(self, *, key: str, reference: str) -> Voided | Refused:
        answer = await self._answer(key, ("void", reference), self._token_of(reference))
        assert isinstance(answer, (Voided, Refused))
        return answer

    async def refund(self, *, key: str, reference: str, amount_minor: int) -> Refunded | Refused:
        answer = await self._answer(key, ("refund", reference, amount_minor), self._token_of(reference))
        assert isinstance(answer, (Refunded, Refused))
        return answer

    async def find(self, *, order_ref: str) -> Payment | None:
        with self._lock:
            account = self._books.account_of_order(order_ref)
            return account.as_payment(self._now_s()) if account else None

    # What the buyer does at the provider: not a part of the port

    def complete_action(self, reference: str) -> bool:
        """The buyer confirmed. False: no payment of that name waits for its buyer (any more)."""
        return self._end_action(reference, "")

    def fail_action(self, reference: str) -> bool:
        """The buyer gave up, or did not pass. False as above."""
        return self._end_action(reference, "action_failed")

    # The provider's own books, for tests and audits

    def charges(self) -> dict[str, int]:
        """What was really captured per order, in minor units, over all of its payments; refunds are not deducted."""
        charged: dict[str, int] = {}
        with self._lock:
            for account in self._books.accounts():
                if account.captured_minor:
                    charged[account.order_ref] = charged.get(account.order_ref, 0) + account.captured_minor
        return charged

    def ledger(self) -> list[Payment]:
        """Every payment there ever was, oldest first: also the second of two where there should be one."""
        with self._lock:
            now_s = self._now_s()
            return [account.as_payment(now_s) for account in self._books.accounts()]

    async def _answer(self, key: str, call: Call, token: str) -> Answer:
        is_plain = tokens.behaves(token)
        with self._lock:
            now_s = self._now_s()
            answer = self._books.keys.answer_to(key, call, now_s)
            is_new = answer is None
            if answer is None:
                if not is_plain:
                    self._stumble(call, token)
                answer = self._do(self._books.decide(key, call, now_s))
        if not is_plain:
            await self._spoil_reply(call, token, is_new)
        return answer

    def _do(self, record: Record) -> Answer:
        self._write(record)
        answer = self._books.apply(record)
        assert answer is not None
        return answer

    def _write(self, record: Record) -> None:
        try:
            self._journal.append(record)
        except JournalUnavailable as error:
            raise ProviderUnavailable(f"the sandbox provider cannot keep its books: {error}") from error

    def _stumble(self, call: Call, token: str) -> None:
        """Fail before anything is done, as often as the token says."""
        if call[0] != "authorize":
            return
        stumbles = self._books.stumbles(call[1])
        if stumbles < tokens.times_unavailable(token):
            self._note_stumble(call)
            raise ProviderUnavailable("the sandbox provider is away")
        if token == tokens.SILENT_BEFORE and not stumbles:
            self._note_stumble(call)
            raise ProviderTimeout("the sandbox provider did not answer")

    def _note_stumble(self, call: Call) -> None:
        record = ("stumble", call[1])
        self._write(record)
        self._books.apply(record)

    async def _spoil_reply(self, call: Call, token: str, is_new: bool) -> None:
        """Be slow, or silent, after it was done."""
        if token == tokens.SLOW:
            await self._sleep(self._slow_s)
        if is_new and tokens.drops_reply(token, call[0]):
            raise ProviderTimeout("the sandbox provider did not answer")

    def _end_action(self, reference: str, failed_because: str) -> bool:
        with self._lock:
            now_s = self._now_s()
            account = self._books.account(reference)
            if account is None or account.state_at(now_s) is not PaymentState.REQUIRES_ACTION:
                return False
            record = ("action", now_s, reference, failed_because)
            self._write(record)
            self._books.apply(record)
            return True

    def _token_of(self, reference: str) -> str:
        account = self._books.account(reference)
        return account.token if account else ""

    def _now_s(self) -> float:
        return self._now().timestamp()
