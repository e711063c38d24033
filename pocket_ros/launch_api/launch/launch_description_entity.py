"""What a launch description consists of: entities that are visited one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class LaunchDescriptionEntity:
    """Base of descriptions and actions."""

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Do what it stands for; returns entities to visit next."""
        return None

    def describe(self) -> str:
        """A text for people."""
        return repr(self)

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Entities that a visit will surely lead to."""
        return []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Entities that a visit may lead to, each with the condition in words."""
        return []
