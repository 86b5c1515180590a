"""Which offset is safe to go on from, and when a consumer counts as stuck."""

from __future__ import annotations

from events.kafka.progress import Finding, Offsets, Watch
from events.slots import Delivery


def at(slot: int, position: int) -> Delivery:
    return Delivery(slot, position, position - 1, None)


# --- offsets ---------------------------------------------------------------------------------------------------------


def test_what_is_not_handled_will_be_delivered_again() -> None:
    offsets = Offsets()
    offsets.delivered(0, 10, 12, [at(0, 100), at(0, 101)])
    offsets.delivered(0, 12, 13, [at(0, 105)])
    assert offsets.to_commit({0: 99}) == {0: 10}
    assert offsets.to_commit({0: 101}) == {0: 12}
    assert offsets.to_commit({0: 105}) == {0: 13}


def test_the_slowest_slot_of_a_partition_holds_it() -> None:
    offsets = Offsets()
    offsets.delivered(0, 10, 12, [at(0, 100), at(6, 101)])
    offsets.delivered(0, 12, 13, [at(0, 105)])
    assert offsets.to_commit({0: 105, 6: 0}) == {0: 10}
    assert offsets.to_commit({0: 105, 6: 101}) == {0: 13}


def test_slots_of_others_and_what_cannot_be_read_hold_nobody() -> None:
    offsets = Offsets()
    offsets.delivered(0, 10, 12, [at(3, 100)])
    offsets.delivered(0, 12, 15, [])
    assert offsets.to_commit({}) == {0: 15}


def test_what_was_committed_is_not_committed_again() -> None:
    offsets = Offsets()
    offsets.delivered(0, 10, 12, [at(0, 100)])
    offsets.committed({0: 10})
    assert offsets.to_commit({0: 99}) == {}
    assert offsets.to_commit({0: 100}) == {0: 12}


def test_a_partition_that_went_away_is_forgotten() -> None:
    offsets = Offsets()
    offsets.delivered(0, 10, 12, [at(0, 100)])
    offsets.delivered(1, 20, 22, [at(1, 100)])
    offsets.keep([1, 2])
    assert offsets.to_commit({0: 100, 1: 100}) == {1: 22}


def test_a_slot_that_stands_still_does_not_fill_the_memory() -> None:
    offsets = Offsets()
    offsets.delivered(0, 0, 1, [at(6, 1)])
    for number in range(1, 5 * Offsets.MAX_STRETCHES):
        offsets.delivered(0, number, number + 1, [at(0, 1 + number)])
    assert len(offsets._stretches[0]) == Offsets.MAX_STRETCHES
    assert offsets.to_commit({0: 10_000, 6: 0}) == {0: 0}
    assert offsets.to_commit({0: 10_000, 6: 1}) == {0: 5 * Offsets.MAX_STRETCHES}


# --- stuck or quiet --------------------------------------------------------------------------------------------------


def watch() -> Watch:
    return Watch(stall_s=5.0, answer_s=3.0, now_s=0.0)


def test_a_consumer_that_gets_something_is_not_asked() -> None:
    one = watch()
    assert not one.is_due(4.9)
    one.progress(4.9)
    assert not one.is_due(9.8)
    assert one.is_due(9.9)


def test_a_quiet_topic_is_well() -> None:
    one = watch()
    assert one.looked({0: 7}, {0: 7}, 5.0) is Finding.WELL
    assert not one.is_due(9.9)
    assert one.looked({0: 7}, {0: 7}, 10.0) is Finding.WELL


def test_behind_twice_at_the_same_place_is_stuck() -> None:
    one = watch()
    assert one.looked({0: 7, 1: 3}, {0: 9, 1: 3}, 5.0) is Finding.WELL
    assert not one.is_due(7.9)
    assert one.looked({0: 7, 1: 3}, {0: 9, 1: 3}, 8.0) is Finding.STUCK


def test_behind_twice_at_different_places_is_only_busy() -> None:
    one = watch()
    one.looked({0: 7}, {0: 9}, 5.0)
    assert one.looked({0: 8}, {0: 11}, 8.0) is Finding.WELL
    assert one.looked({0: 9}, {0: 11}, 11.0) is Finding.WELL
    assert one.looked({0: 9}, {0: 11}, 14.0) is Finding.STUCK


def test_what_arrives_in_between_shows_that_it_is_well() -> None:
    one = watch()
    one.looked({0: 7}, {0: 9}, 5.0)
    one.progress(6.0)
    assert one.looked({0: 7}, {0: 9}, 11.0) is Finding.WELL


def test_a_broker_that_does_not_answer_twice_is_silent() -> None:
    one = watch()
    assert one.looked(None, {}, 5.0) is Finding.WELL
    assert one.looked(None, {}, 11.0) is Finding.SILENT


def test_a_broker_that_answers_again_is_well() -> None:
    one = watch()
    one.looked(None, {}, 5.0)
    assert one.looked({0: 7}, {0: 9}, 8.0) is Finding.WELL
