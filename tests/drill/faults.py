"""What is done to the cluster, one after the other, and from which moment on it must recover.

Each fault is a generator over the stack; it yields at the moments from which recovery is timed:

    kill     one process of a role is SIGKILLed (of a leader's role: the one that leads): from then
    pause    it is SIGSTOPped for longer than its session or its lease: from then; and once more, from its SIGCONT
    kafka, postgres, redis
             killed, or stopped in peace, and started again: from the moment it takes connections again
    kafka.pause, postgres.pause
             stopped for a while: from its SIGCONT
    cut      PostgreSQL's and Redis' ends of all connections are cut: from then
    flush    Redis forgets everything: from then
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import psycopg
import redis

from deploy.local.processes import Server
from tests.drill.stack import DOORS, LEADERS, MEMBERS, Stack

# Sessions of group members are 6 s, a leader's lease 10 s.
PAUSE_S = 8.0
PAUSE_LEADER_S = 12.0
PAUSE_SERVER_S = 4.0
_READY_WITHIN_S = 60.0

Steps = Iterator[None]
"""Yields where recovery is to be timed from."""


class Fault(NamedTuple):
    """`kind` is what the report calls it."""

    kind: str
    strike: Callable[[Stack], Steps]


def plan(count: int, seed: int, roles: tuple[str, ...]) -> list[Fault]:
    """So many faults, all kinds in turn, in another order each round; the same for the same seed."""
    chance = random.Random(seed)
    found: list[Fault] = []
    turn = 0
    while len(found) < count:
        kinds = _kinds(roles, twin=turn % 2)
        chance.shuffle(kinds)
        found += kinds
        turn += 1
    return found[:count]


def _kinds(roles: tuple[str, ...], twin: int) -> list[Fault]:
    hit = [role for role in (*MEMBERS, *LEADERS, *DOORS) if role in roles]
    return [
        *(Fault(f"kill {role}", partial(_kill, role, twin)) for role in hit),
        *(Fault(f"pause {role}", partial(_pause, role, twin)) for role in hit),
        Fault("kafka.kill", _kafka_kill),
        Fault("kafka.restart", _kafka_restart),
        Fault("kafka.pause", _kafka_pause),
        Fault("postgres.kill", _postgres_kill),
        Fault("postgres.restart", _postgres_restart),
        Fault("postgres.pause", _postgres_pause),
        Fault("redis.kill", _redis_kill),
        Fault("redis.flush", _redis_flush),
        Fault("cut", _cut),
    ]


# --- roles -----------------------------------------------------------------------------------------------------------


def _kill(role: str, twin: int, stack: Stack) -> Steps:
    victim = stack.worker_of(role, twin)
    stack.killed.add(victim)
    victim.kill()
    yield
    stack.wait_for(lambda: victim.is_alive() and victim.is_ready(), _READY_WITHIN_S)


def _pause(role: str, twin: int, stack: Stack) -> Steps:
    victim = stack.worker_of(role, twin)
    victim.pause()
    yield
    stack.wait(PAUSE_LEADER_S if role in LEADERS else PAUSE_S)
    victim.resume()
    yield


# --- servers ---------------------------------------------------------------------------------------------------------


def _start_again(server: Server, stack: Stack) -> Steps:
    server.launch()
    stack.wait_for(server.is_ready, _READY_WITHIN_S)
    yield


def _kafka_kill(stack: Stack) -> Steps:
    stack.kafka.kill()
    yield from _start_again(stack.kafka, stack)


def _kafka_restart(stack: Stack) -> Steps:
    stack.kafka.stop()
    yield from _start_again(stack.kafka, stack)


def _kafka_pause(stack: Stack) -> Steps:
    yield from _pause_server(stack.kafka, stack)


def _postgres_kill(stack: Stack) -> Steps:
    stack.postgres.kill()
    yield from _start_again(stack.postgres, stack)


def _postgres_restart(stack: Stack) -> Steps:
    stack.postgres.stop()
    yield from _start_again(stack.postgres, stack)


def _postgres_pause(stack: Stack) -> Steps:
    yield from _pause_server(stack.postgres, stack)


def _redis_kill(stack: Stack) -> Steps:
    stack.redis.kill()
    yield from _start_again(stack.redis, stack)


def _redis_flush(stack: Stack) -> Steps:
    with redis.Redis.from_url(stack.redis.url) as client:
        client.flushall()
    yield


def _pause_server(server: Server, stack: Stack) -> Steps:
    server.pause()
    stack.wait(PAUSE_SERVER_S)
    server.resume()
    yield


_CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def _cut(stack: Stack) -> Steps:
    with psycopg.connect(stack.postgres.url, autocommit=True) as connection:
        connection.execute(_CUT)
    with redis.Redis.from_url(stack.redis.url) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    yield
