"""A node's parameters: declared, checked against their descriptors, changed all or none."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any

from ...idl import load
from ..exceptions import (
    InvalidParameterException,
    InvalidParameterTypeException,
    InvalidParameterValueException,
    ParameterAlreadyDeclaredException,
    ParameterImmutableException,
    ParameterNotDeclaredException,
    ParameterUninitializedException,
)
from ..parameter import PARAMETER_SEPARATOR_STRING, Parameter

Validate = Callable[[list[Parameter]], Any]
PreSet = Callable[[list[Parameter]], list[Parameter]]
PostSet = Callable[[list[Parameter]], None]

_PYTHON_TYPES = {
    bool: Parameter.Type.BOOL,
    int: Parameter.Type.INTEGER,
    float: Parameter.Type.DOUBLE,
    str: Parameter.Type.STRING,
}


def result(successful: bool = True, reason: str = "") -> Any:
    """Return a ``rcl_interfaces/msg/SetParametersResult``."""
    return load("rcl_interfaces/msg/SetParametersResult")(successful=successful, reason=reason)


def default_descriptor(name: str = "", **fields: Any) -> Any:
    """Return a ``rcl_interfaces/msg/ParameterDescriptor``."""
    return load("rcl_interfaces/msg/ParameterDescriptor")(name=name, **fields)


class ParameterStore:
    """The parameters of one node. ``announce(new, changed, deleted)`` tells of every change."""

    def __init__(
        self,
        overrides: dict[str, Parameter],
        allow_undeclared: bool,
        announce: Callable[[list[Parameter], list[Parameter], list[Parameter]], None],
    ) -> None:
        self.lock = threading.RLock()
        self.overrides = overrides
        self.allow_undeclared = allow_undeclared
        self._announce = announce
        self.parameters: dict[str, Parameter] = {}
        self.descriptors: dict[str, Any] = {}
        self.pre_set: list[PreSet] = []
        self.validate: list[Validate] = []
        self.post_set: list[PostSet] = []

    # Declaring

    def declare(self, name: str, value: Any, descriptor: Any, ignore_override: bool) -> Parameter:
        """Declare a parameter and return it with its first value."""
        if not isinstance(name, str):
            raise TypeError(f"Expected a parameter name, got {name!r}")
        if not name or name.startswith(".") or name.endswith("."):
            raise InvalidParameterException(name)
        with self.lock:
            if name in self.parameters:
                raise ParameterAlreadyDeclaredException([name])
            declared_type, value = _split_declaration(value)
            descriptor = default_descriptor() if descriptor is None else descriptor
            descriptor.name = name
            if not ignore_override and name in self.overrides:
                value = self.overrides[name].value
            if declared_type is not None:
                descriptor.type = declared_type.value
            elif value is None and not descriptor.dynamic_typing:
                raise ValueError(
                    f"Statically typed parameter '{name}' needs a default value or a type"
                )
            type_ = declared_type if value == [] else None
            parameter = Parameter(name, type_, value)
            if declared_type is None and not descriptor.dynamic_typing:
                descriptor.type = parameter.type_.value
            self.descriptors[name] = descriptor
            try:
                if value is not None:
                    self._check_new(parameter)
            except BaseException:
                del self.descriptors[name]
                raise
            self.parameters[name] = parameter
        if parameter.type_ is not Parameter.Type.NOT_SET:
            for callback in self.post_set:
                callback([parameter])
            self._announce([parameter], [], [])
        return parameter

    def _check_new(self, parameter: Parameter) -> None:
        descriptor = self.descriptors[parameter.name]
        if not descriptor.dynamic_typing and descriptor.type != parameter.type_.value:
            expected = Parameter.Type(descriptor.type)
            raise InvalidParameterTypeException(parameter, f"expecting type '{expected.name}'")
        outcome = self._check(parameter, read_only_matters=False)
        if outcome.successful:
            outcome = self._ask_callbacks([parameter])
        if not outcome.successful:
            raise InvalidParameterValueException(parameter.name, parameter.value, outcome.reason)

    def undeclare(self, name: str) -> None:
        """Forget a parameter."""
        with self.lock:
            if name not in self.parameters:
                raise ParameterNotDeclaredException(name)
            if self.descriptors[name].read_only:
                raise ParameterImmutableException(name)
            parameter = self.parameters.pop(name)
            del self.descriptors[name]
        self._announce([], [], [parameter])

    # Reading

    def names(self) -> list[str]:
        """Return the declared names."""
        with self.lock:
            return list(self.parameters)

    def listed(self, prefixes: list[str], depth: int) -> Any:
        """Return a ``rcl_interfaces/msg/ListParametersResult`` for ``depth`` levels (0: all)."""
        names = [name for name in self.names() if _is_listed(name, prefixes, depth)]
        parents = (name.rpartition(PARAMETER_SEPARATOR_STRING)[0] for name in names)
        return load("rcl_interfaces/msg/ListParametersResult")(
            names=names, prefixes=list(dict.fromkeys(filter(None, parents)))
        )

    def has(self, name: str) -> bool:
        """Return whether a parameter is declared."""
        return name in self.parameters

    def get(self, name: str) -> Parameter:
        """Return a parameter; ParameterException where it is not declared or has no value."""
        with self.lock:
            parameter = self.parameters.get(name)
            if parameter is None:
                if self.allow_undeclared:
                    return Parameter(name, Parameter.Type.NOT_SET, None)
                raise ParameterNotDeclaredException(name)
            unset = parameter.type_ is Parameter.Type.NOT_SET
            if unset and not self.descriptors[name].dynamic_typing:
                raise ParameterUninitializedException(name)
            return parameter

    def get_or(self, name: str, alternative: Parameter | None) -> Parameter:
        """Return a parameter, or the alternative where it is not declared or has no value."""
        parameter = self.parameters.get(name)
        if parameter is None or parameter.type_ is Parameter.Type.NOT_SET:
            return Parameter(name) if alternative is None else alternative
        return parameter

    def by_prefix(self, prefix: str) -> dict[str, Parameter]:
        """Return the parameters below ``prefix``, by the rest of their names."""
        start = f"{prefix}." if prefix else ""
        with self.lock:
            return {
                name[len(start) :]: parameter
                for name, parameter in self.parameters.items()
                if name.startswith(start)
            }

    def type_of(self, name: str) -> Parameter.Type:
        """Return the type of a parameter's value."""
        with self.lock:
            if name in self.parameters:
                return self.parameters[name].type_
        if self.allow_undeclared:
            return Parameter.Type.NOT_SET
        raise ParameterNotDeclaredException(name)

    def describe(self, name: str) -> Any:
        """Return a parameter's descriptor."""
        with self.lock:
            if name in self.descriptors:
                return self.descriptors[name]
        if self.allow_undeclared:
            return default_descriptor(name)
        raise ParameterNotDeclaredException(name)

    def set_descriptor(self, name: str, descriptor: Any, alternative: Any) -> Any:
        """Replace a descriptor and, if given, the value."""
        with self.lock:
            if name not in self.parameters:
                if self.allow_undeclared:
                    return default_descriptor(name)
                raise ParameterNotDeclaredException(name)
            old = self.descriptors[name]
            if old.read_only:
                raise ParameterImmutableException(name)
            value = self.parameters[name].value if alternative is None else alternative.value
            descriptor.name = name
            if not descriptor.dynamic_typing:
                descriptor.type = Parameter("", value=value).type_.value
            self.descriptors[name] = descriptor
            outcome = self._check(Parameter(name, value=value), read_only_matters=False)
            if not outcome.successful:
                self.descriptors[name] = old
                raise InvalidParameterValueException(name, value, outcome.reason)
            self.parameters[name] = Parameter(name, value=value)
            return descriptor

    # Setting

    def set_one_by_one(self, parameters: Iterable[Parameter], raising: bool) -> list[Any]:
        """Set each on its own; ``raising`` for users, who get an exception for unknown names."""
        outcomes = []
        for parameter in parameters:
            self._declared_or_raise([parameter], raising)
            outcomes.append(self.set_atomically([parameter], raising))
        return outcomes

    def set_atomically(self, parameters: list[Parameter], raising: bool) -> Any:
        """Set all, or none where one is refused; return the SetParametersResult."""
        for change in self.pre_set:
            parameters = change(parameters)
        missing = self._declared_or_raise(parameters, raising)
        if missing:
            return result(False, f"parameter '{missing}' cannot be set because it was not declared")
        with self.lock:
            for parameter in parameters:
                outcome = self._check(parameter, read_only_matters=True)
                if not outcome.successful:
                    return outcome
            outcome = self._ask_callbacks(parameters)
            if not outcome.successful:
                return outcome
            new: list[Parameter] = []
            changed: list[Parameter] = []
            deleted: list[Parameter] = []
            for parameter in parameters:
                name = parameter.name
                previous = self.parameters.get(name)
                unset = previous is None or previous.type_ is Parameter.Type.NOT_SET
                if parameter.type_ is Parameter.Type.NOT_SET:
                    if not unset and previous is not None:
                        deleted.append(previous)
                        self.parameters.pop(name)
                        self.descriptors.pop(name)
                    continue
                (new if unset else changed).append(parameter)
                self.parameters[name] = parameter
                if name not in self.descriptors:
                    self.descriptors[name] = default_descriptor(name, type=parameter.type_.value)
        for callback in self.post_set:
            callback(parameters)
        self._announce(new, changed, deleted)
        return outcome

    def _declared_or_raise(self, parameters: Iterable[Parameter], raising: bool) -> str | None:
        for parameter in parameters:
            if not isinstance(parameter, Parameter):
                raise TypeError(f"parameter must be instance of type '{Parameter!r}'")
            if not self.allow_undeclared and parameter.name not in self.parameters:
                if raising:
                    raise ParameterNotDeclaredException([parameter.name])
                return parameter.name
        return None

    def _ask_callbacks(self, parameters: list[Parameter]) -> Any:
        for callback in list(self.validate):
            outcome = callback(parameters)
            if not outcome.successful:
                return outcome
        return result()

    def _check(self, parameter: Parameter, *, read_only_matters: bool) -> Any:
        """Judge a value by its parameter's descriptor."""
        descriptor = self.descriptors.get(parameter.name)
        if descriptor is None:
            return result()
        if read_only_matters and descriptor.read_only:
            return result(False, "Trying to set a read-only parameter.")
        if descriptor.dynamic_typing:
            pass
        elif parameter.type_ is Parameter.Type.NOT_SET:
            return result(False, "Static parameter cannot be undeclared")
        elif descriptor.type != parameter.type_.value:
            expected = Parameter.Type(descriptor.type)
            return result(
                False,
                f"Wrong parameter type, expected '{expected}' got '{parameter.type_}'",
            )
        if parameter.type_ is Parameter.Type.INTEGER and len(descriptor.integer_range):
            return _check_integer(parameter, descriptor.integer_range[0])
        if parameter.type_ is Parameter.Type.DOUBLE and len(descriptor.floating_point_range):
            return _check_double(parameter, descriptor.floating_point_range[0])
        return result()


def _split_declaration(value: Any) -> tuple[Parameter.Type | None, Any]:
    """Tell a declaration by type from one by value."""
    if isinstance(value, Parameter.Type):
        return (None if value is Parameter.Type.NOT_SET else value), None
    if hasattr(value, "string_array_value"):
        value = Parameter.from_parameter_msg(
            load("rcl_interfaces/msg/Parameter")(name="_", value=value)
        ).value
    if isinstance(value, type):
        if value not in _PYTHON_TYPES:
            raise TypeError(f"{value!r} is no type of parameters")
        return _PYTHON_TYPES[value], None
    return (None if value is None else Parameter.Type.from_parameter_value(value)), value


def _check_integer(parameter: Parameter, bounds: Any) -> Any:
    value, low, high, step = (
        parameter.value,
        bounds.from_value,
        bounds.to_value,
        bounds.step,
    )
    if not low <= value <= high:
        return result(
            False,
            f"Parameter {parameter.name} out of range. Min: {low}, Max: {high}, value: {value}",
        )
    if step and value != high and (value - low) % step:
        return result(
            False,
            f"The parameter value for {parameter.name} is not a valid step. Min: {low}, "
            f"max: {high}, value: {value}, step: {step}",
        )
    return result()


def _check_double(parameter: Parameter, bounds: Any) -> Any:
    value, low, high, step = (
        parameter.value,
        bounds.from_value,
        bounds.to_value,
        bounds.step,
    )
    if math.isclose(value, low) or math.isclose(value, high):
        return result()
    if not low <= value <= high:
        return result(
            False,
            f"Parameter {parameter.name} out of range Min: {low}, Max: {high}, value: {value}",
        )
    if step:
        steps = (value - low) / step
        if not math.isclose(steps, round(steps), rel_tol=1e-9, abs_tol=1e-9):
            return result(
                False,
                f"The parameter value for {parameter.name} is not close enough to a valid step. "
                f"Min: {low}, max: {high}, value: {value}, step: {step}",
            )
    return result()


def _is_listed(name: str, prefixes: list[str], depth: int) -> bool:
    """Return whether a parameter is within ``depth`` levels of a prefix (0: any depth)."""

    def shallow(rest: str) -> bool:
        return not depth or rest.count(PARAMETER_SEPARATOR_STRING) < depth

    if not prefixes:
        return shallow(name)
    return any(
        name == prefix
        or (
            name.startswith(prefix + PARAMETER_SEPARATOR_STRING)
            and shallow(name[len(prefix) + 1 :])
        )
        for prefix in prefixes
    )
