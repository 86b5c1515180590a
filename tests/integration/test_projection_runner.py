"""Projections in a real Redis: fed, killed, flushed, restored, rebuilt. Whatever happens, what they show in the end is
what a replay of the whole log shows.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from events.base import Recorded, Write
from events.codec import Unreadable
from events.order import OrderAccepted, OrderKey, OrderPlaced
from events.runtime import EventParked
from events.store import open_store
from projections.catalogue import PROJECTIONS
from projections.memory_views import MemoryViews
from projections.order_row import OrderRow
from projections.order_status import ORDER_STATUS, OrderLines, OrderReads, Orders
from projections.reader import Progress
from projections.rebuild import rebuild
from projections.redis_child import read_running
from projections.redis_server import EmbeddedRedis
from projections.redis_views import RedisViews
from projections.runner import ProjectionRunner
from projections.stock_levels import STOCK_LEVELS
from projections.table import Projection, Rows, Timelines
from projections.views import (
    Batch,
    Commit,
    StaleWriter,
    Views,
    ViewsBusy,
    ViewsHeld,
    ViewsUnavailable,
)
from tests.examples import new_event, placed
from tests.folding import ListLog, catch_up, trade

ORDERS = 30


class Stage:
    """A Redis of its own, and a log to show in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.server = EmbeddedRedis(home)
        self.views = RedisViews(self.server)
        self.log = ListLog()
        self.log.add(*trade(ORDERS))

    def runner(self, limit: int = 100) -> ProjectionRunner:
        return ProjectionRunner(self.log, self.views, PROJECTIONS, limit=limit)

    def rebuild(self, **options: Any) -> Any:
        return rebuild(self.log, self.views, PROJECTIONS, **options)

    def redis(self, *command: Any) -> Any:
        return self.views._do(*command)

    def kill_redis(self) -> None:
        pid = read_running(self.home / "redis" / "server.lock").pid
        os.kill(pid, signal.SIGKILL)

    def contents(self) -> dict[str, object]:
        """Everything in the live generation, by the names of its keys."""
        prefix = f"waybill:{self.views.standing().generation}:"
        keys = [key.decode() for key in self.redis("KEYS", prefix + "*")]
        return {key.removeprefix(prefix): self._content(key) for key in keys}

    def _content(self, key: str) -> object:
        match self.redis("TYPE", key):
            case b"zset":
                return self.redis("ZRANGE", key, 0, -1)
            case b"hash":
                return {name.decode(): int(value) for name, value in self.redis("HGETALL", key).items()}
            case _:
                return self.redis("GET", key)

    def replayed(self) -> dict[str, object]:
        """What a replay of the whole log shows."""
        views = MemoryViews()
        catch_up(ProjectionRunner(self.log, views, PROJECTIONS, limit=10_000))
        return views.contents()

    def generations(self) -> set[str]:
        return {key.decode().split(":")[1] for key in self.redis("KEYS", "waybill:[0-9]*")}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.views.close()
    stage.server.close()


# --- feeding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 7, 1000])
def test_the_size_of_the_steps_makes_no_difference(stage: Stage, limit: int) -> None:
    assert catch_up(stage.runner(limit)) == len(stage.log.events)
    assert stage.contents() == stage.replayed()
    assert stage.runner(limit).step() == 0


def test_rows_that_fell_out_of_memory_are_loaded_again(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for projection in PROJECTIONS:
        for table in projection.tables:
            monkeypatch.setattr(table, "cached_rows", 2)
    catch_up(stage.runner(limit=5))
    assert stage.contents() == stage.replayed()


def test_a_crash_between_any_two_steps_changes_nothing(stage: Stage) -> None:
    while stage.runner(limit=11).step():
        pass  # each step by another process
    assert stage.contents() == stage.replayed()


def test_events_delivered_again_change_nothing(stage: Stage) -> None:
    """Two processes on one log and one Redis: each is given what the other has shown already."""
    one, other = stage.runner(limit=13), stage.runner(limit=17)
    while one.step() + other.step():
        pass
    assert stage.contents() == stage.replayed()


def test_two_runners_at_once_change_nothing(stage: Stage) -> None:
    faults: list[Exception] = []

    def run() -> None:
        runner, progress, head = stage.runner(limit=9), Progress(stage.views), stage.log.last_position()
        while any(progress.lag(PROJECTIONS, head).values()):
            try:
                runner.step()
            except ViewsUnavailable as fault:
                if "keeps writing" not in str(fault):
                    faults.append(fault)
                    return

    runners = [threading.Thread(target=run) for _ in range(2)]
    for thread in runners:
        thread.start()
    for thread in runners:
        thread.join()
    assert faults == []
    assert stage.contents() == stage.replayed()


def test_a_log_in_a_real_store_is_shown(stage: Stage) -> None:
    store = open_store("memory:")
    order = placed()
    store.append([Write("order-1", 0, [new_event(order), new_event(OrderAccepted(order_id=order.order_id))])])
    catch_up(ProjectionRunner(store, stage.views, PROJECTIONS))
    row = OrderReads(stage.views).get(order.order_id)
    assert row is not None
    assert row["status"] == "accepted"
    store.close()


def test_checkpoints_pass_over_what_nobody_shows(stage: Stage) -> None:
    catch_up(stage.runner())
    parked = EventParked(consumer="order", position=1, stream="s", event_type="t", reason="r")
    stage.log.add(*[parked] * 3)
    assert stage.runner().step() == 0
    progress, head = Progress(stage.views), stage.log.last_position()
    assert progress.checkpoints(PROJECTIONS) == {"order_status": head, "stock_levels": head}
    assert progress.lag(PROJECTIONS, head + 2) == {"order_status": 2, "stock_levels": 2}
    assert progress.wait_for(ORDER_STATUS, head, timeout_s=0)
    assert not progress.wait_for(ORDER_STATUS, head + 1, timeout_s=0.02)


def test_who_waits_for_a_position_is_let_go_when_it_is_shown(stage: Stage) -> None:
    seen: list[bool] = []
    progress, head = Progress(stage.views), stage.log.last_position()
    waiting = threading.Thread(target=lambda: seen.append(progress.wait_for(STOCK_LEVELS, head, timeout_s=10)))
    waiting.start()
    catch_up(stage.runner())
    waiting.join()
    assert seen == [True]


def test_a_projection_that_is_new_catches_up_before_all_go_on(stage: Stage) -> None:
    everything = stage.log.events
    stage.log.events = everything[: len(everything) // 2]
    catch_up(ProjectionRunner(stage.log, stage.views, [ORDER_STATUS], limit=50))
    stage.log.events = everything
    runner = stage.runner(limit=50)
    runner.step()
    checkpoints = Progress(stage.views).checkpoints(PROJECTIONS)
    assert checkpoints["stock_levels"] <= checkpoints["order_status"]
    catch_up(runner)
    assert stage.contents() == stage.replayed()


# --- events that cannot be taken ---------------------------------------------------------------------------------


def spoil(stage: Stage, position: int) -> Recorded:
    spoilt = stage.log.events[position - 1]._replace(event=Unreadable(reason="position 9: lines: wrong"))
    stage.log.events[position - 1] = spoilt
    return spoilt


def test_what_cannot_be_decoded_is_left_out_listed_and_counted(stage: Stage) -> None:
    spoilt = next(one for one in stage.log.events if one.type == "inventory.stock_allocated.v1")
    spoil(stage, spoilt.position)
    catch_up(stage.runner())
    for projection in PROJECTIONS:  # both show allocations
        count, newest = Progress(stage.views).unreadable(projection)
        assert count == 1
        assert newest == [
            {
                "position": spoilt.position,
                "stream": spoilt.stream,
                "type": "inventory.stock_allocated.v1",
                "reason": "position 9: lines: wrong",
            }
        ]
    assert stage.contents() == stage.replayed()
    assert Progress(MemoryViews()).unreadable(ORDER_STATUS) == (0, [])


def test_what_another_projection_wanted_is_not_missed_by_this_one(stage: Stage) -> None:
    spoil(stage, 1)  # an order placed
    catch_up(stage.runner())
    assert Progress(stage.views).unreadable(ORDER_STATUS)[0] == 1
    assert Progress(stage.views).unreadable(STOCK_LEVELS)[0] == 0


class Delicate(Orders):
    """Cannot take some orders: a fault of ours."""

    def __init__(self, *numbers: str) -> None:
        self.numbers = numbers

    def apply(self, recorded: Recorded, rows: Rows[OrderRow], timelines: Timelines) -> None:
        super().apply(recorded, rows, timelines)
        if isinstance(recorded.event, OrderPlaced) and recorded.event.number in self.numbers:
            raise ZeroDivisionError("never print this")


def test_what_a_table_cannot_take_is_left_out_of_the_whole_projection(stage: Stage) -> None:
    delicate = Projection("order_status", (OrderLines(), Delicate("3", "5")))
    catch_up(ProjectionRunner(stage.log, stage.views, [delicate, STOCK_LEVELS]))
    count, newest = Progress(stage.views).unreadable(delicate)
    assert count == 2
    assert "ZeroDivisionError" in newest[0]["reason"]
    assert "never print this" not in str(newest)
    reads = OrderReads(stage.views)
    assert reads.lines(OrderKey("web", "3").order_id)["lines"] == []
    row = reads.find("web", "3")
    assert row is not None
    assert row["number"] is None  # known from its later events alone
    assert reads.find("web", "4") is not None
    assert Progress(stage.views).checkpoints(PROJECTIONS)["stock_levels"] == stage.log.last_position()


def test_a_projection_that_can_take_nothing_stops(stage: Stage) -> None:
    broken = Projection("order_status", (Delicate(*map(str, range(ORDERS + 1))),))
    with pytest.raises(RuntimeError, match="order_status cannot take"):
        catch_up(ProjectionRunner(stage.log, stage.views, [broken]))


# --- a Redis that forgets, goes back, goes away -------------------------------------------------------------------


@pytest.mark.parametrize("steps", [0, 1, 3])
def test_a_flushed_redis_is_filled_again(stage: Stage, steps: int) -> None:
    runner = stage.runner(limit=60)
    for _ in range(steps):
        runner.step()
    stage.redis("FLUSHALL")
    catch_up(runner)
    assert stage.contents() == stage.replayed()


def test_a_redis_that_is_flushed_while_nothing_happens_is_filled_again(stage: Stage) -> None:
    runner = stage.runner()
    catch_up(runner)
    stage.redis("FLUSHALL")
    catch_up(runner)
    assert stage.contents() == stage.replayed()


def saved(stage: Stage) -> dict[bytes, bytes]:
    return {key: stage.redis("DUMP", key) for key in stage.redis("KEYS", "*")}


def restore(stage: Stage, backup: dict[bytes, bytes]) -> None:
    stage.redis("FLUSHALL")
    for key, content in backup.items():
        stage.redis("RESTORE", key, 0, content)


@pytest.mark.parametrize("more", [0, 5])
def test_a_redis_that_was_restored_from_a_backup_is_brought_up_to_date(stage: Stage, more: int) -> None:
    runner = stage.runner(limit=50)
    runner.step()
    runner.step()
    runner._replica.settle()  # type: ignore[union-attr]
    backup = saved(stage)
    catch_up(runner)
    restore(stage, backup)
    stage.log.add(*trade(more, first=1000) if more else [])
    catch_up(runner)
    assert stage.contents() == stage.replayed()


def test_views_that_are_ahead_of_a_restored_log_are_built_anew(stage: Stage) -> None:
    runner = stage.runner()
    catch_up(runner)
    del stage.log.events[100:]
    catch_up(runner)
    assert stage.contents() == stage.replayed()
    assert stage.generations() == {str(stage.views.standing().generation)}


def test_a_redis_that_dies_is_started_again_and_nothing_is_missed(stage: Stage) -> None:
    runner = stage.runner(limit=20)
    faults = 0
    for _ in range(1000):
        try:
            if not runner.step():
                break
        except ViewsUnavailable:
            faults += 1
            continue
        if faults < 3:
            stage.kill_redis()
    assert faults >= 3
    assert stage.contents() == stage.replayed()


class Away:
    """A Redis that is not there until it is."""

    def __init__(self, server: EmbeddedRedis) -> None:
        self.server = server
        self.is_away = True

    def url(self) -> str:
        return "unix:///nowhere/redis.sock" if self.is_away else self.server.url()

    def close(self) -> None:
        """Somebody else's."""


def test_a_redis_that_is_away_at_the_start_is_waited_for(stage: Stage) -> None:
    away = Away(stage.server)
    runner = ProjectionRunner(stage.log, RedisViews(away), PROJECTIONS)
    for _ in range(3):
        with pytest.raises(ViewsUnavailable, match="Redis does not answer"):
            runner.step()
    away.is_away = False
    catch_up(runner)
    assert stage.contents() == stage.replayed()


class Unsure(MemoryViews):
    """Commits, then loses the answer: whoever waits does not learn that it was made."""

    losses = 0

    def commit(self, batch: Batch) -> Commit:
        super().commit(batch).wait()
        self.losses += 1
        return Lost()


class Lost:
    def wait(self) -> None:
        raise ViewsUnavailable("no answer")


def test_a_commit_whose_answer_was_lost_is_not_made_twice(stage: Stage) -> None:
    views = Unsure()
    runner = ProjectionRunner(stage.log, views, PROJECTIONS, limit=50)
    for _ in range(1000):
        try:
            if not runner.step():
                break
        except ViewsUnavailable:
            continue
    assert views.losses > 5
    assert views.contents() == stage.replayed()


# --- rebuilding --------------------------------------------------------------------------------------------------


def test_a_rebuild_gives_the_same_again(stage: Stage) -> None:
    catch_up(stage.runner(limit=17))
    before = stage.contents()
    told: list[tuple[int, int]] = []
    rebuilt = stage.rebuild(limit=100, on_progress=lambda position, head: told.append((position, head)))
    assert rebuilt["identical"] is True
    assert rebuilt["differences"] == []
    assert rebuilt["events"] == len(stage.log.events)
    assert rebuilt["events_per_s"] > 0
    assert rebuilt["compared_keys"] == len(before)
    assert stage.contents() == before
    assert stage.generations() == {"2"}
    head = stage.log.last_position()
    assert told[0] == (100, head)
    assert told[-1] == (head, head)


def test_a_rebuild_finds_and_repairs_what_was_spoilt(stage: Stage) -> None:
    catch_up(stage.runner())
    key = OrderKey("web", "3").order_id
    stage.redis("SET", f"waybill:1:orders:row:{key}", b'{"status":"wrong"}')
    stage.redis("HINCRBY", "waybill:1:orders:totals", "orders", 1)
    stage.redis("SET", "waybill:1:stock:row:GHOST", b"{}")
    stage.redis("DEL", "waybill:1:stock:row:BELL")
    rebuilt = stage.rebuild()
    assert rebuilt["identical"] is False
    assert set(rebuilt["differences"]) == {
        f"orders:row:{key}",
        "orders:totals",
        "stock:row:GHOST",
        "stock:row:BELL",
    }
    assert stage.contents() == stage.replayed()


def test_the_rebuild_of_an_empty_redis_compares_with_nothing(stage: Stage) -> None:
    rebuilt = stage.rebuild()
    assert (rebuilt["identical"], rebuilt["compared_keys"]) == (True, 0)
    assert stage.contents() == stage.replayed()


def test_the_rebuild_of_an_empty_log_is_no_trouble(stage: Stage) -> None:
    stage.log.events.clear()
    rebuilt = stage.rebuild()
    assert (rebuilt["identical"], rebuilt["events"]) == (True, 0)
    assert stage.runner().step() == 0


def test_views_that_lag_are_brought_up_before_they_are_compared(stage: Stage) -> None:
    stage.runner(limit=50).step()
    rebuilt = stage.rebuild()
    assert rebuilt["identical"] is True
    assert rebuilt["compared_keys"] == len(stage.replayed())
    assert stage.contents() == stage.replayed()


def test_views_that_are_ahead_of_the_log_are_replaced_by_a_rebuild(stage: Stage) -> None:
    catch_up(stage.runner())
    del stage.log.events[100:]
    rebuilt = stage.rebuild()
    assert rebuilt["identical"] is False
    assert "ahead of the log" in rebuilt["differences"][0]
    assert stage.contents() == stage.replayed()


def test_a_rebuild_goes_on_while_events_keep_coming(stage: Stage) -> None:
    """Another process keeps the live views up to date, a third one reads them; none of them is told of the rebuild."""
    done, faults = threading.Event(), list[Exception]()
    reads, key = OrderReads(stage.views), OrderKey("web", "3").order_id
    missing = 0

    def live() -> None:
        runner = stage.runner(limit=20)
        coming = iter(trade(300, first=100))
        while not done.is_set():
            stage.log.add(*[event for _, event in zip(range(5), coming, strict=False)])
            try:
                runner.step()
            except ViewsHeld:
                continue
            except ViewsUnavailable as fault:
                faults.append(fault)
                return

    def read() -> None:
        nonlocal missing
        while not done.is_set():
            missing += reads.get(key) is None
            missing += not reads.newest(3).rows

    catch_up(stage.runner())
    threads = [threading.Thread(target=live), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    rebuilds = [stage.rebuild(limit=100) for _ in range(3)]
    done.set()
    for thread in threads:
        thread.join()
    assert faults == []
    assert [rebuilt["differences"] for rebuilt in rebuilds] == [[], [], []]
    assert missing == 0
    catch_up(stage.runner())
    assert stage.contents() == stage.replayed()
    assert stage.generations() == {"4"}


def test_a_second_rebuild_at_the_same_time_is_refused(stage: Stage) -> None:
    stage.views.begin_generation("somebody", 30.0)
    with pytest.raises(ViewsBusy, match="another rebuild"):
        stage.rebuild()


class CrashingViews:
    """Views whose process dies at the n-th write."""

    def __init__(self, views: Views, writes: int) -> None:
        self._views = views
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        if name in {"commit", "hold", "switch"}:
            self._writes -= 1
            if self._writes < 0:
                raise KeyboardInterrupt
        return getattr(self._views, name)


@pytest.mark.parametrize("writes", range(8))
def test_a_rebuild_that_dies_leaves_the_live_views_alone_and_the_next_one_cleans_up(stage: Stage, writes: int) -> None:
    catch_up(stage.runner())
    before = stage.contents()
    crashing: Any = CrashingViews(stage.views, writes)
    with pytest.raises(KeyboardInterrupt):
        rebuild(stage.log, crashing, PROJECTIONS, limit=100)
    assert stage.contents() == before
    stage.redis("DEL", "waybill:builder", "waybill:hold")  # their time is up
    assert stage.rebuild()["identical"] is True
    assert len(stage.generations()) == 1


def test_a_redis_that_is_flushed_during_a_rebuild_ends_the_rebuild(stage: Stage) -> None:
    catch_up(stage.runner())

    def flush(position: int, head: int) -> None:
        if position == 200:
            stage.redis("FLUSHALL")

    with pytest.raises(StaleWriter):
        stage.rebuild(limit=100, on_progress=flush)
    catch_up(stage.runner())
    assert stage.contents() == stage.replayed()
