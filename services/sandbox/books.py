"""What the sandboxes did, all of it, for audits and drills: `GET /books`. Pure.

    payments                  every payment there ever was, oldest first: captured, refunded, declined and all
    captured_minor            what was captured per order, in minor units, over all of its payments
    labels                    every label sold, by parcel
    paid_more_than_once       orders with more than one payment that holds or took money
    labeled_more_than_once    parcels with more than one label

The last two are empty as long as nobody sends anything twice. It holds no address and no name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from services.payment.provider import Payment, PaymentState
from services.shipping.carrier import Label


class Books(msgspec.Struct):
    """See the module's docstring."""

    payments: list[Payment]
    captured_minor: dict[str, int]
    labels: dict[str, list[Label]]
    paid_more_than_once: list[str]
    labeled_more_than_once: list[str]


# A payment in one of these neither holds money nor ever took any.
_NOTHING_OF_IT = frozenset({PaymentState.DECLINED, PaymentState.VOIDED, PaymentState.EXPIRED})


def books_of(payments: Sequence[Payment], captured_minor: dict[str, int], labels: dict[str, list[Label]]) -> Books:
    return Books(
        payments=list(payments),
        captured_minor=captured_minor,
        labels=labels,
        paid_more_than_once=_paid_more_than_once(payments),
        labeled_more_than_once=_labeled_more_than_once(labels),
    )


def _paid_more_than_once(payments: Iterable[Payment]) -> list[str]:
    paid = Counter(one.order_ref for one in payments if one.state not in _NOTHING_OF_IT)
    return sorted(order for order, times in paid.items() if times > 1)


def _labeled_more_than_once(labels: Mapping[str, Sequence[Label]]) -> list[str]:
    return sorted(parcel for parcel, sold in labels.items() if len(sold) > 1)
