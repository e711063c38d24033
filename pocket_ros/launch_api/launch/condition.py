"""Conditions of actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class Condition:
    """A condition made of a predicate; without one it always holds."""

    def __init__(self, *, predicate: Callable[[LaunchContext], bool] | None = None) -> None:
        self._predicate = predicate

    def evaluate(self, context: LaunchContext) -> bool:
        """Whether it holds at this moment."""
        return self._predicate is None or self._predicate(context)
