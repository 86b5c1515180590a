"""What every board does, be it a Redis or this process's memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from projections.redis_server import EmbeddedRedis
from services.insights.board import Board, BoardUnavailable, MemoryBoard
from services.insights.redis_board import RedisBoard


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(tmp_path_factory.mktemp("home"))
    yield server
    server.close()


@pytest.fixture(params=["memory", "redis"])
def board(request: pytest.FixtureRequest) -> Iterator[Board]:
    board: Board = MemoryBoard()
    if request.param == "redis":
        board = RedisBoard(request.getfixturevalue("server").url(), key=f"test:{request.node.name}")
    yield board
    board.close()
    board.close()


def test_at_first_nothing_is_seen(board: Board) -> None:
    assert board.seen() is None


def test_the_latest_document_is_seen_as_a_whole(board: Board) -> None:
    board.show(b'{"as_of": "noon", "\xc3\xbc": "\\u0000"}')
    board.show(b'{"as_of": "one"}')
    assert board.seen() == b'{"as_of": "one"}'


def test_a_redis_that_is_away_is_told_in_words_and_found_again() -> None:
    board = RedisBoard("redis://127.0.0.1:1/0")
    for _ in range(2):
        with pytest.raises(BoardUnavailable, match="Redis does not"):
            board.show(b"{}")
        with pytest.raises(BoardUnavailable, match="Redis does not"):
            board.seen()
    board.close()


def test_an_address_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(BoardUnavailable, match="there is no Redis"):
        RedisBoard("nonsense")
