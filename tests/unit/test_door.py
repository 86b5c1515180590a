"""What gets in by the door, and what does not: bodies that are slow, too many at once, or never end."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.gateway import door
from services.gateway.door import Door, Message, Receive, Scope, Send

JSON = [(b"content-type", b"application/json")]
SECRET = "Zoë Quine, 1 Example Street"


class Answer:
    """What the door sent."""

    def __init__(self, messages: list[Message]) -> None:
        self.status: int = messages[0]["status"]
        self.headers: dict[bytes, bytes] = dict(messages[0]["headers"])
        self.body = b"".join(message.get("body", b"") for message in messages[1:])


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """The application: says how much it was given, and what the next message is."""
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(len(message["body"])).encode()})


def ask(app: Any, chunks: AsyncIterator[bytes], headers: list[tuple[bytes, bytes]], **wanted: Any) -> Answer | None:
    """One request; None if the sender got no answer because he hung up."""

    async def main() -> Answer | None:
        messages: list[Message] = []

        async def receive() -> Message:
            try:
                return {"type": "http.request", "body": await anext(chunks), "more_body": True}
            except StopAsyncIteration:
                return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        scope = {"type": "http", "method": "POST", "headers": headers}
        await Door(app, max_body_bytes=1_000, **wanted)(scope, receive, send)
        return Answer(messages) if messages else None

    return asyncio.run(main())


async def chunks(*parts: bytes, pause_s: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        await asyncio.sleep(pause_s)
        yield part


CHUNKED = [*JSON, (b"transfer-encoding", b"chunked")]


def test_a_body_in_pieces_comes_in_whole() -> None:
    answer = ask(echo, chunks(b"a" * 400, b"b" * 600), CHUNKED)
    assert answer is not None
    assert (answer.status, answer.body) == (200, b"1000")


def test_a_body_that_never_ends_is_cut_off() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    answer = ask(echo, endless(), CHUNKED)
    assert answer is not None
    assert (answer.status, answer.headers[b"connection"]) == (413, b"close")


def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    answer = ask(echo, chunks(*[b"x"] * 100, pause_s=0.05), CHUNKED, body_timeout_s=0.2)
    assert answer is not None
    assert answer.status == 408


def test_too_many_bodies_at_once_are_put_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "MAX_HELD_BYTES", 500)
    answer = ask(echo, chunks(b"x" * 600), CHUNKED)
    assert answer is not None
    assert (answer.status, answer.headers[b"retry-after"]) == (503, b"1")


def test_what_was_held_is_let_go() -> None:
    doors: list[Door] = []

    async def main() -> None:
        one = Door(echo, max_body_bytes=1_000)
        doors.append(one)
        for _ in range(3):
            parts = [b"x" * 900, b"x" * 900]

            async def receive(parts: list[bytes] = parts) -> Message:
                return {"type": "http.request", "body": parts.pop(), "more_body": bool(parts)}

            async def send(message: Message) -> None:
                return None

            await one({"type": "http", "method": "POST", "headers": CHUNKED}, receive, send)

    asyncio.run(main())
    assert doors[0]._held_bytes == 0


def test_a_sender_who_hangs_up_is_not_answered() -> None:
    async def hung_up(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("never asked")

    async def main() -> list[Message]:
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            messages.append(message)

        await Door(hung_up, max_body_bytes=10)({"type": "http", "method": "POST", "headers": CHUNKED}, receive, send)
        return messages

    assert asyncio.run(main()) == []


def test_a_fault_of_ours_is_told_in_words_and_logged_without_its_data(caplog: pytest.LogCaptureFixture) -> None:
    async def faulty(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError(f"cannot handle {SECRET}")

    with caplog.at_level(logging.DEBUG):
        answer = ask(faulty, chunks(SECRET.encode()), CHUNKED)
    assert answer is not None
    assert answer.status == 500
    assert set(json.loads(answer.body)) == {"message", "problems"}
    assert "ValueError" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET.encode() not in answer.body
