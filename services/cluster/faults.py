"""What keeps a process from playing its roles, in words."""

from __future__ import annotations


class RoleRefused(Exception):
    """These roles cannot be played like this; the message says why and what to do."""
