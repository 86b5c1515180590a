"""The laws as tables, one file per axis. Every event type of the language is in one of these two."""

from __future__ import annotations

from typing import NamedTuple

from events.base import Event
from services.audit.laws.balances import BALANCE_LAWS
from services.audit.laws.order import ORDER_LAWS
from services.audit.laws.parking import PARKING_BARE_LAWS
from services.audit.laws.payment import PAYMENT_LAWS
from services.audit.laws.requests import REQUEST_LAWS
from services.audit.laws.shipping import SHIPPING_LAWS
from services.audit.laws.stock import STOCK_LAWS
from services.audit.laws.table import BareLaws, Check


class CaseLaw(NamedTuple):
    """Such events stand in the stream `prefix` + order id; where the prefix is empty, the check itself looks."""

    check: Check
    prefix: str


CASE_LAWS: dict[type[Event], CaseLaw] = {
    **{kind: CaseLaw(check, "order-") for kind, check in {**ORDER_LAWS, **REQUEST_LAWS}.items()},
    **{kind: CaseLaw(check, "payment-") for kind, check in PAYMENT_LAWS.items()},
    **{kind: CaseLaw(check, "") for kind, check in {**STOCK_LAWS, **SHIPPING_LAWS}.items()},
}
"""Events that concern one order."""

BARE_LAWS: BareLaws = {**BALANCE_LAWS, **PARKING_BARE_LAWS}
"""All others."""
