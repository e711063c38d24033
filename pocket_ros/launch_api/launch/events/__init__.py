"""Events of a launch as a whole; those of processes are in `launch.events.process`."""

from __future__ import annotations

from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.events import process
from pocket_ros.launch_api.launch.events.matchers import matches_action
from pocket_ros.launch_api.launch.launch_description import LaunchDescription

__all__ = ["IncludeLaunchDescription", "Shutdown", "matches_action", "process"]


class Shutdown(Event):
    """The launch ends, or shall end."""

    name = "launch.events.Shutdown"

    def __init__(self, *, reason: str = "reason not given", due_to_sigint: bool = False) -> None:
        self.reason = reason
        self.due_to_sigint = due_to_sigint


class IncludeLaunchDescription(Event):
    """A description shall be visited."""

    name = "launch.events.IncludeLaunchDescription"

    def __init__(self, launch_description: LaunchDescription) -> None:
        self.launch_description = launch_description
