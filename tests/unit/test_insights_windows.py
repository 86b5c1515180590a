"""Window arithmetic and quantiles: which window a moment lies in, and how wrong a quantile may be."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.insights.quantiles import BOUNDS_S, bucket_of, quantile_s
from services.insights.windows import MINUTE_MS, Hopping, Window, event_ms, is_kept, minute_of, to_ms, to_text, tumbling
from tests.examples import NOON
from tests.insights import recorded_order

AT = to_ms(NOON)
MOMENTS = st.integers(0, 4_102_444_800_000)  # up to the year 2100
SIZES = st.integers(1, 300)


def test_tumbling_windows_follow_on_one_another() -> None:
    assert tumbling(5).of(AT + 1) == [Window(AT, AT + 5 * MINUTE_MS)]
    assert tumbling(5).of(AT - 1) == [Window(AT - 5 * MINUTE_MS, AT)]


def test_a_moment_lies_in_as_many_hopping_windows_as_hops_fit_into_one() -> None:
    found = Hopping(15, 5).of(AT)
    assert [(window.start_ms - AT) // MINUTE_MS for window in found] == [-10, -5, 0]


@given(MOMENTS, SIZES, SIZES)
def test_each_moment_lies_in_all_windows_that_contain_it_and_in_no_other(at_ms: int, size: int, hop: int) -> None:
    windows = Hopping(size, hop).of(at_ms)
    assert all(window.has(at_ms) for window in windows)
    assert len(windows) in (size // hop, size // hop + 1)
    assert all(window.start_ms % (hop * MINUTE_MS) == 0 for window in windows)


@given(MOMENTS, SIZES)
def test_the_panes_of_a_window_are_its_minutes(at_ms: int, size: int) -> None:
    [window] = tumbling(size).of(at_ms)
    assert minute_of(at_ms) in window.minutes
    assert len(list(window.minutes)) == size


def test_the_latest_windows_end_with_the_one_under_way() -> None:
    found = Hopping(60, 5).latest(AT + 7 * MINUTE_MS, 2)
    assert [window.end_ms for window in found] == [AT + 5 * MINUTE_MS, AT + 10 * MINUTE_MS]
    assert found[-1].has(AT + 7 * MINUTE_MS)


def test_panes_are_kept_for_so_many_minutes() -> None:
    assert is_kept(AT - 9 * MINUTE_MS, AT, keep_min=10)
    assert not is_kept(AT - 10 * MINUTE_MS, AT, keep_min=10)


def test_on_the_wall_clock_nothing_is_recorded_before_it_happens() -> None:
    ahead = recorded_order(1, at=NOON + timedelta(hours=1), recorded_at=NOON)
    assert event_ms(ahead) == AT


def test_an_imported_history_has_its_own_time() -> None:
    old = recorded_order(1, at=NOON - timedelta(days=4_000), recorded_at=NOON, clock="2015")
    assert event_ms(old) == to_ms(NOON - timedelta(days=4_000))


def test_times_are_written_as_people_and_programs_read_them() -> None:
    assert to_text(AT) == "2026-03-02T12:00:00Z"
    assert to_text(AT + 5) == "2026-03-02T12:00:00.005Z"


# --- quantiles -------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1_000, 400 * 86_400_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.95]))
def test_a_quantile_is_wrong_by_at_most_a_twentieth(durations_ms: list[int], share: float) -> None:
    counts: dict[str, int] = {}
    for one in durations_ms:
        counts[bucket_of(one)] = counts.get(bucket_of(one), 0) + 1
    exact_s = sorted(durations_ms)[max(0, -(-int(share * 100) * len(durations_ms) // 100) - 1)] / 1_000
    found = quantile_s(counts, share)
    assert found is not None
    assert found == pytest.approx(exact_s, rel=0.05)


def test_of_nothing_there_is_no_quantile() -> None:
    assert quantile_s({}, 0.5) is None


def test_the_shortest_and_the_longest_have_a_bucket() -> None:
    assert bucket_of(0) == "0"
    assert bucket_of(10**15) == str(len(BOUNDS_S) - 1)
