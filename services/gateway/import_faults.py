"""Why an import cannot be carried out. Bad lines are no fault: they end in the rejects file."""

from __future__ import annotations


class ImportRefused(Exception):
    """The message is a sentence for the user.

    ImportRefused            what was asked for cannot be imported; nothing was written
    └── ImportInterrupted    a file could not be read or written on the way; the same command again goes on
    """


class ImportInterrupted(ImportRefused):
    """A file could not be read or written on the way; the same command again goes on."""

    def __init__(self, path: object, error: OSError) -> None:
        super().__init__(f"{path}: {error.strerror or error}; when that is mended, the same command again goes on")
