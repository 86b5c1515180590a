"""What the worker runtime writes about its own troubles: one stream per consumer, `parking-<consumer>`."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from events.base import Event, Name, Note


def parking_stream(consumer: str) -> str:
    return f"parking-{consumer}"


class EventParked(Event):
    """A consumer could not handle this event, or it stands behind one of its stream that it could not handle."""

    type: ClassVar[str] = "runtime.event_parked.v1"
    consumer: Name
    position: Annotated[int, Field(ge=1)]
    stream: Name
    event_type: Name
    reason: Note


class ParkedEventReplayed(Event):
    """The parked event was handled after all; what it led to is in the same transaction."""

    type: ClassVar[str] = "runtime.parked_event_replayed.v1"
    consumer: Name
    position: Annotated[int, Field(ge=1)]
    stream: Name


class ParkedEventDropped(Event):
    """A person decided that the parked event shall not be handled."""

    type: ClassVar[str] = "runtime.parked_event_dropped.v1"
    consumer: Name
    position: Annotated[int, Field(ge=1)]
    stream: Name
    reason: Note
