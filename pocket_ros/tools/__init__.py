"""Commands that look at a running graph and talk to it, with the words and output of `ros2`."""

from __future__ import annotations

from typing import Any

from pocket_ros.tools import action, interface, lifecycle, node, param, service, topic

_SUBJECTS = (node, topic, service, action, param, lifecycle, interface)


def add_commands(commands: Any) -> None:
    """Add node, topic, service, action, param, lifecycle and interface to the subparsers."""
    for subject in _SUBJECTS:
        subject.add_commands(commands)
