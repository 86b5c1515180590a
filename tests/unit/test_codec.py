"""What is written can be read, and what cannot be read is refused in words that quote nobody."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import WALL_CLOCK, Contact, Event, NewEvent
from events.codec import (
    EVENT_TYPES,
    UPCASTERS,
    CodecError,
    MalformedEvent,
    UnknownEventType,
    Unreadable,
    decode,
    decode_or_mark,
    encode,
)
from events.order import Hold, OrderAccepted, OrderCancelled, OrderCorrected, OrderHeld, OrderPlaced, Problem
from events.runtime import ParkedEventDropped
from tests.examples import NOON, ORDER, PLACED
from tests.strategies import INSTANTS, events

POSITION, STREAM, VERSION = 42, "order-1", 3
LATER = NOON + timedelta(seconds=1)


def state_of(event: Event = PLACED, **envelope: Any) -> dict[str, Any]:
    """The stored state as an object that can be spoiled."""
    _, state = encode(NewEvent(event, NOON, "correlation", "cause", "http"), LATER)
    spoiled: dict[str, Any] = {**orjson.loads(state), **envelope}
    return spoiled


def read(topic: str, state: Any) -> Any:
    raw = state if isinstance(state, bytes) else orjson.dumps(state)
    return decode(POSITION, STREAM, VERSION, topic, raw)


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", EVENT_TYPES)
@settings(max_examples=15)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(spelling: str, data: st.DataObject) -> None:
    event = data.draw(events(EVENT_TYPES[spelling]))
    occurred_at, recorded_at = data.draw(INSTANTS), data.draw(INSTANTS)
    clock = data.draw(st.sampled_from([WALL_CLOCK, "online-retail"]))
    new = NewEvent(event, occurred_at, "correlation", "cause", "http", clock)
    topic, state = encode(new, recorded_at)
    recorded = decode(POSITION, STREAM, VERSION, topic, state)
    assert recorded == (
        POSITION, STREAM, VERSION, spelling, event, occurred_at, recorded_at, "correlation", "cause", "http", clock,
    )  # fmt: skip
    assert encode(NewEvent(recorded.event, *new[1:]), recorded_at) == (topic, state)
    assert state.endswith(as_pydantic_spells_it(event))


def as_pydantic_spells_it(event: Event) -> bytes:
    return b',"data":' + event.model_dump_json().encode() + b"}"


@pytest.mark.parametrize(
    "event",
    [
        OrderCancelled(order_id=ORDER, reason="".join(map(chr, range(0x180)))),
        OrderCancelled(order_id=ORDER, reason="\u2028\u2029\ufeff\ufffd\uffff\N{CHERRY BLOSSOM}/<>&"),
        ParkedEventDropped(consumer="order", position=2**70, stream="order-1", reason=""),
        OrderHeld.of_known(problems=[Problem(code="c", where="w", message="m")], hold=Hold.FRAUD, order_id=ORDER),
    ],
    ids=["control characters", "other characters", "a huge integer", "fields in another order"],
)
def test_odd_data_is_spelled_as_pydantic_spells_it(event: Event) -> None:
    state = encode(NewEvent(event, NOON, "correlation", "cause", "http"), LATER)[1]
    assert state.endswith(as_pydantic_spells_it(event))
    assert read(event.type, state).event == event


def test_what_is_no_data_is_not_written() -> None:
    event = OrderAccepted.of_known(order_id=SimpleNamespace(secret=1))
    with pytest.raises(ValueError, match="serialize"):
        encode(NewEvent(event, NOON, "correlation", "cause", "http"), LATER)


def test_times_are_stored_with_their_offset() -> None:
    assert state_of()["occurred_at"] == "2026-03-02T12:00:00+00:00"


def test_the_wall_clock_needs_no_mention() -> None:
    assert "clock" not in state_of()
    assert read(PLACED.type, state_of()).clock == WALL_CLOCK


def test_what_is_read_cannot_be_changed() -> None:
    event = read(PLACED.type, state_of()).event
    with pytest.raises(ValueError, match="frozen"):
        event.number = "1002"


def test_every_type_is_spelled_by_its_writer_and_its_version() -> None:
    writers = {"gateway", "order", "payment", "inventory", "shipping", "runtime"}
    for spelling, event_class in EVENT_TYPES.items():
        writer, _, rest = spelling.partition(".")
        name, _, version = rest.rpartition(".v")
        assert writer in writers
        assert event_class.__module__ == f"events.{writer}"
        assert name.replace("_", "")
        assert int(version) >= 1


# --- refused ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "topic", ["order.vanished.v1", "order.placed.v3", "order.placed.v0", "", "events.order:OrderPlaced"]
)
def test_an_unknown_type_is_refused_with_its_place(topic: str) -> None:
    with pytest.raises(UnknownEventType, match=r"position 42 \(order-1, ") as caught:
        read(topic, state_of())
    assert caught.value.position == POSITION


SPOILED: dict[str, Any] = {
    "garbage": b"\xff\xfe\x00",
    "not JSON": b"not json",
    "cut short": orjson.dumps(state_of())[:-5],
    "empty": b"",
    "a list": [1, 2, 3],
    "null": None,
    "nothing in it": {},
    "no data": {key: value for key, value in state_of().items() if key != "data"},
    "data is a list": state_of(data=[]),
    "data is empty": state_of(data={}),
    "a field too many": state_of(color="red"),
    "a field of the data too many": state_of(data={**state_of()["data"], "color": "red"}),
    "a time without offset": state_of(occurred_at="2026-03-02T12:00:00"),
    "no time": state_of(recorded_at="yesterday"),
    "an amount out of bounds": state_of(data={**state_of()["data"], "total_minor": 10**16}),
    "an amount with a fraction": state_of(data={**state_of()["data"], "total_minor": 1.5}),
    "another order id": state_of(data={**state_of()["data"], "order_id": "1001"}),
    "a currency in small letters": state_of(data={**state_of()["data"], "currency": "gbp"}),
}


@pytest.mark.parametrize("state", SPOILED.values(), ids=SPOILED)
def test_a_malformed_state_is_refused_with_its_place(state: Any) -> None:
    with pytest.raises(MalformedEvent, match=r"^position 42 \(order-1, order.placed.v2\): .") as caught:
        read(PLACED.type, state)
    assert caught.value.position == POSITION


def test_the_message_names_the_field_and_never_its_value() -> None:
    contact = Contact(name="Zoë Quine", email="zoe@example.org")
    state = state_of(OrderCorrected(order_id=ORDER, contact=contact))
    state["data"]["contact"]["email"] = ["zoe@example.org"]
    state["data"]["contact"]["name"] = "Zoë Quine " * 100
    with pytest.raises(MalformedEvent) as caught:
        read(OrderCorrected.type, state)
    message = str(caught.value)
    assert "data.contact.name: String should have at most 200 characters" in message
    assert "data.contact.email: Input should be a valid string" in message
    assert "zoe" not in message.lower()
    assert "Zoë" not in message


def test_a_state_with_a_thousand_faults_is_refused_in_a_few_words() -> None:
    state = state_of(OrderHeld(order_id=ORDER, hold=Hold.MANUAL))
    state["data"]["problems"] = [{"wrong": number} for number in range(1_000)]
    with pytest.raises(MalformedEvent) as caught:
        read(OrderHeld.type, state)
    assert len(str(caught.value)) < 1_000


@settings(max_examples=50)
@given(topic=st.sampled_from([*EVENT_TYPES, *UPCASTERS]), state=st.binary(max_size=60))
def test_whatever_the_log_holds_is_read_or_refused(topic: str, state: bytes) -> None:
    with pytest.raises(CodecError):
        read(topic, state)


@settings(max_examples=60)
@given(data=st.data())
def test_a_state_that_lost_some_bytes_is_read_or_refused(data: st.DataObject) -> None:
    raw = orjson.dumps(state_of())
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, len(raw)))
    try:
        read(PLACED.type, raw[:start] + raw[end:])
    except CodecError as refused:
        assert refused.position == POSITION  # noqa: PT017


# --- old versions ----------------------------------------------------------------------------------------------------


def test_an_old_version_is_lifted() -> None:
    state = state_of()
    state["data"]["ship_country"] = state["data"].pop("country")
    del state["data"]["charges"]
    recorded = read("order.placed.v1", state)
    assert recorded.type == "order.placed.v2"
    assert recorded.event == PLACED.model_copy(update={"charges": []})
    assert recorded.occurred_at == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("spelling", UPCASTERS)
def test_every_old_version_leads_to_a_current_one(spelling: str) -> None:
    assert spelling not in EVENT_TYPES


@pytest.mark.parametrize(
    "spoil",
    [
        {"data": {"order_id": ORDER}},
        {"data": []},
        {"data": {**state_of()["data"], "ship_country": "Britain"}},
        {"color": "red"},
        {"occurred_at": "yesterday"},
    ],
    ids=["a field is missing", "no object", "a field does not fit", "a field too many", "no time"],
)
def test_a_malformed_old_version_is_refused_in_words(spoil: dict[str, Any]) -> None:
    with pytest.raises(MalformedEvent, match=r"^position 42 \(order-1, order.placed.v1\): ") as caught:
        read("order.placed.v1", state_of(**spoil))
    assert "not JSON" not in str(caught.value)


def test_the_missing_field_of_an_old_version_is_named() -> None:
    with pytest.raises(MalformedEvent, match="ship_country"):
        read("order.placed.v1", state_of(data={"order_id": ORDER}))


# --- marked ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["order.vanished.v1", PLACED.type])
def test_a_feed_gets_a_mark_in_the_place_of_what_cannot_be_read(topic: str) -> None:
    recorded = decode_or_mark(POSITION, STREAM, VERSION, topic, b"{}")
    assert recorded[:4] == (POSITION, STREAM, VERSION, topic)
    assert isinstance(recorded.event, Unreadable)
    assert recorded.event.reason.startswith(f"position 42 (order-1, {topic}): ")


def test_a_feed_gets_what_can_be_read_as_it_is() -> None:
    state = orjson.dumps(state_of())
    assert isinstance(decode_or_mark(POSITION, STREAM, VERSION, PLACED.type, state).event, OrderPlaced)
