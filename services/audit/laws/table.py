"""The shape of a table of laws: what to check for each type of event."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from events.base import Event
from services.audit.books import Books, Case

Check = Callable[[Case, Any, Books], None]
"""Checks one event against its order's case, tells the books what is wrong, and brings the case up to date."""

Laws = dict[type[Event], Check]

BareLaws = dict[type[Event], Callable[[Any, Books], None]]
"""For events that concern no order."""
