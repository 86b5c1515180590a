"""Money arithmetic shared by everyone who writes or checks amounts: integers only, never floats.

An amount is a count of the currency's minor unit (pence, cents, yen). A unit price is exact decimal text
(events.order.UnitPrice) and may carry more decimals than the currency.
"""

from __future__ import annotations

# ISO 4217, the currencies people pay in: without fund codes, metals and test codes. A table and not a library: it is
# small, needs no loading time, and cannot change between two replays of one log. (CLDR's digits, as babel has them,
# are for display and differ from ISO: they give the Iraqi dinar 0 instead of 3.)
_TWO_DECIMALS = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC "
    "CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD "
    "KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO "
    "NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL "
    "THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG"
)
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"

_EXPONENTS: dict[str, int] = {
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
}


def minor_exponent(currency: str) -> int | None:
    """How many decimals the currency's minor unit has (GBP 2, JPY 0, KWD 3). None: no currency of ISO 4217."""
    return _EXPONENTS.get(currency)


def line_total_minor(quantity: int, unit_price: str, exponent: int) -> int:
    """quantity x unit price in minor units, rounded once, half up (a negative total mirrors the positive one).

    `unit_price` is text that events.order.UnitPrice accepts; anything else raises ValueError.
    """
    whole, _, fraction = unit_price.partition(".")
    exact = int(whole + fraction) * quantity
    surplus_decimals = len(fraction) - exponent
    if surplus_decimals <= 0:
        scale: int = 10**-surplus_decimals
        return exact * scale
    unit: int = 10**surplus_decimals
    rounded = (2 * abs(exact) + unit) // (2 * unit)
    return rounded if exact >= 0 else -rounded
