"""What may be handed to Waybill, and what may be in its way: each time one sentence that helps, and nothing half-done.

"Nothing half-done" is asked of every case in the same words: afterwards, with what was in the way gone, a good import
comes to what it comes to on a new home.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from projections.redis_server import find_program
from tests.e2e.processes import (
    DAY,
    HEADER,
    ROOT,
    WAYBILL,
    Environment,
    Outcome,
    Trace,
    finish,
    importing,
    killed_at_the_end,
    outlived_s,
    serving,
    start,
    trace,
    verdict,
    waybill,
)

IMPATIENT: Environment = {"WAYBILL_PATIENCE_S": "1"}
GOOD = "536365,85123A,WHITE HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom"


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Trace]:
    """A file that is well, and what an import of it leaves in a new home."""
    folder = tmp_path_factory.mktemp("good")
    file = folder / "good.csv"
    file.write_text("".join(DAY.read_text().splitlines(keepends=True)[:200]))
    assert waybill(*importing(file), home=folder / "home").code == 0
    return file, trace(folder / "home")


def is_unharmed(home: Path, good: tuple[Path, Trace], **wanted: Any) -> None:
    """A good import comes to what it comes to on a new home, and the laws hold."""
    file, expected = good
    outcome = waybill(*importing(file), home=home, **wanted)
    assert outcome.code == 0, outcome
    assert trace(home) == expected
    assert verdict(home).ok


def complaint(outcome: Outcome) -> str:
    """The sentence at the end; before it there may be warnings of what was tried again."""
    assert outcome.code == 2, outcome
    assert "Traceback" not in outcome.err
    *before, last = outcome.err.strip().splitlines()
    assert all(" WARNING " in line for line in before), outcome.err
    assert last.startswith("waybill: ")
    return last


# --- files -----------------------------------------------------------------------------------------------------------

FILES: dict[str, tuple[bytes, str]] = {
    "noise": (b"\x00\xff\x93" * 2_000, "is not a header"),
    "text in UTF-16": (f"{HEADER}\n{GOOD}\n".encode("utf-16"), "is not a header"),
    "a program": (Path(sys.executable).resolve().read_bytes()[:20_000], "is not a header"),
    "columns missing": (b"InvoiceNo,StockCode\n1,2\n", "the header lacks Description, Quantity"),
    "a column twice": (f"{HEADER},Country\n".encode(), "the same column twice"),
    "semicolons": (HEADER.replace(",", ";").encode(), "the header lacks"),
    "nothing": (b"", "the file is empty"),
    "blank lines": (b"\n\n  \n", "the file is empty"),
    "an endless header": (b"x" * 1_000_000, "line_too_long"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_of_another_kind_is_refused_before_a_home_is_made(case: str, tmp_path: Path) -> None:
    content, says = FILES[case]
    file = tmp_path / "file.csv"
    file.write_bytes(content)
    sentence = waybill(*importing(file), home=tmp_path / "home").sentence
    assert sentence.startswith(f"{file}: ")
    assert says in sentence
    assert not (tmp_path / "home").exists()


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    for path, says in {
        tmp_path / "nothing": "there is no such file or folder",
        tmp_path / "empty": "there are no .csv files in this folder",
        tmp_path / "pipe.csv": "this is not a regular file",
        Path("/dev/zero"): "this is not a regular file",
    }.items():
        assert waybill(*importing(path), home=tmp_path / "home").sentence == f"{path}: {says}"
    good = tmp_path / "good.csv"
    good.write_text(f"{HEADER}\n{GOOD}\n")
    assert "no such file" in waybill(*importing(good, tmp_path / "nothing"), home=tmp_path / "home").sentence
    assert not (tmp_path / "home").exists()
    assert "there is no format 'csv'" in waybill("import", good, "--format", "csv", home=tmp_path / "home").sentence


BAD_LINES = {
    "negative_quantity": ["1,A,THING,-6,2010-12-01 08:26:00,2.55,,France"],
    "bad_quantity": [
        "2,A,THING,99999999999999999999,2010-12-01 08:26:00,2.55,,France",
        "3,A,THING,10000001,2010-12-01 08:26:00,2.55,,France",
        "4,A,THING,0,2010-12-01 08:26:00,2.55,,France",
        "5,A,THING,1e9,2010-12-01 08:26:00,2.55,,France",
        "6,A,THING,NaN,2010-12-01 08:26:00,2.55,,France",
    ],
    "bad_date": [
        "7,A,THING,6,2010-02-30 08:26:00,2.55,,France",
        "8,A,THING,6,yesterday,2.55,,France",
        "9,A,THING,6,9999-12-31 23:59:59,2.55,,France",
    ],
    "bad_price": ["10,A,THING,6,2010-12-01 08:26:00,-2.55,,France", "11,A,THING,6,2010-12-01 08:26:00,inf,,France"],
    "amount_too_large": ["12,A,THING,10000000,2010-12-01 08:26:00,999999999999,,France"],
    "unknown_country": ["13,A,THING,6,2010-12-01 08:26:00,2.55,,Atlantis"],
    "bad_stock_code": ["14,../../etc/passwd,THING,6,2010-12-01 08:26:00,2.55,,France"],
    "wrong_field_count": ["15,A,THING", "16,A,TH,ING,6,2010-12-01 08:26:00,2.55,,France"],
    "unclosed_quote": ['17,A,"THING,6,2010-12-01 08:26:00,2.55,,France'],
}


def test_lines_that_make_no_sense_end_in_the_rejects_and_the_others_in_the_log(tmp_path: Path) -> None:
    file = tmp_path / "bad.csv"
    rows = [HEADER, GOOD, *(line for lines in BAD_LINES.values() for line in lines)]
    latin = "18,A,CAFÉ,6,2010-12-01 08:26:00,2.55,,France".encode("latin-1")
    nul = b"19,A,TH\0ING,6,2010-12-01 08:26:00,2.55,,France"
    file.write_bytes(b"\n".join([*(row.encode() for row in rows), latin, nul, b""]))
    outcome = waybill(*importing(file), home=tmp_path / "home")
    assert outcome.code == 0, outcome
    counts = {reason: len(lines) for reason, lines in BAD_LINES.items()}
    assert outcome.json["rejected"] == dict(sorted({**counts, "not_utf8": 1, "not_text": 1}.items()))
    assert (outcome.json["orders"], outcome.json["lines_read"]) == (1, 1 + sum(counts.values()) + 2)
    assert trace(tmp_path / "home").types["order.completed.v1"] == 1
    rejects = (tmp_path / "home" / "rejects" / "bad.csv.rejects.csv").read_text()
    assert len(rejects.splitlines()) == 1 + sum(counts.values()) + 2


def test_a_line_of_100_mb_is_refused_in_little_memory(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    with file.open("w") as lines:
        lines.write(f"{HEADER}\n{GOOD}\n")
        for _ in range(100):
            lines.write("9" * 1_000_000)
        lines.write(f"\n{GOOD.replace('536365', '536366')}\n")
    process = start(*importing(file), home=tmp_path / "home")
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)  # it was waited for behind its back
    outcome = finish(process)
    assert outcome.code == 0, outcome
    assert (outcome.json["orders"], outcome.json["rejected"]) == (2, {"line_too_long": 1})
    assert usage.ru_maxrss < 300_000  # KiB, of the largest of its processes


# --- the home --------------------------------------------------------------------------------------------------------


def test_a_home_that_cannot_be(good: tuple[Path, Trace], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    file, _ = good
    for home, says in {
        tmp_path / "file": "File exists",
        tmp_path / "file" / "home": "Not a directory",
        Path("/proc/waybill"): "No such file or directory",
    }.items():
        sentence = waybill(*importing(file), home=home).sentence
        assert sentence == f"cannot create the home {home}: {says}. Name another with --home"
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", ["status", "verify", "rebuild", "audit replay", "parked list", "stock show A"])
def test_looking_at_a_home_that_is_not_there_makes_none(command: str, tmp_path: Path) -> None:
    sentence = waybill(*command.split(), home=tmp_path / "nothing").sentence
    assert sentence.startswith(f"there is no event store in {tmp_path / 'nothing'}")
    assert not (tmp_path / "nothing").exists()


def test_a_database_that_is_none(good: tuple[Path, Trace], home: Path) -> None:
    file, _ = good
    noise = os.urandom(10_000)
    (home / "waybill.db").write_bytes(noise)
    for command in (importing(file), ("status",), ("verify",), ("audit", "replay")):
        assert "it is not an SQLite database" in waybill(*command, home=home).sentence
    assert (home / "waybill.db").read_bytes() == noise
    (home / "waybill.db").unlink()
    is_unharmed(home, good)


@pytest.mark.parametrize(
    ("name", "journal"),
    [
        ("sandbox-payments.jsonl", b"\x00\xff\n"),
        ("sandbox-payments.jsonl", b'["nonsense"]\n'),
        ("sandbox-payments.jsonl", b'["capture",1.0,"key","pay_00000009",5,""]\n'),
        ("sandbox-parcels.jsonl", b"{}\n"),
        ("sandbox-parcels.jsonl", b'["nonsense"]\n'),
    ],
)
def test_a_sandbox_journal_that_is_none(name: str, journal: bytes, good: tuple[Path, Trace], home: Path) -> None:
    file, _ = good
    (home / name).write_bytes(journal)
    sentence = waybill(*importing(file), home=home).sentence
    assert sentence == f"{home / name}, line 1: not a record; move the file away to start anew"
    assert (home / name).read_bytes() == journal


def test_garbage_where_redis_keeps_its_data(good: tuple[Path, Trace], home: Path) -> None:
    file, _ = good
    assert waybill(*importing(file), home=home).code == 0
    for part in (home / "redis" / "data").rglob("*"):
        if part.is_file():
            part.write_bytes(os.urandom(1_000))
    (home / "redis" / "server.lock").write_bytes(b"garbage")
    assert waybill("rebuild", "--json", home=home).json["identical"] is True
    is_unharmed(home, good)


def test_a_second_process_is_turned_away_and_the_first_is_not_disturbed(
    good: tuple[Path, Trace], home: Path, tmp_path: Path
) -> None:
    file, _ = good
    with serving(home) as (first, url):
        in_use = f"{home} is in use by process {first.pid}: stop it first, or name another home with --home"
        assert waybill(*importing(file), home=home).sentence == in_use
        assert waybill("up", "--port", 0, home=home).sentence == in_use
        assert waybill("parked", "replay", "order", home=home).sentence == in_use
        assert waybill("status", "--json", home=home).json["events"] == 0
        port = url.rpartition(":")[2]
        sentence = waybill("up", "--port", port, home=tmp_path / "other").sentence
        assert (
            sentence == f"port {port} of 127.0.0.1 is in use by another program: stop it, or choose another with --port"
        )
        assert httpx.get(f"{url}/healthz").json()["ok"] is True
    outlived_s(home)
    is_unharmed(home, good)


# --- disks -----------------------------------------------------------------------------------------------------------


@contextmanager
def disk(folder: Path, *, size: str) -> Iterator[Path]:
    """A disk of its own, of so many bytes; skips where we may not mount one."""
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        subprocess.run(mounting, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not mount a disk of its own")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def remount(folder: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", folder], check=True, capture_output=True)


@pytest.mark.may_skip  # mounting takes root; the limits below need nobody's leave
@pytest.mark.parametrize("size", ["256k", "1m"])
def test_a_full_disk(size: str, good: tuple[Path, Trace], tmp_path: Path) -> None:
    file, _ = good
    with disk(tmp_path / "disk", size=size) as home:
        assert "the disk is full" in complaint(waybill(*importing(file), home=home, env=IMPATIENT))
        assert verdict(home).ok
        remount(home, "size=50m")
        is_unharmed(home, good)


@pytest.mark.may_skip  # mounting takes root
def test_a_disk_that_gets_room_while_the_import_waits(good: tuple[Path, Trace], tmp_path: Path) -> None:
    """It goes on by itself. What the sandbox could not write down has an unknown outcome, and is asked about later."""
    file, expected = good
    with disk(tmp_path / "disk", size="700k") as home:
        with killed_at_the_end(start(*importing(file), home=home, env={"WAYBILL_PATIENCE_S": "60"})) as process:
            time.sleep(3)
            assert process.poll() is None
            remount(home, "size=50m")
            outcome = finish(process)
        assert outcome.code == 0, outcome
        for _ in range(3):
            if trace(home).captured == expected.captured:
                break
            time.sleep(6)  # the first question comes after five seconds
            assert waybill(*importing(file), home=home).code == 0
        assert trace(home).captured == expected.captured


@pytest.mark.may_skip  # mounting takes root
def test_a_read_only_disk(good: tuple[Path, Trace], tmp_path: Path) -> None:
    file, _ = good
    with disk(tmp_path / "disk", size="50m") as home:
        remount(home, "ro")
        assert "Read-only file system" in waybill(*importing(file), home=home).sentence
        assert "Read-only file system" in waybill(*importing(file), home=home / "home").sentence
        remount(home, "rw")
        is_unharmed(home, good)
        remount(home, "ro")
        for command in (importing(file), ("status",), ("verify",), ("parked", "replay", "order")):
            assert "ead-only" in waybill(*command, home=home).sentence
        remount(home, "rw")
        is_unharmed(home, good)


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="no prlimit on this machine (Debian: util-linux)")
@pytest.mark.parametrize("limit_bytes", [150_000, 600_000])
def test_files_that_may_not_grow(limit_bytes: int, good: tuple[Path, Trace], home: Path) -> None:
    file, _ = good
    limited = ("prlimit", f"--fsize={limit_bytes}", WAYBILL)
    assert "the disk failed or is full" in complaint(
        waybill(*importing(file), home=home, env=IMPATIENT, program=limited)
    )
    is_unharmed(home, good)


def test_a_report_that_cannot_be_written_is_a_fault(good: tuple[Path, Trace], home: Path) -> None:
    file, _ = good
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(  # noqa: PLW1510 - it shall fail
            [WAYBILL, *map(str, importing(file)), "--home", home],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    is_unharmed(home, good)


# --- Redis -----------------------------------------------------------------------------------------------------------


@contextmanager
def redis_at(port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [find_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield server
    finally:
        server.kill()
        server.wait()


def redis_setting(port: int, patience_s: float = 60, *, password: str = "") -> Environment:
    who = f":{password}@" if password else ""
    return {"WAYBILL_REDIS_URL": f"redis://{who}127.0.0.1:{port}/0", "WAYBILL_PATIENCE_S": str(patience_s)}


def test_a_redis_that_does_not_come(good: tuple[Path, Trace], home: Path, free_port: int) -> None:
    file, expected = good
    env = redis_setting(free_port, patience_s=1, password="geheim")
    outcome = waybill(*importing(file), home=home, env=env)
    assert "Redis does not answer" in complaint(outcome)
    assert "geheim" not in outcome.err
    assert trace(home) == expected  # orders do not wait for the read models
    assert "Redis does not answer" in waybill("status", home=home, env=env).sentence
    assert waybill("verify", "--json", home=home, env=env).json["ok"] is True
    is_unharmed(home, good)


def test_a_redis_that_comes_late_and_goes_for_a_while(good: tuple[Path, Trace], home: Path, free_port: int) -> None:
    file, expected = good
    env = redis_setting(free_port)
    with killed_at_the_end(start(*importing(file), home=home, env=env)) as process:
        time.sleep(2)
        assert process.poll() is None
        with redis_at(free_port):
            outcome = finish(process)
            assert outcome.code == 0, outcome
            status = waybill("status", "--json", home=home, env=env).json
        assert trace(home) == expected
        with redis_at(free_port):  # another one, with nothing in it
            assert waybill("status", "--json", home=home, env=env).json == status
            assert waybill("rebuild", "--json", home=home, env=env).json["identical"] is True


def test_the_server_takes_orders_while_redis_is_away(home: Path, free_port: int) -> None:
    with serving(home, env=redis_setting(free_port)) as (_, url), httpx.Client(base_url=url) as client:
        taken = client.post("/orders", json=order_body())
        assert taken.status_code == 201
        order_url = taken.json()["status_url"]
        away = client.get(order_url)
        assert (away.status_code, "Retry-After" in away.headers) == (503, True)
        assert "Redis" in away.json()["message"]
        assert client.get("/healthz").status_code == 503
        with redis_at(free_port):
            until(lambda: client.get("/healthz").status_code == 200)
            assert client.get(order_url).json()["status"] in {"held", "accepted", "rejected", "placed", "confirmed"}
        assert client.get(order_url).status_code == 503
        with redis_at(free_port):
            until(lambda: client.get(order_url).status_code == 200)


def until(true: Any, timeout_s: float = 20) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("WAYBILL_HTTP_PORT", "abc", "should be a valid integer"),
        ("WAYBILL_HTTP_PORT", "70000", "less than or equal to 65535"),
        ("WAYBILL_PATIENCE_S", "nan", "greater than 0"),
        ("WAYBILL_WAREHOUSE", "robots", "should be 'sandbox' or 'manual'"),
        ("WAYBILL_LOG_LEVEL", "LOUD", "should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'"),
        ("WAYBILL_MAX_BODY_BYTES", "1", "greater than or equal to 1000"),
    ],
)
def test_a_setting_that_does_not_fit(name: str, value: str, says: str, tmp_path: Path) -> None:
    sentence = waybill(*importing(DAY), home=tmp_path / "home", env={name: value}).sentence
    assert sentence.startswith(f"the setting {name} does not fit: ")
    assert says in sentence
    assert not (tmp_path / "home" / "waybill.db").exists()


@pytest.mark.parametrize("url", ["nonsense", "sqlite:", "mysql://me:geheim@localhost/shop"])
def test_a_store_url_that_is_none(url: str, tmp_path: Path) -> None:
    outcome = waybill(*importing(DAY), home=tmp_path / "home", env={"WAYBILL_STORE_URL": url})
    assert outcome.sentence.startswith("the store's URL is none of")
    assert "geheim" not in outcome.err


# --- HTTP ------------------------------------------------------------------------------------------------------------


def order_body(**changed: Any) -> dict[str, Any]:
    return {
        "channel": "web",
        "number": "1001",
        "currency": "GBP",
        "lines": [{"sku": "LAMP", "quantity": 1, "unit_price": "2.50"}],
        "total": "2.50",
        "payment_token": "tok_ok",
        "ship_to": {"lines": ["1 Example Street"], "city": "London", "postal_code": "SW1A 1AA", "country": "GB"},
        **changed,
    }


def line(**changed: Any) -> dict[str, Any]:
    return order_body(lines=[{"sku": "LAMP", "quantity": 1, "unit_price": "2.50", **changed}])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, httpx.Client]]:
    home = tmp_path_factory.mktemp("server") / "home"
    with serving(home) as (_, url), httpx.Client(base_url=url) as client:
        yield home, client


JSON = {"Content-Type": "application/json"}

BODIES: dict[str, tuple[int, bytes, dict[str, str]]] = {
    "no JSON": (400, b"nonsense", JSON),
    "half of it": (400, json.dumps(order_body()).encode()[:-5], JSON),
    "noise": (400, b"\x00\xff\xfe" * 100, JSON),
    "another encoding": (400, json.dumps(order_body(channel="ä"), ensure_ascii=False).encode("latin-1"), JSON),
    "an endless nest": (400, b"[" * 100_000, JSON),
    "nothing": (422, b"", JSON),
    "a list": (422, b"[]", JSON),
    "a number": (422, b"1e400", JSON),
    "a form": (415, b"channel=web", {"Content-Type": "application/x-www-form-urlencoded"}),
    "no type": (415, json.dumps(order_body()).encode(), {"Content-Type": ""}),
    "compressed": (415, b"\x1f\x8b", {**JSON, "Content-Encoding": "gzip"}),
    "too large": (413, b'"' + b"x" * 2_000_000 + b'"', JSON),
    "unknown currency": (422, json.dumps(order_body(currency="XYZ")).encode(), JSON),
    "no currency": (422, json.dumps(order_body(currency="pounds")).encode(), JSON),
    "no lines": (422, json.dumps(order_body(lines=[])).encode(), JSON),
    "too many lines": (422, json.dumps(order_body(lines=line()["lines"] * 2_001)).encode(), JSON),
    "no units": (422, json.dumps(line(quantity=0)).encode(), JSON),
    "fewer than none": (422, json.dumps(line(quantity=-1)).encode(), JSON),
    "an absurd quantity": (422, json.dumps(line(quantity=10**30)).encode(), JSON),
    "half a unit": (422, json.dumps(line(quantity=0.5)).encode(), JSON),
    "a price of letters": (422, json.dumps(line(unit_price="dear")).encode(), JSON),
    "too many decimals": (422, json.dumps(order_body(total="2.505")).encode(), JSON),
    "an unknown field": (422, json.dumps(order_body(discount=100)).encode(), JSON),
    "a line break in the number": (422, json.dumps(order_body(number="1\n2")).encode(), JSON),
    "a NUL": (422, json.dumps(order_body(channel="we\0b")).encode(), JSON),
    "half a character": (422, b'{"channel": "\\ud800"}', JSON),
    "no address": (422, json.dumps(order_body(ship_to=None)).encode(), JSON),
    "no such country": (422, json.dumps(order_body(ship_to={"country": "Atlantis"})).encode(), JSON),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_that_makes_no_sense_is_refused_in_words(case: str, server: tuple[Path, httpx.Client]) -> None:
    _, client = server
    status, body, headers = BODIES[case]
    answer = client.post("/orders", content=body, headers=headers)
    assert answer.status_code == status, answer.text
    refusal = answer.json()
    assert refusal["message"].endswith(".")
    assert all(problem["where"] and problem["message"] for problem in refusal["problems"])
    assert "SW1A" not in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/orders/nothing", 404),
        ("GET", "/orders/nothing?min_position=x", 422),
        ("GET", "/orders?limit=0", 422),
        ("GET", "/orders?limit=1000000", 422),
        ("GET", "/stock/nothing", 404),
        ("GET", "/stock/%2e%2e%2f%2e%2e%2fetc%2fpasswd", 404),
        ("GET", "/static/%2e%2e/%2e%2e/page.py", 404),
        ("DELETE", "/orders", 405),
        ("POST", "/orders/nothing/cancel", 422),
        ("DELETE", "/stock/reservations/nothing", 404),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_in_words(
    method: str, path: str, status: int, server: tuple[Path, httpx.Client]
) -> None:
    _, client = server
    answer = client.request(method, path)
    assert answer.status_code == status, answer.text
    assert answer.json()["message"].endswith(".")


def test_nothing_of_what_was_refused_is_in_the_log(server: tuple[Path, httpx.Client]) -> None:
    home, client = server
    for status, body, headers in BODIES.values():
        assert client.post("/orders", content=body, headers=headers).status_code == status
    assert waybill("status", "--json", home=home).json["events"] == 0
    assert client.get("/healthz").json()["ok"] is True


def test_bytes_that_are_no_http_harm_nobody(server: tuple[Path, httpx.Client]) -> None:
    _, client = server
    address = (client.base_url.host, client.base_url.port)
    for sent in (
        b"\x16\x03\x01" + os.urandom(200),
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /orders HTTP/1.1\r\n" + b"x" * 100_000,
    ):
        with socket.create_connection(address, timeout=15) as connection, suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65_536):
                pass
    assert client.get("/healthz").json()["ok"] is True
