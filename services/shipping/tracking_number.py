"""Tracking numbers in the format of the Universal Postal Union (standard S10): "CA123456785GB".

Two letters for the kind of item (CA to CZ: a parcel), eight digits, a check digit over them, the country of origin.
A mistyped digit, or two that changed places, do not pass the check.
"""

from __future__ import annotations

import re
from operator import mul
from typing import Final

_WEIGHTS: Final = (8, 6, 4, 2, 3, 5, 9, 7)
_S10: Final = re.compile(r"[A-Z]{2}([0-9]{8})([0-9])[A-Z]{2}")


def tracking_number(serial: int, *, kind: str = "CA", country: str = "GB") -> str:
    """`serial` is 0 to 99,999,999."""
    digits = f"{serial:08d}"
    return f"{kind}{digits}{check_digit(digits)}{country}"


def is_tracking_number(text: str) -> bool:
    """True for a well-formed number whose check digit is right. It may still name a parcel that nobody knows."""
    match = _S10.fullmatch(text)
    return match is not None and str(check_digit(match[1])) == match[2]


def check_digit(digits: str) -> int:
    """Of exactly eight digits."""
    # Bytes multiply without being made into numbers first; the code of "0" is then taken off all at once.
    weighted: int = sum(map(mul, _WEIGHTS, digits.encode("ascii"))) - ord("0") * sum(_WEIGHTS)
    remainder = 11 - weighted % 11
    return {10: 0, 11: 5}.get(remainder, remainder)
