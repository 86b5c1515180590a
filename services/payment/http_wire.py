"""How a payment provider is spoken to over HTTP: the paths, and the JSON that goes there and comes back.

    POST /payments {order_ref, amount_minor, currency, token}    authorize
    POST /captures {reference, amount_minor}
    POST /voids    {reference}
    POST /refunds  {reference, amount_minor}
    GET  /payments?order_ref=...                                 find: {"payments": [...]}, one or none
    POST /buyer/complete, /buyer/fail {reference}                what a buyer does at the sandbox: {"acted": true}

A POST that moves money carries its idempotency key in the header `Idempotency-Key`. What came of it is named in
`outcome`; the other fields are those of the answer's class in services/payment/provider.py. Status 200: done; 402:
declined or refused; 422 with the outcome `key_reused`: the key belongs to another call. 5xx: nobody knows.

Both ends use this module: services/sandbox serves it, services/payment/http_provider.py calls it.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

import msgspec

from services.payment.provider import ActionRequired, Authorized, Captured, Declined, Payment, Refunded, Refused, Voided

AUTHORIZE, CAPTURE, VOID, REFUND, FIND = "/payments", "/captures", "/voids", "/refunds", "/payments"
BUYER_COMPLETES, BUYER_FAILS = "/buyer/complete", "/buyer/fail"

KEY_REUSED: Final = b'{"outcome":"key_reused"}'
KEY_REUSED_STATUS: Final = HTTPStatus.UNPROCESSABLE_ENTITY

Answer = Authorized | Declined | ActionRequired | Captured | Voided | Refunded | Refused


class AuthorizeBody(msgspec.Struct, forbid_unknown_fields=True):
    order_ref: str
    amount_minor: int
    currency: str
    token: str


class AmountBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of a capture or a refund."""

    reference: str
    amount_minor: int


class ReferenceBody(msgspec.Struct, forbid_unknown_fields=True):
    """Of a void, and of what the buyer does."""

    reference: str


class Found(msgspec.Struct):
    payments: list[Payment]


class Acted(msgspec.Struct):
    acted: bool


class NotUnderstood(Exception):
    """These bytes are none of the answers above."""


_CLASSES: Final[dict[str, type[Any]]] = {
    "authorized": Authorized,
    "declined": Declined,
    "action_required": ActionRequired,
    "captured": Captured,
    "voided": Voided,
    "refunded": Refunded,
    "refused": Refused,
}
_OUTCOMES: Final = {kind: outcome for outcome, kind in _CLASSES.items()}


def spoken(answer: Answer) -> tuple[int, bytes]:
    """The status and the body that say this."""
    fields: dict[str, Any] = msgspec.to_builtins(answer)
    status = HTTPStatus.PAYMENT_REQUIRED if isinstance(answer, Declined | Refused) else HTTPStatus.OK
    return status, msgspec.json.encode({"outcome": _OUTCOMES[type(answer)], **fields})


def understood(body: bytes) -> Answer:
    """What was said. Raises NotUnderstood."""
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
        answer: Answer = msgspec.convert(fields, _CLASSES[fields.pop("outcome", "")])
    except (msgspec.DecodeError, msgspec.ValidationError, KeyError, TypeError):
        raise NotUnderstood from None
    return answer
