"""Who moves the money and who carries the parcels: the sandboxes of the home, or those that a setting names."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from services.payment.http_provider import HttpBuyer, HttpProvider
from services.payment.provider import PaymentProvider
from services.payment.sandbox import SandboxProvider
from services.runtime.calls import CallLoop
from services.runtime.settings import Settings
from services.shipping.carrier import Carrier
from services.shipping.http_carrier import HttpCarrier
from services.shipping.sandbox import SandboxCarrier

PAYMENTS_JOURNAL = "sandbox-payments.jsonl"
PARCELS_JOURNAL = "sandbox-parcels.jsonl"


class Buyer(Protocol):
    """What a buyer does at the sandbox provider. Each answers False if no such payment waits for its buyer."""

    def complete_action(self, reference: str) -> bool: ...

    def fail_action(self, reference: str) -> bool: ...


def open_provider(stack: ExitStack, home: Path, settings: Settings, loop: CallLoop) -> tuple[PaymentProvider, Buyer]:
    """`stack` closes it, before `loop` if that was pushed earlier. Raises AddressRefused or JournalError."""
    if settings.provider_url is None:
        sandbox = own_provider(stack, home)
        return sandbox, sandbox
    url = settings.provider_url.get_secret_value()
    provider = HttpProvider(url, settings.call_timeout_s)
    stack.callback(lambda: loop.run(provider.aclose()))
    return provider, HttpBuyer(url, settings.call_timeout_s)


def open_carrier(stack: ExitStack, home: Path, settings: Settings, loop: CallLoop) -> Carrier:
    """As above."""
    if settings.carrier_url is None:
        return own_carrier(stack, home)
    carrier = HttpCarrier(settings.carrier_url.get_secret_value(), settings.call_timeout_s)
    stack.callback(lambda: loop.run(carrier.aclose()))
    return carrier


def own_provider(stack: ExitStack, home: Path) -> SandboxProvider:
    """The sandbox of this home. One process has its journal: raises JournalError in any other."""
    provider = SandboxProvider(home / PAYMENTS_JOURNAL)
    stack.callback(provider.close)
    return provider


def own_carrier(stack: ExitStack, home: Path) -> SandboxCarrier:
    """As above."""
    carrier = SandboxCarrier(home / PARCELS_JOURNAL)
    stack.callback(carrier.close)
    return carrier
