"""Reads what `codec.encode` wrote in two thirds of the time that pydantic takes (docs/decisions.md has the figures).

Whoever reads the whole log (verify, rebuild, replay) spent a third of the time on decoding. Here msgspec parses the
bytes and checks types, bounds and unknown fields as it goes; what remains is to put the pydantic objects together.

This is a short cut and not a second opinion. It takes nothing that pydantic refuses, and reads nothing differently
(tests/unit/test_fast_reader.py). It may refuse what pydantic takes: a default left out, a number written as text.
Whatever it refuses goes to pydantic, which has the last word, and finds the words for what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from events.base import WALL_CLOCK, Event, Recorded
from events.fast_shapes import instant, shape_of, struct_of

Reader = Callable[[int, str, int, bytes], Recorded]
"""Reads one type of event: position, stream, version, state. Raises one of REFUSALS."""

REFUSALS = (msgspec.MsgspecError, ValueError)
"""The state is not as `encode` writes it. Says nothing about whether pydantic takes it."""


def fast_reader(event_class: type[Event]) -> Reader:
    """A reader for this class, made in 0.2 ms. Raises Unforeseen if the class cannot be translated."""
    spelling = event_class.type
    data = shape_of(event_class)
    event: Any = data.convert
    parse = msgspec.json.Decoder(_state(data.type)).decode
    new = tuple.__new__  # what Recorded(...) comes to, without a function in between

    def read(position: int, stream: str, version: int, state: bytes) -> Recorded:
        body = parse(state)
        return new(
            Recorded,
            (
                position,
                stream,
                version,
                spelling,
                event(body.data),
                instant(body.occurred_at),
                instant(body.recorded_at),
                body.correlation_id,
                body.causation_id,
                body.actor,
                body.clock,
            ),
        )

    return read


def _state(data: Any) -> Any:
    """The envelope's fields beside `data`, as the codec's own `_Envelope` has them."""
    texts = [(name, str) for name in ("occurred_at", "recorded_at", "correlation_id", "causation_id", "actor")]
    return struct_of("State", [*texts, ("data", data), ("clock", str, WALL_CLOCK)])
