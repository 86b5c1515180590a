"""What is wrong with an order as it was placed. Pure: no clock, no I/O, the same answer for the same order.

Two kinds of problems: fatal ones reject the order, problems with the address or the contact hold it until somebody
corrects them. Whether a SKU exists is not asked here: inventory knows.

Messages say what is wrong and what to do. They never quote personal data: they end up in the log for good.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Final, NamedTuple

from events.base import MAX_QUANTITY
from events.money import line_total_minor, minor_exponent
from events.order import OrderLine, OrderPlaced, Problem
from services.order.reachability import reachability_problems

# Shops sell the same articles at the same prices in the same quantities again and again. Some 200 bytes an entry: 3 MB.
_line_total_minor: Final = lru_cache(maxsize=16_384)(line_total_minor)


class Problems(NamedTuple):
    """`fatal` reject the order; `address` hold it."""

    fatal: list[Problem]
    address: list[Problem]


def problems(order: OrderPlaced) -> Problems:
    return Problems(fatal_problems(order), address_problems(order))


def address_problems(order: OrderPlaced) -> list[Problem]:
    """What must be corrected before the order can be sent. An address on file (`ship_to` is None) is the channel's."""
    if order.ship_to is None and order.contact is None:
        return []
    return reachability_problems(country=order.country, contact=order.contact, ship_to=order.ship_to)


def fatal_problems(order: OrderPlaced) -> list[Problem]:
    """What makes it impossible to carry the order out."""
    found = []
    if not order.lines:
        message = "The order has no goods lines. Send at least one; postage and discounts alone cannot be ordered."
        found.append(Problem(code="no_goods_lines", where="lines", message=message))
    if not order.payment_token.strip():
        message = "The payment token is blank. Send the token that the checkout got from the payment provider."
        found.append(Problem(code="no_payment_token", where="payment_token", message=message))
    if order.total_minor < 0:
        message = "The total is negative. Discounts may not exceed what they are given on; a refund is not an order."
        found.append(Problem(code="negative_total", where="total_minor", message=message))
    found += _too_many_units(order.lines)
    exponent = minor_exponent(order.currency)
    if exponent is None:
        message = f"{order.currency} is no currency of ISO 4217 that people pay in. Send its three-letter code."
        found.append(Problem(code="unknown_currency", where="currency", message=message))
    else:
        found += _wrong_amounts(order, exponent)
    return found


def _wrong_amounts(order: OrderPlaced, exponent: int) -> list[Problem]:
    line_totals = [_line_total_minor(line.quantity, line.unit_price, exponent) for line in order.lines]
    total_minor = sum(line_totals) + sum(charge.amount_minor for charge in order.charges)
    found = []
    if line_totals and min(line_totals) < 0:
        found.append(_negative_price(line_totals))
    if total_minor != order.total_minor:
        message = (
            f"The total is {order.total_minor}, but lines and charges add up to {total_minor} (minor units of "
            f"{order.currency}; each line is quantity x unit price, rounded once, half up). Correct one of them."
        )
        found.append(Problem(code="total_mismatch", where="total_minor", message=message))
    return found


def _negative_price(line_totals: list[int]) -> Problem:
    """One problem for all such lines: an order of 2,000 lines must not grow 2,000 problems."""
    negative = [number for number, total in enumerate(line_totals) if total < 0]
    message = (
        f"{len(negative)} of {len(line_totals)} goods lines have a negative price. "
        "Goods cost nothing or more; send a discount as a charge."
    )
    return Problem(code="negative_price", where=f"lines[{negative[0]}].unit_price", message=message)


def _too_many_units(lines: list[OrderLine]) -> list[Problem]:
    """Several lines of one SKU are promised as one quantity, which has the bound that each line has."""
    if sum(line.quantity for line in lines) <= MAX_QUANTITY:
        return []
    units: Counter[str] = Counter()
    for line in lines:
        units[line.sku] += line.quantity
    sku, quantity = units.most_common(1)[0]
    if quantity <= MAX_QUANTITY:
        return []
    message = (
        f"{quantity:,} units of {sku} are more than the {MAX_QUANTITY:,} that one order can have. Split the order."
    )
    return [Problem(code="too_many_units", where="lines", message=message)]
