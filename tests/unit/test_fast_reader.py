"""The short cut takes nothing that pydantic refuses and reads nothing differently; what `encode` writes it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from datetime import datetime
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from events.base import WALL_CLOCK, Event, NewEvent, Recorded, Sku
from events.codec import EVENT_TYPES, decode_by_pydantic, encode
from events.fast_reader import REFUSALS, fast_reader
from events.fast_shapes import Unforeseen, instant, shape_of
from events.order import OrderAccepted, OrderPlaced
from events.payment import PaymentActionRequired
from tests.examples import NOON, ORDER, PLACED
from tests.history import FOLDER, golden
from tests.strategies import INSTANTS, events

READERS = {spelling: fast_reader(event_class) for spelling, event_class in EVENT_TYPES.items()}
PLACE = (42, "order-1", 3)


def written(event: Event, occurred_at: datetime = NOON, clock: str = WALL_CLOCK) -> bytes:
    return encode(NewEvent(event, occurred_at, "correlation", "cause", "http", clock), NOON)[1]


def taken(topic: str, state: bytes) -> Recorded | None:
    """What the short cut makes of it, after a look that pydantic makes the same of it; None if it is refused."""
    try:
        fast = READERS[topic](*PLACE, state)
    except REFUSALS:
        return None
    slow = decode_by_pydantic(*PLACE, topic, state)
    assert fast == slow
    assert anatomy(fast) == anatomy(slow)
    return fast


def anatomy(value: Any) -> Any:
    """The value with the type of every part: True is not 1, a hold is not its spelling, 13:00+01:00 is not 12:00Z."""
    match value:
        case BaseModel():
            return type(value), value.model_fields_set, anatomy(vars(value))
        case dict():
            return [(anatomy(key), anatomy(one)) for key, one in value.items()]
        case list() | tuple():
            return type(value), [anatomy(one) for one in value]
        case datetime():
            return value.isoformat()
        case _:
            return type(value), value


# --- what we write ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", EVENT_TYPES)
@settings(max_examples=5)
@given(data=st.data())
def test_what_is_written_is_taken(spelling: str, data: st.DataObject) -> None:
    event = data.draw(events(EVENT_TYPES[spelling]))
    state = written(event, data.draw(INSTANTS), data.draw(st.sampled_from([WALL_CLOCK, "online-retail"])))
    recorded = taken(spelling, state)
    if recorded is None:
        assert any(integer >= 2**63 for integer in integers(event.model_dump()))
    else:
        assert recorded.event == event


def integers(value: Any) -> Iterator[int]:
    """Of more than 64 bits they are left to pydantic, where a field has no upper bound."""
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from integers(one)
    elif isinstance(value, int):
        yield value


def test_what_is_taken_is_as_frozen_and_as_easily_copied_as_any_event() -> None:
    recorded = taken(PLACED.type, written(PLACED))
    assert recorded is not None
    assert isinstance(recorded.event, OrderPlaced)
    with pytest.raises(ValueError, match="frozen"):
        recorded.event.number = "1002"  # type: ignore[misc]
    assert recorded.event.model_copy(update={"number": "1002"}).number == "1002"
    assert repr(recorded.event) == repr(PLACED)


# --- what somebody else has written ----------------------------------------------------------------------------------

JUNK: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 10**7, 10**7 + 1, 10**15 + 1, 2**63, 2**64, 10**30, 1.0, 1.5, 1e3, 1e300),
    *(
        "",
        " ",
        "1",
        "x" * 36,
        "x" * 41,
        "x" * 101,
        "x" * 501,
        "0" * 36,
        "GB",
        "gb",
        "GBP",
        "é",
        "\0",
        "\ud800",
        "\N{CHERRY BLOSSOM}",
    ),
    *("2026-03-02T12:00:00Z", "2026-03-02T12:00:00", "2026-03-02 12:00:00.123456789+05:30", "2026-03-02", "1772452800"),
    *([], {}, [{}], {"": 1}, {"A": 0}, {"A": {}}, {"A\n": 1}, {"A": {"B": 1}}, {"x" * 41: 1}, float("nan")),
]


@st.composite
def spoiled(draw: st.DrawFn, state: dict[str, Any]) -> bytes:
    """One to three things about a stored state are changed: a value, a field, a text, the order."""
    tree = deepcopy(state)
    for _ in range(draw(st.integers(1, 3))):
        parent, key = draw(st.sampled_from(list(_places(tree))))
        _spoil(draw, parent, key)
    return json.dumps(tree, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in the tree as a container and a key."""
    for key, one in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(one, dict | list):
            yield from _places(one)


def _spoil(draw: st.DrawFn, parent: Any, key: Any) -> None:
    before = parent[key]
    match draw(st.sampled_from(["replace", "remove", "add", "edit", "again"])):
        case "replace":
            parent[key] = deepcopy(draw(st.sampled_from(JUNK)))
        case "remove":
            del parent[key]
        case "add" if isinstance(parent, dict):
            parent[draw(st.sampled_from(["", "color", "lines", "clock", "A", "A\n", "x" * 41]))] = before
        case "again" if isinstance(parent, dict):
            parent[key] = parent.pop(key)  # as the last
        case "edit" if isinstance(before, str):
            parent[key] = draw(st.sampled_from([before + "\n", before + " ", before.lower(), before[1:], before * 3]))
        case "edit" if isinstance(before, int):
            parent[key] = draw(st.sampled_from([-before, before + 1, float(before), str(before)]))


@pytest.mark.parametrize("spelling", EVENT_TYPES)
@settings(max_examples=10)
@given(data=st.data())
def test_what_was_tampered_with_is_taken_only_as_pydantic_takes_it(spelling: str, data: st.DataObject) -> None:
    taken(spelling, data.draw(spoiled(golden(FOLDER / f"{spelling}.json")["state"])))


@settings(max_examples=60)
@given(data=st.data())
def test_what_lost_or_got_some_bytes_is_taken_only_as_pydantic_takes_it(data: st.DataObject) -> None:
    raw = written(PLACED)
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 8)))
    inserted = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"\n", b"\\u0041", b"\\ud800", b"\xc3", b"e1", b".0"])
    )
    taken(PLACED.type, raw[:start] + inserted + raw[end:])


ACCEPTED = written(OrderAccepted(order_id=ORDER))


@pytest.mark.parametrize(
    "state",
    [
        ACCEPTED.replace(b'"data":{', b'"data":{"order_id":"' + ORDER.replace("-", "0").encode() + b'",'),
        ACCEPTED.replace(b'"data":{', b'"data":{"order_id":"1",'),
        ACCEPTED.replace(b'"data":{', b'"data":{"color":"red",'),
        ACCEPTED.replace(b'"data":{', b'"data":{},"data":{'),
        ACCEPTED.replace(b'{"occurred_at"', b'{"actor":1,"occurred_at"'),
        ACCEPTED.replace(ORDER.encode(), ORDER.encode() + b"\\n"),
        ACCEPTED.replace(b"http", b"h\xff"),
        ACCEPTED.replace(b"http", b"h\x01"),
        ACCEPTED.replace(b"order_id", b"order\\u005fid"),
        b"\xef\xbb\xbf" + ACCEPTED,
        b" \n" + ACCEPTED + b"\n ",
        ACCEPTED + b"{}",
    ],
    ids="twice, twice and wrong, unknown, data twice, actor twice, line feed, not UTF-8, control, escape, BOM, "
    "space, more".split(", "),
)
def test_what_json_leaves_open_is_taken_only_as_pydantic_takes_it(state: bytes) -> None:
    assert state != ACCEPTED
    taken(OrderAccepted.type, state)


@settings(max_examples=30)
@given(
    text=st.from_regex(
        r"[0-9+-]{0,2}20[0-9]{2}-[0-9]{2}-[0-9]{2}[Tt _]?[0-9:]{5,8}([.,][0-9]{0,10})?([Zz]|[+-][0-9:]{2,6})?"
    )
    | INSTANTS.map(datetime.isoformat)
    | st.text(max_size=30)
)
def test_a_time_is_taken_only_as_pydantic_takes_it(text: str) -> None:
    event = PaymentActionRequired(order_id=ORDER, reference="r", expires_at=NOON)
    state = json.loads(written(event))
    state["data"]["expires_at"] = text
    taken(PaymentActionRequired.type, json.dumps(state).encode())


def test_a_time_that_was_read_before_is_the_same_object() -> None:
    assert instant("2026-03-02T12:00:00Z") is instant("2026-03-02T12:00:00Z")


# --- what cannot be translated ---------------------------------------------------------------------------------------


class Trimmed(Event):
    type: ClassVar[str] = "test.trimmed.v1"
    text: Annotated[str, StringConstraints(strip_whitespace=True)]


class Checked(Event):
    type: ClassVar[str] = "test.checked.v1"
    number: Annotated[int, AfterValidator(abs)]


class Weighed(Event):
    type: ClassVar[str] = "test.weighed.v1"
    kilograms: float


class Lenient(Event):
    model_config = ConfigDict(extra="ignore")
    type: ClassVar[str] = "test.lenient.v1"


class Renamed(Event):
    type: ClassVar[str] = "test.renamed.v1"
    text: str = Field(alias="words")


class Past(Event):
    type: ClassVar[str] = "test.past.v1"
    at: Annotated[AwareDatetime, Field(le=NOON)]


class Scheduled(Event):
    type: ClassVar[str] = "test.scheduled.v1"
    at: dict[Sku, AwareDatetime]


@pytest.mark.parametrize("event_class", [Trimmed, Checked, Weighed, Lenient, Renamed, Past, Scheduled])
def test_a_class_that_cannot_be_translated_is_refused_and_not_misread(event_class: type[Event]) -> None:
    with pytest.raises(Unforeseen):
        shape_of(event_class)
