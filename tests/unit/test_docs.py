"""The documentation names what there is, and names all of it."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from events import catalogue
from services.cli import app
from services.runtime.settings import Settings
from tests.conftest import REQUIRE_ALL
from tests.markdown import Command, commands, links

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
REFERENCE = [ROOT / "README.md", ROOT / "docs" / "operations.md"]

COMMANDS = [command for page in PAGES for command in commands(page)]


def of_program(name: str) -> list[Command]:
    return [command for command in COMMANDS if command.words[0] == name]


def leaves(group: Any, path: str = "waybill") -> Iterator[tuple[str, Any]]:
    """Every command that can be typed, by its full spelling."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


CLI = dict(leaves(typer.main.get_command(app)))

VARIABLES = {f"WAYBILL_{field.upper()}" for field in Settings.model_fields} | {
    str(param.envvar) for command in CLI.values() for param in command.params if param.envvar
}


def typed(command: Command) -> str | None:
    """The CLI command that these words name."""
    for length in range(len(command.words), 1, -1):
        if (spelling := " ".join(command.words[:length])) in CLI:
            return spelling
    return None


def options(spelling: str) -> set[str]:
    return {name for param in CLI[spelling].params for name in (*param.opts, *param.secondary_opts)} | {"--help"}


def test_the_catalogue_of_events_is_up_to_date() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.render(), "run python -m events.catalogue"


def test_the_readme_begins_with_the_two_commands_and_the_pages_show_the_cli() -> None:
    made = [command.words[1] for command in of_program("make") if command.page == "README.md"]
    assert {"demo", "test"} <= set(made)
    assert of_program("waybill")


@pytest.mark.parametrize("command", of_program("make"), ids=str)
def test_a_make_command_names_a_target(command: Command) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {word for word in command.words[1:] if "=" not in word} <= set(targets)


@pytest.mark.parametrize("command", of_program("waybill"), ids=str)
def test_a_waybill_command_exists_with_its_options(command: Command) -> None:
    flags = {word.partition("=")[0] for word in command.words if word.startswith("-")}
    if command.words[1:] == ["--help"]:
        return
    spelling = typed(command)
    assert spelling is not None, f"there is no command {command}"
    assert flags <= options(spelling)


@pytest.mark.parametrize("command", of_program("python"), ids=str)
def test_a_python_command_names_a_module_of_ours(command: Command) -> None:
    assert command.words[1] == "-m"
    assert importlib.util.find_spec(command.words[2]) is not None


@pytest.mark.parametrize("spelling", CLI)
def test_every_command_is_documented(spelling: str) -> None:
    assert any(re.search(rf"{spelling}\b", page.read_text(encoding="utf-8")) for page in REFERENCE)


@pytest.mark.parametrize("variable", sorted(VARIABLES))
def test_every_setting_is_documented(variable: str) -> None:
    assert any(f"`{variable}`" in page.read_text(encoding="utf-8") for page in REFERENCE)


@pytest.mark.parametrize("page", REFERENCE, ids=lambda page: page.name)
def test_the_documentation_names_no_setting_that_does_not_exist(page: Path) -> None:
    named = set(re.findall(r"`(WAYBILL_[A-Z_]+)`", page.read_text(encoding="utf-8")))
    assert named - {REQUIRE_ALL} <= VARIABLES


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    assert [target for target in links(page) if not (page.parent / target).exists()] == []
