"""What goes over Kafka comes back as it was, and other people's tools can read it."""

from __future__ import annotations

from datetime import timedelta, timezone

import orjson
import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from events.base import WALL_CLOCK, Event, Recorded
from events.cloudevents import (
    MARK,
    Headers,
    Illegible,
    Wire,
    Writer,
    read_delivery,
    read_event,
    trace_id,
    traceparent,
)
from events.codec import EVENT_TYPES, Unreadable
from events.relay import Message
from events.slots import Delivery
from tests.examples import NOON, ORDER, PLACED
from tests.strategies import INSTANTS, events

LATER = NOON + timedelta(seconds=1)


def recorded(
    event: Event = PLACED, *, position: int = 42, correlation_id: str = ORDER, clock: str = "wall"
) -> Recorded:
    at = NOON.astimezone(timezone(timedelta(hours=2)))
    return Recorded(
        position, f"order-{ORDER}", 3, event.type, event, at, LATER, correlation_id, "cause-1", "http", clock
    )


def message(one: Recorded | None, *, position: int = 42, previous: int = 40) -> Message:
    return Message("waybill.order.inbox", ORDER, 7, position, previous, one)


def written(one: Recorded | None = None) -> Wire:
    return Writer().write(message(one or recorded()))


def spoiled(name: str, value: bytes | None) -> Headers:
    """The headers of a message with one of them changed, or taken out."""
    kept = [one for one in written().headers if one[0] != name]
    return kept if value is None else [*kept, (name, value)]


# --- there and back --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", EVENT_TYPES)
@settings(max_examples=5)
@given(data=st.data())
def test_every_event_comes_back_as_it_was(spelling: str, data: st.DataObject) -> None:
    event = data.draw(events(EVENT_TYPES[spelling]))
    occurred_at, recorded_at = data.draw(INSTANTS), data.draw(INSTANTS)
    clock = data.draw(st.sampled_from([WALL_CLOCK, "online-retail"]))
    one = Recorded(42, "order-1", 3, spelling, event, occurred_at, recorded_at, "Köln", "cause", "http", clock)
    wire = Writer().write(message(one))
    assert read_delivery(wire.headers, wire.value) == Delivery(7, 42, 40, one)
    assert read_event(wire.headers, wire.value) == one


def test_one_event_in_two_topics_differs_only_in_what_came_before() -> None:
    writer, one = Writer(), recorded()
    first, second = writer.write(message(one, previous=40)), writer.write(message(one, previous=12))
    assert set(first.headers) ^ set(second.headers) == {("ce_previous", b"40"), ("ce_previous", b"12")}
    assert first.value == second.value


def test_a_mark_says_only_how_far_the_log_is_published() -> None:
    wire = Writer().write(message(None, position=50))
    assert read_delivery(wire.headers, wire.value) == Delivery(7, 50, 40, None)
    assert read_event(wire.headers, wire.value) is None
    assert dict(wire.headers)["ce_type"] == MARK.encode()


def test_an_old_version_is_lifted_on_the_way() -> None:
    old = PLACED.model_dump(mode="json", exclude={"charges"})
    old["ship_country"] = old.pop("country")
    delivery = read_delivery(spoiled("ce_type", b"order.placed.v1"), orjson.dumps(old))
    assert delivery.recorded is not None
    assert delivery.recorded.event == PLACED.model_copy(update={"charges": []})
    assert delivery.recorded.type == "order.placed.v2"


# --- what a message looks like ---------------------------------------------------------------------------------------


def test_the_headers_are_those_of_the_binary_binding() -> None:
    headers = dict(written().headers)
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_type": b"order.placed.v2",
        "ce_source": b"/waybill/order",
        "ce_id": f"order-{ORDER}/3".encode(),
        "ce_subject": f"order-{ORDER}".encode(),
        "ce_time": b"2026-03-02T14:00:00+02:00",
        "ce_position": b"42",
        "ce_previous": b"40",
        "ce_slot": b"7",
        "ce_streamversion": b"3",
        "ce_recordedat": b"2026-03-02T12:00:01+00:00",
        "ce_correlationid": ORDER.encode(),
        "ce_causationid": b"cause-1",
        "ce_actor": b"http",
        "ce_traceparent": headers["ce_traceparent"],
        "content-type": b"application/json",
    }


def test_names_of_attributes_keep_to_the_rules() -> None:
    one = recorded(clock="online-retail")
    for wire in (written(one), Writer(max_data_bytes=10).write(message(one)), Writer().write(message(None))):
        names = [name.removeprefix("ce_") for name, _ in wire.headers if name != "content-type"]
        assert all(name.isalnum() and name.islower() and len(name) <= 20 for name in names)
        assert len(names) == len(set(names))


def test_the_cloudevents_library_reads_ours() -> None:
    wire = written()
    theirs = from_binary_event(KafkaMessage(dict(wire.headers), wire.key, wire.value), JSONFormat())
    assert (theirs.get_type(), theirs.get_source(), theirs.get_subject()) == (
        "order.placed.v2",
        "/waybill/order",
        f"order-{ORDER}",
    )
    assert theirs.get_time() == NOON
    assert theirs.get_data() == PLACED.model_dump(mode="json")
    assert theirs.get_extension("position") == "42"
    assert theirs.get_extension("partitionkey") == ORDER


def test_an_order_is_one_trace_and_each_event_a_span() -> None:
    first, second = recorded(), recorded()._replace(version=4)
    trace, span = traceparent(first).split("-")[1:3]
    assert trace == ORDER.replace("-", "") == trace_id(ORDER)
    assert traceparent(second).split("-")[1] == trace
    assert traceparent(second).split("-")[2] != span
    assert len(span) == 16


@pytest.mark.parametrize("correlation_id", ["", "request-7", "00000000-0000-0000-0000-000000000000", "Ä" * 36])
def test_any_correlation_id_makes_a_valid_trace(correlation_id: str) -> None:
    version, trace, span, flags = traceparent(recorded(correlation_id=correlation_id)).split("-")
    assert (version, flags, len(trace), len(span)) == ("00", "01", 32, 16)
    assert int(trace, 16) > 0


# --- what cannot be read, or is not for us ---------------------------------------------------------------------------


def test_data_that_a_broker_would_not_take_is_left_to_the_log() -> None:
    wire = Writer(max_data_bytes=100).write(message(recorded()))
    assert wire.value == b""
    assert dict(wire.headers)["ce_dataref"] == b"/waybill/log/42"
    assert read_delivery(wire.headers, wire.value) == Delivery(7, 42, 42, None)
    event = read_event(wire.headers, wire.value)
    assert event is not None
    assert isinstance(event.event, Unreadable)


def test_what_the_relay_could_not_read_is_left_to_the_log() -> None:
    unreadable = recorded()._replace(type="order.moved.v9", event=Unreadable(reason="no such event type here"))
    wire = Writer().write(message(unreadable))
    assert dict(wire.headers)["ce_type"] == b"order.moved.v9"
    assert read_delivery(wire.headers, wire.value) == Delivery(7, 42, 42, None)


@pytest.mark.parametrize(
    ("headers", "value"),
    [
        (spoiled("ce_type", b"order.moved.v9"), written().value),
        (spoiled("ce_time", None), written().value),
        (spoiled("ce_time", b"yesterday"), written().value),
        (spoiled("ce_actor", b"\xff\xfe"), b"[]"),
        (spoiled("ce_streamversion", b"many"), b"\xff"),
        (spoiled("ce_subject", None), b""),
        (spoiled("ce_recordedat", b""), None),
    ],
)
def test_what_cannot_be_decoded_is_marked_and_keeps_its_place(headers: Headers, value: bytes | None) -> None:
    delivery = read_delivery(headers, value)
    assert delivery[:3] == (7, 42, 40)
    assert delivery.recorded is not None
    assert isinstance(delivery.recorded.event, Unreadable)
    assert "zoe@example.org" not in delivery.recorded.event.reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_position", None),
        ("ce_slot", None),
        ("ce_previous", None),
        ("ce_source", None),
        ("ce_type", None),
        ("ce_position", b"soon"),
        ("ce_slot", b"12"),
        ("ce_slot", b"-1"),
        ("ce_position", b"0"),
        ("ce_previous", b"43"),
        ("ce_source", b"/somebody/order"),
        ("ce_source", b"/waybill2/order"),
        ("ce_source", b"/waybill/elsewhere/order"),
        ("ce_source", b"/waybill/"),
    ],
)
def test_what_is_no_message_of_this_log_is_illegible(name: str, value: bytes | None) -> None:
    with pytest.raises(Illegible):
        read_delivery(spoiled(name, value), written().value)
    with pytest.raises(Illegible):
        read_delivery([], None)


def test_two_logs_on_one_broker_do_not_hear_each_other() -> None:
    wire = Writer("/waybill/test-shop").write(message(recorded()))
    assert read_delivery(wire.headers, wire.value, "/waybill/test-shop").position == 42
    with pytest.raises(Illegible, match="this log"):
        read_delivery(wire.headers, wire.value, "/waybill/main-shop")


@given(st.lists(st.tuples(st.sampled_from([*dict(written().headers)]), st.binary(max_size=20))), st.binary())
def test_no_garbage_raises_anything_else(changes: Headers, value: bytes) -> None:
    headers = {**dict(written().headers), **dict(changes)}
    try:
        delivery = read_delivery(headers.items(), value)
    except Illegible:
        return
    assert 0 <= delivery.slot < 12
