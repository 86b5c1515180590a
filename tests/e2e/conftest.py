"""What holds after every end-to-end test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import outlived_s, processes_of


@pytest.fixture(autouse=True)
def nobody_is_left_behind(tmp_path: Path) -> Iterator[None]:
    """Whatever was started on a home of the test is gone soon after it: servers, projectors, Redis."""
    yield
    outlived_s(tmp_path)
    assert not processes_of(tmp_path)
