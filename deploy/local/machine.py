"""What this machine has: ports and programs.

ServerError                 a server does not do what it should; the message says why, in words
└── Missing                 something that it needs is not on this machine; the message says how to get it
"""

from __future__ import annotations

import os
import pwd
import random
import shutil
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range that Linux and macOS draw the ports of outgoing connections from. A client that keeps knocking at a
# stopped server's port in that range connects to itself sooner or later, and the server cannot come back.
_PORTS = range(15_000, 32_000)
# A port is drawn some time before its server listens there: until then only this says that it is spoken for.
_drawn: set[int] = set()


class ServerError(Exception):
    """A server does not start, answer or end."""


class Missing(ServerError):
    """Something that a server needs is not on this machine."""


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on, and that no outgoing connection is given."""
    for _ in range(1_000):
        # Drawn, not counted up: several test processes look for ports at the same moment.
        port = random.SystemRandom().choice(_PORTS)
        if port not in _drawn and is_free(port):
            _drawn.add(port)
            return port
    raise ServerError(f"no free port among {_PORTS}")


def listens(port: int) -> bool:
    """Does anybody take connections at that port of the loopback address?"""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex((LOOPBACK, port)) == 0


def program(name: str, how: str) -> Path:
    """Where a program is. Raises Missing, which says how to get it."""
    found = shutil.which(name)
    if found is None:
        raise Missing(f"there is no {name} on this machine ({how})")
    return Path(found)


def unprivileged_user() -> str | None:
    """For programs that refuse to run as root. None: stay who we are."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def is_free(port: int) -> bool:
    """Can a server listen at that port of the loopback address?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: old connections may linger
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
