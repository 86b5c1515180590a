"""The lock of a home: one process writes, and a command that only looks holds it up for no more than a moment."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from services import wiring
from services.runtime.settings import Projector, Settings
from services.wiring import HomeInUse, open_home

INLINE = Settings(projector=Projector.INLINE)


def test_a_writer_waits_a_moment_for_whoever_holds_the_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "LOCK_PATIENCE_S", 10.0)
    holding, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with open_home(home, INLINE):
            holding.set()
            let_go.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert holding.wait(10)
    threading.Timer(0.3, let_go.set).start()
    with open_home(home, INLINE) as house:
        assert let_go.is_set()
        assert house.store.last_position() == 0
    holder.join()


def test_a_writer_does_not_wait_for_ever(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wiring, "LOCK_PATIENCE_S", 0.2)
    with open_home(home, INLINE):
        began = time.monotonic()
        with pytest.raises(HomeInUse, match="is in use by process"), open_home(home, INLINE):
            pass
        assert time.monotonic() - began < 10
