"""The action that lets the tests begin."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.action import Action

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext

__all__ = ["ReadyToTest"]

_log = logging.getLogger(__name__)


class ReadyToTest(Action):
    """Says that the tests may begin."""

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], object]] = []

    def add_callback(self, callback: Callable[[], object]) -> None:
        """Have a function called when it is executed."""
        self._callbacks.append(callback)

    def execute(self, context: LaunchContext) -> None:
        """Call who waits."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback of ReadyToTest has failed")
