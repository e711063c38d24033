"""Event handlers: which events they take, and what is to be done then."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pocket_ros.launch_api.launch.event import Event
from pocket_ros.launch_api.launch.some_entities_type import SomeEntitiesType

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class BaseEventHandler:
    """Takes the events that `matcher` accepts; with `handle_once` only the first of them."""

    def __init__(self, *, matcher: Callable[[Any], bool], handle_once: bool = False) -> None:
        self._matcher = matcher
        self._handle_once = handle_once

    @property
    def handle_once(self) -> bool:
        """Whether it goes after its first event."""
        return self._handle_once

    def matches(self, event: Event) -> bool:
        """Whether it takes the event."""
        return self._matcher(event)

    def describe(self) -> tuple[str, list[Any]]:
        """A text for people, and the entities that handling may lead to."""
        return type(self).__name__, []

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Take an event; returns what to visit. Those who override it call it first."""
        context.extend_locals({"event": event})
        if self._handle_once:
            context.unregister_event_handler(self)
        return None


class EventHandler(BaseEventHandler):
    """Visits entities when an event comes."""

    def __init__(
        self,
        *,
        matcher: Callable[[Any], bool],
        entities: SomeEntitiesType | None = None,
        handle_once: bool = False,
    ) -> None:
        super().__init__(matcher=matcher, handle_once=handle_once)
        self._entities = entities

    @property
    def entities(self) -> SomeEntitiesType | None:
        """What is visited."""
        return self._entities

    def describe(self) -> tuple[str, list[Any]]:
        """A text for people, and the entities."""
        from pocket_ros.launch_api.launch.utilities import normalize_to_list_of_entities

        return type(self).__name__, normalize_to_list_of_entities(self._entities)

    def handle(self, event: Event, context: LaunchContext) -> SomeEntitiesType | None:
        """Take an event; returns the entities."""
        super().handle(event, context)
        return self._entities
