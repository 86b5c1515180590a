"""Which files an import is about."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from services.gateway.import_faults import ImportRefused


def find_files(paths: Sequence[Path]) -> list[Path]:
    """These files, and the .csv files in these folders, each once, in order of name: days come in order of time.

    Raises ImportRefused for what is not there, and for folders without such files.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        try:
            files = _csv_files(path) if path.is_dir() else [path]
            found.update((file.resolve(), file) for file in files if _must_be_file(file))
        except OSError as error:
            raise ImportRefused(f"{path}: {error.strerror or error}") from error
    if not found:
        raise ImportRefused("no files were named")
    return sorted(found.values(), key=lambda file: (file.name, str(file)))


def _csv_files(folder: Path) -> list[Path]:
    files = [file for file in folder.iterdir() if file.suffix.lower() == ".csv" and not file.name.startswith(".")]
    if not files:
        raise ImportRefused(f"{folder}: there are no .csv files in this folder")
    return files


def _must_be_file(path: Path) -> bool:
    if not path.exists():
        raise ImportRefused(f"{path}: there is no such file or folder")
    if not path.is_file():
        raise ImportRefused(f"{path}: this is not a regular file")
    return True


def rejects_names(files: Sequence[Path]) -> list[str]:
    """A name of its own for each file's rejects, even where files of several folders have the same name."""
    names: list[str] = []
    for file in files:
        name, number = f"{file.name}.rejects.csv", 1
        while name in names:
            number += 1
            name = f"{file.name}.{number}.rejects.csv"
        names.append(name)
    return names
