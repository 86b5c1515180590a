"""Which letters a paper can show, and what stands for the others. Pure.

A paper must never come out with holes in it: a parcel whose address has blanks goes nowhere. What neither font has is
spelled in Latin letters ("Москва" stays, since the font has it; "北京" becomes "Bei Jing"), as international mail asks
for in any case. An operator who sends to such countries can name a further font, and gets the original letters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Container
from itertools import groupby
from typing import NamedTuple

# Scripts whose letters stand side by side as they are. Others (Arabic, Devanagari, Thai) join and stack them, or run
# from right to left: a font alone cannot set them, so they are spelled in Latin letters whatever font there is.
_STANDS_ALONE = (
    (0x1100, 0x11FF),  # Hangul letters
    (0x2E80, 0x2FDF),  # radicals
    (0x3000, 0x31FF),  # kana, bopomofo, and their punctuation
    (0x3400, 0x9FFF),  # ideographs
    (0xAC00, 0xD7AF),  # Hangul syllables
    (0xF900, 0xFAFF),  # ideographs, compatible
    (0xFF00, 0xFFEF),  # full and half width
)
_UNREADABLE = "?"


class Run(NamedTuple):
    """Letters of one font: the usual one, or the further one."""

    text: str
    is_extra: bool


def lettering(text: str, usual: Container[int], extra: Container[int], spell: Callable[[str], str]) -> list[Run]:
    """The text as runs of letters that the fonts have. `usual` and `extra` hold their code points.

    `spell` turns one letter into Latin ones ("" if there are none). Line breaks and tabs become spaces.
    """
    if text.isascii() and text.isprintable():
        return [Run(_single_spaced(text), False)] if text else []
    letters = [_letter(letter, usual, extra, spell) for letter in unicodedata.normalize("NFC", text)]
    runs = groupby(letters, key=lambda run: run.is_extra)
    joined = [Run("".join(run.text for run in group), is_extra) for is_extra, group in runs]
    return [run._replace(text=_single_spaced(run.text)) for run in joined if run.text]


def _letter(letter: str, usual: Container[int], extra: Container[int], spell: Callable[[str], str]) -> Run:
    code = ord(letter)
    category = unicodedata.category(letter)
    if category in ("Zs", "Zl", "Zp", "Cc"):
        return Run(" ", False)
    if category == "Cf":
        return Run("", False)  # invisible: joiners, direction marks
    if code in usual:
        return Run(letter, False)
    alone = _stands_alone(code)
    if alone and code in extra:
        return Run(letter, True)
    if category in ("Mn", "Me"):
        return Run("", False)  # marks on the letter before
    spelled = "".join(piece for piece in spell(letter) if ord(piece) in usual) or _UNREADABLE
    return Run(f" {spelled} " if alone and len(spelled) > 1 else spelled, False)


def _stands_alone(code: int) -> bool:
    return any(first <= code <= last for first, last in _STANDS_ALONE)


def _single_spaced(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text
