"""What can be wrong with a launch file."""

from __future__ import annotations


class LaunchError(ValueError):
    """A launch file or its arguments are wrong; the message says where and why."""
