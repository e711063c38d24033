"""Waiting for a process to say that it is ready."""

from __future__ import annotations

from typing import Any

from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.event_handlers import OnProcessIO
from pocket_ros.launch_api.launch.events.process import ProcessIO
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType
from pocket_ros.launch_api.launch.utilities import normalize_to_list_of_entities

__all__ = ["StdoutReadyListener"]


class StdoutReadyListener(OnProcessIO):
    """Visits actions when a process writes a text to its standard output."""

    def __init__(
        self,
        *,
        target_action: Action | None = None,
        ready_txt: str,
        actions: SomeEntitiesType,
    ) -> None:
        self._actions = normalize_to_list_of_entities(actions)
        self._text = ready_txt
        super().__init__(target_action=target_action, on_stdout=self._on_stdout)

    def _on_stdout(self, event: ProcessIO) -> SomeEntitiesType | None:
        return self._actions if self._text in event.text.decode(errors="replace") else None

    def describe(self) -> tuple[str, list[Any]]:
        """A text for people, and the actions."""
        return type(self).__name__, self._actions
