"""A group on a real broker: slots are handed over, and whatever happens each event is handled once."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deploy.local.servers import KafkaServer, PostgresServer
from events.cloudevents import Headers, Writer
from events.kafka import GroupTiming, KafkaSettings, ensure_topics
from events.kafka.consumer import Consumer
from events.relay import Message
from events.store import EventStore, open_store
from tests.kafka_tools import (
    QUICK,
    Process,
    append_orders,
    assert_each_once,
    is_shared,
    outcome,
    process,
    produce,
    relaying,
    until,
)

pytestmark = pytest.mark.cluster


class Shop:
    """A log that is relayed to one inbox, and the processes that work on it."""

    def __init__(self, bootstrap: str, topic: str, store: EventStore) -> None:
        self.settings = KafkaSettings(bootstrap)
        self.topic = topic
        self.store = store
        self.running: list[Process] = []
        self.orders = 0
        self.failures: list[str] = []

    def start(self, *, timing: GroupTiming = QUICK, pause_s: float = 0.0) -> Process:
        one = process(self.settings, self.topic, self.store, timing=timing, pause_s=pause_s)
        self.running.append(one)
        return one

    def stop(self, one: Process) -> None:
        self.running.remove(one)
        one.close()

    def sell(self, count: int) -> None:
        append_orders(self.store, self.orders, count)
        self.orders += count

    def is_done(self) -> bool:
        return self.done() >= self.orders

    def done(self) -> int:
        return outcome(self.store)[1].total()


@contextmanager
def shop(bootstrap: str, topic: str, store: EventStore | None = None, *, partitions: int = 12) -> Iterator[Shop]:
    """At the end everything must have been handled, each event once."""
    one = Shop(bootstrap, topic, store or open_store("memory:"))
    ensure_topics(one.settings, [topic], partitions=partitions, patience_s=10.0)
    with relaying(one.settings, topic, one.store) as one.failures:
        try:
            yield one
            until(one.is_done)
        finally:
            for each in list(one.running):
                one.stop(each)
    assert_each_once(one.store)


def gets_messages(one: Shop, by: Process) -> Callable[[], bool]:
    """Whether a process does from now on, while there are always some."""
    before = by.heard.messages

    def does() -> bool:
        one.sell(5)
        return by.heard.messages > before + 50

    return does


def test_events_come_by_the_broker_and_are_handled_once(real_kafka: KafkaServer, topic_prefix: str) -> None:
    with shop(real_kafka.bootstrap, topic_prefix + "t") as one:
        first, second = one.start(), one.start()
        until(lambda: is_shared(first, second))
        until(lambda: first.group.trouble is None and second.group.trouble is None)
        one.sell(3_000)
        until(one.is_done)
        assert first.workers.looks == second.workers.looks == 0
        assert first.heard.messages + second.heard.messages >= 3_000
        assert first.heard.troubles == second.heard.troubles == []
        assert first.workers.refused == second.workers.refused == 0


def test_slots_are_handed_over_within_three_seconds(real_kafka: KafkaServer, topic_prefix: str) -> None:
    with shop(real_kafka.bootstrap, topic_prefix + "t") as one:
        first, second, third = one.start(), one.start(), one.start()
        until(lambda: is_shared(first, second, third))
        kept = first.group.slots
        began_s = time.monotonic()
        one.stop(second)
        until(lambda: is_shared(first, third), what="the hand-over")
        assert time.monotonic() - began_s < 3.0
        assert second.group.slots == frozenset()
        assert kept < first.group.slots, "nothing moves without need"


def test_a_restart_goes_on_where_it_was(real_kafka: KafkaServer, topic_prefix: str) -> None:
    with shop(real_kafka.bootstrap, topic_prefix + "t") as one:
        first = one.start()
        until(lambda: first.group.trouble is None)
        one.sell(1_000)
        until(one.is_done)
        one.stop(first)
        one.sell(10)
        second = one.start()
        until(lambda: second.group.trouble is None)
        until(one.is_done)
        time.sleep(1.5)  # whatever would be delivered again
        assert second.heard.messages < 500


def test_members_that_come_and_go_do_nothing_twice(real_kafka: KafkaServer, topic_prefix: str) -> None:
    draw = random.Random(7)
    with shop(real_kafka.bootstrap, topic_prefix + "t") as one:
        one.start()
        for _ in range(12):
            if len(one.running) > 1 and draw.random() < 0.5:
                one.stop(draw.choice(one.running))
            else:
                one.start()
            for _ in range(10):
                one.sell(20)
                time.sleep(0.03)
        until(lambda: is_shared(*one.running))


def test_a_broker_that_is_killed_comes_back_to_its_group(own_kafka: KafkaServer) -> None:
    with shop(own_kafka.bootstrap, "t") as one:
        first, second = one.start(), one.start()
        until(lambda: is_shared(first, second))
        for _ in range(3):
            one.sell(200)
            own_kafka.kill()
            one.sell(200)
            until(one.is_done, what="working on from the log")
            own_kafka.start()
            for each in (first, second):
                until(gets_messages(one, each), 15.0, "getting messages again")
        until(lambda: is_shared(first, second))


def test_a_broker_that_hangs_is_waited_for(own_kafka: KafkaServer) -> None:
    with shop(own_kafka.bootstrap, "t") as one:
        first = one.start()
        until(lambda: is_shared(first))
        own_kafka.pause()
        one.sell(100)
        until(one.is_done, what="working on from the log")
        until(lambda: first.group.trouble, what="noticing")
        began_s = time.monotonic()
        own_kafka.resume()
        until(lambda: first.group.trouble is None, 15.0, "being a member again")
        assert time.monotonic() - began_s < 15.0


def test_a_close_does_not_wait_for_a_broker_that_hangs(own_kafka: KafkaServer) -> None:
    with shop(own_kafka.bootstrap, "t") as one:
        first = one.start()
        until(lambda: is_shared(first))
        own_kafka.pause()
        began_s = time.monotonic()
        one.stop(first)
        assert time.monotonic() - began_s < 5.0
        own_kafka.resume()
        one.start()


# --- a process that sleeps, or is gone -------------------------------------------------------------------------------


@contextmanager
def child(one: Shop, url: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.kafka_tools", one.settings.bootstrap, one.topic]
    with subprocess.Popen(command, stdin=subprocess.PIPE, cwd=Path(__file__).parents[2]) as running:
        assert running.stdin
        running.stdin.write(f"{url}\n".encode())
        running.stdin.flush()
        try:
            yield running
        finally:
            running.kill()


def test_a_process_that_slept_past_its_session_does_nothing_twice(
    real_kafka: KafkaServer, topic_prefix: str, own_postgres: PostgresServer
) -> None:
    url = own_postgres.url
    with (
        closing(open_store(url)) as store,
        shop(real_kafka.bootstrap, topic_prefix + "t", store) as one,
        child(one, url) as other,
    ):
        first = one.start()
        until(lambda: len(first.group.slots) == 6, what="sharing")
        for _ in range(2):
            one.sell(1_200)
            time.sleep(0.3)
            assert not one.is_done(), "the other one has something on its hands"
            other.send_signal(signal.SIGSTOP)
            until(lambda: is_shared(first), 15.0, "taking over")
            until(one.is_done)
            other.send_signal(signal.SIGCONT)
            until(lambda: len(first.group.slots) == 6, 15.0, "sharing again")


def test_the_slots_of_a_killed_process_are_taken_over(
    real_kafka: KafkaServer, topic_prefix: str, own_postgres: PostgresServer
) -> None:
    url = own_postgres.url
    with (
        closing(open_store(url)) as store,
        shop(real_kafka.bootstrap, topic_prefix + "t", store) as one,
        child(one, url) as other,
    ):
        first = one.start()
        until(lambda: len(first.group.slots) == 6, what="sharing")
        kept = first.group.slots
        one.sell(300)
        other.kill()
        one.sell(300)
        began_s = time.monotonic()
        until(one.is_done, 15.0, "taking over")
        took_s = time.monotonic() - began_s
        assert took_s < QUICK.session_timeout_s + 5.0
        slots = [gone for what, gone in first.workers.moves[1:] if what == "revoked"]
        assert not any(kept & gone for gone in slots[1:]), "the survivor's own slots never stood still"


# --- a consumer that gets nothing ------------------------------------------------------------------------------------


def wedged(damage: Callable[[Consumer], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first consumer is damaged a second after it joined, without a word."""
    join, joined = Consumer.join, list[Consumer]()

    async def joining(consumer: Consumer) -> None:
        await join(consumer)
        joined.append(consumer)
        if len(joined) == 1:
            asyncio.get_running_loop().call_later(1.0, damage, consumer)

    monkeypatch.setattr(Consumer, "join", joining)


def fetches_no_more(consumer: Consumer) -> None:
    assert consumer._made is not None
    consumer._made._fetcher._fetch_task.cancel()


def beats_no_more(consumer: Consumer) -> None:
    assert consumer._made is not None
    consumer._made._coordinator._coordination_task.cancel()


def waits_in_vain(consumer: Consumer) -> None:
    consumer._polling = asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("damage", [fetches_no_more, waits_in_vain])
def test_a_consumer_that_gets_nothing_is_made_anew(
    real_kafka: KafkaServer, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Consumer], None]
) -> None:
    wedged(damage, monkeypatch)
    with shop(real_kafka.bootstrap, topic_prefix + "t") as one:
        first = one.start()
        until(lambda: is_shared(first))
        time.sleep(1.5)
        one.sell(100)
        until(one.is_done, what="working on from the log")
        until(lambda: first.heard.remade_because, 15.0, "noticing")
        assert "nothing arrives" in first.heard.remade_because[0]
        until(lambda: first.group.trouble is None, 15.0, "being a member again")
        until(gets_messages(one, first), 15.0, "getting messages again")
        assert [what for what, _ in first.workers.moves] == ["assigned"], "its slots were its own all the time"


# --- what others leave in the inbox ----------------------------------------------------------------------------------


def test_what_strangers_send_stops_nobody(real_kafka: KafkaServer, topic_prefix: str) -> None:
    topic = topic_prefix + "t"
    other_log = Writer("/waybill/elsewhere").write(Message(topic, "", 0, 1_000_000, 0, None))
    garbage: list[tuple[Headers, bytes]] = [
        ([], b"hello"),
        ([("ce_position", b"soon")], b"{}"),
        ([("", b"")], b"\xff" * 500_000),
        (other_log.headers, other_log.value),
    ]
    with shop(real_kafka.bootstrap, topic) as one:
        first = one.start()
        until(lambda: first.group.trouble is None)
        produce(real_kafka.bootstrap, topic, garbage)
        one.sell(100)
        until(one.is_done)
        until(lambda: first.heard.illegible == len(garbage))
        assert first.heard.troubles == []


def test_a_slow_worker_has_the_broker_wait(real_kafka: KafkaServer, topic_prefix: str) -> None:
    with shop(real_kafka.bootstrap, topic_prefix + "t", partitions=1) as one:
        slow = one.start(pause_s=3.0)
        slow.workers.silent_s = 1_000.0  # what was read from the log needs no room
        until(lambda: slow.group.trouble is None)
        one.sell(32_000)
        until(lambda: one.store.tracked_position("relay") >= 32_000)
        time.sleep(1.5)  # whatever would come if nobody said stop
        # Half a window for each slot, then no more than is under way.
        assert slow.heard.messages <= 12 * 2_000 + 2 * Consumer.MAX_RECORDS
        slow.workers.pause_s = 0.0
        until(lambda: slow.heard.messages >= 32_000, what="going on")
        assert slow.heard.troubles == []
