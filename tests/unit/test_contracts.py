"""What is written for other programs is what the code does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from events.base import Recorded
from events.cloudevents import Writer
from events.codec import EVENT_TYPES, Unreadable, decode
from events.incoming import Incoming
from events.relay import Message
from services.contracts.__main__ import DOCS, rendered
from services.contracts.asyncapi import document
from services.contracts.schemas import DIALECT, INTAKE
from services.gateway.intake_messages import Refused, arrival_of
from services.routing import FACTS, INBOXES, TOPICS
from tests.examples import NOON, ORDER, PLACED
from tests.history import FOLDER, golden
from tests.intake import binary, message, structured
from tests.shop_server import order_body
from tests.strategies import events

FILES = rendered()
SCHEMAS = {
    path.name.removesuffix(".json"): orjson.loads(text) for path, text in FILES.items() if path.suffix == ".json"
}
GOLDEN = sorted(FOLDER.glob("*.json"), key=lambda path: path.name)
DOCUMENT: dict[str, Any] = document()


def validator(name: str) -> Validator:
    return Draft202012Validator(SCHEMAS[name], format_checker=Draft202012Validator.FORMAT_CHECKER)


def shape(name: str) -> Validator:
    """Of headers, as the document has them."""
    return Draft202012Validator(DOCUMENT["components"]["schemas"][f"{name}.headers"])


def texts(headers: Any) -> dict[str, str]:
    return {name: raw.decode() for name, raw in headers}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_are_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run python -m services.contracts"


def test_no_schema_is_left_of_what_is_no_more() -> None:
    assert {path.name for path in (DOCS / "schemas").iterdir()} == {f"{name}.json" for name in [*EVENT_TYPES, INTAKE]}


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    assert SCHEMAS[name]["$schema"] == DIALECT
    Draft202012Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_golden_file_fits_its_schema(path: Path) -> None:
    stored = golden(path)
    if path.stem in EVENT_TYPES:
        validator(path.stem).validate(stored["state"]["data"])
    else:  # an old version: what Kafka's readers get is what it is lifted to
        recorded = decode(1, "stream-1", 1, path.stem, orjson.dumps(stored["state"]))
        validator(recorded.type).validate(recorded.event.model_dump(mode="json"))


@pytest.mark.parametrize("spelling", EVENT_TYPES)
@settings(max_examples=5)
@given(data=st.data())
def test_whatever_event_is_published_fits_its_schema(spelling: str, data: st.DataObject) -> None:
    event = data.draw(events(EVENT_TYPES[spelling]))
    validator(spelling).validate(event.model_dump(mode="json"))


def test_an_order_that_fits_its_schema_is_understood_and_another_is_not() -> None:
    validator(INTAKE).validate(order_body("7"))
    wrong: list[dict[str, Any]] = [{"lines": []}, {"total": 18.80}, {"currency": "gbp"}, {"surname": "Quine"}]
    for changes in wrong:
        assert not validator(INTAKE).is_valid(order_body("7", **changes))
        assert not _is_understood(binary(order_body("7", **changes)))


# --- the document ----------------------------------------------------------------------------------------------------


def test_the_document_is_the_yaml_that_it_looks_like() -> None:
    assert yaml.safe_load(FILES[DOCS / "asyncapi.yaml"]) == orjson.loads(orjson.dumps(DOCUMENT))


def test_every_topic_is_a_channel_with_the_events_that_are_routed_to_it() -> None:
    assert set(DOCUMENT["channels"]) == set(TOPICS)
    for route in [*FACTS, *(inbox.route for inbox in INBOXES.values())]:
        messages = set(DOCUMENT["channels"][route.topic]["messages"])
        assert messages == {event.type for event in route.classes} | {"waybill.mark"}


def test_every_topic_is_sent_to_or_received_from() -> None:
    named = {one["channel"]["$ref"].removeprefix("#/channels/") for one in DOCUMENT["operations"].values()}
    assert named == set(TOPICS)


def test_the_headers_are_those_that_are_published() -> None:
    stream, type_ = f"order-{ORDER}", PLACED.type
    known = Recorded(42, stream, 3, type_, PLACED, NOON, NOON, ORDER, "cause-1", "http", "online-retail")
    unknown = known._replace(event=Unreadable(reason="from a newer version"))
    for one in (known, unknown):
        headers = texts(Writer().write(Message("waybill.order", ORDER, 7, 42, 40, one)).headers)
        shape("fact").validate(headers)
        assert headers.keys() <= DOCUMENT["components"]["schemas"]["fact.headers"]["properties"].keys()
    mark = texts(Writer().write(Message("waybill.order", "", 7, 42, 40, None)).headers)
    shape("mark").validate(mark)
    assert not shape("fact").is_valid(mark)


def test_what_the_document_says_of_orders_is_what_is_taken() -> None:
    messages = DOCUMENT["components"]["messages"]
    envelope = dict(messages[f"{INTAKE}.structured"]["payload"])
    envelope["properties"] = {**envelope["properties"], "data": SCHEMAS[INTAKE]}
    sent, beside = binary(order_body("7")), structured(order_body("7"))
    shape("sent").validate(texts(sent.headers))
    shape("structured").validate(texts(beside.headers))
    Draft202012Validator(envelope).validate(orjson.loads(beside.value or b""))
    assert _is_understood(sent)
    assert _is_understood(beside)


def test_what_the_document_demands_of_senders_is_what_we_demand() -> None:
    for name in DOCUMENT["components"]["schemas"]["sent.headers"]["required"]:
        good = binary(order_body("7"))
        without = [(header, raw) for header, raw in good.headers if header != name]
        assert not shape("sent").is_valid(texts(without))
        assert not _is_understood(message(good.value, without))


def _is_understood(one: Incoming) -> bool:
    try:
        arrival_of(one, NOON, 1_000_000)
    except Refused:
        return False
    return True
