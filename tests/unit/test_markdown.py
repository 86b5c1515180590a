"""The reader of the documentation's code blocks, which test_docs.py relies on."""

from __future__ import annotations

from pathlib import Path

from tests.markdown import commands, links

PAGE = """\
Two commands:

```sh
make demo   # a whole day
$ WAYBILL_HOME=x .venv/bin/waybill order show "ID 1" --at T | head -n 1 && make test
waybill import a.csv \\
    --json > out
```

```json
{"make": "nothing"}
```

See [the design](docs/design.md#ideas) and [the web](https://example.org).
"""


def test_commands_are_read_out_of_shell_blocks_only(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    words = [command.words for command in commands(page) if command.words[0] in {"make", "waybill", "head"}]
    assert words == [
        ["make", "demo"],
        ["waybill", "order", "show", "ID 1", "--at", "T"],
        ["head", "-n", "1"],
        ["make", "test"],
        ["waybill", "import", "a.csv", "--json"],
    ]


def test_links_into_the_repository_are_found_without_their_anchors(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert links(page) == ["docs/design.md"]
