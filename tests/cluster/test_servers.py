"""The servers that the other tests stand on: they keep what they were given through a kill, a pause and a restart."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import sys
import threading
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import jars
from deploy.local.machine import Missing, ServerError, free_port
from deploy.local.processes import Server
from deploy.local.servers import KafkaServer, PostgresServer, RedisServer

pytestmark = pytest.mark.cluster


async def produce(bootstrap: str, topic: str, values: list[bytes]) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=0)


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def read(bootstrap: str, topic: str, count: int) -> list[bytes]:
    partition = TopicPartition(topic, 0)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest", enable_auto_commit=False)
    consumer.assign([partition])
    async with asyncio.timeout(30), consumer:
        return [(await consumer.getone(partition)).value for _ in range(count)]


def redis_says(port: int, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(command + b"\r\n")
        return connection.recv(1_000)


def test_the_shared_broker_takes_and_gives_messages(real_kafka: KafkaServer, topic_prefix: str) -> None:
    topic = topic_prefix + "t"
    asyncio.run(create(real_kafka.bootstrap, topic))

    asyncio.run(produce(real_kafka.bootstrap, topic, [b"one", b"two"]))

    assert asyncio.run(read(real_kafka.bootstrap, topic, 2)) == [b"one", b"two"]


def test_a_killed_broker_comes_back_on_its_port_with_its_messages(own_kafka: KafkaServer) -> None:
    before = own_kafka.bootstrap
    asyncio.run(create(before, "t"))
    asyncio.run(produce(before, "t", [b"one"]))

    own_kafka.kill()
    assert not own_kafka.is_alive()
    own_kafka.start()

    assert own_kafka.bootstrap == before
    asyncio.run(produce(before, "t", [b"two"]))
    assert asyncio.run(read(before, "t", 2)) == [b"one", b"two"]


def test_a_killed_postgres_has_what_was_committed(own_postgres: PostgresServer) -> None:
    with psycopg.connect(own_postgres.url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

    own_postgres.kill()
    own_postgres.start()

    with psycopg.connect(own_postgres.url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchall() == [(7,)]


def test_a_paused_postgres_answers_nothing_until_it_goes_on(own_postgres: PostgresServer) -> None:
    answers: list[object] = []
    with psycopg.connect(own_postgres.url) as connection:
        ask = threading.Thread(target=lambda: answers.append(connection.execute("SELECT 1").fetchone()))

        own_postgres.pause()
        ask.start()
        ask.join(0.3)
        assert answers == []
        own_postgres.resume()
        ask.join(30)

    assert answers == [(1,)]


def test_a_postgres_is_behind_its_password(own_postgres: PostgresServer) -> None:
    user, _, place = own_postgres.url.rpartition("@")
    wrong = f"{user.rpartition(':')[0]}:wrong@{place}"

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)

    assert stat.S_IMODE((own_postgres.folder / "password").stat().st_mode) == 0o600


def test_a_restarted_redis_has_what_it_was_given(own_redis: RedisServer) -> None:
    redis_says(own_redis.port, b"SET shop open")

    own_redis.restart()

    assert b"open" in redis_says(own_redis.port, b"GET shop")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        redis = RedisServer(tmp_path / "redis", port=taken.getsockname()[1], tied=True)

        # Somebody else answers at that port, though not as a Redis does.
        with pytest.raises(ServerError, match="Address already in use"):
            redis.start()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says which ports outgoing connections are given")
def test_a_port_is_none_that_outgoing_connections_are_given() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])

    assert all(port < lowest for port in [free_port() for _ in range(20)])


def test_what_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(Missing, match=r"no java on this machine .*openjdk-17"):
        KafkaServer(tmp_path / "kafka", tied=True).start()


def test_jars_that_cannot_be_fetched_are_a_sentence_and_leave_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho '[ERROR] the network is unreachable'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:{os.environ['PATH']}")
    monkeypatch.setenv(jars.CACHE_VARIABLE, str(tmp_path / "cache"))

    with pytest.raises(Missing, match=r"could not fetch Kafka's jars: .*unreachable"):
        jars.kafka_jars()

    assert [path.name for path in (tmp_path / "cache" / "lib").iterdir()] == ["lock"]


def test_a_started_server_is_not_started_again(own_redis: Server) -> None:
    with pytest.raises(ServerError, match="runs already"):
        own_redis.start()
