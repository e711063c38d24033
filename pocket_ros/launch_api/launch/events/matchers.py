"""Which action an event is meant for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def matches_action(target_action: Any) -> Callable[[Any], bool]:
    """Accepts one action only."""
    return lambda action: action is target_action


def matches_pid(pid: int) -> Callable[[Any], bool]:
    """Accepts the action of a process by its number."""
    return lambda action: bool(action.process_details) and action.process_details["pid"] == pid


def matches_name(name: str) -> Callable[[Any], bool]:
    """Accepts the action of a process by its name, for example "talker-1"."""
    return lambda action: bool(action.process_details) and action.process_details["name"] == name


def matches_executable(executable: str) -> Callable[[Any], bool]:
    """Accepts actions whose command begins with a path that ends in `executable`."""
    return lambda action: (
        bool(action.process_details) and action.process_details["cmd"][0].endswith(executable)
    )
