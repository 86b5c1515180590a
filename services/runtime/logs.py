"""What goes to standard error: lines for people, or one JSON object a line for a collector.

Nothing that is logged holds personal data; what names a business process does so by `correlation_id`.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import orjson

from services.runtime.settings import LogFormat, Settings

# What a caller may add to a line: `log.info("...", extra={"correlation_id": ...})`.
_FIELDS = ("role", "consumer", "correlation_id", "traceparent", "position")


def write_logs(settings: Settings) -> None:
    """To standard error; where logging is set up already (tests), that is left as it is."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if settings.log_format is LogFormat.JSON else logging.Formatter(_TEXT))
    logging.basicConfig(level=settings.log_level.value, handlers=[handler])
    # It writes ten lines a second while a broker is away; what is wrong is told by us, once.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


_TEXT = "%(asctime)s %(levelname)s %(message)s"


class JsonLines(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, and the fields above where they are given."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            # The kind alone: what an exception says may quote what it was about.
            line["error"] = record.exc_info[0].__name__ if record.exc_info[0] else None
        return orjson.dumps(line).decode()
