"""The event store when disks fill up, processes are killed, files are broken, and replies are lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from events.base import Tracked
from events.recorders.sqlite import SqliteRecorder
from events.recorders.sqlite_file import Connection
from events.store import AlreadyTracked, CommitOutcomeUnknown, EventStore, StoreUnavailable, open_store
from tests.stores import ROOT, everything, start_writer, write


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def recorder(path: Path) -> Iterator[SqliteRecorder]:
    recorder = SqliteRecorder(path)
    yield recorder
    recorder.close()


@pytest.fixture
def store(recorder: SqliteRecorder) -> EventStore:
    store = EventStore(recorder)
    store.SETTLE_PAUSE_S = 0.01
    return store


# --- files that cannot be used ---------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(StoreUnavailable) as refused:
        open_store(f"sqlite:///{path}")
    assert str(path) in str(refused.value)
    return str(refused.value)


def test_a_file_that_is_no_database_is_refused_in_words_and_left_alone(path: Path) -> None:
    path.write_bytes(b"order,sku,quantity\n" * 1_000)
    assert "it is not an SQLite database; name another file" in refusal(path)
    assert path.read_bytes() == b"order,sku,quantity\n" * 1_000


def test_a_folder_and_a_missing_folder_are_refused_in_words(tmp_path: Path) -> None:
    assert "it is a folder; name a file" in refusal(tmp_path)
    assert "its folder does not exist; make it first" in refusal(tmp_path / "missing" / "log.db")


def test_a_damaged_file_is_reported_as_damaged(path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    store.append([write(f"order-{number}", 0, count=5) for number in range(200)])
    store.close()
    content = bytearray(path.read_bytes())
    content[3 * 4096 :] = b"\xff" * (len(content) - 3 * 4096)
    path.write_bytes(content)

    with pytest.raises(StoreUnavailable, match="it is damaged; restore it from a backup"):
        open_store(f"sqlite:///{path}").read_after(0, limit=10_000)


@pytest.mark.may_skip  # root may write where nobody else may; then the read-only disk below shows it
@pytest.mark.skipif(os.geteuid() == 0, reason="root is not held up by permissions")
def test_a_file_without_permission_to_write_is_refused_in_words(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    path.chmod(0o444)
    assert "cannot be written; check its permissions" in refusal(path)


# --- small disks -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB that is really mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small disk, and not in every container")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def append_until_refused(store: EventStore, stream: str) -> tuple[int, str]:
    """Appends until the store refuses; the stream's version by then, and the refusal's words."""
    version = store.stream_versions([stream]).get(stream, 0)
    while True:
        try:
            store.append([write(stream, version, count=50)], tracked=Tracked("filler", version + 50))
        except StoreUnavailable as refused:
            return version, str(refused)
        version += 50


@pytest.mark.may_skip  # needs root; the file size limit below needs nothing
def test_a_full_disk_refuses_appends_in_words_and_takes_them_again_when_there_is_space(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    store = open_store(f"sqlite:///{small_disk}/log.db")

    version = 0
    for _ in range(3):
        version, words = append_until_refused(store, "order-1")
        assert "the disk is full; free some space" in words
        assert len(everything(store, page=500)) == store.stream_versions(["order-1"])["order-1"] == version
        assert store.tracked_position("filler") == version
        reader = open_store(f"sqlite:///{small_disk}/log.db")
        assert reader.last_position() == version
        reader.close()

    ballast.unlink()
    store.append([write("order-1", version, count=50)])
    assert len(everything(store, page=500)) == version + 50
    store.close()


@pytest.mark.may_skip  # needs root
def test_a_new_log_on_a_full_disk_is_refused_in_words(small_disk: Path) -> None:
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(bytes(2_000_000))
    assert "the disk is full; free some space" in refusal(small_disk / "log.db")


@pytest.mark.may_skip  # needs root
def test_a_read_only_disk_is_refused_in_words(small_disk: Path) -> None:
    open_store(f"sqlite:///{small_disk}/log.db").close()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    assert "the disk is mounted read-only" in refusal(small_disk / "log.db")


FILE_SIZE_LIMIT = """
import json, resource, sys
from events.store import open_store
from tests.integration.test_store_faults import append_until_refused
from tests.stores import everything, write

store = open_store(sys.argv[1])
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
version, words = append_until_refused(store, "order-1")
held = [len(everything(store, page=500)), store.stream_versions(["order-1"])["order-1"]]
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
[recorded] = store.append([write("order-1", version)])
store.close()
print(json.dumps({"version": version, "words": words, "held": held, "afterwards": recorded.version}))
"""


def test_a_write_that_fails_half_way_leaves_nothing_half_written(path: Path) -> None:
    command = [sys.executable, "-c", FILE_SIZE_LIMIT, f"sqlite:///{path}"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)

    assert "the disk failed or is full; check the space" in said["words"]
    assert said["held"] == [said["version"], said["version"]]
    assert said["afterwards"] == said["version"] + 1
    store = open_store(f"sqlite:///{path}")
    assert [one.version for one in everything(store, page=500)] == list(range(1, said["version"] + 2))
    store.close()


# --- commits that are cut short --------------------------------------------------------------------------------------


def cut_commits(recorder: SqliteRecorder, monkeypatch: pytest.MonkeyPatch, *, done: bool, times: int = 1) -> None:
    """The next commits fail with a disk error, before (`done=False`) or after they have really happened."""
    connection: Connection = recorder.datastore._writer  # type: ignore[attr-defined]
    really, left = connection.commit, [times]

    def commit() -> None:
        left[0] -= 1
        if left[0] >= 0:
            if done:
                really()
            raise sqlite3.OperationalError("disk I/O error")
        really()

    monkeypatch.setattr(connection, "commit", commit)


def test_a_commit_that_happened_although_it_failed_is_reported_as_done(
    store: EventStore, recorder: SqliteRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([write("order-1", 0)], tracked=Tracked("payment", 1))
    cut_commits(recorder, monkeypatch, done=True)

    recorded = store.append([write("order-1", 1, count=2), write("order-2", 0)], tracked=Tracked("payment", 2))

    assert [one.position for one in recorded] == [2, 3, 4]
    assert everything(store)[1:] == everything(EventStore(recorder))[1:] == recorded
    assert store.tracked_position("payment") == 2


def test_a_commit_that_did_not_happen_is_reported_as_not_done(
    store: EventStore, recorder: SqliteRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_commits(recorder, monkeypatch, done=False)

    with pytest.raises(StoreUnavailable, match="nothing was written, try again"):
        store.append([write("order-1", 0)], tracked=Tracked("payment", 2))

    assert everything(store) == []
    assert store.tracked_position("payment") == 0
    [recorded] = store.append([write("order-1", 0)], tracked=Tracked("payment", 2))
    assert recorded.position == 1


def test_the_events_of_another_writer_are_not_taken_for_ours(
    store: EventStore, recorder: SqliteRecorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = open_store(f"sqlite:///{path}")
    cut_commits(recorder, monkeypatch, done=False)
    settle = recorder.settle
    monkeypatch.setattr(recorder, "settle", lambda batch: other.append([write("order-1", 0)]) and settle(batch))

    with pytest.raises(StoreUnavailable, match="nothing was written"):
        store.append([write("order-1", 0)])

    assert len(everything(store)) == 1
    other.close()


@pytest.mark.parametrize("done", [True, False])
def test_a_position_without_events_is_settled_as_well(
    store: EventStore, recorder: SqliteRecorder, monkeypatch: pytest.MonkeyPatch, *, done: bool
) -> None:
    cut_commits(recorder, monkeypatch, done=done)
    if done:
        assert store.append([], tracked=Tracked("payment", 2)) == []
    else:
        with pytest.raises(StoreUnavailable, match="nothing was written"):
            store.append([], tracked=Tracked("payment", 2))
    assert store.tracked_position("payment") == (2 if done else 0)


def test_what_cannot_be_found_out_is_reported_as_unknown(
    store: EventStore, recorder: SqliteRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_commits(recorder, monkeypatch, done=True, times=1 + store.SETTLE_ATTEMPTS)

    with pytest.raises(CommitOutcomeUnknown, match="disk I/O error"):
        store.append([write("order-1", 0)], tracked=Tracked("payment", 2))

    # It had happened. Whoever tries again finds that out, and nothing is doubled.
    with pytest.raises(AlreadyTracked):
        store.append([write("order-1", 0)], tracked=Tracked("payment", 2))
    assert [one.position for one in store.append([write("order-1", 1)])] == [2]
    assert len(everything(store)) == 2


def test_saying_no_writes_over_a_commit_that_recovery_might_find(
    store: EventStore, recorder: SqliteRecorder, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append([write("order-1", 0)])
    watcher = sqlite3.connect(path)
    before = watcher.execute("PRAGMA data_version").fetchone()
    cut_commits(recorder, monkeypatch, done=False)
    with pytest.raises(StoreUnavailable):
        store.append([write("order-1", 1)])
    assert watcher.execute("PRAGMA data_version").fetchone() != before
    watcher.close()


# --- several processes -----------------------------------------------------------------------------------------------


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path: Path) -> None:
    url = f"sqlite:///{path}"
    acknowledged = 0
    for appends in (1, 7, 20, 45, 90):
        with start_writer(url, "order-1", appends=100_000) as writer:
            assert writer.stdout
            for _ in range(appends):
                acknowledged = int(writer.stdout.readline().split()[0])
            writer.kill()
            *unread, _ = writer.stdout.read().split("\n")  # the last line may have been cut
        acknowledged = int(unread[-1].split()[0]) if unread else acknowledged

        store = open_store(url)
        versions = [one.version for one in everything(store, page=500)]
        assert versions == list(range(1, len(versions) + 1))
        assert len(versions) >= acknowledged
        assert len(versions) % 2 == 0, "an append of two events is there or not"
        store.close()


def test_four_writing_processes_and_a_reader_who_follows_miss_nothing(path: Path) -> None:
    url = f"sqlite:///{path}"
    writers = [start_writer(url, f"order-{number}", appends=60) for number in range(4)]  # on a file that is not there
    store = open_store(url)
    seen = everything(store)
    while len(seen) < 480:
        assert store.wait(seen[-1].position if seen else 0, timeout_s=60)
        seen += store.read_after(seen[-1].position if seen else 0, limit=100)
    outputs = [writer.communicate(timeout=60)[0] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 4
    assert [one.position for one in seen] == list(range(1, 481))
    for number, output in enumerate(outputs):
        versions = {one.position: one.version for one in seen if one.stream == f"order-{number}"}
        assert sorted(versions.values()) == list(range(1, 121))
        for line in output.splitlines():
            position, version = map(int, line.split())
            assert versions[position] == version
    store.close()


def test_stores_that_make_a_log_at_the_same_moment_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    faults: list[StoreUnavailable] = []

    def make(path: Path, start: threading.Barrier) -> None:
        start.wait()
        try:
            open_store(f"sqlite:///{path}").close()
        except StoreUnavailable as fault:
            faults.append(fault)

    for number in range(20):
        start = threading.Barrier(8)
        makers = [threading.Thread(target=make, args=[tmp_path / f"{number}.db", start]) for _ in range(8)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join()
    assert faults == []


def test_reading_and_opening_do_not_wait_for_a_writer_and_appending_says_whom_it_waits_for(
    store: EventStore, recorder: SqliteRecorder, path: Path
) -> None:
    recorded = store.append([write("order-1", 0)])
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")

    reader = open_store(f"sqlite:///{path}")
    assert everything(reader) == recorded
    reader.close()
    recorder.datastore._writer.rows("PRAGMA busy_timeout=50")  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable, match="another process held the write lock"):
        store.append([write("order-1", 1)])

    writer.execute("ROLLBACK")
    writer.close()
    assert store.append([write("order-1", 1)])[0].position == 2


def test_closing_while_others_read_does_not_crash_the_process(path: Path) -> None:
    """The library's pool closes connections that are in use, and with them, now and then, the process."""

    def read_until_closed(store: EventStore) -> None:
        with suppress(StoreUnavailable):
            while store.last_position():
                store.read_stream("order-1")

    store = open_store(f"sqlite:///{path}")
    store.append([write("order-1", 0, count=20)])
    store.close()
    for _ in range(20):
        store = open_store(f"sqlite:///{path}")
        readers = [threading.Thread(target=read_until_closed, args=[store]) for _ in range(4)]
        for reader in readers:
            reader.start()
        time.sleep(0.01)
        store.close()
        for reader in readers:
            reader.join()


def test_a_copy_of_the_file_holds_everything_once_the_store_is_closed(path: Path, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{path}")
    recorded = store.append([write("order-1", 0, count=3)])
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["log.db"]
    copy = open_store(f"sqlite:///{shutil.copy(path, tmp_path / 'copy.db')}")
    assert everything(copy) == recorded
    copy.close()
