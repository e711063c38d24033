"""Substitutions for packages and their executables."""

from __future__ import annotations

from pocket_ros.launch.substitutions import SubstitutionError, substitute
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution
from pocket_ros.launch_api.launch.utilities import Text

__all__ = ["FindPackageShare", "Parameter"]


class FindPackageShare(Substitution):
    """The share directory of a package."""

    def __init__(self, package: SomeSubstitutionsType) -> None:
        self._package = Text(package)

    def perform(self, context: LaunchContext) -> str:
        """The path; raises SubstitutionFailure if there is no such package."""
        return substitute("find-pkg-share", [self._package.value(context)], context.scope)

    def describe(self) -> str:
        """As in a launch file."""
        return f"$(find-pkg-share {self._package!r})"


class Parameter(Substitution):
    """A parameter that `SetParameter` has set for all nodes."""

    def __init__(
        self, name: SomeSubstitutionsType, *, default: SomeSubstitutionsType | None = None
    ) -> None:
        self._name = Text(name)
        self._default = None if default is None else Text(default)

    def perform(self, context: LaunchContext) -> str:
        """The value as text; raises SubstitutionFailure if nobody set it."""
        name = self._name.value(context)
        for option, rule in reversed(context.scope.parameters):
            if option == "-p" and rule.startswith(f"{name}:="):
                return rule[len(name) + 2 :]
        if self._default is None:
            raise SubstitutionError(f"the parameter {name!r} has not been set for all nodes")
        return self._default.value(context)
