"""Prints history as it was recorded. It only reads: no provider is called, nothing is decided again.

Contacts and addresses come out as "…" unless they are asked for. One event is one line, as text or as JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import orjson

from events.base import Address, Contact, Event, Recorded
from events.codec import Unreadable

SEALED = "…"

# Positions read at a time, and the length up to which a stream is read as one.
_PAGE_EVENTS = 1_000
_LONG_STREAM = 10_000
# A fact longer than this is cut in text; JSON has it in full.
_FACT_LENGTH = 60

WriteLine = Callable[[str], None]


class ReplayRefused(Exception):
    """What was asked for cannot be shown; the message says why."""


class Log(Protocol):
    """What is needed of the event store."""

    def read_after(
        self, position: int, *, limit: int, upto: int | None = None, on_unreadable: Literal["raise", "mark"] = "raise"
    ) -> list[Recorded]: ...

    def stream_versions(self, streams: list[str]) -> dict[str, int]: ...

    def read_stream(self, stream: str, *, after_version: int = 0) -> list[Recorded]: ...

    def last_position(self) -> int: ...


def replay(
    log: Log,
    *,
    from_position: int = 1,
    to_position: int | None = None,
    stream: str | None = None,
    json: bool = False,
    personal_data: bool = False,
    write_line: WriteLine,
) -> int:
    """Write one line for each event from `from_position` to `to_position`, both included; returns how many.

    Without `to_position` it ends where the log ends now, also if it is being written to. Memory is bounded by a page.
    Raises ReplayRefused (an unknown stream, positions the wrong way round), and what the store raises.
    """
    end = log.last_position()
    last = end if to_position is None else min(to_position, end)
    if to_position is not None and to_position < from_position:
        raise ReplayRefused(f"--to {to_position} comes before --from {from_position}: swap them")
    if stream is not None and not log.stream_versions([stream]):
        raise ReplayRefused(
            f"there is no stream {stream!r}; a stream's name is its kind and id, such as order-<order id> or stock-main"
        )
    show = _as_json if json else _as_text
    shown = 0
    for recorded in _events(log, from_position - 1, last, stream):
        write_line(show(recorded, personal_data))
        shown += 1
    return shown


# --- reading -------------------------------------------------------------------------------------------------------


def _events(log: Log, after: int, last: int, stream: str | None) -> Iterator[Recorded]:
    if stream is None:
        yield from _by_page(log, after, last)
    elif log.stream_versions([stream])[stream] <= _LONG_STREAM:
        yield from (one for one in log.read_stream(stream) if after < one.position <= last)
    else:
        # The stock ledger is as long as the trade: reading the log in pages keeps the memory bounded.
        yield from (one for one in _by_page(log, after, last) if one.stream == stream)


def _by_page(log: Log, after: int, last: int) -> Iterator[Recorded]:
    while after < last:
        page = log.read_after(after, limit=_PAGE_EVENTS, upto=last, on_unreadable="mark")
        if not page:
            return
        yield from page
        after = page[-1].position


# --- showing -------------------------------------------------------------------------------------------------------


def _as_json(recorded: Recorded, personal_data: bool) -> str:
    """The whole envelope and the event's data."""
    line: dict[str, object] = {
        "position": recorded.position,
        "id": recorded.id,
        "stream": recorded.stream,
        "version": recorded.version,
        "type": recorded.type,
        "occurred_at": recorded.occurred_at,
        "recorded_at": recorded.recorded_at,
        "correlation_id": recorded.correlation_id,
        "causation_id": recorded.causation_id,
        "actor": recorded.actor,
        "clock": recorded.clock,
    }
    if isinstance(recorded.event, Unreadable):
        # Of its envelope only its place is known.
        line = {name: line[name] for name in ("position", "id", "stream", "version", "type")}
        line["unreadable"] = recorded.event.reason
    else:
        line["data"] = _data(recorded.event, personal_data)
    return orjson.dumps(line, option=orjson.OPT_UTC_Z).decode()


def _data(event: Event, personal_data: bool) -> dict[str, Any]:
    data = event.model_dump(mode="json")
    if not personal_data:
        data.update((name, SEALED) for name, value in event if isinstance(value, Contact | Address))
    return data


def _as_text(recorded: Recorded, personal_data: bool) -> str:
    """Position, both times, place and type, then the event's own facts in short."""
    place = f"{recorded.position:>8}"
    if isinstance(recorded.event, Unreadable):
        return f"{place}  {recorded.type}  {recorded.id}  unreadable: {recorded.event.reason}"
    times = f"{_time(recorded.recorded_at)}  {_time(recorded.occurred_at)}"
    # The stream's own name says whose event it is.
    facts = [
        f"{name}={_fact(value, personal_data)}"
        for name, value in recorded.event
        if value is not None and not (name == "order_id" and value in recorded.stream)
    ]
    return "  ".join([place, times, recorded.id, recorded.type, *facts])


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _fact(value: object, personal_data: bool) -> str:
    """A collection is shown by its size, unless it is short; nothing breaks the line."""
    if isinstance(value, Contact | Address):
        text = value.model_dump_json(exclude_none=True) if personal_data else SEALED
        return " ".join(text.split())
    if isinstance(value, dict | list):
        return f"[{len(value)}]"
    text = " ".join(str(value).split()) or '""'
    return text if len(text) <= _FACT_LENGTH else text[: _FACT_LENGTH - 1] + SEALED
