"""How the sandbox provider behaves is chosen by the payment token.

    tok_ok, tok_ok...              all goes well
    tok_decline                    declined: declined_by_issuer
    tok_decline_<reason>           declined: <reason>, e.g. tok_decline_insufficient_funds
    tok_slow                       does it, then takes its time to answer: every call for this payment
    tok_action                     the buyer must act first
    tok_timeout_before_charge      authorize: does nothing and does not answer, once
    tok_timeout_after_charge       authorize: does it and drops the reply
    tok_capture_timeout            capture: takes the money and drops the reply; so tok_void_timeout, tok_refund_timeout
    tok_capture_refused            capture is refused; so with tok_void_refused, tok_refund_refused
    tok_unavailable_<n>            authorize: cannot be reached n times, then all goes well
    anything else                  declined: unknown_token

A dropped reply is dropped once: the same call with the same key, or `find`, tells the truth.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from services.payment.provider import PaymentState

SLOW: Final = "tok_slow"
SILENT_BEFORE: Final = "tok_timeout_before_charge"

_ACTION: Final = "tok_action"
_DECLINE: Final = "tok_decline"
_UNAVAILABLE: Final = re.compile(r"tok_unavailable_([1-9]\d{0,2})")
_DROPS_REPLY_OF: Final = {
    "tok_timeout_after_charge": "authorize",
    "tok_capture_timeout": "capture",
    "tok_void_timeout": "void",
    "tok_refund_timeout": "refund",
}
_REFUSES: Final = {"tok_capture_refused": "capture", "tok_void_refused": "void", "tok_refund_refused": "refund"}
_AUTHORIZE_WELL: Final = frozenset({SLOW, SILENT_BEFORE, *_DROPS_REPLY_OF, *_REFUSES})


def behaves(token: str) -> bool:
    """True if nothing about this token is special."""
    return token.startswith("tok_ok")


def authorization(amount_minor: int, token: str) -> tuple[PaymentState, str]:
    """The state a new payment comes into, and why it is declined if it is."""
    if amount_minor < 0:
        return PaymentState.DECLINED, "amount_negative"
    if behaves(token) or token in _AUTHORIZE_WELL or times_unavailable(token):
        return PaymentState.AUTHORIZED, ""
    if token == _ACTION:
        return PaymentState.REQUIRES_ACTION, ""
    if token == _DECLINE:
        return PaymentState.DECLINED, "declined_by_issuer"
    reason = token.removeprefix(_DECLINE + "_")
    return PaymentState.DECLINED, reason if reason not in ("", token) else "unknown_token"


@lru_cache(maxsize=1024)
def times_unavailable(token: str) -> int:
    """How often the provider is away before it authorizes with this token."""
    match = _UNAVAILABLE.fullmatch(token)
    return int(match[1]) if match else 0


def refuses(token: str, operation: str) -> bool:
    return _REFUSES.get(token) == operation


def drops_reply(token: str, operation: str) -> bool:
    return _DROPS_REPLY_OF.get(token) == operation
