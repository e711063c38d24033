"""Base of everything that happens in a launch."""

from __future__ import annotations


class Event:
    """Something that happened, or that somebody wants to happen."""

    name = "launch.Event"
