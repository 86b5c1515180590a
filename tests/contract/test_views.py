"""What every place for views keeps, be it a Redis or this process's memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from itertools import count

import pytest

from projections.memory_views import MemoryViews
from projections.redis_server import EmbeddedRedis
from projections.redis_views import RedisViews
from projections.views import (
    Batch,
    IndexEntry,
    Move,
    StaleWriter,
    Standing,
    TableChanges,
    Views,
    ViewsBusy,
    ViewsHeld,
    ViewsUnavailable,
)

LONG_S = 30.0
_namespaces = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("home"))
    yield server
    server.close()


@pytest.fixture(params=["memory", "redis"])
def views(request: pytest.FixtureRequest) -> Iterator[Views]:
    if request.param == "memory":
        yield MemoryViews()
        return
    views = RedisViews(request.getfixturevalue("server"), namespace=f"test{next(_namespaces)}")
    yield views
    views.close()


def batch(*tables: TableChanges, expected: int = 0, reached: int = 1, generation: int = 1, holder: str = "") -> Batch:
    return Batch(generation, [Move("orders", expected, reached)], list(tables), holder)


def commit(views: Views, *tables: TableChanges, expected: int = 0, reached: int = 1, generation: int = 1) -> None:
    views.commit(batch(*tables, expected=expected, reached=reached, generation=generation)).wait()


def everything(views: Views, generation: int = 1) -> object:
    """All that there is to see in the table "t", and the checkpoints."""
    return (
        views.standing(),
        views.rows(generation, "t", ["a", "b"]),
        views.texts(generation, "t", ["a:0", "b:0"]),
        views.page(generation, "t", "newest", 10),
        views.totals(generation, "t"),
    )


FULL = TableChanges(
    "t",
    rows={"a": b'{"n":1}', "b": b'{"n":2}'},
    texts={"a:0": b"one\n"},
    indexed=[IndexEntry("newest", "1:a"), IndexEntry("newest", "2:b")],
    totals={"orders": 2},
)


# --- reading and writing -----------------------------------------------------------------------------------------


def test_at_first_there_is_nothing(views: Views) -> None:
    assert views.standing() == Standing(1, {})
    assert everything(views) == (Standing(1, {}), [None, None], [None, None], [], {})
    assert views.rows(1, "t", []) == []


def test_a_batch_is_visible_all_at_once(views: Views) -> None:
    commit(views, FULL, reached=7)
    assert everything(views) == (
        Standing(1, {"orders": 7}),
        [b'{"n":1}', b'{"n":2}'],
        [b"one\n", None],
        ["1:a", "2:b"],
        {"orders": 2},
    )


def test_a_batch_is_made_whether_or_not_somebody_waits(views: Views) -> None:
    under_way = views.commit(batch(FULL, reached=7))
    deadline = time.monotonic() + 5.0
    while views.standing().checkpoints != {"orders": 7} and time.monotonic() < deadline:
        time.sleep(0.001)
    assert views.standing().checkpoints == {"orders": 7}
    under_way.wait()
    under_way.wait()  # once more does no harm


def test_rows_are_replaced_and_removed(views: Views) -> None:
    commit(views, FULL)
    commit(views, TableChanges("t", rows={"a": b"new"}, removed=["b"]), expected=1, reached=2)
    assert views.rows(1, "t", ["b", "a", "c"]) == [None, b"new", None]


def test_texts_are_added_to_and_dropped(views: Views) -> None:
    commit(views, TableChanges("t", texts={"a:0": b"one\n", "a:1": b"two\n"}))
    commit(views, TableChanges("t", texts={"a:1": b"three\n"}, dropped=["a:0", "a:9"]), expected=1, reached=2)
    assert views.texts(1, "t", ["a:0", "a:1"]) == [None, b"two\nthree\n"]


def test_contents_come_back_as_they_were(views: Views) -> None:
    awkward = '{"n":"ümlaut \\" \\u0000 €"}\n\r\n\x01\x7f'.encode()
    commit(views, TableChanges("t", rows={"a b/ü:*[?]": awkward}, texts={"a b/ü:*[?]": awkward}, totals={"ü x": 1}))
    assert views.rows(1, "t", ["a b/ü:*[?]"]) == [awkward]
    assert views.texts(1, "t", ["a b/ü:*[?]"]) == [awkward]
    assert views.totals(1, "t") == {"ü x": 1}


def test_a_large_batch_is_one_batch(views: Views) -> None:
    keys = [f"key-{number:05d}" for number in range(10_001)]
    rows = dict.fromkeys(keys, b"x" * 100)
    indexed = [IndexEntry("all", key) for key in keys]
    commit(views, TableChanges("t", rows=rows, texts=rows, indexed=indexed, totals=dict.fromkeys(keys, 1)))
    assert views.rows(1, "t", keys) == [b"x" * 100] * 10_001
    assert views.page(1, "t", "all", 20_000) == keys
    assert len(views.totals(1, "t")) == 10_001


def test_tables_are_apart(views: Views) -> None:
    commit(views, FULL, TableChanges("other", rows={"a": b"other"}))
    assert views.rows(1, "other", ["a", "b"]) == [b"other", None]
    assert views.totals(1, "other") == {}


def test_an_index_is_read_in_pages_both_ways(views: Views) -> None:
    members = [f"{number:02d}" for number in range(7)]
    commit(views, TableChanges("t", indexed=[IndexEntry("i", member) for member in reversed(members)]))
    assert views.page(1, "t", "i", 3) == ["00", "01", "02"]
    assert views.page(1, "t", "i", 3, after="02") == ["03", "04", "05"]
    assert views.page(1, "t", "i", 3, after="05") == ["06"]
    assert views.page(1, "t", "i", 3, descending=True) == ["06", "05", "04"]
    assert views.page(1, "t", "i", 9, after="04", descending=True) == ["03", "02", "01", "00"]
    assert views.page(1, "t", "i", 3, after="00", descending=True) == []


def test_a_page_goes_on_where_its_last_member_was_even_if_that_is_gone(views: Views) -> None:
    commit(views, TableChanges("t", indexed=[IndexEntry("i", member) for member in "abcd"]))
    commit(views, TableChanges("t", unindexed=[IndexEntry("i", "b")]), expected=1, reached=2)
    assert views.page(1, "t", "i", 9, after="b") == ["c", "d"]
    assert views.page(1, "t", "i", 9, after="b", descending=True) == ["a"]


def test_members_are_ordered_by_their_bytes_and_are_there_once(views: Views) -> None:
    entries = [IndexEntry("i", member) for member in ("ü", "a", "Z", "a", "€")]
    commit(views, TableChanges("t", indexed=entries, unindexed=[IndexEntry("i", "never there")]))
    assert views.page(1, "t", "i", 9) == ["Z", "a", "ü", "€"]


def test_a_total_that_comes_to_nothing_is_gone(views: Views) -> None:
    commit(views, TableChanges("t", totals={"a": 2, "b": -1, "c": 0}))
    commit(views, TableChanges("t", totals={"a": -2, "b": 2**52}), expected=1, reached=2)
    assert views.totals(1, "t") == {"b": 2**52 - 1}
    assert views.totals(1, "t", ["a", "b", "z"]) == {"b": 2**52 - 1}


# --- who may write -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("expected", [0, 6, 8])
def test_a_writer_that_is_elsewhere_changes_nothing(views: Views, expected: int) -> None:
    commit(views, FULL, reached=7)
    before = everything(views)
    with pytest.raises(StaleWriter):
        commit(views, TableChanges("t", rows={"a": b"stale"}, totals={"orders": 1}), expected=expected, reached=9)
    assert everything(views) == before


def test_one_stale_projection_spoils_the_batch(views: Views) -> None:
    commit(views, FULL, reached=7)
    both = Batch(1, [Move("orders", 7, 8), Move("stock", 7, 8)], [TableChanges("t", rows={"a": b"stale"})])
    with pytest.raises(StaleWriter):
        views.commit(both).wait()
    assert views.standing().checkpoints == {"orders": 7}


def test_the_same_batch_again_changes_nothing(views: Views) -> None:
    commit(views, FULL, reached=7)
    before = everything(views)
    with pytest.raises(StaleWriter):
        commit(views, FULL, reached=7)
    assert everything(views) == before


def test_of_two_writers_at_once_one_wins_each_time(views: Views) -> None:
    def write() -> None:
        for expected in range(50):
            try:
                commit(views, TableChanges("t", totals={"made": 1}), expected=expected, reached=expected + 1)
            except StaleWriter:
                continue

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    at = views.standing().checkpoints.get("orders", 0)
    assert views.totals(1, "t") == {"made": at}


# --- generations -------------------------------------------------------------------------------------------------


def build(views: Views, *tables: TableChanges, builder: str = "me", reached: int = 1) -> int:
    generation = views.begin_generation(builder, LONG_S)
    views.commit(batch(*tables, reached=reached, generation=generation, holder=builder)).wait()
    return generation


def different(views: Views, one: int, other: int) -> tuple[int, list[str]]:
    steps = list(views.differences(one, other))
    return sum(keys for keys, _ in steps), sorted({key for _, found in steps for key in found})


def test_a_generation_is_built_beside_the_live_one(views: Views) -> None:
    commit(views, FULL)
    before = everything(views)
    generation = build(views, TableChanges("t", rows={"a": b"built"}))
    assert generation != 1
    assert everything(views) == before
    assert views.rows(generation, "t", ["a"]) == [b"built"]


def test_only_its_builder_writes_to_a_generation_that_is_not_live(views: Views) -> None:
    generation = build(views, FULL)
    for holder in ("", "somebody else"):
        with pytest.raises(StaleWriter):
            views.commit(batch(FULL, expected=1, reached=2, generation=generation, holder=holder)).wait()
    with pytest.raises(StaleWriter):
        views.commit(batch(FULL, generation=generation + 7)).wait()


def test_there_is_one_builder_at_a_time(views: Views) -> None:
    views.begin_generation("me", LONG_S)
    with pytest.raises(ViewsBusy):
        views.begin_generation("you", LONG_S)


def test_a_builder_that_went_away_is_replaced_and_cleaned_up_after(views: Views) -> None:
    first = views.begin_generation("me", 0.05)
    time.sleep(0.1)
    second = build(views, FULL, builder="you")
    assert second > first
    third = build(views, TableChanges("t"), builder="you")
    assert third > second
    assert views.rows(second, "t", ["a"]) == [None]


def test_equal_generations_do_not_differ(views: Views) -> None:
    commit(views, FULL)
    generation = build(views, FULL)
    keys, found = different(views, 1, generation)
    assert found == []
    assert keys == 6  # two rows, a text, an index, the totals, the checkpoints


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (TableChanges("t", rows={"a": b"other"}), "t:row:a"),
        (TableChanges("t", removed=["a"]), "t:row:a"),
        (TableChanges("t", rows={"new": b"1"}), "t:row:new"),
        (TableChanges("t", texts={"a:0": b"more\n"}), "t:text:a:0"),
        (TableChanges("t", indexed=[IndexEntry("newest", "3:c")]), "t:index:newest"),
        (TableChanges("t", unindexed=[IndexEntry("newest", "2:b")]), "t:index:newest"),
        (TableChanges("t", totals={"orders": 1}), "t:totals"),
        (TableChanges("t", totals={"more": 1}), "t:totals"),
    ],
)
def test_every_difference_is_found(views: Views, change: TableChanges, key: str) -> None:
    commit(views, FULL)
    generation = build(views, FULL)
    views.commit(Batch(generation, [], [change], "me")).wait()
    assert different(views, 1, generation)[1] == [key]
    assert different(views, generation, 1)[1] == [key]


def test_checkpoints_are_compared_as_well(views: Views) -> None:
    commit(views, FULL, reached=1)
    generation = build(views, FULL, reached=2)
    assert different(views, 1, generation)[1] == ["checkpoints"]


def test_a_switch_makes_the_built_generation_live_and_deletes_the_old_one(views: Views) -> None:
    commit(views, FULL)
    generation = build(views, TableChanges("t", rows={"a": b"built"}), reached=3)
    views.switch(1, generation)
    assert views.standing() == Standing(generation, {"orders": 3})
    assert views.rows(1, "t", ["a", "b"]) == [None, None]
    with pytest.raises(StaleWriter):  # who still believes in the old one
        commit(views, FULL, expected=1, reached=2)
    commit(views, FULL, expected=3, reached=4, generation=generation)
    assert views.begin_generation("you", LONG_S) > generation


def test_only_the_live_generation_can_be_switched(views: Views) -> None:
    with pytest.raises(StaleWriter):
        views.switch(2, 3)


def test_while_it_is_held_only_the_holder_writes_to_the_live_generation(views: Views) -> None:
    views.hold("me", LONG_S)
    with pytest.raises(ViewsHeld):
        commit(views, FULL)
    with pytest.raises(ViewsHeld):
        views.hold("you", LONG_S)
    with pytest.raises(ViewsHeld):
        views.switch(1, 2)
    assert everything(views) == (Standing(1, {}), [None, None], [None, None], [], {})
    views.commit(batch(FULL, holder="me")).wait()
    views.switch(1, 2, holder="me")
    commit(views, FULL, generation=2)


def test_a_hold_ends_by_itself(views: Views) -> None:
    views.hold("me", 0.05)
    time.sleep(0.1)
    commit(views, FULL)
    with pytest.raises(ViewsHeld):
        views.switch(1, 2, holder="me")


# --- what only a Redis can do ------------------------------------------------------------------------------------


class Nowhere:
    def url(self) -> str:
        return "unix:///nowhere/redis.sock"

    def close(self) -> None:
        """Nothing is open."""


def test_a_redis_that_is_not_there_is_said_to_be_away() -> None:
    views = RedisViews(Nowhere())
    with pytest.raises(ViewsUnavailable, match="Redis does not answer"):
        views.standing()
    with pytest.raises(ViewsUnavailable, match="Redis does not answer"):
        views.commit(batch(FULL))
    views.close()


def test_a_redis_that_was_never_told_the_scripts_learns_them(server: EmbeddedRedis) -> None:
    views = RedisViews(server, namespace="forgetful")
    commit(views, FULL)
    views._do("SCRIPT", "FLUSH")
    commit(views, FULL, expected=1, reached=2)
    views._do("SCRIPT", "FLUSH")
    assert views.standing().checkpoints == {"orders": 2}
    views.close()


def test_what_a_redis_refuses_is_said_in_its_words(server: EmbeddedRedis) -> None:
    views = RedisViews(server, namespace="full")
    views._do("CONFIG", "SET", "maxmemory", "1mb")
    try:
        with pytest.raises(ViewsUnavailable, match=r"Redis refuses: .*memory"):
            commit(views, TableChanges("t", rows={"a": b"x" * 3_000_000}))
    finally:
        views._do("CONFIG", "SET", "maxmemory", "0")
    commit(views, FULL)
    views.close()
