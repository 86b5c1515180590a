"""What the store's tests share: small writes, reading everything, and a process that appends until it is told to stop.

`python -m tests.stores URL NAME APPENDS` appends that many times, two events each, and prints the last position of
every append that was acknowledged.
"""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from events.base import NewEvent, Recorded, Write
from events.order import OrderAccepted, PaymentRequested
from events.store import EventStore, open_store

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORDER_ID = "00000000-0000-5000-8000-000000000001"


def accepted(number: int = 1) -> NewEvent:
    """An event that can be told from others by its cause."""
    return NewEvent(OrderAccepted(order_id=ORDER_ID), NOON, ORDER_ID, f"request-{number}", "test")


def payment_requested() -> NewEvent:
    event = PaymentRequested(order_id=ORDER_ID, amount_minor=1250, currency="GBP", payment_token="tok")
    return NewEvent(event, NOON, ORDER_ID, "request-1", "test", clock="history")


def write(stream: str, expected_version: int, count: int = 1) -> Write:
    return Write(stream, expected_version, [accepted(expected_version + number) for number in range(1, count + 1)])


def everything(store: EventStore, *, page: int = 7) -> list[Recorded]:
    """The whole log, read the way a consumer does."""
    found: list[Recorded] = []
    while events := store.read_after(found[-1].position if found else 0, limit=page):
        found += events
    return found


def start_writer(url: str, name: str, appends: int) -> subprocess.Popen[str]:
    """Another process that appends to the log. Whoever starts it waits for it, or kills it."""
    command = [sys.executable, "-m", "tests.stores", url, name, str(appends)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def _append_until_done(url: str, name: str, appends: int) -> None:
    store = open_store(url)
    version = store.stream_versions([name]).get(name, 0)
    for _ in range(appends):
        [*_, last] = store.append([write(name, version, count=2)])
        version = last.version
        print(last.position, last.version, flush=True)
    store.close()


if __name__ == "__main__":
    _append_until_done(sys.argv[1], sys.argv[2], int(sys.argv[3]))
