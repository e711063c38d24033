"""Parameters of nodes: values with their types, and files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args, get_origin

import yaml

from pocket_ros.launch.interpreter import dump_value
from pocket_ros.launch_api.launch.some_substitutions_type import SomeSubstitutionsType
from pocket_ros.launch_api.launch.substitution import Substitution
from pocket_ros.launch_api.launch.utilities import Text

if TYPE_CHECKING:
    from pocket_ros.launch_api.launch.launch_context import LaunchContext

__all__ = ["Parameter", "ParameterFile", "ParameterValue"]

_SCALARS = (bool, int, float, str)


class ParameterValue:
    """A value; with a type, what substitutions give must be of it and is not guessed.

    Args:
        value: a plain value, a list of them, or substitutions.
        value_type: bool, int, float, str, or a List of one of them.
    """

    def __init__(self, value: Any, *, value_type: Any = None) -> None:
        item = get_args(value_type)[0] if get_origin(value_type) is list else value_type
        if item is not None and item not in _SCALARS:
            raise TypeError(f"'value_type' must be bool, int, float, str or a list: {value_type!r}")
        self._value, self._type = value, value_type

    def evaluate(self, context: LaunchContext) -> Any:
        """The value at this moment; raises TypeError if it is not of the type."""
        value = _evaluate(self._value, context, guess=self._type is None)
        if self._type is None or self._type is str:
            return value
        if isinstance(value, str):
            value = yaml.safe_load(value)
        if get_origin(self._type) is list:
            [item] = get_args(self._type)
            if not isinstance(value, (list, tuple)):
                raise TypeError(f"the parameter's value {value!r} is no list")
            return [_convert(one, item) for one in value]
        return _convert(value, self._type)


class Parameter:
    """A parameter by name."""

    def __init__(self, name: SomeSubstitutionsType, value: Any, *, value_type: Any = None) -> None:
        self._name = Text(name)
        self._value = ParameterValue(value, value_type=value_type)

    def evaluate(self, context: LaunchContext) -> tuple[str, Any]:
        """Name and value at this moment."""
        return self._name.value(context), self._value.evaluate(context)


class ParameterFile:
    """A file with parameters; substitutions inside it are not performed."""

    def __init__(
        self, param_file: os.PathLike[str] | SomeSubstitutionsType, *, allow_substs: bool = False
    ) -> None:
        if allow_substs:
            raise ValueError("substitutions in parameter files are not implemented")
        is_path = isinstance(param_file, os.PathLike)
        self._path = Text(os.fspath(param_file) if is_path else param_file)

    def evaluate(self, context: LaunchContext) -> str:
        """Its absolute path; raises FileNotFoundError if there is none."""
        path = os.path.abspath(self._path.value(context))
        if not os.path.isfile(path):
            raise FileNotFoundError(f"the parameter file {path} does not exist")
        return path


Parameters = Sequence[
    Mapping[Any, Any] | Parameter | ParameterFile | os.PathLike | SomeSubstitutionsType
]


def node_options(parameters: Parameters, context: LaunchContext) -> list[str]:
    """Options of a node's command line for its parameters."""
    options: list[str] = []
    for one in parameters:
        if isinstance(one, Mapping):
            for name, value in _flat(one, context):
                options += ["-p", f"{name}:={dump_value(value)}"]
        elif isinstance(one, Parameter):
            name, value = one.evaluate(context)
            options += ["-p", f"{name}:={dump_value(value)}"]
        else:
            file = one if isinstance(one, ParameterFile) else ParameterFile(one)
            options += ["--params-file", file.evaluate(context)]
    return options


def _flat(values: Mapping[Any, Any], context: LaunchContext) -> Iterable[tuple[str, Any]]:
    """Names and values of a dictionary; nested ones get dotted names."""
    for key, value in values.items():
        name = Text(key).value(context)
        if isinstance(value, Mapping):
            for inner, leaf in _flat(value, context):
                yield f"{name}.{inner}", leaf
        elif isinstance(value, ParameterValue):
            yield name, value.evaluate(context)
        else:
            yield name, _evaluate(value, context, guess=True)


def _evaluate(value: Any, context: LaunchContext, *, guess: bool) -> Any:
    """A plain value; what substitutions give is read as YAML if it shall be guessed."""
    if isinstance(value, Substitution) or _is_joined(value):
        text = Text(value).value(context)
        return _guessed(text) if guess else text
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        items = [_evaluate(one, context, guess=guess) for one in value]
        if items and all(type(one) in (int, float) for one in items) and float in map(type, items):
            return [float(one) for one in items]
        if len({type(one) for one in items}) > 1:
            raise TypeError(f"the items of the parameter's value {items!r} differ in type")
        return items
    raise TypeError(f"a parameter cannot have the value {value!r}")


def _is_joined(value: Any) -> bool:
    """Whether a list holds substitutions, and so makes one text; strings alone make a list."""
    return (
        isinstance(value, (list, tuple))
        and any(isinstance(one, Substitution) for one in value)
        and all(isinstance(one, (str, Substitution)) for one in value)
    )


def _guessed(text: str) -> Any:
    if not text:
        return ""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise TypeError(
            f"the parameter's value {text!r} is no YAML; if it shall be a text, "
            "use ParameterValue(value, value_type=str)"
        ) from None
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, list) and value and len({type(one) for one in value}) == 1:
        return value
    raise TypeError(
        f"the parameter's value {text!r} is no bool, number, text or list of one kind of them; "
        "if it shall be a text, use ParameterValue(value, value_type=str)"
    )


def _convert(value: Any, kind: type) -> Any:
    if type(value) is kind:
        return value
    if kind is float and type(value) is int:
        return float(value)
    if kind is str:
        return str(value)
    raise TypeError(f"the parameter's value {value!r} is no {kind.__name__}")
