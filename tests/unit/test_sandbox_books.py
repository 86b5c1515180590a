"""The sandbox's books name what happened twice, and only that."""

from __future__ import annotations

from services.payment.provider import Payment, PaymentState
from services.sandbox.books import books_of
from services.shipping.carrier import Label

LABEL = Label("sandpost", "CA473124829GB", "shp_00000001")
OTHER_LABEL = Label("sandpost", "CA947125857GB", "shp_00000002")


def payment(order_ref: str, state: PaymentState) -> Payment:
    return Payment("pay_1", order_ref, state, "GBP", 500)


def paid_more_than_once(*states: PaymentState) -> list[str]:
    return books_of([payment("order-1", state) for state in states], {}, {}).paid_more_than_once


def test_one_payment_for_each_order_is_as_it_should_be() -> None:
    books = books_of([payment("order-1", PaymentState.CAPTURED), payment("order-2", PaymentState.CAPTURED)], {}, {})
    assert books.paid_more_than_once == []


def test_money_taken_or_held_twice_is_named() -> None:
    assert paid_more_than_once(PaymentState.CAPTURED, PaymentState.CAPTURED) == ["order-1"]
    assert paid_more_than_once(PaymentState.REFUNDED, PaymentState.CAPTURED) == ["order-1"]
    assert paid_more_than_once(PaymentState.AUTHORIZED, PaymentState.AUTHORIZED) == ["order-1"]


def test_a_new_attempt_after_one_that_took_nothing_is_no_second_payment() -> None:
    assert paid_more_than_once(PaymentState.DECLINED, PaymentState.CAPTURED) == []
    assert paid_more_than_once(PaymentState.VOIDED, PaymentState.CAPTURED) == []
    assert paid_more_than_once(PaymentState.EXPIRED, PaymentState.AUTHORIZED) == []


def test_a_parcel_with_two_labels_is_named() -> None:
    books = books_of([], {}, {"parcel-1": [LABEL], "parcel-2": [LABEL, OTHER_LABEL]})
    assert books.labeled_more_than_once == ["parcel-2"]
