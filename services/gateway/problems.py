"""What is wrong with something that was sent, in words: where, and what; never what stood there."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from typing import Any

from pydantic import BaseModel

from events.base import Address, Contact
from services.gateway import requests


def _field_names(model: type[BaseModel]) -> Iterator[str]:
    yield from model.model_fields
    for part in model.__subclasses__():
        yield from _field_names(part)


_OUR_NAMES = frozenset([*_field_names(requests.Body), *Contact.model_fields, *Address.model_fields])


def named_place(location: Iterable[int | str], known: Container[object] = _OUR_NAMES) -> str:
    """ "lines[0].sku". A name that is none of ours is something that was sent: it is not repeated."""
    found = ""
    for part in location:
        if isinstance(part, int):
            found += f"[{part}]"
        else:
            name = part if part in known else "?"
            found += f".{name}" if found else name
    return found


def complaint(error: Any) -> str:
    """Of one of pydantic's errors."""
    if error["type"] == "extra_forbidden":
        return "there is no such field; /openapi.json tells which there are"
    said: str = error["msg"]
    return said.removeprefix("Value error, ")
