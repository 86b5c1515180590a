"""Every command as somebody types it who sees Waybill for the first time: on one home with one imported day."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from events.order import OrderKey
from services.cli import app
from tests.e2e.processes import (
    DAY,
    HEADER,
    WAYBILL,
    importing,
    killed_at_the_end,
    outlived_s,
    processes_of,
    serving,
    start,
    trace,
    waybill,
)

ONLINE_RETAIL = ("--format", "online-retail")
ORDER_ID = OrderKey("online-retail", "536365").order_id

COMMANDS = (
    "import", "demo", "up", "run", "migrate", "status", "order", "order show", "stock", "stock show", "insights",
    "verify", "rebuild",
    "audit", "audit replay", "parked", "parked list", "parked replay", "parked drop",
)  # fmt: skip


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A home with the sample day in it, and what the import said. Tests only look at it."""
    home = tmp_path_factory.mktemp("cli") / "home"
    outcome = waybill("import", DAY, *ONLINE_RETAIL, "--json", home=home)
    assert outcome.code == 0, outcome
    return home, outcome.json


@pytest.fixture(scope="module")
def day(imported: tuple[Path, dict[str, Any]]) -> Path:
    return imported[0]


def copy_of(home: Path, folder: Path) -> Path:
    """A home of one's own to change, without the wait for another import."""
    return Path(shutil.copytree(home, folder / "copy", ignore=shutil.ignore_patterns("*.sock", "*.lock")))


def ask(*arguments: object, **wanted: Any) -> Any:
    """What a command says with --json."""
    outcome = waybill(*arguments, "--json", **wanted)
    assert outcome.code == 0, outcome
    assert outcome.err.strip() == ""
    return outcome.json


# --- import and status -----------------------------------------------------------------------------------------------


def test_an_import_accounts_for_every_line(imported: tuple[Path, dict[str, Any]]) -> None:
    _, summary = imported
    assert list(summary)[:10] == [
        "lines_read", "orders", "goods_lines", "charge_lines", "adjustment_lines", "rejected", "units", "gross",
        "seconds", "orders_per_s",
    ]  # fmt: skip
    rejected = summary["rejected"]
    lines = summary["goods_lines"] + summary["charge_lines"] + summary["adjustment_lines"] + sum(rejected.values())
    assert summary["lines_read"] == lines == len(DAY.read_text().splitlines()) - 1
    assert (summary["orders"], summary["units"], summary["gross"]) == (136, 26_997, "58960.79")
    assert rejected == {"cancellation_not_yet_supported": 26}


def test_a_second_import_adds_nothing(imported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    home, summary = imported
    again = copy_of(home, tmp_path)
    events = trace(again)
    outcome = waybill("import", DAY, *ONLINE_RETAIL, "--json", home=again)
    assert outcome.code == 0, outcome
    assert outcome.json["already_imported"] == outcome.json["orders"] == summary["orders"]
    assert trace(again) == events


def test_an_import_says_the_same_to_people(tmp_path: Path) -> None:
    file = tmp_path / "one.csv"
    file.write_text(f"{HEADER}\n1,A,THING,2,2010-12-01 09:00:00,1.25,,France\n")
    outcome = waybill("import", tmp_path, *ONLINE_RETAIL, home=tmp_path / "home")
    assert outcome.code == 0, outcome
    assert "orders" in outcome.out
    assert "2.50" in outcome.out


def test_status(imported: tuple[Path, dict[str, Any]]) -> None:
    home, summary = imported
    found = ask("status", home=home)
    assert found["by_status"] == {"completed": 136}
    assert found["captured_minor"] == {"GBP": 58_960_79}
    assert found["units_shipped"] == summary["units"]
    assert found["events"] == found["last_position"] == trace(home).types.total()
    assert set(found["lag"].values()) == {0}
    assert (found["parked"], found["holds"], found["backordered_units"]) == (0, {}, 0)
    assert {"order", "payment", "inventory", "shipping", "order_status", "stock_levels"} <= set(found["lag"])


# --- looking ---------------------------------------------------------------------------------------------------------


def test_an_order_by_its_id_and_by_its_number(day: Path) -> None:
    by_id = ask("order", "show", ORDER_ID, home=day)
    assert by_id == ask("order", "show", "--channel", "online-retail", "--number", "536365", home=day)
    assert (by_id["status"], by_id["total_minor"], by_id["currency"]) == ("completed", 139_12, "GBP")
    assert [entry["type"] for entry in by_id["timeline"]][:3] == [
        "order.placed.v2",
        "order.accepted.v1",
        "order.payment_requested.v1",
    ]
    assert len(by_id["lines"]) == 7


def test_an_order_as_it_stood(day: Path) -> None:
    now = ask("order", "show", ORDER_ID, home=day)
    accepted = now["timeline"][1]["position"]
    then = ask("order", "show", ORDER_ID, "--position", accepted, home=day)
    assert (then["status"], then["timeline"][-1]["position"]) == ("accepted", accepted)
    [placed, *_] = replayed("--json", "--stream", f"order-{ORDER_ID}", home=day)
    then = ask("order", "show", ORDER_ID, "--at", json.loads(placed)["recorded_at"], home=day)
    assert then["status"] == "placed"
    then = ask("order", "show", ORDER_ID, "--at", "2100-01-01", home=day)
    assert (then["status"], then["units"]) == (now["status"], now["units"])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name one order: either its ID, or --channel and --number together"),
        (("--channel", "online-retail"), "name one order"),
        ((ORDER_ID, "--number", "536365"), "name one order"),
        (("nonsense",), "there is no order nonsense"),
        (("--channel", "online-retail", "--number", "0"), "there is no order"),
        ((ORDER_ID, "--position", "1"), "at that moment"),
        ((ORDER_ID, "--at", "2010-12-01"), "at that moment"),  # it was imported later: nobody knew of it then
    ],
)
def test_an_order_that_is_not_there(arguments: tuple[str, ...], says: str, day: Path) -> None:
    assert says in waybill("order", "show", *arguments, home=day).sentence


def test_stock_in_either_letter_case(day: Path) -> None:
    found = ask("stock", "show", "85123A", home=day)
    assert found == ask("stock", "show", "85123a", home=day)
    main = found["locations"]["main"]
    assert main["on_hand"] == main["available"] == 1_000 - _shipped(found)
    assert "we have never stocked NONSENSE" in waybill("stock", "show", "nonsense", home=day).sentence


def _shipped(stock: dict[str, Any]) -> int:
    return sum(entry["units"] for entry in stock["timeline"] if entry["movement"] == "shipped")


def test_tables_keep_what_is_typed_into_the_next_command_whole(day: Path) -> None:
    outcome = waybill("order", "show", ORDER_ID, home=day, env={"COLUMNS": "60"})
    assert f"fulfillment_id={ORDER_ID}-main" in outcome.out
    assert "…" not in outcome.out


# --- proving ---------------------------------------------------------------------------------------------------------


def test_verify(day: Path) -> None:
    found = ask("verify", home=day)
    assert found["ok"] is True
    assert found["events"] == trace(day).types.total()
    assert found["events_per_s"] > 0


def test_verify_names_the_first_violating_event(day: Path, tmp_path: Path) -> None:
    home = copy_of(day, tmp_path)
    with log_file(home) as log:
        [position] = log.execute("SELECT MIN(rowid) FROM stored_events WHERE topic = 'payment.captured.v1'").fetchone()
        more = """replace(state, '"amount_minor":', '"amount_minor":9')"""
        log.execute(f"UPDATE stored_events SET state = {more} WHERE rowid = ?", (position,))
    outcome = waybill("verify", "--json", home=home)
    assert outcome.code == 1
    assert outcome.json["ok"] is False
    assert outcome.json["violations"][0]["position"] == position


def test_rebuild_gives_the_same(day: Path) -> None:
    found = ask("rebuild", home=day)
    assert found["identical"] is True
    assert found["events"] > 0
    assert found["events_per_s"] > 0


def test_read_models_that_were_lost_come_back_by_themselves(day: Path, tmp_path: Path) -> None:
    home = copy_of(day, tmp_path)
    shutil.rmtree(home / "redis")
    assert ask("status", home=home) == ask("status", home=day)
    assert ask("rebuild", home=home)["identical"] is True


# --- history as it was recorded --------------------------------------------------------------------------------------


def replayed(*arguments: object, home: Path) -> list[str]:
    outcome = waybill("audit", "replay", *arguments, home=home)
    assert outcome.code == 0, outcome
    assert outcome.err.strip() == ""
    return outcome.out.splitlines()


def test_replay_prints_every_event_once(day: Path) -> None:
    total = trace(day).types.total()
    as_json = [json.loads(line) for line in replayed("--json", home=day)]
    assert [event["position"] for event in as_json] == list(range(1, total + 1))
    as_text = replayed(home=day)
    assert [int(line.split()[0]) for line in as_text] == list(range(1, total + 1))


def test_replay_of_a_part(day: Path) -> None:
    assert [int(line.split()[0]) for line in replayed("--from", 7, "--to", 9, home=day)] == [7, 8, 9]
    assert replayed("--from", 1_000_000, home=day) == []
    stream = [json.loads(line) for line in replayed("--json", "--stream", f"order-{ORDER_ID}", home=day)]
    assert [event["version"] for event in stream] == list(range(1, len(stream) + 1))
    assert stream[0]["type"] == "order.placed.v2"
    assert "swap them" in waybill("audit", "replay", "--from", 9, "--to", 7, home=day).sentence
    assert "there is no stream 'nonsense'" in waybill("audit", "replay", "--stream", "nonsense", home=day).sentence


# --- parked events ---------------------------------------------------------------------------------------------------


class log_file:  # noqa: N801 - reads like a function at the place of use
    """The log's own file, changed behind everybody's back."""

    def __init__(self, home: Path) -> None:
        self._connection = sqlite3.connect(home / "waybill.db")

    def __enter__(self) -> sqlite3.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        with closing(self._connection):
            self._connection.commit()


BROKEN, NEWER = OrderKey("web", "broken").order_id, OrderKey("web", "newer").order_id


def a_placed_order(log: sqlite3.Connection, number: str) -> bytes:
    """An order like the first one, recorded now."""
    [first] = log.execute("SELECT state FROM stored_events WHERE topic = 'order.placed.v2' LIMIT 1").fetchone()
    order_id = OrderKey("web", number).order_id
    placed = json.loads(first)
    placed["recorded_at"] = datetime.now(UTC).isoformat()
    placed["correlation_id"] = order_id
    placed["data"].update(order_id=order_id, channel="web", number=number)
    return json.dumps(placed).encode()


def insert(log: sqlite3.Connection, stream: str, version: int, topic: str, state: bytes) -> None:
    columns = "originator_id, originator_version, topic, state"
    log.execute(f"INSERT INTO stored_events ({columns}) VALUES (?, ?, ?, ?)", (stream, version, topic, state))


@pytest.fixture
def poisoned(day: Path, tmp_path: Path) -> tuple[Path, bytes]:
    """A log with an order that cannot be read, and one that a newer version of us has gone on with; and the former's
    true content. All workers have seen both."""
    home = copy_of(day, tmp_path)
    with log_file(home) as log:
        broken = a_placed_order(log, "broken")
        insert(log, f"order-{BROKEN}", 1, "order.placed.v2", broken[:-30])
        insert(log, f"order-{NEWER}", 1, "order.placed.v2", a_placed_order(log, "newer"))
        insert(log, f"order-{NEWER}", 2, "order.teleported.v1", b"{}")
    file = tmp_path / "next.csv"
    file.write_text(f"{HEADER}\n900001,85123A,THING,2,2010-12-02 09:00:00,1.25,,France\n")
    outcome = waybill("import", file, *ONLINE_RETAIL, "--json", home=home)
    assert outcome.code == 0, outcome
    return home, broken


def parked(home: Path) -> dict[str, str]:
    """Why it waits, by stream."""
    found = ask("parked", "list", home=home)["parked"]
    assert {one["consumer"] for one in found} <= {"order"}
    return {one["stream"]: one["reason"] for one in found}


def test_only_the_streams_of_bad_events_are_parked(poisoned: tuple[Path, bytes]) -> None:
    home, _ = poisoned
    waiting = parked(home)
    assert set(waiting) == {f"order-{BROKEN}", f"order-{NEWER}"}
    assert "order.teleported.v1" in waiting[f"order-{NEWER}"]
    assert "17850" not in json.dumps(waiting)  # the customer's number
    status = ask("status", home=home)
    assert status["parked"] == 2
    assert status["by_status"] == {"completed": 137, "placed": 1}
    people = waybill("parked", "list", home=home)
    assert f"order-{BROKEN}" in people.out
    assert "Traceback" not in people.err


def test_a_parked_event_whose_cause_was_mended_is_handled(poisoned: tuple[Path, bytes]) -> None:
    home, content = poisoned
    nothing = ask("parked", "replay", "order", home=home)
    assert (nothing["replayed"], len(nothing["still_parked"])) == ([], 2)
    with log_file(home) as log:
        log.execute("UPDATE stored_events SET state = ? WHERE originator_id = ?", (content, f"order-{BROKEN}"))
    mended = ask("parked", "replay", "order", "--stream", f"order-{BROKEN}", home=home)
    assert [one["stream"] for one in mended["replayed"]] == [f"order-{BROKEN}"]
    assert set(parked(home)) == {f"order-{NEWER}"}
    # The projections had left out what could not be read. Said once, and mended by it.
    assert waybill("rebuild", home=home).code == 1
    assert ask("rebuild", home=home)["identical"] is True
    order = ask("order", "show", BROKEN, home=home)
    assert (order["number"], order["status"]) == ("broken", "completed")


def test_a_log_that_was_mended_is_lawful_again(poisoned: tuple[Path, bytes]) -> None:
    home, content = poisoned
    assert waybill("verify", home=home).code == 1
    with log_file(home) as log:
        log.execute("UPDATE stored_events SET state = ? WHERE originator_id = ?", (content, f"order-{BROKEN}"))
        log.execute("DELETE FROM stored_events WHERE topic = 'order.teleported.v1'")
    assert len(ask("parked", "replay", "order", home=home)["replayed"]) == 2
    found = ask("verify", home=home)
    assert (found["ok"], found["orders_open"]) == (True, 0)


def test_a_parked_event_is_dropped_with_a_reason(poisoned: tuple[Path, bytes]) -> None:
    home, _ = poisoned
    position = next(
        one["position"] for one in ask("parked", "list", home=home)["parked"] if one["stream"] == f"order-{NEWER}"
    )
    ask("parked", "drop", "order", position, "--reason", "it was never ours", home=home)
    assert set(parked(home)) == {f"order-{BROKEN}"}
    assert "it was never ours" in "".join(replayed("--json", "--stream", "parking-order", home=home))
    again = waybill("parked", "drop", "order", position, "--reason", "once more", home=home)
    assert f"order has no parked event at position {position}" in again.sentence


def test_a_consumer_that_is_not_there(day: Path) -> None:
    assert "there is no consumer 'nobody'" in waybill("parked", "replay", "nobody", home=day).sentence
    assert "there is no consumer" in waybill("parked", "drop", "nobody", 1, "--reason", "x", home=day).sentence


# --- how it is typed -------------------------------------------------------------------------------------------------


def typed(words: str) -> Result:
    """In this process: nothing is done but to read what was typed."""
    return CliRunner().invoke(app, words.split(), prog_name="waybill")


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_everything_explains_itself(command: str) -> None:
    result = typed(f"{command} --help")
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: waybill {command}".rstrip())


def test_every_command_is_known_to_this_file() -> None:
    listed = {
        f"{group} {line.split()[0]}".strip()
        for group in ("", "order", "stock", "audit", "parked")
        for line in typed(f"{group} --help").stdout.partition("Commands:")[2].splitlines()
        if line.startswith("  ") and line[2] != " "
    }
    assert listed == set(COMMANDS)


@pytest.mark.parametrize(
    "words",
    [
        "import",
        "import file.csv",
        "import file.csv --format online-retail --opening-stock -1",
        "import file.csv --format online-retail --opening-stock many",
        "order show x --at yesterday",
        "order show x --position 0",
        "audit replay --from 0",
        "parked drop order 1",
        "up --port 70000",
        "nonsense",
    ],
)
def test_what_is_typed_wrongly_is_explained(words: str) -> None:
    result = typed(words)
    assert result.exit_code == 2
    assert "Error: " in result.stderr


def test_from_another_folder_with_a_home_of_its_own(tmp_path: Path) -> None:
    """Also if that folder has modules that are called like ours."""
    for name in ("services", "events", "projections"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong module')\n")
    (tmp_path / "one.csv").write_text(f"{HEADER}\n1,A,THING,2,2010-12-01 09:00:00,1.25,,France\n")
    outcome = waybill("import", "one.csv", *ONLINE_RETAIL, "--home", "shop", cwd=tmp_path)
    assert outcome.code == 0, outcome
    assert (tmp_path / "shop" / "waybill.db").exists()
    assert ask("status", "--home", "shop", cwd=tmp_path)["by_status"] == {"completed": 1}
    by_setting = ask("status", cwd=tmp_path, env={"WAYBILL_HOME": str(tmp_path / "shop")})
    assert by_setting["orders"] == 1
    assert "there is no event store" in waybill("status", cwd=tmp_path).sentence
    assert not (tmp_path / ".waybill").exists()


@pytest.mark.parametrize(
    "command", ["audit replay", "audit replay --json", "status --json", "verify", "stock show 85123A"]
)
def test_a_reader_that_goes_is_no_fault(command: str, day: Path) -> None:
    """`waybill ... | head -1`, and a reader that does not even begin."""
    process = subprocess.Popen(
        [WAYBILL, *command.split(), "--home", day], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    if command.startswith("audit"):
        assert process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait() == 128 + signal.SIGPIPE
    process.stderr.close()


def test_ctrl_c_stops_an_import_which_can_go_on(home: Path, tmp_path: Path) -> None:
    file = tmp_path / "many.csv"
    rows = [f"{n},{21_000 + n % 40},THING,1,2010-12-01 09:00:00,1.25,,France" for n in range(1, 1_501)]
    file.write_text("\n".join([HEADER, *rows, ""]))
    with killed_at_the_end(start(*importing(file), home=home)) as process:
        deadline = time.monotonic() + 20
        while not (home / "redis" / "redis.sock").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (130, "")
    assert err == "waybill: stopped; nothing is half-done: the same command again goes on\n"
    outlived_s(home)
    outcome = waybill(*importing(file), home=home)
    assert outcome.code == 0, outcome
    assert outcome.json["orders"] == 1_500
    assert trace(home).types["order.completed.v1"] == 1_500
    assert ask("verify", home=home)["ok"] is True


def test_ctrl_c_at_the_very_beginning(home: Path) -> None:
    with killed_at_the_end(start(*importing(DAY), home=home)) as process:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode in {130, -signal.SIGINT}
    assert not processes_of(home)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_server_stops_cleanly(how: signal.Signals, home: Path) -> None:
    with serving(home) as (process, _):
        process.send_signal(how)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.endswith("Stopped.\n")
    outlived_s(home)


def test_the_demo(tmp_path: Path) -> None:
    outcome = waybill("demo", "--json", home=tmp_path / "home")
    assert outcome.code == 0, outcome
    assert outcome.json["import"]["orders"] == 136
    assert "Look further" in outcome.out
    for line in outcome.out.splitlines():
        if line.strip().startswith(".venv/bin/waybill") and " up" not in line:
            followed = waybill(*line.split()[1:])
            assert followed.code == 0, (line, followed)


def test_the_module_is_the_same_command() -> None:
    outcome = waybill("--help", program=(sys.executable, "-m", "services.cli"))
    assert outcome.code == 0
    assert outcome.err == ""
    assert "Commands:" in outcome.out
    assert outcome.out.replace("python -m services.cli", "waybill") == waybill("--help").out
