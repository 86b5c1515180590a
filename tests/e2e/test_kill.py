"""kill -9 in the middle of an import, and the same command again: nothing is lost, nothing doubled, nothing stuck.

The moments are of three kinds: by the clock, spread over the whole run; by what is in the log already; and the exact
instants before and after each kind of write, which a clock would rarely meet. Whoever is killed is killed again on the
next attempt, until at last the import is left alone.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from threading import Timer
from typing import Any

import httpx
import pytest

from events.order import OrderPlaced
from tests.e2e.moments import dying
from tests.e2e.processes import (
    DAY,
    HEADER,
    Outcome,
    finish,
    importing,
    killed_at_the_end,
    processes_of,
    read_log,
    redis_pid,
    serving,
    start,
    trace,
    waybill,
)
from tests.e2e.undisturbed import (
    SMALL_BATCHES,
    Undisturbed,
    assert_charged_once,
    ends_as_if_nothing_happened,
    is_dead,
    undisturbed,
    without_timing,
)

INLINE = {**SMALL_BATCHES, "WAYBILL_PROJECTOR": "inline"}


@pytest.fixture(scope="module")
def morning(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """The first lines of a real day: 51 orders of 1 to 80 lines."""
    folder = tmp_path_factory.mktemp("morning")
    file = folder / "morning.csv"
    file.write_text("".join(DAY.read_text().splitlines(keepends=True)[:400]))
    return undisturbed(file, folder / "home")


@pytest.fixture(scope="module")
def many_small(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """So many small orders that they come in with several transactions, and the workers run between them."""
    folder = tmp_path_factory.mktemp("many")
    file = folder / "many.csv"
    rows = [f"{700_000 + n},{21_000 + n % 40},THING,{1 + n % 3},2010-12-01 09:00:00,1.25,,France" for n in range(600)]
    file.write_text("\n".join([HEADER, *rows, ""]))
    return undisturbed(file, folder / "home")


# --- moments ---------------------------------------------------------------------------------------------------------

# Fractions of the time that an undisturbed run takes. The first of a row meets a new home, the others what was left.
BY_THE_CLOCK = (
    (0.01, 0.60, 0.90),
    (0.40, 0.50, 0.80),
    (0.55, 0.70, 0.98),
    (0.70, 0.35, 0.75),
    (0.90, 0.03, 0.85),
)


@pytest.mark.slow
@pytest.mark.parametrize("fractions", BY_THE_CLOCK)
def test_killed_by_the_clock(morning: Undisturbed, fractions: tuple[float, ...], home: Path, tmp_path: Path) -> None:
    for fraction in fractions:
        process = start(*importing(morning.file), home=home, env=SMALL_BATCHES)
        with suppress(TimeoutExpired), killed_at_the_end(process):
            process.wait(fraction * morning.seconds)
        is_dead(home, tmp_path)
    ends_as_if_nothing_happened(morning, home)


@pytest.mark.slow
@pytest.mark.parametrize("shares", [(0.0, 0.5), (0.2, 0.9)])
def test_killed_as_soon_as_so_much_is_in_the_log(
    morning: Undisturbed, shares: tuple[float, ...], home: Path, tmp_path: Path
) -> None:
    total = morning.trace.types.total()
    for share in shares:
        process = start(*importing(morning.file), home=home, env=SMALL_BATCHES)
        with killed_at_the_end(process):
            while process.poll() is None and events_in(home) < max(1, share * total):
                time.sleep(0.002)
        is_dead(home, tmp_path)
    ends_as_if_nothing_happened(morning, home)


def events_in(home: Path) -> int:
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{home / 'waybill.db'}?mode=ro", uri=True)) as log:
        found: int = log.execute("SELECT COALESCE(MAX(rowid), 0) FROM stored_events").fetchone()[0]
        return found
    return 0


# Each number counts within one attempt.
BY_THE_WRITE = (
    ("before-commit:1", "after-journal:1", "before-commit:9", "before-redis-look:1", "after-views:1"),
    ("before-rejects-finish:1", "after-commit:1", "before-journal:1", "after-journal:17", "after-commit:7"),
    ("before-commit:2", "after-commit:5", "after-rejects-finish:1", "after-journal:60", "before-views:1"),
)
BETWEEN_TRANSACTIONS = ("after-commit:2", "before-commit:30", "after-journal:500", "before-commit:40", "before-views:1")


@pytest.mark.slow
@pytest.mark.parametrize("moments", BY_THE_WRITE)
def test_killed_between_a_write_and_the_next(
    morning: Undisturbed, moments: tuple[str, ...], home: Path, tmp_path: Path
) -> None:
    for moment in moments:
        outcome = waybill(*importing(morning.file), home=home, env=INLINE, program=dying(moment))
        assert outcome.code == -signal.SIGKILL, (moment, outcome)
        is_dead(home, tmp_path)
    ends_as_if_nothing_happened(morning, home)


@pytest.mark.slow
def test_killed_between_transactions_of_many_small_orders(many_small: Undisturbed, home: Path, tmp_path: Path) -> None:
    for moment in BETWEEN_TRANSACTIONS:
        outcome = waybill(*importing(many_small.file), home=home, env=INLINE, program=dying(moment))
        assert outcome.code == -signal.SIGKILL, (moment, outcome)
        is_dead(home, tmp_path)
    ends_as_if_nothing_happened(many_small, home)


# --- the children ----------------------------------------------------------------------------------------------------


def test_a_killed_redis_is_started_anew_and_the_import_goes_on(many_small: Undisturbed, home: Path) -> None:
    outcome = import_while_killing(many_small.file, home, "redis-server")
    assert without_timing(outcome.json) == many_small.summary
    ends_as_if_nothing_happened(many_small, home)


def test_a_killed_projector_is_started_anew_and_the_import_goes_on(many_small: Undisturbed, home: Path) -> None:
    outcome = import_while_killing(many_small.file, home, "services.projector")
    assert without_timing(outcome.json) == many_small.summary
    ends_as_if_nothing_happened(many_small, home)


def import_while_killing(file: Path, home: Path, child: str) -> Outcome:
    """Kill this child three times, a moment after it appeared."""
    killed: set[int] = set()
    process = start(*importing(file), home=home, env=SMALL_BATCHES)
    while process.poll() is None and len(killed) < 3:
        for pid in children_called(child, home) - killed:
            time.sleep(0.05)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(0.01)
    outcome = finish(process)
    assert outcome.code == 0, outcome
    assert killed
    return outcome


def children_called(child: str, home: Path) -> set[int]:
    return {pid for pid, words in processes_of(home).items() if child in words}


def test_what_is_left_of_a_killed_redis_is_no_obstacle(morning: Undisturbed, home: Path) -> None:
    """The child's owner was killed, then the child itself, so that it could tidy nothing up."""
    process = start(*importing(morning.file), home=home, env=SMALL_BATCHES)
    with killed_at_the_end(process):
        while process.poll() is None and not redis_pid(home):
            time.sleep(0.002)
        process.kill()
        with suppress(ProcessLookupError):
            os.kill(redis_pid(home), signal.SIGKILL)
    ends_as_if_nothing_happened(morning, home)


def test_a_killed_rebuild_leaves_the_live_views_as_they_are(morning: Undisturbed, home: Path) -> None:
    assert waybill(*importing(morning.file), home=home).code == 0
    killed = waybill("rebuild", home=home, program=dying("before-views:1"))
    assert killed.code == -signal.SIGKILL, killed
    assert waybill("status", "--json", home=home).json == morning.status
    assert "killed within the last minute" in waybill("rebuild", home=home).sentence


# --- orders over HTTP ------------------------------------------------------------------------------------------------


def order_body(number: int) -> dict[str, Any]:
    return {
        "channel": "web",
        "number": str(number),
        "currency": "GBP",
        "lines": [{"sku": "LAMP", "quantity": 1, "unit_price": "2.50"}],
        "total": "2.50",
        "payment_token": "tok_ok",
        "ship_to": {"lines": ["1 Example Street"], "city": "London", "postal_code": "SW1A 1AA", "country": "GB"},
    }


def send_until_killed(process: Popen[str], url: str, orders: int) -> dict[str, int]:
    """Order ids that were acknowledged, with their positions. The server is killed while the last one is under way."""
    acknowledged = {}
    with httpx.Client(base_url=url) as client, suppress(httpx.TransportError):
        stock = {"reference": "first", "lines": [{"sku": "LAMP", "quantity": 1_000}]}
        client.post("/stock/receipts", json=stock).raise_for_status()
        for number in range(orders):
            if number == orders - 1:
                Timer(0.002, process.kill).start()
            answer = client.post("/orders", json=order_body(number)).raise_for_status().json()
            acknowledged[answer["order_id"]] = answer["position"]
    process.wait()
    return acknowledged


@pytest.mark.slow
@pytest.mark.parametrize("orders", [1, 40])
def test_what_was_acknowledged_over_http_is_in_the_log_and_carried_out(orders: int, home: Path, tmp_path: Path) -> None:
    with serving(home) as (process, url):
        acknowledged = send_until_killed(process, url, orders)
    is_dead(home, tmp_path)
    placed = {one.event.order_id: one.position for one in read_log(home) if isinstance(one.event, OrderPlaced)}
    assert acknowledged.items() <= placed.items()
    with serving(home) as (_, url), httpx.Client(base_url=url) as client:
        for number in range(orders):
            assert client.post("/orders", json=order_body(number)).status_code in (200, 201)
        await_completed(client, orders)
    found = trace(home)
    assert len(found.placed) == orders
    assert_charged_once(found)


def await_completed(client: httpx.Client, orders: int) -> None:
    deadline = time.monotonic() + 20
    while client.get("/orders", params={"status": "completed", "limit": 100}).json()["orders"][orders - 1 :] == []:
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- more of it, where the data is -----------------------------------------------------------------------------------

DAYS = Path(__file__).parents[3] / "shared" / "data" / "online-retail"


@pytest.fixture(scope="module")
def three_days(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    folder = tmp_path_factory.mktemp("three-days")
    days = folder / "days"
    days.mkdir()
    for day in sorted(DAYS.glob("*.csv"))[:3]:
        (days / day.name).symlink_to(day)
    return undisturbed(days, folder / "home")


@pytest.mark.slow
@pytest.mark.may_skip  # the whole data set is not part of the repository
@pytest.mark.skipif(not DAYS.is_dir(), reason="the seven months are not beside the checkout")
def test_killed_during_days_of_trade(three_days: Undisturbed, home: Path, tmp_path: Path) -> None:
    for fraction in (0.3, 0.6, 0.5):
        process = start(*importing(three_days.file), home=home)
        with suppress(TimeoutExpired), killed_at_the_end(process):
            process.wait(fraction * three_days.seconds)
        is_dead(home, tmp_path)
    ends_as_if_nothing_happened(three_days, home)
