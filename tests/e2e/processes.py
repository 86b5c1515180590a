"""The `waybill` command as a stranger runs it: as a process of its own. What came of it is read from the files it left.

How it is killed at chosen instants: moments.py. What must be true afterwards: undisturbed.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from events.base import Recorded
from events.order import OrderPlaced
from events.payment import PaymentCaptured
from events.store import open_store
from services.audit.verify import Verdict, verify
from services.inventory.decider import DECIDER as LEDGER
from services.payment.sandbox import SandboxProvider
from services.shipping.sandbox import SandboxCarrier

ROOT = Path(__file__).resolve().parents[2]
WAYBILL = Path(sys.executable).with_name("waybill")
DAY = ROOT / "tests" / "data" / "online-retail-2010-12-01.csv"
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"

# A command takes a second or two; on a busy machine a few times that.
TIMEOUT_S = 90.0
CHILDREN_END_WITHIN_S = 2.0


# --- running ---------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How a command ended and what it said. A code below zero is the signal that ended it."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The object in the last line."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def sentence(self) -> str:
        """The one sentence of a refusal. Asserts that it is one, with exit code 2 and without a traceback."""
        assert self.code == 2, self
        assert "Traceback" not in self.err, self.err
        [line] = self.err.strip().splitlines()
        assert line.startswith("waybill: "), self.err
        return line.removeprefix("waybill: ")


Environment = Mapping[str, str]
NO_ENVIRONMENT: Environment = {}


def start(
    *arguments: object, home: Path | None = None, cwd: Path = ROOT, env: Environment = NO_ENVIRONMENT,
    program: Sequence[object] = (WAYBILL,),
) -> subprocess.Popen[str]:  # fmt: skip
    """Start `waybill ARGUMENTS`. Whoever starts it waits for it, or kills it."""
    command = [str(part) for part in (*program, *arguments, *(("--home", home) if home else ()))]
    return subprocess.Popen(
        command, cwd=cwd, env={**os.environ, **env}, text=True, errors="replace",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def finish(process: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> Outcome:
    try:
        out, err = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        out, err = process.communicate()
        raise AssertionError(f"it did not end within {timeout_s} s; it said: {out[-2_000:]}{err[-2_000:]}") from None
    return Outcome(process.returncode, out, err)


def waybill(*arguments: object, **wanted: Any) -> Outcome:
    """Run `waybill ARGUMENTS` to its end."""
    return finish(start(*arguments, **wanted))


def importing(*paths: Path, opening_stock: int = 100_000) -> tuple[object, ...]:
    """The arguments of an import. So much stock that no order has to wait: then every order of running ends alike."""
    return ("import", *paths, "--format", "online-retail", "--opening-stock", opening_stock, "--json")


@contextmanager
def killed_at_the_end(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Whatever happens in the block, the process does not outlive it."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving(home: Path, **wanted: Any) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`waybill up` on any free port: the process and its address, once it answers. Killed at the end if still there."""
    with killed_at_the_end(start("up", "--port", 0, home=home, **wanted)) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert "http://" in said, (said, finish(process))
        yield process, "http://" + said.split("http://")[1].split("/")[0]


# --- what is left of it ----------------------------------------------------------------------------------------------


class Trace(NamedTuple):
    """Everything that an import left behind and that two runs of it must have in common.

    types     how many events of each type
    streams   the types of each stream's events, in order (the ledger's streams apart: their order is that of work)
    captured  minor units, as the log has it, by order
    charged   the same as the provider's own books have it; `payments` counts all that it ever began, by order
    parcels   labels that the carrier sold, by fulfillment
    stock     free units by location and SKU
    placed    orders' totals in minor units
    """

    types: Counter[str]
    streams: dict[str, list[str]]
    captured: dict[str, int]
    charged: dict[str, int]
    payments: Counter[str]
    parcels: dict[str, int]
    stock: dict[str, dict[str, int]]
    placed: dict[str, int]


def read_log(home: Path) -> list[Recorded]:
    store = open_store(f"sqlite:///{home / 'waybill.db'}")
    try:
        return store.read_after(0, limit=1_000_000)
    finally:
        store.close()


def trace(home: Path) -> Trace:
    """Of a home on which nobody works."""
    log = read_log(home)
    streams: dict[str, list[str]] = {}
    for recorded in log:
        if not recorded.stream.startswith("stock-"):
            streams.setdefault(recorded.stream, []).append(recorded.type)
    charged, payments = _provider_books(home)
    return Trace(
        types=Counter(recorded.type for recorded in log),
        streams=streams,
        captured=_captured(log),
        charged=charged,
        payments=payments,
        parcels=_parcels(home),
        stock=_stock(log),
        placed={one.event.order_id: one.event.total_minor for one in log if isinstance(one.event, OrderPlaced)},
    )


def _captured(log: Sequence[Recorded]) -> dict[str, int]:
    taken: Counter[str] = Counter()
    for recorded in log:
        if isinstance(recorded.event, PaymentCaptured):
            taken[recorded.event.order_id] += recorded.event.amount_minor
    return dict(taken)


def _provider_books(home: Path) -> tuple[dict[str, int], Counter[str]]:
    provider = SandboxProvider(home / "sandbox-payments.jsonl")
    try:
        return provider.charges(), Counter(payment.order_ref for payment in provider.ledger())
    finally:
        provider.close()


def _parcels(home: Path) -> dict[str, int]:
    carrier = SandboxCarrier(home / "sandbox-parcels.jsonl")
    try:
        return {fulfillment: len(labels) for fulfillment, labels in carrier.labels().items()}
    finally:
        carrier.close()


def _stock(log: Sequence[Recorded]) -> dict[str, dict[str, int]]:
    state = LEDGER.initial
    for recorded in log:
        if recorded.stream.startswith("stock-"):
            event: Any = recorded.event
            state = LEDGER.evolve(state, event)
    return {location: dict(units) for location, units in state.free.items()}


def verdict(home: Path) -> Verdict:
    """What the auditor says of the log as it is."""
    store = open_store(f"sqlite:///{home / 'waybill.db'}")
    try:
        return verify(store)
    finally:
        store.close()


def assert_lawful(home: Path, scratch: Path) -> None:
    """The laws hold at this very moment, also if the process was killed. Looks at a copy, so that nothing is mended."""
    copy = scratch / "copy"
    copy.mkdir()
    for name in ("waybill.db", "waybill.db-wal"):
        if (home / name).exists():
            shutil.copy(home / name, copy / name)
    if (copy / "waybill.db").exists():
        found = verdict(copy)
        assert found.ok, found.violations
    shutil.rmtree(copy)


# --- what outlives it ------------------------------------------------------------------------------------------------


def redis_pid(home: Path) -> int:
    """The process id that the Redis child wrote into its lock; 0 if none ever started."""
    try:
        return int(json.loads((home / "redis" / "server.lock").read_bytes())["pid"])
    except (OSError, ValueError, KeyError):
        return 0


def redis_lives(home: Path) -> bool:
    """The child holds a lock as long as it lives."""
    path = home / "redis" / "server.lock"
    if not path.exists():
        return False
    with path.open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def processes_of(home: Path) -> dict[int, str]:
    """Command lines that name the home, by process id (Linux; elsewhere nothing is found). A zombie has none."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if str(home) in words and int(folder.name) != os.getpid():
                found[int(folder.name)] = words
    return found


def outlived_s(home: Path, *, within_s: float = CHILDREN_END_WITHIN_S) -> float:
    """How long the children outlive their parent. Fails if that is longer than they may."""
    began = time.monotonic()
    while redis_lives(home) or processes_of(home):
        outlived = time.monotonic() - began
        assert outlived < within_s, f"after {outlived:.1f} s: {redis_pid(home)}, {processes_of(home)}"
        time.sleep(0.005)
    return time.monotonic() - began
