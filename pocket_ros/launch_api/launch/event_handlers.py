"""Event handlers for what processes do and for the end of a launch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.event_handler import BaseEventHandler
from pocket_ros.launch_api.launch.events import Shutdown
from pocket_ros.launch_api.launch.events.process import ProcessExited, ProcessIO, ProcessStarted
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType
from pocket_ros.launch_api.launch.utilities import normalize_to_list_of_entities

__all__ = ["OnProcessExit", "OnProcessIO", "OnProcessStart", "OnShutdown"]

Matcher = Callable[[Any], bool]
OnEvent = Callable[[Any, LaunchContext], "SomeEntitiesType | None"]


class _OnProcessEvent(BaseEventHandler):
    """Takes one kind of event of one action, of those that a callable accepts, or of all."""

    kind: type[Event]

    def __init__(
        self,
        target_action: Action | Matcher | None,
        on_event: SomeEntitiesType | OnEvent,
        handle_once: bool,
    ) -> None:
        if target_action is not None and not (
            isinstance(target_action, Action) or callable(target_action)
        ):
            raise TypeError(f"'target_action' must be an action or callable, not {target_action!r}")
        super().__init__(matcher=self._takes, handle_once=handle_once)
        self._target = target_action
        self._call = on_event if callable(on_event) else None
        self._entities = [] if callable(on_event) else normalize_to_list_of_entities(on_event)

    def _takes(self, event: Any) -> bool:
        if not isinstance(event, self.kind):
            return False
        if self._target is None:
            return True
        if isinstance(self._target, Action):
            return event.action is self._target  # type: ignore[attr-defined]
        return bool(self._target(event.action))  # type: ignore[attr-defined]

    def describe(self) -> tuple[str, list[Any]]:
        """A text for people, and the entities that are known before."""
        return type(self).__name__, self._entities

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Take an event; returns what to visit."""
        super().handle(event, context)
        return self._entities if self._call is None else self._call(event, context)


class OnProcessStart(_OnProcessEvent):
    """When a process starts."""

    kind = ProcessStarted

    def __init__(
        self,
        *,
        target_action: Action | Matcher | None = None,
        on_start: SomeEntitiesType | OnEvent,
        handle_once: bool = False,
    ) -> None:
        super().__init__(target_action, on_start, handle_once)


class OnProcessExit(_OnProcessEvent):
    """When a process has ended."""

    kind = ProcessExited

    def __init__(
        self,
        *,
        target_action: Action | Matcher | None = None,
        on_exit: SomeEntitiesType | OnEvent,
        handle_once: bool = False,
    ) -> None:
        super().__init__(target_action, on_exit, handle_once)


class OnProcessIO(_OnProcessEvent):
    """When a process writes; the functions get the event only."""

    kind = ProcessIO

    def __init__(
        self,
        *,
        target_action: Action | Matcher | None = None,
        on_stdin: Callable[[ProcessIO], SomeEntitiesType | None] | None = None,
        on_stdout: Callable[[ProcessIO], SomeEntitiesType | None] | None = None,
        on_stderr: Callable[[ProcessIO], SomeEntitiesType | None] | None = None,
        handle_once: bool = False,
    ) -> None:
        def on_io(event: ProcessIO, _context: LaunchContext) -> SomeEntitiesType | None:
            function = on_stdout if event.from_stdout else on_stderr
            return None if function is None else function(event)

        super().__init__(target_action, on_io, handle_once)


class OnShutdown(BaseEventHandler):
    """When the launch begins to shut down; processes that are started then do not start."""

    def __init__(
        self, *, on_shutdown: SomeEntitiesType | OnEvent, handle_once: bool = False
    ) -> None:
        super().__init__(matcher=lambda event: isinstance(event, Shutdown), handle_once=handle_once)
        self._call = on_shutdown if callable(on_shutdown) else None
        self._entities = [] if callable(on_shutdown) else normalize_to_list_of_entities(on_shutdown)

    def describe(self) -> tuple[str, list[Any]]:
        """A text for people, and the entities that are known before."""
        return type(self).__name__, self._entities

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Take the event; returns what to visit."""
        super().handle(event, context)
        return self._entities if self._call is None else self._call(event, context)
