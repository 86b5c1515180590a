"""The engine lets everybody work in turn, waits for who is put off, and ends when it does not know what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from events.store import StoreUnavailable
from services.runtime.engine import Consumer, Engine, StillFailing


class Worker:
    """Has so much to do; `fault` is raised instead while it says so."""

    def __init__(self, name: str, work: int = 0) -> None:
        self.name = name
        self.work = work
        self.steps = 0
        self.fault: Callable[[int], Exception | None] = lambda step: None

    def step(self) -> int:
        self.steps += 1
        fault = self.fault(self.steps)
        if fault is not None:
            raise fault
        if not self.work:
            return 0
        self.work -= 1
        return 1


class Caller(Worker):
    """Waits for an answer from outside."""

    busy = 1


def engine(*consumers: Consumer, followers: tuple[Consumer, ...] = (), bell: threading.Event | None = None) -> Engine:
    return Engine(consumers, followers=followers, operating_faults=(StoreUnavailable,), bell=bell or threading.Event())


def away_until(step: int) -> Callable[[int], Exception | None]:
    return lambda now: StoreUnavailable("the disk is full") if now < step else None


def test_it_runs_until_nobody_has_anything_to_do() -> None:
    one, two = Worker("one", 3), Worker("two", 5)
    engine(one, two).run_until_idle()
    assert (one.work, two.work) == (0, 0)


def test_followers_wait_until_the_others_rest() -> None:
    leader, follower = Worker("leader", 3), Worker("follower", 1)
    runs = engine(leader, followers=(follower,))
    for _ in range(3):
        runs.pump()
        assert follower.steps == 0
    runs.run_until_idle()
    assert follower.work == 0


def test_under_steady_load_followers_have_their_turn_all_the_same() -> None:
    leader, follower = Worker("leader", 1_000), Worker("follower", 2)
    runs = engine(leader, followers=(follower,))
    for _ in range(2 * Engine.TURNS_PER_FOLLOWER_STEP):
        runs.pump()
    assert follower.work == 0


def test_who_meets_an_operating_fault_is_put_off_and_the_others_go_on() -> None:
    away, well = Worker("away", 1), Worker("well", 50)
    away.fault = away_until(3)
    runs = engine(away, well)
    runs.pump()
    assert list(runs.failing()) == ["away"]
    assert isinstance(runs.failing()["away"], StoreUnavailable)
    assert well.work == 49
    runs.run_until_idle()
    assert (away.work, well.work) == (0, 0)
    assert runs.failing() == {}


def test_the_pauses_grow_and_are_forgotten_after_a_success() -> None:
    away = Worker("away", 1)
    away.fault = away_until(4)
    runs = engine(away)
    started = time.monotonic()
    runs.run_until_idle()
    assert time.monotonic() - started >= 0.05 + 0.1 + 0.2 - 0.02
    away.work, away.fault = 1, away_until(away.steps + 2)
    started = time.monotonic()
    runs.run_until_idle()
    assert time.monotonic() - started < 0.2


def test_a_patience_that_is_over_says_who_and_why() -> None:
    away = Worker("away")
    away.fault = away_until(10_000)
    with pytest.raises(StillFailing, match=r"away could not go on for 0.2 s: the disk is full"):
        engine(away).run_until_idle(patience_s=0.2)


def test_a_fault_that_it_does_not_know_ends_it() -> None:
    broken = Worker("broken", 1)
    broken.fault = lambda step: ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError):
        engine(broken).run_until_idle()


def test_it_is_not_idle_while_somebody_waits_for_an_answer() -> None:
    bell = threading.Event()
    caller = Caller("caller")

    def answer() -> None:
        caller.work = 1
        caller.busy = 0
        bell.set()

    timer = threading.Timer(0.05, answer)
    timer.start()
    engine(caller, bell=bell).run_until_idle()
    timer.join()
    assert caller.work == 0


def test_it_runs_until_it_is_stopped() -> None:
    bell, stop, worker = threading.Event(), threading.Event(), Worker("worker")
    thread = threading.Thread(target=engine(worker, bell=bell).run, args=(stop,))
    thread.start()
    worker.work = 3
    bell.set()
    deadline = time.monotonic() + 5
    while worker.work and time.monotonic() < deadline:
        time.sleep(0.001)
    stop.set()
    bell.set()
    thread.join(timeout=5)
    assert not thread.is_alive()
    assert worker.work == 0


def test_it_sleeps_no_longer_than_until_the_next_deadline() -> None:
    stop, worker = threading.Event(), Worker("worker")
    thread = threading.Thread(target=engine(worker).run, args=(stop,), kwargs={"next_due_s": lambda: 0.005})
    thread.start()
    time.sleep(0.3)
    stop.set()
    thread.join(timeout=5)
    assert worker.steps > 5
