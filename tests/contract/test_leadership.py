"""One process of a log leads, whatever database is behind it, and a standby takes over by itself."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString

import pytest

from events.leadership import Leadership
from events.store import EventStore, StoreUnavailable, open_store
from tests.stores import ROOT

PATIENCE_S = 30
"""Far more than anything here takes on an idle machine."""


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventStore]:
    urls = {"memory": "memory:", "sqlite": f"sqlite:///{tmp_path}/log.db"}
    store = open_store(urls.get(request.param) or request.getfixturevalue("postgres_url"))
    yield store
    store.close()


def eventually(is_so: Callable[[], bool], patience_s: float = PATIENCE_S) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def test_who_is_alone_leads_until_it_gives_it_up(store: EventStore) -> None:
    with store.leadership("relay") as relay:
        assert relay.try_lead()
        assert relay.try_lead()
        assert relay.still_leads()
    assert not relay.still_leads()
    relay.close()


# --- on PostgreSQL, where there can be several -----------------------------------------------------------------------


@pytest.fixture
def shared(postgres_url: str) -> Iterator[EventStore]:
    store = open_store(postgres_url)
    yield store
    store.close()


@pytest.mark.postgres
def test_one_of_several_leads_and_the_next_one_follows_when_it_gives_it_up(shared: EventStore) -> None:
    with shared.leadership("relay") as leader, shared.leadership("relay") as standby:
        assert leader.try_lead()
        assert leader.try_lead()  # asked twice, and still given up with one word
        assert not standby.try_lead()
        assert not standby.still_leads()
        assert leader.still_leads()

        leader.close()

        assert standby.try_lead()
        assert standby.still_leads()
        assert not leader.try_lead()


@pytest.mark.postgres
def test_nobody_leads_before_it_has_asked(shared: EventStore) -> None:
    with shared.leadership("relay") as relay:
        assert not relay.still_leads()


@pytest.mark.postgres
def test_every_name_has_a_leader_of_its_own(shared: EventStore) -> None:
    with shared.leadership("relay") as relay, shared.leadership("timekeeper") as timekeeper:
        assert relay.try_lead()
        assert timekeeper.try_lead()


def cut(url: str, connection: Any) -> None:
    """The server ends this session, as it does when it restarts."""
    import psycopg

    statement: LiteralString = "SELECT pg_terminate_backend(%s, 10000)"
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(statement, (connection.backend.pid,))


@pytest.mark.postgres
def test_a_leader_whose_connection_is_cut_knows_and_a_standby_takes_over(shared: EventStore, postgres_url: str) -> None:
    with shared.leadership("relay") as leader, shared.leadership("relay") as standby:
        assert leader.try_lead()
        assert not standby.try_lead()
        held: Any = leader

        cut(postgres_url, held._connection)

        assert standby.try_lead()
        assert not leader.still_leads()
        assert not leader.try_lead()
        assert standby.still_leads()


@pytest.mark.postgres
def test_a_leader_whose_connection_was_cut_may_lead_again(shared: EventStore, postgres_url: str) -> None:
    with shared.leadership("relay") as leader:
        assert leader.try_lead()
        held: Any = leader
        cut(postgres_url, held._connection)
        assert leader.try_lead()
        assert leader.still_leads()


@pytest.mark.postgres
def test_a_server_that_is_away_has_no_leader_and_says_why(free_port: int) -> None:
    from events.recorders.postgres_leadership import AdvisoryLeadership

    away = AdvisoryLeadership(f"postgresql://me:secret@127.0.0.1:{free_port}/log", "relay")
    assert not away.still_leads()
    with pytest.raises(StoreUnavailable, match="refused") as refused:
        away.try_lead()
    assert "secret" not in str(refused.value)


LEADER = """
import sys
from events.recorders.postgres_leadership import AdvisoryLeadership

leader = AdvisoryLeadership(sys.argv[1], "relay", lease_s=2.0)
print(leader.try_lead(), flush=True)
for _ in sys.stdin:
    print(leader.still_leads(), flush=True)
"""


@pytest.fixture
def leader(postgres_url: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that leads; it answers each line with whether it still does."""
    command = [sys.executable, "-c", LEADER, postgres_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def still_leads(process: subprocess.Popen[str]) -> bool:
    assert process.stdin
    assert process.stdout
    process.stdin.write("?\n")
    process.stdin.flush()
    return process.stdout.readline() == "True\n"


def takes_over(standby: Leadership) -> bool:
    return eventually(standby.try_lead)


@pytest.mark.postgres
def test_a_standby_takes_over_when_the_leaders_process_is_killed(
    shared: EventStore, leader: subprocess.Popen[str]
) -> None:
    with shared.leadership("relay") as standby:
        assert not standby.try_lead()
        leader.kill()
        assert takes_over(standby)


@pytest.mark.postgres
def test_a_leader_that_keeps_its_word_leads_for_longer_than_its_lease(
    shared: EventStore, leader: subprocess.Popen[str]
) -> None:
    with shared.leadership("relay") as standby:
        for _ in range(25):
            assert still_leads(leader)
            assert not standby.try_lead()
            time.sleep(0.1)


@pytest.mark.postgres
def test_a_standby_takes_over_from_a_leader_that_is_stopped_and_which_knows_when_it_wakes_up(
    shared: EventStore, leader: subprocess.Popen[str]
) -> None:
    os.kill(leader.pid, signal.SIGSTOP)
    try:
        with shared.leadership("relay") as standby:
            assert takes_over(standby)
            os.kill(leader.pid, signal.SIGCONT)
            assert not still_leads(leader)
            assert standby.still_leads()
    finally:
        os.kill(leader.pid, signal.SIGCONT)
