"""Actions on launch configurations, the variables of a launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution
from pocket_ros.launch_api.launch.utilities import Text

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class DeclareLaunchArgument(Action):
    """An argument that the launch takes; without a default it must be given."""

    def __init__(
        self,
        name: str,
        *,
        default_value: SomeSubstitutionsType | None = None,
        description: str | None = None,
        choices: list[str] | None = None,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        if choices is not None and not choices:
            raise RuntimeError(f"the choices of the launch argument {name!r} are empty")
        self.name = name
        self._default = None if default_value is None else Text(default_value)
        self.description = description or "no description given"
        self.choices = choices

    @property
    def default_value(self) -> list[Substitution] | None:
        """What the default is made of."""
        return None if self._default is None else self._default.substitutions

    def execute(self, context: LaunchContext) -> None:
        """Set the configuration if nobody has; raises RuntimeError for no or a wrong value."""
        values = context.launch_configurations
        if self.name not in values:
            if self._default is None:
                raise RuntimeError(
                    f"the launch argument {self.name!r} ({self.description}) needs a value"
                )
            values[self.name] = self._default.value(context)
        if self.choices is not None and values[self.name] not in self.choices:
            raise RuntimeError(
                f"{self.name} is {values[self.name]!r}, but must be one of "
                f"{', '.join(self.choices)}"
            )


class SetLaunchConfiguration(Action):
    """Set a launch configuration."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        *,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._name, self._value = Text(name), Text(value)

    def execute(self, context: LaunchContext) -> None:
        """Set it."""
        context.launch_configurations[self._name.value(context)] = self._value.value(context)


class UnsetLaunchConfiguration(Action):
    """Remove a launch configuration, if there is one."""

    def __init__(self, name: SomeSubstitutionsType, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._name = Text(name)

    def execute(self, context: LaunchContext) -> None:
        """Remove it."""
        context.launch_configurations.pop(self._name.value(context), None)
