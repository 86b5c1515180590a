"""`verify` on a real database: while it is being written to, and after somebody else has been at it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from events.order import OrderKey, order_stream
from events.store import open_store
from services.audit.law import Law
from services.audit.verify import Auditor, verify
from services.runtime.settings import Warehouse
from tests.examples import BELL, HOLDER, LEEDS, LONDON, placed
from tests.trading_day import open_shop


def test_a_log_that_is_being_written_to(tmp_path: Path) -> None:
    """At every moment: nothing is wrong, and what is still to come is not called missing."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_shop(url, warehouse=Warehouse.SANDBOX) as shop, closing(open_store(url)) as reader:
        shop.receive("delivery-1", {LONDON: {HOLDER: 12, BELL: 9}, LEEDS: {HOLDER: 3}})
        for number in range(3):
            shop.place(placed(OrderKey("web", str(number))))
        lengths = set[int]()
        for _ in range(30):
            shop.step()
            verdict = verify(reader)
            assert verdict.ok, verdict.violations
            lengths.add(verdict.events)
        shop.work()
        assert len(lengths) > 1
        assert verify(reader).ok
        assert verify(reader).events == shop.store.last_position()


def test_progress_and_figures(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_shop(url, warehouse=Warehouse.SANDBOX) as shop, closing(open_store(url)) as reader:
        shop.receive("delivery-1", {LONDON: {HOLDER: 12, BELL: 9}})
        shop.buy("1")
        told: list[tuple[int, int]] = []
        verdict = verify(reader, progress=lambda reached, end: told.append((reached, end)), page_events=10)
    end = verdict.events
    assert told == [*((reached, end) for reached in range(10, end, 10)), (end, end)]
    found = verdict.as_json()
    assert found["ok"] is True
    assert found["violations"] == []
    assert found["events"] == end
    assert found["events_per_s"] > 0
    assert json.loads(json.dumps(found)) == found


def test_an_empty_log_breaks_no_law() -> None:
    with closing(open_store("memory:")) as store:
        verdict = verify(store)
    assert (verdict.ok, verdict.events, verdict.violations) == (True, 0, [])


SPOILT = {
    "Invalid JSON": "UPDATE stored_events SET state = x'00FF' WHERE rowid = :position",
    "no such event type": "UPDATE stored_events SET topic = 'order.abducted.v1' WHERE rowid = :position",
    "total_minor": "UPDATE stored_events SET state = replace(state, 'total_minor', 'total') WHERE rowid = :position",
}


@pytest.mark.parametrize("reason", SPOILT)
def test_what_cannot_be_read_is_named_by_its_position(tmp_path: Path, reason: str) -> None:
    """And the reading goes on behind it."""
    path = tmp_path / "log.db"
    with open_shop(f"sqlite:///{path}") as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 12, BELL: 9}})
        position = shop.store.last_position() + 1
        shop.buy("1")
    _execute(path, SPOILT[reason], position)
    with closing(open_store(f"sqlite:///{path}")) as store:
        verdict = verify(store)
        assert verdict.events == store.last_position()
    assert not verdict.ok
    [first, *_] = verdict.violations
    assert (first.law, first.position) == (Law.READABLE, position)
    assert reason in first.detail
    assert "Quine" not in str(verdict.violations)


def test_an_event_deleted_from_the_database(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    with open_shop(f"sqlite:///{path}") as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 12, BELL: 9}})
        order_id = shop.buy("1")
        [_, accepted, requested, *_] = shop.store.read_stream(order_stream(order_id))
    _execute(path, "DELETE FROM stored_events WHERE rowid = :position", accepted.position)
    with closing(open_store(f"sqlite:///{path}")) as store:
        [first, *_] = verify(store).violations
    assert (first.law, first.event_id) == (Law.VERSIONS_CONTIGUOUS, requested.id)


def _execute(path: Path, statement: str, position: int) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement, {"position": position}).rowcount == 1


def test_memory_is_bounded_by_what_is_open(tmp_path: Path) -> None:
    """Orders that are done leave nothing behind but the balances of what they bought."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_shop(url, warehouse=Warehouse.SANDBOX) as shop:
        shop.receive("delivery-1", {LONDON: {HOLDER: 10_000, BELL: 10_000}})
        for number in range(150):
            shop.place(placed(OrderKey("web", str(number))))
        shop.work()
        shop.wait(timedelta(days=5))
    with closing(open_store(url)) as store:
        auditor = Auditor(store, page_events=200)
        most = max(len(auditor.books.cases) for _ in auditor.read_all())
    # They all came in at once, and all were open at once; now nothing is.
    assert most == 150
    assert auditor.books.cases == {}
    # The ledger's stream is all that is left.
    assert auditor.books.versions.keys() == {"stock-main"}
    assert auditor.books.violated == 0
