"""Takes orders from the intake topic into the log, batch by batch, each once, however often it is sent."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from traceback import format_tb
from typing import NamedTuple

from events.incoming import Incoming, Rejected
from events.store import StoreError
from services.gateway.arrivals import Arrival, Arrivals, Verdict
from services.gateway.intake import batches
from services.gateway.intake_messages import Refused, arrival_of
from services.runtime import metrics

log = logging.getLogger(__name__)

CONFLICT = (
    "an order with this channel and number came before with another content; it stays as it was, and this one was "
    "reported in the log"
)
FAULT = "something went wrong on our side; it was logged"


class _Wanted(NamedTuple):
    """An order that can be read, and the message that brought it."""

    message: Incoming
    arrival: Arrival

    @property
    def stream(self) -> str:
        return self.arrival.stream


class TopicIntake:
    """See events.incoming.Take. Not for two threads at a time."""

    # Where the gain of larger transactions ends.
    MAX_BATCH = 500

    def __init__(
        self, arrivals: Arrivals, *, now: Callable[[], datetime], max_bytes: int, ring: Callable[[], object]
    ) -> None:
        """`max_bytes` bounds a message's value; `ring` is called when there is something to do."""
        self._arrivals = arrivals
        self._now = now
        self._max_bytes = max_bytes
        self._ring = ring

    def take(self, messages: Sequence[Incoming]) -> list[Rejected]:
        """What is not taken, and why. Raises StoreError: then a part may be taken, and will be known again."""
        wanted, rejected = self._sorted_out(messages)
        for batch in batches(wanted, self.MAX_BATCH):
            rejected += self._take(batch)
            self._ring()
        metrics.intake_messages.labels("rejected").inc(len(rejected))
        return rejected

    def _sorted_out(self, messages: Sequence[Incoming]) -> tuple[list[_Wanted], list[Rejected]]:
        now = self._now()
        wanted: list[_Wanted] = []
        rejected: list[Rejected] = []
        for message in messages:
            try:
                wanted.append(_Wanted(message, arrival_of(message, now, self._max_bytes)))
            except Refused as refused:
                rejected.append(Rejected(message, str(refused)))
        return wanted, rejected

    def _take(self, batch: Sequence[_Wanted]) -> list[Rejected]:
        """All in one transaction; if that fails for the sake of one of them, each alone."""
        try:
            outcomes = self._arrivals.take([one.arrival for one in batch])
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - logged, and said in the reject
            if len(batch) == 1:
                _log_fault(batch[0].message, error)
                return [Rejected(batch[0].message, FAULT)]
            return [rejected for one in batch for rejected in self._take([one])]
        return list(_conflicts(batch, [outcome.verdict for outcome in outcomes]))


def _conflicts(batch: Sequence[_Wanted], verdicts: Sequence[Verdict]) -> Iterator[Rejected]:
    for one, verdict in zip(batch, verdicts, strict=True):
        metrics.intake_messages.labels(verdict.value).inc()
        if verdict is Verdict.CONFLICTING:
            yield Rejected(one.message, CONFLICT)


def _log_fault(message: Incoming, error: Exception) -> None:
    """Our lines of code, and where the message lies: not what the error says, which may quote it."""
    frames = "".join(format_tb(error.__traceback__))
    log.error("%s was rejected: %s\n%s", message.place, type(error).__name__, frames)
