"""Actions on the environment of the processes to come."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pocket_ros.launch_api.launch.action import Action
from pocket_ros.launch_api.launch.condition import Condition
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.utilities import Flag, Text

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext


class SetEnvironmentVariable(Action):
    """Set an environment variable."""

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
        context.environment[self._name.value(context)] = self._value.value(context)


class UnsetEnvironmentVariable(Action):
    """Remove an environment variable, if there is one."""

    def __init__(self, name: SomeSubstitutionsType, *, condition: Condition | None = None) -> None:
        super().__init__(condition=condition)
        self._name = Text(name)

    def execute(self, context: LaunchContext) -> None:
        """Remove it."""
        context.environment.pop(self._name.value(context), None)


class AppendEnvironmentVariable(Action):
    """Add a value behind, or before, what an environment variable holds."""

    def __init__(
        self,
        name: SomeSubstitutionsType,
        value: SomeSubstitutionsType,
        prepend: bool | SomeSubstitutionsType = False,
        separator: SomeSubstitutionsType = os.pathsep,
        *,
        condition: Condition | None = None,
    ) -> None:
        super().__init__(condition=condition)
        self._name, self._value = Text(name), Text(value)
        self._prepend, self._separator = Flag(prepend), Text(separator)

    def execute(self, context: LaunchContext) -> None:
        """Add it."""
        name, value = self._name.value(context), self._value.value(context)
        parts = [context.environment[name], value] if name in context.environment else [value]
        if self._prepend.value(context):
            parts.reverse()
        context.environment[name] = self._separator.value(context).join(parts)
