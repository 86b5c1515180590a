"""What older versions of Waybill have written can be read for ever."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from events.base import NewEvent, Recorded
from events.codec import EVENT_TYPES, UPCASTERS, decode, encode
from events.order import OrderPlaced
from tests.history import FOLDER, SUMS, digest_line, golden

FILES = sorted(FOLDER.glob("*.json"), key=lambda path: path.name)


def read(path: Path) -> Recorded:
    content = golden(path)
    return decode(1, "stream-1", 1, content["type"], orjson.dumps(content["state"]))


def test_every_type_and_every_old_version_has_a_golden_file() -> None:
    assert {path.stem for path in FILES} >= {*EVENT_TYPES, *UPCASTERS}, "run python -m tests.history"


def test_no_golden_file_was_edited() -> None:
    assert SUMS.read_text() == "".join(f"{digest_line(path)}\n" for path in FILES), (
        "a golden file is never edited: a new shape is a new version with an upcaster"
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_decodes(path: Path) -> None:
    assert golden(path)["type"] == path.stem
    recorded = read(path)
    assert recorded.type in EVENT_TYPES
    assert type(recorded.event) is EVENT_TYPES[recorded.type]


@pytest.mark.parametrize("spelling", EVENT_TYPES)
def test_a_current_golden_file_is_written_again_byte_for_byte(spelling: str) -> None:
    stored = golden(FOLDER / f"{spelling}.json")
    recorded = read(FOLDER / f"{spelling}.json")
    new = NewEvent(
        recorded.event,
        recorded.occurred_at,
        recorded.correlation_id,
        recorded.causation_id,
        recorded.actor,
        recorded.clock,
    )
    assert encode(new, recorded.recorded_at) == (spelling, orjson.dumps(stored["state"]))


@pytest.mark.parametrize("spelling", EVENT_TYPES)
def test_a_current_golden_file_fills_in_every_field(spelling: str) -> None:
    assert golden(FOLDER / f"{spelling}.json")["state"]["data"].keys() == EVENT_TYPES[spelling].model_fields.keys()


def test_an_order_placed_by_the_first_version_is_lifted() -> None:
    order = read(FOLDER / "order.placed.v1.json").event
    assert isinstance(order, OrderPlaced)
    assert (order.number, order.country, order.charges, order.total_minor) == ("1001", "FR", [], 1_530)
