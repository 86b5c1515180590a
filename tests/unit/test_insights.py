"""Counting: in any order of delivery, with whatever comes twice, after whatever crash, the same result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import WALL_CLOCK, Recorded
from events.slots import slot_of
from services.insights import counts
from services.insights.buyers import Buyers
from services.insights.counts import REST
from services.insights.fold import Fold
from services.insights.history import KnownJourneys
from services.insights.report import report
from services.insights.windows import MINUTE_MS, to_ms
from tests.examples import HOUR, NOON, ORDER, OTHER_ORDER
from tests.insights import KEY, MINUTE, an_hour, recorded_decline, recorded_order, recorded_shipping

AN_HOUR = an_hour()
LAST_MINUTE = to_ms(NOON + HOUR - MINUTE)
"""Of the hour."""


def journeys(events: Sequence[Recorded]) -> KnownJourneys:
    known = KnownJourneys()
    known.note(events)
    return known


def folded(events: Sequence[Recorded], rows: dict[str, Any] | None = None, **options: Any) -> Fold:
    fold = Fold({} if rows is None else rows, **options)
    fold.take("log", events, events[-1].position, journeys(events))
    return fold


def shown(fold: Fold, now_ms: int = LAST_MINUTE) -> dict[str, Any]:
    found = report(fold, Buyers(1_000, KEY), now_ms, available=lambda _: {}, sells_out_h=24)
    return {name: found[name] for name in ("clocks", "alerts")}


def wall(fold: Fold, now_ms: int = LAST_MINUTE) -> dict[str, Any]:
    found: dict[str, Any] = shown(fold, now_ms)["clocks"][WALL_CLOCK]
    return found


# --- what is counted -------------------------------------------------------------------------------------------------


def test_orders_and_revenue_per_minute_by_channel() -> None:
    # given an order on each of two channels within a minute
    events = [recorded_order(1, channel="shop", units=2), recorded_order(2, at=NOON + timedelta(seconds=59))]
    # then the minute has both
    assert wall(folded(events))["minutes"] == [
        {
            "start": "2026-03-02T12:00:00Z",
            "end": "2026-03-02T12:01:00Z",
            "orders": {"shop": 1, "web": 1},
            "revenue_minor": {"shop": {"GBP": 5_50}, "web": {"GBP": 4_50}},
            "declines": 0,
        }
    ]


def test_declines_per_minute() -> None:
    events = [recorded_decline(1, ORDER, at=NOON), recorded_decline(2, OTHER_ORDER, at=NOON + 2 * MINUTE)]
    assert [minute["declines"] for minute in wall(folded(events))["minutes"]] == [1, 1]
    assert wall(folded(events))["hours"][-1]["declines"] == 2


def test_demand_per_sku_within_the_last_hour() -> None:
    events = [
        recorded_order(1, at=NOON - 2 * HOUR, sku="OLD", units=99),
        recorded_order(2, at=NOON + HOUR / 2, sku="SLOW", units=2),
        recorded_order(3, at=NOON + HOUR / 2, sku="FAST", units=3),
        recorded_order(4, at=NOON + HOUR - MINUTE, sku="FAST", units=3),
    ]
    assert wall(folded(events))["velocity"] == [
        {"sku": "FAST", "units_per_hour": 6},
        {"sku": "SLOW", "units_per_hour": 2},
    ]


def test_an_orders_journey_ends_with_its_first_parcel() -> None:
    # given an order of which one parcel leaves after ten minutes, and another after thirty
    order = recorded_order(1)
    order_id = order.correlation_id
    parcels = [
        recorded_shipping(2, order_id, at=NOON + 10 * MINUTE),
        recorded_shipping(3, order_id, at=NOON + HOUR / 2),
    ]
    took = wall(folded([order, *parcels]))["hours"][-1]["placed_to_shipped"]
    assert took["orders"] == 1
    assert abs(took["p50_s"] - 600) < 30


def test_an_imported_history_has_windows_of_its_own() -> None:
    then = NOON - timedelta(days=5_000)
    events = [recorded_order(1, at=then, recorded_at=NOON, clock="2012"), recorded_order(2)]
    clocks = shown(folded(events))["clocks"]
    assert [minute["start"] for minute in clocks["2012"]["minutes"]] == ["2012-06-23T12:00:00Z"]
    assert clocks["2012"]["as_of"] == "2012-06-23T12:00:00Z"
    assert len(clocks[WALL_CLOCK]["minutes"]) == 1


def test_a_sender_whose_clock_is_ahead_does_not_push_others_out_of_sight() -> None:
    events = [recorded_order(1), recorded_order(2, at=NOON + timedelta(days=400), recorded_at=NOON)]
    assert wall(folded(events))["minutes"][0]["orders"] == {"web": 2}


def test_what_comes_late_is_counted_where_it_belongs_and_what_comes_too_late_as_late() -> None:
    events = [
        recorded_order(1, at=NOON + HOUR),
        recorded_order(2, at=NOON + HOUR / 2),
        recorded_order(3, at=NOON - HOUR),
    ]
    found = wall(folded(events, keep_min=60), to_ms(NOON + HOUR))
    assert [minute["start"][11:16] for minute in found["minutes"]] == ["12:30", "13:00"]
    assert found["late"] == 1


def test_more_names_than_are_kept_apart_are_counted_together(monkeypatch: Any) -> None:
    monkeypatch.setattr(counts, "MOST_SKUS", 2)
    events = [recorded_order(number, sku=f"SKU-{number}") for number in (1, 2, 3, 4)]
    assert {one["sku"]: one["units_per_hour"] for one in wall(folded(events), to_ms(NOON))["velocity"]} == {
        "SKU-1": 1,
        "SKU-2": 1,
        REST: 2,
    }


def test_no_more_is_kept_than_was_asked_for() -> None:
    rows: dict[str, Any] = {}
    folded([recorded_order(number, at=NOON + number * MINUTE) for number in range(1, 200)], rows, keep_min=10)
    assert len(rows) == 11  # ten panes, and how far it is
    folded([recorded_order(number, at=NOON, clock=str(number)) for number in range(200, 250)], rows, keep_min=10)
    assert len(rows) == 10 + 8 + 1


# --- in whatever order, however often --------------------------------------------------------------------------------


def by_slot(events: Sequence[Recorded]) -> dict[str, list[Recorded]]:
    found: dict[str, list[Recorded]] = {}
    for recorded in events:
        topic = recorded.type.partition(".")[0]
        found.setdefault(f"{topic}/{slot_of(recorded.stream):02}", []).append(recorded)
    return found


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_any_order_of_slots_and_any_repetition_give_the_same(data: st.DataObject) -> None:
    # given the events of an hour in slots, each delivered in pieces, of which any may go back and repeat
    slots, known = by_slot(AN_HOUR), journeys(AN_HOUR)
    rows: dict[str, Any] = {}
    fold = Fold(rows)
    left = dict.fromkeys(slots, 0)
    while any(left[source] < len(events) for source, events in slots.items()):
        source = data.draw(st.sampled_from([one for one, done in left.items() if done < len(slots[one])]))
        begin = data.draw(st.integers(0, left[source]))
        end = data.draw(st.integers(left[source] + 1, len(slots[source])))
        piece = slots[source][begin:end]
        if data.draw(st.booleans()):
            fold = Fold(rows)  # the process was started anew
        fold.take(source, piece, piece[-1].position, known)
        left[source] = end
    # then what is shown is what the log itself gives
    assert shown(fold) == shown(folded(AN_HOUR))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 200), min_size=1, max_size=6))
def test_whatever_part_of_the_rows_survives_a_crash_nothing_is_counted_twice_or_missed(crashes: list[int]) -> None:
    # given rows that are written one by one, of which only the first ones survive each crash
    durable: dict[str, Any] = {}
    for writes in crashes:
        memory = Crashing(durable, writes)
        fold = Fold(memory)
        for end in range(7, len(AN_HOUR) + 7, 7):
            piece = [one for one in AN_HOUR[:end] if one.position > fold.position("log")]
            if piece:
                fold.take("log", piece, piece[-1].position, journeys(AN_HOUR))
        durable = memory.durable
    # then doing it once more gives what was to be
    assert shown(folded(AN_HOUR, durable)) == shown(folded(AN_HOUR))


class Crashing(dict[str, Any]):
    """Rows of which only so many writes reach the disk."""

    def __init__(self, durable: dict[str, Any], writes: int) -> None:
        super().__init__(_copied(durable))
        self.durable = _copied(durable)
        self._left = writes

    def __setitem__(self, key: str, row: Any) -> None:
        super().__setitem__(key, row)
        if self._left > 0:
            self._left -= 1
            self.durable[key] = _copied(row)


def _copied(found: Any) -> Any:
    return {name: _copied(value) for name, value in found.items()} if isinstance(found, dict) else found


def test_windows_of_any_size_are_sums_of_the_same_minutes() -> None:
    found = wall(folded(AN_HOUR), to_ms(NOON) + 39 * MINUTE_MS)
    minutes = [sum(minute["orders"].values()) for minute in found["minutes"]]
    assert sum(minutes) == sum(found["hours"][-1]["orders"].values()) == 40
