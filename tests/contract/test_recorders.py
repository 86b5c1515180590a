"""The `eventsourcing` library's own test cases for recorders pass on ours.

Not run: its checks of factories (we wire recorders ourselves) and its optional subscription test (SQLite has no
subscriptions; our consumers use EventStore.wait).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import AggregateRecorder, ProcessRecorder, StoredEvent

from events.recorders.memory import MemoryRecorder
from events.recorders.sqlite import SqliteRecorder

pytest.importorskip("Crypto", reason="the library's test cases import pycryptodome, a development dependency")

from eventsourcing.tests import persistence as cases


class Ours:
    """What the library's cases ask for: a fresh recorder, and ids of our kind (streams have names, not UUIDs)."""

    recorder: ProcessRecorder

    def new_originator_id(self) -> str:
        return f"order-{uuid4()}"

    def create_recorder(self) -> Any:
        return self.recorder


class OnMemory(Ours):
    @pytest.fixture(autouse=True)
    def _open(self) -> None:
        self.recorder = MemoryRecorder()


class OnSqlite(Ours):
    @pytest.fixture(autouse=True)
    def _open(self, tmp_path: Path) -> Iterator[None]:
        recorder = SqliteRecorder(tmp_path / "log.db")
        self.recorder = recorder
        yield
        recorder.close()


@pytest.mark.postgres
class OnPostgres(Ours):
    @pytest.fixture(autouse=True)
    def _open(self, postgres_url: str) -> Iterator[None]:
        from events.recorders.postgres import open_postgres

        recorder = open_postgres(postgres_url)
        self.recorder = recorder
        yield
        recorder.close()


class Silent(AggregateRecorder):
    """The library's aggregate recorders return no positions, and its case insists on that; ours always do."""

    def __init__(self, recorder: ProcessRecorder) -> None:
        self._recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        self._recorder.insert_events(stored_events, **kwargs)

    def select_events(self, originator_id: UUID | str, **kwargs: Any) -> Sequence[StoredEvent]:
        return self._recorder.select_events(originator_id, **kwargs)


class Aggregates(Ours):
    def create_recorder(self) -> AggregateRecorder:
        return Silent(self.recorder)


class TestAggregatesOnMemory(OnMemory, Aggregates, cases.AggregateRecorderTestCase):
    pass


class TestApplicationOnMemory(OnMemory, cases.ApplicationRecorderTestCase[Any]):
    pass


class TestTrackingOnMemory(OnMemory, cases.TrackingRecorderTestCase):
    pass


class TestProcessOnMemory(OnMemory, cases.ProcessRecorderTestCase):
    pass


class TestOrderOnMemory(OnMemory, cases.NonInterleavingNotificationIDsBaseCase):
    pass


class TestAggregatesOnSqlite(OnSqlite, Aggregates, cases.AggregateRecorderTestCase):
    pass


class TestApplicationOnSqlite(OnSqlite, cases.ApplicationRecorderTestCase[Any]):
    pass


class TestTrackingOnSqlite(OnSqlite, cases.TrackingRecorderTestCase):
    pass


class TestProcessOnSqlite(OnSqlite, cases.ProcessRecorderTestCase):
    pass


class TestOrderOnSqlite(OnSqlite, cases.NonInterleavingNotificationIDsBaseCase):
    pass


class TestAggregatesOnPostgres(OnPostgres, Aggregates, cases.AggregateRecorderTestCase):
    pass


class TestApplicationOnPostgres(OnPostgres, cases.ApplicationRecorderTestCase[Any]):
    pass


class TestTrackingOnPostgres(OnPostgres, cases.TrackingRecorderTestCase):
    pass


class TestProcessOnPostgres(OnPostgres, cases.ProcessRecorderTestCase):
    pass


class TestOrderOnPostgres(OnPostgres, cases.NonInterleavingNotificationIDsBaseCase):
    pass
