"""The tables in PostgreSQL are made, and changed, once: whoever comes first, and however many come together."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any, LiteralString

import pytest

from events.store import open_store
from tests.stores import ROOT, everything, write

pytestmark = pytest.mark.postgres

OPEN = """
import sys
from events.store import open_store

print("ready", flush=True)
sys.stdin.readline()
open_store(sys.argv[1]).close()
"""


def rows(url: str, statement: LiteralString) -> list[Any]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        found = connection.execute(statement)
        return found.fetchall() if found.description else []


def applied(url: str) -> list[int]:
    return [number for (number,) in rows(url, "SELECT number FROM waybill_migrations ORDER BY applied_at, number")]


@pytest.mark.slow
def test_eight_processes_make_the_tables_at_the_same_moment(postgres_url: str) -> None:
    command = [sys.executable, "-c", OPEN, postgres_url]
    makers = [
        subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    for maker in makers:
        assert maker.stdout
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        assert maker.stdin
        maker.stdin.write("go\n")
        maker.stdin.flush()
    complaints = [maker.communicate(timeout=60)[1] for maker in makers]

    assert complaints == [""] * 8
    assert [maker.returncode for maker in makers] == [0] * 8
    assert applied(postgres_url) == [1, 2]
    store = open_store(postgres_url)
    assert store.append([write("order-1", 0)])[0].position == 1
    store.close()


def test_whoever_finds_everything_done_changes_nothing(postgres_url: str) -> None:
    open_store(postgres_url).close()
    before = rows(postgres_url, "SELECT number, applied_at FROM waybill_migrations")
    tables = rows(
        postgres_url, "SELECT oid, relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )
    open_store(postgres_url).close()
    assert rows(postgres_url, "SELECT number, applied_at FROM waybill_migrations") == before
    assert tables == rows(
        postgres_url, "SELECT oid, relname, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    )


@pytest.mark.parametrize(
    "undone",
    [
        pytest.param("DROP TABLE waybill_migrations", id="after the first tables were made"),
        pytest.param("DELETE FROM waybill_migrations WHERE number > 1", id="between two migrations"),
    ],
)
def test_what_was_cut_short_is_finished_and_keeps_the_events(postgres_url: str, undone: LiteralString) -> None:
    store = open_store(postgres_url)
    recorded = store.append([write("order-1", 0, count=3)])
    store.close()
    rows(postgres_url, undone)

    again = open_store(postgres_url)

    assert applied(postgres_url) == [1, 2]
    assert everything(again) == recorded
    again.close()


def test_who_dies_while_making_the_tables_does_not_hold_up_the_others(postgres_url: str) -> None:
    import psycopg

    from events.recorders.postgres_schema import TABLES_LOCK

    doomed = psycopg.connect(postgres_url, autocommit=True)
    doomed.execute("SELECT pg_advisory_lock(%s)", (TABLES_LOCK,))
    others = [threading.Thread(target=lambda: open_store(postgres_url).close()) for _ in range(3)]
    for one in others:
        one.start()
    doomed.close()
    for one in others:
        one.join(timeout=60)
    assert applied(postgres_url) == [1, 2]


def test_a_database_that_a_newer_program_has_changed_is_used_as_it_is(postgres_url: str) -> None:
    open_store(postgres_url).close()
    rows(postgres_url, "INSERT INTO waybill_migrations (number) VALUES (99)")
    store = open_store(postgres_url)
    assert store.append([write("order-1", 0)])[0].position == 1
    store.close()
    assert applied(postgres_url) == [1, 2, 99]
