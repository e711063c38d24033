"""Parameters and their values."""

from __future__ import annotations

import array
from enum import Enum
from typing import Any

from ..idl import load

PARAMETER_SEPARATOR_STRING = "."

_FIELDS = {
    1: "bool_value",
    2: "integer_value",
    3: "double_value",
    4: "string_value",
    5: "byte_array_value",
    6: "bool_array_value",
    7: "integer_array_value",
    8: "double_array_value",
    9: "string_array_value",
}


class Parameter:
    """A named value of one of the types that ROS 2 has for parameters."""

    class Type(Enum):
        """The types, with the numbers of ``rcl_interfaces/msg/ParameterType``."""

        NOT_SET = 0
        BOOL = 1
        INTEGER = 2
        DOUBLE = 3
        STRING = 4
        BYTE_ARRAY = 5
        BOOL_ARRAY = 6
        INTEGER_ARRAY = 7
        DOUBLE_ARRAY = 8
        STRING_ARRAY = 9

        @classmethod
        def from_parameter_value(cls, parameter_value: Any) -> Parameter.Type:
            """Return the type of a Python value; TypeError where there is none for it."""
            value = parameter_value
            if value is None:
                return cls.NOT_SET
            scalar = _scalar_type(value)
            if scalar is not None:
                return scalar
            if isinstance(value, (list, tuple, array.array)) or hasattr(value, "dtype"):
                return cls._of_list(list(value))
            raise TypeError(f"The given value is not one of the allowed types '{value!r}'.")

        @classmethod
        def _of_list(cls, values: list[Any]) -> Parameter.Type:
            if all(isinstance(value, bytes) for value in values):
                return cls.BYTE_ARRAY
            kinds = {_scalar_type(value) for value in values}
            if len(kinds) == 1:
                kind = kinds.pop()
                if kind is not None:
                    return cls(kind.value + 5)
            raise TypeError(f"The given value is not a list of one allowed type '{values}'.")

        def check(self, parameter_value: Any) -> bool:
            """Return whether a Python value is of this type."""
            if isinstance(parameter_value, (list, tuple)) and not parameter_value:
                return self.value >= Parameter.Type.BYTE_ARRAY.value
            try:
                return Parameter.Type.from_parameter_value(parameter_value) is self
            except TypeError:
                return False

    def __init__(self, name: str, type_: Parameter.Type | None = None, value: Any = None) -> None:
        if type_ is None:
            type_ = Parameter.Type.from_parameter_value(value)
        if not isinstance(type_, Parameter.Type):
            raise TypeError("type must be an instance of `Parameter.Type`")
        if not type_.check(value):
            raise ValueError(f"Type '{type_}' and value '{value}' do not agree")
        self._name = name
        self._type_ = type_
        self._value = value

    @classmethod
    def from_parameter_msg(cls, param_msg: Any) -> Parameter:
        """Read a ``rcl_interfaces/msg/Parameter``."""
        return cls(
            param_msg.name,
            Parameter.Type(param_msg.value.type),
            parameter_value_to_python(param_msg.value),
        )

    @property
    def name(self) -> str:
        """Its name, with dots between the parts."""
        return self._name

    @property
    def type_(self) -> Parameter.Type:
        """Its type."""
        return self._type_

    @property
    def value(self) -> Any:
        """Its value."""
        return self._value

    def get_parameter_value(self) -> Any:
        """Return the value as ``rcl_interfaces/msg/ParameterValue``."""
        message = load("rcl_interfaces/msg/ParameterValue")(type=self._type_.value)
        field = _FIELDS.get(self._type_.value)
        if field is not None:
            value = self._value
            setattr(message, field, list(value) if self._type_.value >= 5 else value)
        return message

    def to_parameter_msg(self) -> Any:
        """Return it as ``rcl_interfaces/msg/Parameter``."""
        return load("rcl_interfaces/msg/Parameter")(
            name=self._name, value=self.get_parameter_value()
        )

    def __repr__(self) -> str:
        return f"Parameter({self._name!r}, {self._type_}, {self._value!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Parameter):
            return NotImplemented
        return (self._name, self._type_, self._value) == (
            other._name,
            other._type_,
            other._value,
        )

    __hash__ = None  # type: ignore[assignment]


def _scalar_type(value: Any) -> Parameter.Type | None:
    if isinstance(value, bool):
        return Parameter.Type.BOOL
    if isinstance(value, int):
        return Parameter.Type.INTEGER
    if isinstance(value, float):
        return Parameter.Type.DOUBLE
    if isinstance(value, str):
        return Parameter.Type.STRING
    return None


def parameter_value_to_python(parameter_value: Any) -> Any:
    """Return the Python value of a ``rcl_interfaces/msg/ParameterValue``."""
    if parameter_value.type == 0:
        return None
    try:
        value = getattr(parameter_value, _FIELDS[parameter_value.type])
    except KeyError:
        raise RuntimeError(f"unexpected parameter type {parameter_value.type}") from None
    return list(value) if parameter_value.type >= 5 else value


def get_parameter_value(string_value: str) -> Any:
    """Return the ParameterValue that YAML makes of a text; a string where it makes none."""
    import yaml

    try:
        value = yaml.safe_load(string_value)
        return Parameter("", value=value).get_parameter_value()
    except (yaml.YAMLError, TypeError):
        return Parameter("", value=string_value).get_parameter_value()


def parameter_dict_from_yaml_file(
    parameter_file: str,
    use_wildcard: bool = False,
    target_nodes: list[str] | None = None,
    namespace: str = "",
) -> dict[str, Any]:
    """Return what a YAML file sets: ``rcl_interfaces/msg/Parameter`` by name below ``namespace``.

    Of all its nodes, or of ``target_nodes`` (full names); of ``/**`` only with ``use_wildcard``.
    Raises OSError for a file that cannot be read, RuntimeError for a malformed one and where
    nothing in it is meant.
    """
    from ._core.arguments import read_parameter_file

    wanted = None if target_nodes is None else {f"/{name.strip('/')}" for name in target_nodes}
    values: dict[str, Any] = {}
    for override in read_parameter_file(parameter_file):
        is_meant = (
            use_wildcard
            if override.pattern == "/**"
            else (wanted is None or override.pattern in wanted)
        )
        if is_meant:
            name = f"{namespace}{PARAMETER_SEPARATOR_STRING}{override.name}"
            name = name.lstrip(PARAMETER_SEPARATOR_STRING)
            type_ = Parameter.Type.STRING_ARRAY if override.value == [] else None
            values[name] = Parameter(name, type_, override.value).to_parameter_msg()
    if not values:
        raise RuntimeError(f"Param file '{parameter_file}' does not contain selected parameters")
    return values
