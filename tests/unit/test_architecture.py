"""The laws of who may import whom hold, and the checker notices when one is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import PACKAGES, SERVICE_FILES, SERVICES, violations

ROOT = Path(__file__).resolve().parents[2]


def test_the_sources_keep_the_laws() -> None:
    assert violations(ROOT) == []


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree that keeps all laws."""
    for package in PACKAGES:
        (tmp_path / package).mkdir()
    for service in SERVICES:
        for name in SERVICE_FILES:
            plant(tmp_path, f"services/{service}/{name}", "")
    return tmp_path


def plant(root: Path, path: str, source: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(source)


def test_a_lawful_tree_has_no_violations(tree: Path) -> None:
    plant(tree, "events/store.py", "import sqlite3\nfrom eventsourcing.sqlite import SQLiteDatastore\n")
    plant(
        tree,
        "services/order/decider.py",
        "from datetime import datetime\nfrom services.order.state import Order\nx = command.now\n",
    )
    plant(tree, "services/payment/worker.py", "import time\nfrom services.runtime import worker\n")
    plant(tree, "services/wiring.py", "from projections import runner\nfrom services import order, payment\n")
    assert violations(tree) == []


@pytest.mark.parametrize(
    ("path", "source", "problem"),
    [
        ("events/order.py", "from services.order import decider", "must not import services.order.decider"),
        ("events/order.py", "def late():\n    import projections.views", "must not import projections.views"),
        ("services/runtime/worker.py", "from projections import runner", "must not import projections.runner"),
        ("services/runtime/worker.py", "from services import order", "must not import services.order"),
        ("services/order/worker.py", "import services.payment.provider", "must not import services.payment.provider"),
        ("services/order/worker.py", "from services.wiring import app", "must not import services.wiring.app"),
        ("services/journal.py", "from services.order import commands", "must not import services.order.commands"),
        ("projections/runner.py", "from services.runtime import metrics", "must not import services.runtime.metrics"),
        ("projections/runner.py", "from . import views", "relative import"),
        ("projections/runner.py", "from tests import conftest", "must not import tests.conftest"),
        ("projections/runner.py", "import redis.asyncio", "redis belongs in projections/redis_views.py"),
        ("services/order/worker.py", "import eventsourcing", "eventsourcing belongs in events/store.py"),
        ("services/shipping/worker.py", "from reportlab.pdfgen import canvas", "reportlab belongs in"),
        ("services/order/worker.py", "import fastapi", "fastapi belongs in"),
        ("events/order.py", "import numpy", "numpy has no home"),
        ("services/order/decider.py", "import logging", "a pure module must not import logging"),
        ("services/order/decider.py", "import random", "a pure module must not import random"),
        ("services/order/decider.py", "from events.store import open_store", "a pure module must not import events"),
        ("services/order/reactions.py", "from services.runtime import effects", "a pure module must not import serv"),
        ("services/order/reactions.py", "import time\nx = time.time()", "a pure module must not import time"),
        ("services/order/reactions.py", "x = datetime.now(UTC)", "a pure module must not use datetime.now"),
        ("services/order/decider.py", "from uuid import uuid4\nx = uuid4()", "a pure module must not use uuid4"),
        ("services/order/decider.py", "import uuid\nx = uuid.uuid4()", "a pure module must not use uuid.uuid4"),
        ("services/order/commands.py", "x = open('f')", "a pure module must not use open"),
    ],
)
def test_a_planted_violation_is_found(tree: Path, path: str, source: str, problem: str) -> None:
    plant(tree, path, source)
    [found] = violations(tree)
    assert found.startswith(f"{path}:")
    assert problem in found


def test_a_missing_service_file_is_found(tree: Path) -> None:
    (tree / "services/payment/reactions.py").unlink()
    assert violations(tree) == ["services/payment/reactions.py: is missing"]
