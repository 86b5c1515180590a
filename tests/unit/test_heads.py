"""What an append need not ask the database about (events/heads.py), and what it must ask when it is opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from events.base import NewEvent, Recorded, Write
from events.heads import Heads
from events.order import OrderAccepted
from events.store import VersionConflict, open_store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
EVENT = NewEvent(OrderAccepted(order_id="0" * 36), NOON, "c", "c", "test")


def recorded(stream: str, version: int) -> Recorded:
    return Recorded(1, stream, version, EVENT.event.type, EVENT.event, NOON, NOON, "c", "c", "test")


def test_a_new_stream_and_one_that_we_wrote_need_no_asking() -> None:
    heads = Heads()
    heads.note([recorded("mine", 1), recorded("mine", 2)])
    writes = [Write("new", 0, [EVENT]), Write("mine", 2, [EVENT])]
    assert heads.unproven({"new": 0, "mine": 2}, writes) == {}


def test_what_we_did_not_write_is_asked_about() -> None:
    heads = Heads()
    heads.note([recorded("mine", 2)])
    writes = [Write("mine", 3, [EVENT]), Write("other", 1, [EVENT])]
    assert heads.unproven({"mine": 3, "other": 1}, writes) == {"mine": 3, "other": 1}


def test_a_stream_that_is_only_watched_is_asked_about_always() -> None:
    heads = Heads()
    heads.note([recorded("mine", 2)])
    assert heads.unproven({"mine": 2, "none": 0}, [Write("mine", 2, []), Write("none", 0, [])]) == {
        "mine": 2,
        "none": 0,
    }


def test_what_was_forgotten_is_asked_about_again() -> None:
    heads = Heads()
    heads.MAX_STREAMS = 2
    for number in range(5):
        heads.note([recorded(f"s{number}", 1)])
    writes = [Write("s0", 1, [EVENT]), Write("s4", 1, [EVENT])]
    assert heads.unproven({"s0": 1, "s4": 1}, writes) == {"s0": 1}


def test_the_primary_key_fences_a_stream_that_another_process_has_moved_on(tmp_path: Path) -> None:
    store, rival = (open_store(f"sqlite:///{tmp_path}/w.db") for _ in range(2))
    store.append([Write("s", 0, [EVENT])])
    rival.append([Write("s", 1, [EVENT])])
    with pytest.raises(VersionConflict) as caught:
        store.append([Write("s", 1, [EVENT, EVENT]), Write("t", 0, [EVENT])])
    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("s", 1, 2)
    assert store.stream_versions(["s", "t"]) == {"s": 2}
    assert store.append([Write("t", 0, [EVENT])])[0].version == 1


def test_a_new_stream_that_somebody_else_began_is_a_conflict(tmp_path: Path) -> None:
    store, rival = (open_store(f"sqlite:///{tmp_path}/w.db") for _ in range(2))
    rival.append([Write("s", 0, [EVENT])])
    with pytest.raises(VersionConflict) as caught:
        store.append([Write("s", 0, [EVENT])])
    assert (caught.value.expected, caught.value.actual) == (0, 1)


def test_a_clock_that_was_set_back_does_not_take_the_log_s_time_back(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    [first] = open_store(url, now=lambda: NOON).append([Write("s", 0, [EVENT])])
    [second] = open_store(url, now=lambda: NOON - timedelta(hours=1)).append([Write("s", 1, [EVENT])])
    assert first.recorded_at == second.recorded_at == NOON
