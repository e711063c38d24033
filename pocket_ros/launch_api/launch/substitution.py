"""Texts that become known only when a launch runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class Substitution:
    """Base of substitutions."""

    def perform(self, context: LaunchContext) -> str:
        """The text it stands for at this moment."""
        raise NotImplementedError(f"{type(self).__name__} does not say what it stands for")

    def describe(self) -> str:
        """A text for people."""
        return repr(self)
