"""Plain values as YAML that people read with pleasure. Only what our documents have: maps, lists, texts, numbers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

# Everything else goes in quotes: YAML has many words that are not what they look like.
_PLAIN = re.compile(r"[A-Za-z$][A-Za-z0-9_$./-]*")
_WORDS = frozenset("true false null yes no on off y n".split())


def dump(value: dict[str, Any]) -> str:
    return "\n".join(_map(value, "")) + "\n"


def _lines(value: Any, indent: str) -> Iterator[str]:
    return _map(value, indent) if isinstance(value, dict) else _list(value, indent)


def _map(value: dict[str, Any], indent: str) -> Iterator[str]:
    for key, inner in value.items():
        if isinstance(inner, dict | list) and inner:
            yield f"{indent}{_scalar(key)}:"
            yield from _lines(inner, indent + "  ")
        else:
            yield f"{indent}{_scalar(key)}: {_scalar(inner)}"


def _list(value: list[Any], indent: str) -> Iterator[str]:
    for inner in value:
        if isinstance(inner, dict | list) and inner:
            first, *rest = _lines(inner, indent + "  ")
            yield f"{indent}- {first.strip()}"
            yield from rest
        else:
            yield f"{indent}- {_scalar(inner)}"


def _scalar(value: Any) -> str:
    """JSON's spelling is YAML's as well."""
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
