"""Every event type there and back, also those that an upcaster lifts, and whatever else can be read at all.

That the fast reader takes nothing that pydantic refuses: test_fast_reader.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import Event, NewEvent
from events.codec import EVENT_TYPES, UPCASTERS, CodecError, decode, decode_or_mark, encode
from events.order import OrderPlaced
from tests.examples import NOON
from tests.fuzz.spoil import trees
from tests.strategies import INSTANTS, events


def written(event: Event, at: datetime = NOON) -> dict[str, Any]:
    _, state = encode(NewEvent(event, at, "correlation", "cause", "http"), at)
    body: dict[str, Any] = json.loads(state)
    return body


# --- old versions ----------------------------------------------------------------------------------------------------


def _as_placed_v1(data: dict[str, Any]) -> dict[str, Any]:
    """It had no charges, and called the destination `ship_country`."""
    rest = {name: value for name, value in data.items() if name not in ("charges", "country")}
    return {**rest, "ship_country": data["country"]}


# What an old version would have written, and what of the event it could not say.
OLD: dict[str, tuple[type[Event], Callable[[dict[str, Any]], dict[str, Any]], dict[str, Any]]] = {
    "order.placed.v1": (OrderPlaced, _as_placed_v1, {"charges": []}),
}


def test_every_upcaster_is_looked_at() -> None:
    assert set(OLD) == set(UPCASTERS)


@pytest.mark.parametrize("spelling", OLD)
@settings(max_examples=60)
@given(data=st.data())
def test_what_an_old_version_wrote_comes_back_as_what_it_meant(spelling: str, data: st.DataObject) -> None:
    event_class, as_it_was, unsaid = OLD[spelling]
    event, at = data.draw(events(event_class)), data.draw(INSTANTS)
    body = written(event, at)
    old = {**body, "data": as_it_was(body["data"])}
    lifted = decode(1, "stream", 1, spelling, json.dumps(old).encode())
    assert lifted.event == event.model_copy(update=unsaid)
    assert (lifted.type, lifted.occurred_at, lifted.recorded_at) == (event_class.type, at, at)
    # What was lifted is written as the newest version, and comes back as it is.
    again = encode(NewEvent(lifted.event, at, "correlation", "cause", "http"), at)
    assert decode(1, "stream", 1, *again).event == lifted.event


# --- whatever is there -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", [*EVENT_TYPES, *UPCASTERS])
@settings(max_examples=15)
@given(data=st.data())
def test_what_can_be_read_can_be_written_and_read_again(spelling: str, data: st.DataObject) -> None:
    event_class, as_it_was, _ = OLD.get(spelling, (EVENT_TYPES.get(spelling, OrderPlaced), dict, {}))
    body = written(data.draw(events(event_class)))
    spoiled = data.draw(trees({**body, "data": as_it_was(body["data"])}))
    raw = json.dumps(spoiled).encode(errors="surrogatepass")
    try:
        found = decode(7, "stream-7", 3, spelling, raw)
    except CodecError as refused:
        assert refused.position == 7  # noqa: PT017
        assert str(refused).startswith(f"position 7 (stream-7, {spelling}): ")  # noqa: PT017
        assert decode_or_mark(7, "stream-7", 3, spelling, raw).type == spelling
        return
    # A zone of its own is still the same moment.
    new = NewEvent(found.event, found.occurred_at, found.correlation_id, found.causation_id, found.actor, found.clock)
    assert decode(7, "stream-7", 3, *encode(new, found.recorded_at)) == found
