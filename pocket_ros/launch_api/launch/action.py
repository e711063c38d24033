"""Base of actions: something to do, perhaps under a condition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.launch_description_entity import LaunchDescriptionEntity

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class Action(LaunchDescriptionEntity):
    """Something to do; those who write one override `execute`."""

    def __init__(self, *, condition: Condition | None = None) -> None:
        if condition is not None and not isinstance(condition, Condition):
            raise TypeError(f"'condition' must be a Condition, not {condition!r}")
        self._condition = condition

    @property
    def condition(self) -> Condition | None:
        """Under which it is done."""
        return self._condition

    def visit(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Execute it if its condition holds."""
        if self._condition is None or self._condition.evaluate(context):
            return self.execute(context)
        return None

    def execute(self, context: LaunchContext) -> Iterable[LaunchDescriptionEntity] | None:
        """Do it; returns entities to visit next."""
        return None

    def get_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Entities that executing it leads to."""
        return []

    def describe_sub_entities(self) -> list[LaunchDescriptionEntity]:
        """Entities that a visit will surely lead to."""
        return self.get_sub_entities() if self._condition is None else []

    def describe_conditional_sub_entities(
        self,
    ) -> list[tuple[str, Iterable[LaunchDescriptionEntity]]]:
        """Entities that a visit leads to if the condition holds."""
        if self._condition is None:
            return []
        return [(f"conditionally included by {self.describe()}", self.get_sub_entities())]
