"""The log as it was, or none: whoever finds that it went back halts, and everybody in this process with him.

A database that fails over to a standby that lagged, or that is restored from a backup, lacks what was in the log
already. To go on would give the same positions, versions and event ids to something else. So what was last seen in the
log is looked for again with every look at its end, and in the transaction of every append.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from hashlib import sha256

from events.recorders.port import NO_TAIL, Batch, Recorder, Tail
from events.store_errors import StoreWentBack

log = logging.getLogger(__name__)


class WholeLog:
    """Stands before a recorder. A local one cannot go back, and is not asked."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._tail = NO_TAIL
        self._lock = threading.Lock()
        self._fault: StoreWentBack | None = None

    @property
    def recorder(self) -> Recorder:
        """What reads it. Raises StoreWentBack from the moment on that anybody has found it out."""
        if self._fault is not None:
            raise self._fault
        return self._recorder

    def append(self, batch: Batch) -> Sequence[int]:
        """As the recorder does; that our tail is still there also proves that all is which we wrote before it."""
        batch = batch._replace(tail=self._tail)
        try:
            positions = self.recorder.append(batch)
        except StoreWentBack as fault:
            raise self._halted(fault) from None
        self._reach(batch, positions)
        return positions

    def settle(self, batch: Batch) -> Sequence[int] | None:
        positions = self.recorder.settle(batch)
        self._reach(batch, positions or ())
        return positions

    def last_position(self) -> int:
        if self._recorder.is_local:
            return self._recorder.last_position()
        try:
            tail = self.recorder.verify(self._tail)
        except StoreWentBack as fault:
            raise self._halted(fault) from None
        self._note(tail)
        return tail.position

    def _reach(self, batch: Batch, positions: Sequence[int]) -> None:
        if self._recorder.is_local or not positions:
            return
        if positions[0] <= batch.tail.position:
            # The table is whole, but what gives out its positions is not.
            raise self._halted(StoreWentBack(batch.tail.position))
        stream, version, _, state = batch.rows[-1]
        self._note(Tail(positions[-1], stream, version, sha256(state).digest()))

    def _note(self, tail: Tail) -> None:
        with self._lock:  # several threads look, and another may have seen more meanwhile
            self._tail = max(self._tail, tail)

    def _halted(self, fault: StoreWentBack) -> StoreWentBack:
        with self._lock:
            if self._fault is None:
                log.critical("%s", fault)
                self._fault = fault
            return self._fault
