"""`make install` makes .venv, mends it, and never throws a working one away. With stand-ins for Python: no network."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands for a Python: notes how it was called, and succeeds.
WORKING = """#!/bin/sh
echo "$@" >>"{notes}"
[ "$2" != venv ] || {{ mkdir -p .venv/bin; rm -f .venv/keepsake; cp "$0" .venv/bin/python; }}
"""
TOO_OLD = '#!/bin/sh\n[ "$1" != --version ] || { echo Python 3.9.2; exit 0; }\nexit 1\n'


class Checkout:
    """A source tree with the script in it, and a Python to make the virtual environment with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.notes = folder.parent / "notes"
        self.python = folder.parent / "python"
        (folder / "deploy").mkdir(parents=True)
        for name in ("deploy/make-venv", "pyproject.toml", "constraints.txt"):
            shutil.copy(ROOT / name, folder / name)
        self.install_program(self.python, WORKING.format(notes=self.notes))

    @property
    def venv(self) -> Path:
        return self.folder / ".venv"

    def move_to(self, folder: Path) -> None:
        self.folder = self.folder.rename(folder)

    def install_program(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def make_venv(self) -> subprocess.CompletedProcess[str]:
        self.notes.unlink(missing_ok=True)
        environment = {**os.environ, "PYTHON": str(self.python)}
        return subprocess.run(
            ["deploy/make-venv"],
            cwd=self.folder,
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def noted(self, words: str) -> bool:
        return self.notes.exists() and words in self.notes.read_text()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "checkout")


def test_the_first_run_creates_and_the_second_does_nothing(checkout: Checkout) -> None:
    assert checkout.make_venv().returncode == 0
    assert checkout.noted("-m venv --clear .venv")
    assert checkout.noted("--constraint constraints.txt --editable .[dev,postgres]")

    assert checkout.make_venv().returncode == 0
    assert not checkout.noted("-m venv")
    assert not checkout.noted("-m pip")


def test_a_working_venv_that_something_else_made_is_kept(checkout: Checkout) -> None:
    checkout.install_program(checkout.venv / "bin" / "python", checkout.python.read_text())
    (checkout.venv / "keepsake").touch()
    assert checkout.make_venv().returncode == 0
    assert (checkout.venv / "keepsake").exists()
    assert checkout.noted("-m pip install")


def test_a_broken_venv_is_made_anew(checkout: Checkout) -> None:
    checkout.install_program(checkout.venv / "bin" / "python", TOO_OLD)
    assert checkout.make_venv().returncode == 0
    assert checkout.noted("-m venv --clear .venv")


def test_a_venv_that_was_moved_is_made_anew(checkout: Checkout, tmp_path: Path) -> None:
    checkout.make_venv()
    checkout.move_to(tmp_path / "moved")
    assert checkout.make_venv().returncode == 0
    assert checkout.noted("-m venv --clear .venv")


def test_a_changed_pin_is_installed_into_the_same_venv(checkout: Checkout) -> None:
    checkout.make_venv()
    with (checkout.folder / "constraints.txt").open("a") as pins:
        pins.write("# another\n")
    checkout.make_venv()
    assert not checkout.noted("-m venv")
    assert checkout.noted("-m pip install")


def test_a_python_that_is_too_old_is_refused_in_words(checkout: Checkout) -> None:
    checkout.install_program(checkout.python, TOO_OLD)
    refused = checkout.make_venv()
    assert refused.returncode == 2
    assert "needs Python 3.11 or newer" in refused.stderr
    assert "Python 3.9.2" in refused.stderr
    assert not checkout.venv.exists()
