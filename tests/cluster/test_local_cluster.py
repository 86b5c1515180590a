"""`python -m deploy.local.cluster`: up, twice, status, down; and nothing is left behind when it cannot come up."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from deploy.local import role_process, state
from deploy.local.cluster import main
from deploy.roles import ROLES, SERVING_HTTP
from tests.shop_server import PATIENCE_S, eventually, order_body, receipt_body

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SERVERS = ["Kafka", "PostgreSQL", "Redis"]

# A role that does no work: ready at once, or never. It leaves behind what it was told.
STAND_IN = """
import json, os, sys, http.server
role = sys.argv[2]
if role == "--help":
    sys.exit(0)
if role == os.environ.get("STAND_IN_FAILS"):
    sys.exit("the store has another schema")
settings = {name: value for name, value in os.environ.items() if name.startswith("WAYBILL_")}
open(role + ".json", "w").write(json.dumps(settings))
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(settings["WAYBILL_METRICS_PORT"])), Answer).serve_forever()
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """Open to everybody: PostgreSQL may have to run as another user. Whatever runs in it is ended."""
    made = Path(tempfile.mkdtemp(prefix="waybill-cluster-"))
    made.chmod(0o755)
    yield made
    state.end([one for one in state.read(made) if one.is_alive()])
    shutil.rmtree(made)


@pytest.fixture
def stand_ins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "stand_in.py"
    program.write_text(STAND_IN)
    monkeypatch.setattr(role_process, "WAYBILL", (sys.executable, str(program)))


def cluster(*words: str, folder: Path) -> int:
    return main([*words, "--dir", str(folder)])


def test_servers_come_up_once_keep_their_data_and_go_down(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster("up", "--servers-only", folder=folder) == 0
    began = state.read(folder)
    assert [one.name for one in began if one.is_alive()] == SERVERS
    url = dict(line.removeprefix("export ").split("=", 1) for line in (folder / "env").read_text().splitlines())[
        "WAYBILL_STORE_URL"
    ]
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

    # A second one is told so, and changes nothing.
    capsys.readouterr()
    assert cluster("up", "--servers-only", folder=folder) == 2
    assert "runs in" in capsys.readouterr().err
    assert state.read(folder) == began

    assert cluster("down", folder=folder) == 0
    assert not any(one.is_alive() for one in began)
    assert cluster("status", folder=folder) == 1

    # The same ports, the same data, the same password.
    assert cluster("up", "--servers-only", folder=folder) == 0
    assert [one.address for one in state.read(folder)] == [one.address for one in began]
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]
    capsys.readouterr()
    assert cluster("status", "--json", folder=folder) == 0
    assert [one["name"] for one in json.loads(capsys.readouterr().out) if one["alive"]] == SERVERS

    assert cluster("down", "--wipe", folder=folder) == 0
    assert sorted(path.name for path in folder.iterdir()) == ["lock"]


@pytest.mark.usefixtures("stand_ins")
def test_every_role_is_told_where_everything_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster("up", folder=folder) == 0

    told = {role: json.loads((folder / "roles" / role / f"{role}.json").read_text()) for role in ROLES}
    assert len({settings["WAYBILL_METRICS_PORT"] for settings in told.values()}) == len(ROLES)
    assert [role for role in ROLES if "WAYBILL_HTTP_PORT" in told[role]] == list(SERVING_HTTP)
    for settings in told.values():
        assert {"WAYBILL_HOME", "WAYBILL_STORE_URL", "WAYBILL_REDIS_URL", "WAYBILL_KAFKA"} <= settings.keys()
        assert settings["WAYBILL_PROVIDER_URL"].endswith(told["sandbox"]["WAYBILL_HTTP_PORT"])
    printed = capsys.readouterr().out
    assert all(role in printed for role in ROLES)
    password = (folder / "postgres" / "password").read_text()
    assert password not in printed
    began = state.read(folder)
    assert cluster("down", folder=folder) == 0
    assert not any(one.is_alive() for one in began)


@pytest.mark.usefixtures("stand_ins")
def test_when_a_role_does_not_start_its_last_words_are_said_and_nothing_is_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAND_IN_FAILS", "relay")

    assert cluster("up", folder=folder) == 2

    assert "relay does not start" in (said := capsys.readouterr().err)
    assert "the store has another schema" in said
    assert state.read(folder) == []
    assert processes_in(folder) == []


def test_a_whole_cluster_carries_an_order_through(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cluster("up", folder=folder) == 0, capsys.readouterr().err
    [gateway] = [one.address for one in state.read(folder) if one.name == "gateway"]

    with httpx.Client(base_url=gateway, timeout=PATIENCE_S) as http:
        assert http.post("/stock/receipts", json=receipt_body("receipt-1")).status_code == 201
        taken = http.post("/orders", json=order_body("1"))
        assert taken.status_code == 201

        def completed() -> bool:
            answer = http.get(f"/orders/{taken.json()['order_id']}")
            return answer.status_code == 200 and answer.json()["status"] == "completed"

        eventually(completed, patience_s=60)
    assert [one.name for one in state.read(folder) if not one.is_alive()] == []


def processes_in(folder: Path) -> list[str]:
    """What runs with that folder in its command line."""
    found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.parent.name != str(os.getpid())]
    return [line.decode(errors="replace") for line in found if os.fsencode(folder) in line]
