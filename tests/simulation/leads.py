"""Who leads: locks that the database keeps for as long as a connection lives."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from tests.simulation.faults import Fault

if TYPE_CHECKING:
    from tests.simulation.world import World


class SimLead:
    """One process's candidature for one name, as events/leadership.py has it."""

    def __init__(self, world: World, name: str, whose: str) -> None:
        self._world = world
        self._name = name
        self.whose = whose

    def try_lead(self) -> bool:
        held = self._world.leaders
        if held.setdefault(self._name, self) is not self:
            return False
        self._world.story.note(self.whose, "leads: {}", self._name)
        return True

    def still_leads(self) -> bool:
        held = self._world.leaders
        leads = held.get(self._name) is self
        if leads and self._world.faults.strikes(Fault.LEAD_LOST, self.whose):
            # The connection breaks a moment after we looked: another one may lead while we still believe to.
            del held[self._name]
            self._world.wake_everybody()
        return leads

    def close(self) -> None:
        held = self._world.leaders
        if held.get(self._name) is self:
            del held[self._name]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
