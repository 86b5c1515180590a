"""While a group shares anew a slot may have two owners for a moment: the store takes what one of them does."""

from __future__ import annotations

from events.slots import SLOTS
from events.store import open_store
from tests.kafka_tools import Workers, append_orders, assert_each_once, outcome, until

ALL = frozenset(range(SLOTS))


def test_two_owners_of_a_slot_do_nothing_twice() -> None:
    store = open_store("memory:")
    append_orders(store, 0, 3_000)
    # Batches of other sizes end in the middle of each other's, so that a position alone would not tell them apart.
    one, other = Workers(store, batch=5), Workers(store, batch=7)
    for workers in (one, other):
        workers.assigned(ALL)
    until(lambda: outcome(store)[1].total() >= 3_000)
    for workers in (one, other):
        workers.revoked(ALL)
        workers.close()
    assert one.refused + other.refused > 0
    assert_each_once(store)
