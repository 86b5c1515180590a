"""What others send over a real broker is taken or refused, whatever it is, and whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local.servers import KafkaServer
from events.incoming import Incoming, Rejected
from events.kafka import Inlet, KafkaSettings, ensure_topics
from events.store_errors import StoreUnavailable
from tests.kafka_tools import QUICK, Heard, produce, records_in, until

pytestmark = pytest.mark.cluster


class Shop:
    """Takes everything but what says `bad`, unless its store is away."""

    def __init__(self) -> None:
        self.taken: list[Incoming] = []
        self.is_away = False
        self.attempts = 0
        self._lock = threading.Lock()

    def take(self, messages: Sequence[Incoming]) -> list[Rejected]:
        self.attempts += 1
        if self.is_away:
            raise StoreUnavailable("the store is away")
        with self._lock:
            self.taken += [one for one in messages if one.value != b"bad"]
        return [Rejected(one, "it is bad: größer geht's nicht") for one in messages if one.value == b"bad"]

    @property
    def values(self) -> list[bytes]:
        with self._lock:
            return sorted({one.value or b"" for one in self.taken})


class Street:
    """A topic with its rejects, and the shops along it."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self.settings = KafkaSettings(bootstrap)
        self.topic = topic
        self.rejected = f"{topic}.rejected"
        self.heard = Heard()

    @contextmanager
    def inlet(self, shop: Shop) -> Iterator[Inlet]:
        one = Inlet(
            self.settings,
            group=f"{self.topic}.group",
            topic=self.topic,
            rejected=self.rejected,
            take=shop.take,
            timing=QUICK,
            hooks=self.heard,
        )
        one.start()
        try:
            yield one
        finally:
            one.close()

    def send(self, *values: bytes) -> None:
        produce(self.settings.bootstrap, self.topic, [([], value) for value in values])

    def rejects(self) -> list[tuple[bytes | None, bytes | None, dict[str, bytes]]]:
        return [(one.key, one.value, dict(one.headers)) for one in records_in(self.settings.bootstrap, self.rejected)]


@pytest.fixture
def street(real_kafka: KafkaServer, topic_prefix: str) -> Street:
    found = Street(real_kafka.bootstrap, topic_prefix + "t")
    ensure_topics(found.settings, [found.topic, found.rejected], partitions=3)
    return found


def some(count: int, name: str = "order") -> list[bytes]:
    return sorted(b"%s-%d" % (name.encode(), number) for number in range(count))


def kcat(street: Street, value: bytes, *arguments: str | bytes) -> None:
    command = ["kcat", "-q", "-P", "-b", street.settings.bootstrap, "-t", street.topic, *arguments]
    subprocess.run(command, input=value, check=True, timeout=30)


def test_what_was_there_before_us_is_taken_as_well(street: Street) -> None:
    street.send(*some(1_200))
    shop = Shop()
    with street.inlet(shop) as inlet:
        until(lambda: shop.values == some(1_200))
        until(lambda: inlet.trouble is None)
    assert inlet.trouble == "closed"


def test_what_is_refused_lies_there_with_its_reason_and_holds_up_nobody(street: Street) -> None:
    headers: list[tuple[str, bytes]] = [("ce_id", b"7"), ("ce_id", b"8"), ("odd", b"\xff\x00")]
    produce(street.settings.bootstrap, street.topic, [([], b"good"), (headers, b"bad"), ([], b"better")])
    shop = Shop()
    with street.inlet(shop):
        until(lambda: shop.values == [b"better", b"good"])
        until(street.rejects)
    [one] = records_in(street.settings.bootstrap, street.rejected)
    assert (one.key, one.value) == (b"", b"bad")
    assert list(one.headers) == [
        *headers,
        ("waybill-reason", "it is bad: größer geht's nicht".encode()),
        ("waybill-topic", street.topic.encode()),
        ("waybill-partition", b"0"),
        ("waybill-offset", b"1"),
    ]


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_header_names_that_are_no_text_hold_up_nobody(street: Street, tmp_path: Path, compression: str) -> None:
    """aiokafka by itself would see nothing behind such a message, not even what came in one batch with it."""
    lines = tmp_path / "lines"
    lines.write_bytes(b"before\nbehind\n")
    kcat(street, b"", "-p", "0", "-z", compression, "-H", b"\xff\xfe=\xff", "-H", "good=1", "-l", str(lines))
    kcat(street, b"", "-p", "0", "-z", compression, "-H", "no value", "-l", str(lines))
    shop = Shop()
    with street.inlet(shop):
        until(lambda: len(shop.taken) == 4)
    assert [list(one.headers) for one in shop.taken] == [
        *[[("\\xff\\xfe", b"\xff"), ("good", b"1")]] * 2,
        *[[("no value", None)]] * 2,
    ]
    assert [(one.offset, one.value) for one in shop.taken] == list(enumerate([b"before", b"behind"] * 2))


def test_a_reject_that_is_too_large_for_its_topic_goes_there_without_its_value(
    real_kafka: KafkaServer, topic_prefix: str
) -> None:
    street = Street(real_kafka.bootstrap, topic_prefix + "t")
    asyncio.run(_make_topics(street, {street.topic: "20000000", street.rejected: "2000"}))
    large = [b"x" * 10_000_000, b"y"]

    def refuse(messages: Sequence[Incoming]) -> list[Rejected]:
        return [Rejected(one, "too large") for one in messages]

    shop = Shop()
    shop.take = refuse  # type: ignore[method-assign]
    for number, value in enumerate(large):
        odd = "-H", f"h={'h' * 3_000}"
        kcat(street, value, "-p", "0", "-k", "key", "-X", "message.max.bytes=20000000", *odd[: 2 * number])
    with street.inlet(shop):
        until(lambda: len(street.rejects()) == 2)
    left = street.rejects()
    assert [(key, value, headers["waybill-left-out"], headers["waybill-offset"]) for key, value, headers in left] == [
        (b"key", b"", b"value", b"0"),
        (None, b"", b"key, value, headers", b"1"),
    ]
    assert all("h" not in headers for _, _, headers in left)


async def _make_topics(street: Street, sizes: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(**street.settings.options(10))
    await admin.start()
    try:
        topics = [NewTopic(name, 1, 1, topic_configs={"max.message.bytes": size}) for name, size in sizes.items()]
        await admin.create_topics(topics)
    finally:
        await admin.close()


# --- when something is away ------------------------------------------------------------------------------------------


def test_while_the_store_is_away_everything_waits_and_nothing_is_lost(street: Street) -> None:
    shop = Shop()
    shop.is_away = True
    with street.inlet(shop) as inlet:
        street.send(*some(50), b"bad")
        until(lambda: shop.attempts >= 3)
        assert inlet.trouble is not None
        assert "wait for the store: the store is away" in inlet.trouble
        assert street.rejects() == []
        shop.is_away = False
        until(lambda: shop.values == some(50))
        until(lambda: inlet.trouble is None)
        assert len(shop.taken) == 50, "it was still a member: nothing came twice"
    assert street.heard.remade_because == []


def test_what_waited_when_it_was_closed_comes_to_the_next(street: Street) -> None:
    shop = Shop()
    shop.is_away = True
    street.send(*some(50))
    with street.inlet(shop):
        until(lambda: shop.attempts)
        began_s = time.monotonic()
    assert time.monotonic() - began_s < 3.0
    heir = Shop()
    with street.inlet(heir):
        until(lambda: heir.values == some(50))


def test_a_restart_goes_on_where_it_was(street: Street) -> None:
    shop, heir = Shop(), Shop()
    street.send(*some(700))
    with street.inlet(shop):
        until(lambda: shop.values == some(700))
    street.send(b"after")
    with street.inlet(heir):
        until(lambda: b"after" in heir.values)
    assert heir.values == [b"after"]


def test_several_share_and_those_that_go_leave_nothing_behind(street: Street) -> None:
    first, second = Shop(), Shop()
    with street.inlet(first):
        until(lambda: street.heard.messages >= 0)
        with street.inlet(second) as inlet:
            until(lambda: inlet.trouble is None)
            for number in range(30):
                kcat(street, b"wave-%d" % number)
            until(lambda: len({*first.values, *second.values}) == 30)
            assert first.values
            assert second.values
        for number in range(30, 40):
            kcat(street, b"wave-%d" % number)
        until(lambda: sorted({*first.values, *second.values}) == some(40, "wave"))


def test_a_broker_that_is_killed_and_comes_back_costs_nothing(own_kafka: KafkaServer) -> None:
    street = Street(own_kafka.bootstrap, "t")
    ensure_topics(street.settings, [street.topic, street.rejected], partitions=3)
    shop = Shop()
    with street.inlet(shop) as inlet:
        street.send(*some(100), b"bad")
        until(lambda: shop.attempts)
        own_kafka.kill()
        until(lambda: inlet.trouble, what="noticing")
        own_kafka.start()
        until(lambda: inlet.trouble is None, 15.0, "being a member again")
        street.send(b"after", b"bad")
        until(lambda: shop.values == [b"after", *some(100)])
        until(lambda: {headers["waybill-offset"] for _, _, headers in street.rejects()} == {b"100", b"102"})


def test_without_its_topics_it_waits_and_says_so(real_kafka: KafkaServer, topic_prefix: str) -> None:
    street = Street(real_kafka.bootstrap, topic_prefix + "t")
    shop = Shop()
    with street.inlet(shop) as inlet:
        until(lambda: "the broker does not have this topic" in (inlet.trouble or ""))
        ensure_topics(street.settings, [street.topic], partitions=1)
        street.send(b"good", b"bad")
        until(lambda: f"{street.rejected}: " in (inlet.trouble or ""), what="missing the other")
        ensure_topics(street.settings, [street.rejected], partitions=1)
        until(street.rejects)
        until(lambda: inlet.trouble is None)
    assert shop.values == [b"good"]
