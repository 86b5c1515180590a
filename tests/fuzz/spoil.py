"""Takes something that is right and makes it a little wrong: a value, a field, some bytes. For hypothesis."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

# What breaks readers: edges of numbers, other types, letters that are not what they look like, and a whole tree.
AWKWARD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e308, 10**7 + 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**30),
    *("", " ", "0", "-0", "1e5", "NaN", "\0", "\ud800", "\x7f", "\u2028", "\n", "\r\n", "x" * 300),
    *("é", "\N{LATIN SMALL LETTER LONG S}", "\N{LATIN SMALL LIGATURE FF}", "\N{FULLWIDTH DIGIT FIVE}"),
    *([], {}, [[]], {"": ""}, [None], {"a": {"b": [1]}}),
]
PIECES = [
    b"",
    b'"',
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"\r",
    b",",
    b"{",
    b"]",
    b"\\",
    b"\\ud800",
    b"9" * 30,
    b" ",
]


@st.composite
def trees(draw: st.DrawFn, right: Any, *, changes: int = 3) -> Any:
    """The value (lists and dicts of JSON), with up to so many changes."""
    whole = [deepcopy(right)]
    for _ in range(draw(st.integers(1, changes))):
        parent, key = draw(st.sampled_from(list(_places(whole))))
        _change(draw, parent, key)
    return whole[0] if whole else None


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in the tree as a container and a key."""
    for key, one in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


def _change(draw: st.DrawFn, parent: Any, key: Any) -> None:
    before = parent[key]
    match draw(st.sampled_from(["awkward", "gone", "other", "text", "twice"])):
        case "awkward":
            parent[key] = deepcopy(draw(st.sampled_from(AWKWARD)))
        case "gone" if not (isinstance(parent, list) and len(parent) == 1):
            del parent[key]
        case "other" if isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "color", "sku", "lines", *map(str, parent)]))] = deepcopy(before)
        case "text" if isinstance(before, str):
            parent[key] = draw(st.text(max_size=8) | st.sampled_from([before.lower(), before + "\n", before * 30]))
        case "twice" if isinstance(before, list):
            parent[key] = before * draw(st.sampled_from([2, 50]))


@st.composite
def bytestrings(draw: st.DrawFn, right: bytes, *, changes: int = 3) -> bytes:
    """The bytes, with up to so many pieces cut out, put in, or exchanged."""
    raw = right
    for _ in range(draw(st.integers(1, changes))):
        at = draw(st.integers(0, len(raw)))
        until = draw(st.integers(at, min(len(raw), at + 12)))
        raw = raw[:at] + draw(st.sampled_from(PIECES) | st.binary(max_size=4)) + raw[until:]
    return raw
