"""Substitutions in Python; what they compute is `pocket_ros.launch.substitutions`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from pocket_ros.launch.substitutions import SubstitutionError, substitute
from pocket_ros.launch_api.launch.launch_context import LaunchContext
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution
from pocket_ros.launch_api.launch.utilities import Text, normalize_to_list_of_substitutions

__all__ = [
    "AllSubstitution",
    "AndSubstitution",
    "AnonName",
    "AnySubstitution",
    "Command",
    "EnvironmentVariable",
    "EqualsSubstitution",
    "FileContent",
    "FindExecutable",
    "IfElseSubstitution",
    "LaunchConfiguration",
    "LaunchLogDir",
    "LocalSubstitution",
    "NotEqualsSubstitution",
    "NotSubstitution",
    "OrSubstitution",
    "PathJoinSubstitution",
    "PythonExpression",
    "SubstitutionFailure",
    "TextSubstitution",
    "ThisLaunchFile",
    "ThisLaunchFileDir",
]

SubstitutionFailure = SubstitutionError


class TextSubstitution(Substitution):
    """A text as it is."""

    def __init__(self, *, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"TextSubstitution takes a text, not {text!r}")
        self.text = text

    def perform(self, context: LaunchContext) -> str:
        """The text."""
        return self.text

    def describe(self) -> str:
        """The text in quotes."""
        return repr(self.text)


class _Named(Substitution):
    """A substitution that launch files write as `$(name argument ...)`."""

    name: str

    def __init__(self, *arguments: SomeSubstitutionsType) -> None:
        self._arguments = [Text(argument) for argument in arguments]

    def perform(self, context: LaunchContext) -> str:
        """The text it stands for; raises SubstitutionFailure."""
        arguments = [argument.value(context) for argument in self._arguments]
        return substitute(self.name, arguments, context.scope)

    def describe(self) -> str:
        """As in a launch file."""
        return f"$({' '.join([self.name, *map(repr, self._arguments)])})"


def _text(value: Any) -> SomeSubstitutionsType:
    """What is no text becomes one, as booleans and numbers do in a real launch."""
    if isinstance(value, (str, Substitution)):
        return value
    if isinstance(value, Iterable):
        return [one if isinstance(one, Substitution) else str(one) for one in value]
    return str(value)


class LaunchConfiguration(_Named):
    """The value of a launch configuration; without one the default."""

    name = "var"

    def __init__(self, variable_name: SomeSubstitutionsType, *, default: Any = None) -> None:
        super().__init__(variable_name, *([] if default is None else [_text(default)]))

    @property
    def variable_name(self) -> list[Substitution]:
        """The configuration's name."""
        return self._arguments[0].substitutions


class EnvironmentVariable(_Named):
    """The value of an environment variable; without one the default."""

    name = "env"

    def __init__(
        self,
        name: SomeSubstitutionsType,
        *,
        default_value: SomeSubstitutionsType | None = None,
    ) -> None:
        super().__init__(name, *([] if default_value is None else [default_value]))


class PathJoinSubstitution(Substitution):
    """Parts of a path, joined."""

    def __init__(self, substitutions: Iterable[str | Substitution]) -> None:
        self.substitutions = normalize_to_list_of_substitutions(substitutions)

    def perform(self, context: LaunchContext) -> str:
        """The path."""
        return os.path.join(*(part.perform(context) for part in self.substitutions))

    def describe(self) -> str:
        """A text for people."""
        return f"PathJoin({', '.join(part.describe() for part in self.substitutions)})"


class ThisLaunchFile(_Named):
    """Path of the launch file at hand."""

    name = "filename"

    def __init__(self) -> None:
        super().__init__()


class ThisLaunchFileDir(_Named):
    """Folder of the launch file at hand."""

    name = "dirname"

    def __init__(self) -> None:
        super().__init__()


class LaunchLogDir(_Named):
    """Folder for log files."""

    name = "log_dir"

    def __init__(self) -> None:
        super().__init__()


class AnonName(_Named):
    """A name that no other launch has."""

    name = "anon"

    def __init__(self, name: SomeSubstitutionsType) -> None:
        super().__init__(name)


class FindExecutable(_Named):
    """Path of a program in PATH."""

    name = "find-exec"

    def __init__(self, *, name: SomeSubstitutionsType) -> None:
        super().__init__(name)


class FileContent(_Named):
    """What is in a file."""

    name = "file-content"

    def __init__(self, path: SomeSubstitutionsType) -> None:
        super().__init__(path)


class Command(_Named):
    """What a command prints."""

    name = "command"

    def __init__(
        self, command: SomeSubstitutionsType, *, on_stderr: SomeSubstitutionsType = "fail"
    ) -> None:
        super().__init__(command, on_stderr)


class PythonExpression(_Named):
    """Value of an expression: arithmetic, comparisons, and the functions of `math`."""

    name = "eval"

    def __init__(
        self,
        expression: SomeSubstitutionsType,
        python_modules: SomeSubstitutionsType = ("math",),
    ) -> None:
        modules = [python_modules] if isinstance(python_modules, str) else list(python_modules)
        if modules != ["math"]:
            raise ValueError("PythonExpression knows the module math only")
        super().__init__(expression)


class NotSubstitution(_Named):
    """true where its argument is false."""

    name = "not"

    def __init__(self, value: Any) -> None:
        super().__init__(_text(value))


class AndSubstitution(_Named):
    """true where both are."""

    name = "and"

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(_text(left), _text(right))


class OrSubstitution(_Named):
    """true where one of both is."""

    name = "or"

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(_text(left), _text(right))


class AllSubstitution(_Named):
    """true where all are."""

    name = "all"

    def __init__(self, *args: Any) -> None:
        super().__init__(*map(_text, args))


class AnySubstitution(_Named):
    """true where one is."""

    name = "any"

    def __init__(self, *args: Any) -> None:
        super().__init__(*map(_text, args))


class EqualsSubstitution(_Named):
    """true where both are equal: booleans and numbers by value, anything else as text."""

    name = "equals"

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(_text(left), _text(right))


class NotEqualsSubstitution(_Named):
    """true where both are not equal."""

    name = "not-equals"

    def __init__(self, left: Any, right: Any) -> None:
        super().__init__(_text(left), _text(right))


class IfElseSubstitution(_Named):
    """One of two values."""

    name = "if"

    def __init__(
        self,
        condition: SomeSubstitutionsType,
        if_value: SomeSubstitutionsType = "",
        else_value: SomeSubstitutionsType = "",
    ) -> None:
        super().__init__(condition, if_value, else_value)


class LocalSubstitution(Substitution):
    """A value of the event at hand, for example "event.reason"."""

    def __init__(self, expression: str, description: str | None = None) -> None:
        self.expression = expression
        self.description = description

    def perform(self, context: LaunchContext) -> str:
        """The value as text; raises AttributeError if there is none."""
        value: Any = context.locals
        for part in self.expression.split("."):
            value = getattr(value, part)
        return str(value)
