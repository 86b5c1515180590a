"""The "online-retail" format: what one line of the UCI data set says. Pure.

Source of the format: D. Chen, "Online Retail", UCI Machine Learning Repository, 2015, doi 10.24432/C5BW33.

What a line becomes, and how many did of the 245,903 from December 2010 to June 2011:

goods         239,433  a line of an order (9,968 orders); equal SKU and price in one invoice add up. A few are free
charge          1,149  of an order: postage, manual, vouchers ... (`_CHARGES`), and discounts, which are negative
write-off         758  stock adjustment: a negative quantity at no price, on an invoice that is no cancellation
cancellation    4,494  rejected: the invoice number begins with C
bad debt            0  rejected: the invoice number begins with A (three occur later in the year)
no goods           69  rejected: all of its invoice are charges (a carriage bill, a fee), nothing is there to ship

A line that makes no sense is rejected by itself; the rest of its invoice is taken.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import cache, lru_cache
from operator import itemgetter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from events.base import MAX_AMOUNT_MINOR, MAX_QUANTITY
from services.gateway.csv_lines import Record
from services.gateway.import_faults import ImportRefused
from services.gateway.rejects import Reason

NAME = "online-retail"
CURRENCY = "GBP"

COLUMNS = ("InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country")

MICROS = 10**6
"""Prices are exact in millionths of the currency: UnitPrice has at most six decimals."""

# The caches below keep fields: those of an ordinary line as they are, those of a longer one cut to a length that no
# valid field but a description reaches, and of that no more is kept.
_SHORT_BYTES = 1_000
_LONGEST_FIELD = 250

_MAX_LINE_MICROS = MAX_AMOUNT_MINOR * MICROS // 100

# Stock codes that are no goods, and what they are billed for. PADS and DCGS... are articles that the shop never
# stocked under a code of their own.
_CHARGES = {
    "POST": "postage",
    "DOT": "postage",
    "C2": "carriage",
    "M": "manual",
    "D": "discount",
    "S": "samples",
    "BANK CHARGES": "fee",
    "AMAZONFEE": "fee",
    "CRUK": "donation",
    "B": "bad_debt",
    "PADS": "non_stock",
}
_CHARGE_PREFIXES = {"GIFT_0001_": "gift_voucher", "DCGS": "non_stock"}

# The names that occur in the data set and its sequel. "EIRE" and "RSA" are the shop's own. The Channel Islands are
# two countries to ISO 3166, Jersey being the larger. ZZ is the code reserved for "unknown".
_COUNTRIES = {
    name.casefold(): code
    for name, code in {
        "Australia": "AU",
        "Austria": "AT",
        "Bahrain": "BH",
        "Belgium": "BE",
        "Bermuda": "BM",
        "Brazil": "BR",
        "Canada": "CA",
        "Channel Islands": "JE",
        "Cyprus": "CY",
        "Czech Republic": "CZ",
        "Denmark": "DK",
        "EIRE": "IE",
        "European Community": "ZZ",
        "Finland": "FI",
        "France": "FR",
        "Germany": "DE",
        "Greece": "GR",
        "Hong Kong": "HK",
        "Iceland": "IS",
        "Israel": "IL",
        "Italy": "IT",
        "Japan": "JP",
        "Korea": "KR",
        "Lebanon": "LB",
        "Lithuania": "LT",
        "Malta": "MT",
        "Netherlands": "NL",
        "Nigeria": "NG",
        "Norway": "NO",
        "Poland": "PL",
        "Portugal": "PT",
        "RSA": "ZA",
        "Saudi Arabia": "SA",
        "Singapore": "SG",
        "Spain": "ES",
        "Sweden": "SE",
        "Switzerland": "CH",
        "Thailand": "TH",
        "USA": "US",
        "United Arab Emirates": "AE",
        "United Kingdom": "GB",
        "Unspecified": "ZZ",
        "West Indies": "ZZ",
    }.items()
}

_INVOICE = re.compile(r"([CA]?)([0-9]{1,12})")
_SKU = re.compile(r"[A-Z0-9][A-Z0-9._/ -]{0,39}")
_QUANTITY = re.compile(r"-?[0-9]{1,8}")
_WHEN = re.compile(r"(?:19[89]|20[0-9])[0-9]-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_PRICE = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?")
_CUSTOMER = re.compile(r"([0-9]{1,20})(?:\.0)?")


class Article(NamedTuple):
    """A stock code in one letter case, and the kind of charge it stands for ("" for goods)."""

    sku: str
    charge: str


class Price(NamedTuple):
    """A unit price as UnitPrice text, and the same in millionths."""

    text: str
    micros: int


class Head(NamedTuple):
    """What a line says about its invoice. `customer` is "" for a guest."""

    invoice: str
    occurred_at: datetime
    customer: str
    country: str


class Line(NamedTuple):
    """One line that makes sense by itself, and its place in the file."""

    line: int
    offset: int
    size: int
    head: Head
    description: str
    article: Article
    quantity: int
    price: Price


class Columns:
    """Where the format's columns stand in a file."""

    def __init__(self, header: list[str]) -> None:
        """Raises ImportRefused if a column is missing or there twice. Columns of other names are ignored."""
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise ImportRefused(f"the header lacks {', '.join(missing)}; the columns must be {', '.join(COLUMNS)}")
        if len(set(header)) != len(header):
            raise ImportRefused("the header has the same column twice")
        self.count = len(header)
        self.pick = itemgetter(*[header.index(name) for name in COLUMNS])


def read_line(record: Record, columns: Columns) -> Line | Reason:
    """The line, or why it makes no sense."""
    number, offset, size, fields, refused, _ = record
    if refused is not None:
        return refused
    if len(fields) != columns.count:
        return Reason.WRONG_FIELD_COUNT
    if size > _SHORT_BYTES:
        fields = [field[:_LONGEST_FIELD] for field in fields]
    invoice, code, words, units, when, money, customer, country = columns.pick(fields)
    head = _head(invoice, when, customer, country)
    if not isinstance(head, Head):
        return head
    article, quantity, price = _article(code), _quantity(units), _price(money)
    if article is None:
        return Reason.BAD_STOCK_CODE
    if quantity is None or price is None:
        return Reason.BAD_QUANTITY if quantity is None else Reason.BAD_PRICE
    reason = _objection(article, quantity, price.micros)
    return reason or Line(number, offset, size, head, tidy(words), article, quantity, price)


def _objection(article: Article, quantity: int, price_micros: int) -> Reason | None:
    if quantity < 0 and price_micros and not article.charge:
        return Reason.NEGATIVE_QUANTITY
    if abs(quantity) * price_micros > _MAX_LINE_MICROS:
        return Reason.AMOUNT_TOO_LARGE
    return None


# Most values repeat from line to line: remembering the latest ones saves half of the reading time.


@lru_cache(maxsize=256)
def _head(number: str, when: str, customer: str, country: str) -> Head | Reason:
    match = _INVOICE.fullmatch(number.strip())
    if match is None:
        return Reason.BAD_INVOICE_NUMBER
    prefix, digits = match.groups()
    if prefix:
        return Reason.CANCELLATION if prefix == "C" else Reason.BAD_DEBT
    occurred_at = _utc(when.strip())
    buyer = _customer(customer.strip())
    code = _COUNTRIES.get(country.strip().casefold())
    if occurred_at is None:
        return Reason.BAD_DATE
    if buyer is None or code is None:
        return Reason.BAD_CUSTOMER if buyer is None else Reason.UNKNOWN_COUNTRY
    return Head(digits, occurred_at, buyer, code)


def _utc(text: str) -> datetime | None:
    """London's wall time as UTC. Of a repeated hour the first counts; a skipped hour is read as winter time."""
    if _WHEN.fullmatch(text) is None:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=_london()).astimezone(UTC)
    except ValueError:  # a 30th of February
        return None


@cache
def _london() -> ZoneInfo:
    return ZoneInfo("Europe/London")


def _customer(text: str) -> str | None:
    """The number without the ".0" that spreadsheets add; "" for a guest; None if it makes no sense."""
    if not text:
        return ""
    match = _CUSTOMER.fullmatch(text)
    return match[1] if match else None


@lru_cache(maxsize=8192)
def _article(text: str) -> Article | None:
    code = text.strip()
    sku = code.upper()
    # Upper case makes two letters of a ligature, and an S of an old long s: another article, or a kind of charge.
    if not code.isascii() or _SKU.fullmatch(sku) is None:
        return None
    for prefix, charge in _CHARGE_PREFIXES.items():
        if sku.startswith(prefix):
            return Article(sku, charge)
    return Article(sku, _CHARGES.get(sku, ""))


@lru_cache(maxsize=4096)
def _quantity(text: str) -> int | None:
    if _QUANTITY.fullmatch(text.strip()) is None:
        return None
    quantity = int(text)
    return quantity if 0 < abs(quantity) <= MAX_QUANTITY else None


@lru_cache(maxsize=4096)
def _price(text: str) -> Price | None:
    match = _PRICE.fullmatch(text.strip())
    if match is None:
        return None
    whole, fraction = match.groups(default="")
    shown = fraction.rstrip("0").ljust(2, "0")
    return Price(f"{int(whole)}.{shown}", int(whole + fraction.ljust(6, "0")))


@lru_cache(maxsize=8192)
def tidy(text: str) -> str:
    """One line of printable text of at most 200 characters."""
    words = " ".join(text.split())[:200]
    return words if words.isprintable() else "".join(char if char.isprintable() else "?" for char in words)
