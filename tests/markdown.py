"""What the documentation tells people to type, read out of its code blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_SHELL_BLOCK = re.compile(r"^```(?:sh|bash|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SEPARATORS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "2>"}
_LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")


class Command(NamedTuple):
    """One command of a code block: `waybill order show ID` is ["waybill", "order", "show", "ID"]."""

    page: str
    words: list[str]

    def __str__(self) -> str:
        return f"{self.page}: {shlex.join(self.words)}"


def commands(page: Path) -> Iterator[Command]:
    """Every command in the shell blocks of a page, in order; `.venv/bin/` and variables before it are left out."""
    for block in _SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            for words in _split(line.removeprefix("$ ")):
                yield Command(page.name, words)


def links(page: Path) -> list[str]:
    """The targets of a page's links into this repository."""
    found = _LINK.findall(page.read_text(encoding="utf-8"))
    return [target for target in found if "://" not in target]


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word not in _SEPARATORS:
            words.append(word)
        elif words := _without_assignments(words):
            yield [Path(words[0]).name, *words[1:]]
            words = []


def _without_assignments(words: list[str]) -> list[str]:
    while words and re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    return words
