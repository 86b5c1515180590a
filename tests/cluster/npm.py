"""Packages from npm for tests: fetched once into the cache that the jars of Kafka are in, in the versions of
foreign/package.json. Nothing of them is ever in the repository."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from deploy.local.jars import cache_folder, only_one
from deploy.local.machine import Missing, program

FOREIGN = Path(__file__).parent / "foreign"
PACKAGES = FOREIGN / "package.json"

_DOWNLOAD_TIMEOUT_S = 600  # 57 MB in 170 packages; 45 s on a busy machine
_INSTALL = ("install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class Node:
    """Runs the programs in foreign/."""

    def __init__(self, modules: Path) -> None:
        self._environment = {**os.environ, "NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}

    def run(self, script: str, *arguments: str, given: bytes = b"") -> str:
        """What it prints. Raises AssertionError with what it complained of."""
        command = ["node", str(FOREIGN / script), *arguments]
        done = subprocess.run(
            command, env=self._environment, input=given, check=False, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js with its packages; the test is skipped where there is none of it."""
    try:
        program("node", "Debian: apt-get install nodejs npm")
        return Node(_modules() / "node_modules")
    except Missing as missing:
        pytest.skip(str(missing))


def _modules() -> Path:
    """Named after what is in it, so that old checkouts keep theirs. Raises Missing."""
    folder = cache_folder() / "lib" / f"npm-{hashlib.sha256(PACKAGES.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        with only_one(folder.parent):
            if not folder.exists():
                _fetch(folder)
    return folder


def _fetch(folder: Path) -> None:
    npm = program("npm", "Debian: apt-get install nodejs npm")
    part = Path(tempfile.mkdtemp(prefix="part-", dir=folder.parent))
    shutil.copy(PACKAGES, part)
    try:
        done = subprocess.run(
            [npm, *_INSTALL], cwd=part, check=False, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S
        )
        if done.returncode != 0:
            raise Missing(f"npm could not fetch its packages: {done.stderr.strip()[:500]}")
        part.chmod(0o755)
        part.rename(folder)  # whole or not at all
    except subprocess.TimeoutExpired:
        raise Missing(f"npm did not fetch its packages within {_DOWNLOAD_TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)
