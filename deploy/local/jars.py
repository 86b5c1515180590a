"""Kafka's jars, fetched once by Maven into a folder that checkouts, tests and CI may share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.local.machine import Missing, program

CACHE_VARIABLE = "WAYBILL_CLUSTER_CACHE"
"""Another place for the jars than `.cluster/` of the checkout."""

POM = Path(__file__).parent / "kafka" / "pom.xml"
_CHECKOUT = Path(__file__).resolve().parents[2]

_DOWNLOAD_TIMEOUT_S = 600  # 45 MB; 10 s on an ordinary line
_JAVA = 17  # the oldest that Kafka 4 runs on


def cache_folder() -> Path:
    return Path(os.environ.get(CACHE_VARIABLE) or _CHECKOUT / ".cluster").absolute()


def java() -> Path:
    """Raises Missing unless there is a Java that Kafka runs on."""
    found = program("java", f"Kafka needs Java {_JAVA} or newer; Debian: apt-get install openjdk-17-jre-headless")
    said = subprocess.run([found, "-version"], check=False, capture_output=True, text=True, timeout=60).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _JAVA:
        raise Missing(f"Kafka needs Java {_JAVA} or newer, and {found} says: {said.strip().splitlines()[:1]}")
    return found


def kafka_jars() -> Path:
    """The folder with the jars, fetched first if they are not there. Raises Missing."""
    jars = _jars_folder()
    if not jars.exists():
        with only_one(jars.parent):
            if not jars.exists():
                _fetch(jars)
    return jars


def _jars_folder() -> Path:
    """Named after what is in it: another pom.xml has another folder, and old checkouts keep theirs."""
    return cache_folder() / "lib" / f"kafka-{hashlib.sha256(POM.read_bytes()).hexdigest()[:12]}"


def _fetch(jars: Path) -> None:
    maven = program("mvn", "it fetches Kafka's jars; Debian: apt-get install maven")
    part = Path(tempfile.mkdtemp(prefix="part-", dir=jars.parent))
    arguments = ("-B", "-q", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime")
    try:
        done = subprocess.run(
            [maven, *arguments, f"-DoutputDirectory={part}"],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_TIMEOUT_S,
        )
        if done.returncode != 0:
            raise Missing(f"Maven could not fetch Kafka's jars: {_first_error(done.stdout + done.stderr)}")
        part.chmod(0o755)
        part.rename(jars)  # whole or not at all
    except subprocess.TimeoutExpired:
        raise Missing(f"Maven did not fetch Kafka's jars within {_DOWNLOAD_TIMEOUT_S} s") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _first_error(said: str) -> str:
    errors = [line for line in said.splitlines() if "ERROR" in line]
    return " / ".join(errors or said.splitlines())[:500] or "it said nothing"


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Several test processes may want the jars at the same moment; one fetches, the others wait for it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
