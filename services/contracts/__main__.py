"""Writes the contracts into docs/."""

from __future__ import annotations

from pathlib import Path

from services.contracts import asyncapi, schemas

DOCS = Path(__file__).resolve().parents[2] / "docs"


def rendered() -> dict[Path, str]:
    """Every file and its content."""
    found = {DOCS / "schemas" / name: text for name, text in schemas.render().items()}
    return {**found, DOCS / "asyncapi.yaml": asyncapi.render()}


def main() -> None:
    (DOCS / "schemas").mkdir(exist_ok=True)
    wanted = rendered()
    for stale in set((DOCS / "schemas").glob("*.json")) - wanted.keys():
        stale.unlink()
    for path, text in wanted.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
