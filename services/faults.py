"""Operating faults and refusals in words, for whoever sits at the terminal."""

from __future__ import annotations

import errno


def in_words(error: Exception) -> str | None:
    """A sentence for a fault that the user can mend; None for one that is ours, which deserves its traceback."""
    from pydantic import ValidationError

    from events.codec import CodecError
    from events.kafka.errors import KafkaTrouble
    from events.store import StoreError
    from projections.redis_server import RedisServerError
    from projections.views import ViewsError
    from services.audit.replay import ReplayRefused
    from services.cluster.faults import RoleRefused
    from services.gateway.import_faults import ImportRefused
    from services.insights.board import BoardUnavailable
    from services.journal import JournalError
    from services.runtime.engine import StillFailing
    from services.runtime.http_calls import AddressRefused
    from services.server.serving import ServerRefused
    from services.wiring import HomeInUse

    known = (
        AddressRefused, BoardUnavailable, CodecError, HomeInUse, ImportRefused, JournalError, KafkaTrouble,
        RedisServerError, ReplayRefused, RoleRefused, ServerRefused, StillFailing, StoreError, ViewsError,
    )  # fmt: skip
    if isinstance(error, known):
        return str(error)
    if isinstance(error, ValidationError):
        return "; ".join(_setting(one["loc"], one["msg"]) for one in error.errors(include_input=False))
    if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
        return "what was typed holds bytes that are no text in UTF-8: type it again, or set the terminal to UTF-8"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES):
        return f"{error.filename or 'the disk'}: {error.strerror}. Make room or name another --home, and run it again"
    return None


def _setting(location: tuple[int | str, ...], message: str) -> str:
    name = "_".join(str(part) for part in location).upper()
    return f"the setting WAYBILL_{name} does not fit: {message}"
