"""Launch descriptions: lists of entities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.actions import DeclareLaunchArgument
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class LaunchDescription(LaunchDescriptionEntity):
    """What shall be launched."""

    def __init__(
        self,
        initial_entities: Iterable[LaunchDescriptionEntity] | None = None,
        *,
        deprecated_reason: str | None = None,
    ) -> None:
        self._entities = list(initial_entities or [])
        for entity in self._entities:
            _check(entity)
        self.deprecated_reason = deprecated_reason

    @property
    def entities(self) -> list[LaunchDescriptionEntity]:
        """The entities in order."""
        return self._entities

    def add_entity(self, entity: LaunchDescriptionEntity) -> None:
        """Add an entity at the end."""
        _check(entity)
        self._entities.append(entity)

    def add_action(self, action: LaunchDescriptionEntity) -> None:
        """Add an action at the end."""
        self.add_entity(action)

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Returns the entities."""
        return self._entities

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """The entities."""
        return self._entities

    def get_launch_arguments(
        self, conditional_inclusion: bool = False
    ) -> list[DeclareLaunchArgument]:
        """Arguments that its entities declare, as far as can be seen before it runs."""
        from pocket_ros.launch_api.launch.actions import DeclareLaunchArgument

        found: dict[str, DeclareLaunchArgument] = {}

        def look(entities: Iterable[LaunchDescriptionEntity]) -> None:
            for entity in entities:
                if isinstance(entity, DeclareLaunchArgument):
                    found.setdefault(entity.name, entity)
                look(entity.describe_sub_entities())
                if conditional_inclusion:
                    for _, inner in entity.describe_conditional_sub_entities():
                        look(inner)

        look(self._entities)
        return list(found.values())


def _check(entity: object) -> None:
    if not isinstance(entity, LaunchDescriptionEntity):
        raise TypeError(f"a LaunchDescription holds launch entities, not {entity!r}")
