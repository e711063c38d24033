"""The exceptions of rclpy."""

from __future__ import annotations

from typing import Any


class RCLError(RuntimeError):
    """Something that rclpy's C layer would have refused."""


class InvalidHandle(Exception):
    """An entity was used after it was destroyed."""


class NotInitializedException(Exception):
    """rclpy.init() is missing, or shutdown came before."""

    def __init__(self, *args: object) -> None:
        super().__init__("rclpy.init() has not been called", *args)


class NoTypeSupportImportedException(Exception):
    """A class is not an interface type."""

    def __init__(self, *args: object) -> None:
        super().__init__("no type_support imported", *args)


class NoImplementationException(Exception):
    """Something that this implementation does not have."""


class UnknownROSArgsError(RCLError):
    """Arguments between ``--ros-args`` and ``--`` that mean nothing."""

    def __init__(self, unknown: list[str]) -> None:
        self.unknown_ros_args = unknown
        super().__init__(f"Found unknown ROS arguments: {unknown}")


class RCLInvalidROSArgsError(RCLError):
    """An argument between ``--ros-args`` and ``--`` is malformed."""


class NameValidationException(Exception):
    """A name breaks the rules for names."""

    def __init__(
        self, name_type: str, name: str, error_msg: str, invalid_index: int, *args: object
    ) -> None:
        self.name_type = name_type
        self.name = name
        self.error_msg = error_msg
        self.invalid_index = invalid_index
        marker = " " * invalid_index + "^"
        super().__init__(f"Invalid {name_type}: {error_msg}:\n  '{name}'\n   {marker}", *args)


class InvalidNamespaceException(NameValidationException):
    """A namespace breaks the rules."""

    def __init__(self, name: str, error_msg: str, invalid_index: int, *args: object) -> None:
        super().__init__("namespace", name, error_msg, invalid_index, *args)


class InvalidNodeNameException(NameValidationException):
    """A node's name breaks the rules."""

    def __init__(self, name: str, error_msg: str, invalid_index: int, *args: object) -> None:
        super().__init__("node name", name, error_msg, invalid_index, *args)


class InvalidTopicNameException(NameValidationException):
    """A topic's name breaks the rules."""

    def __init__(self, name: str, error_msg: str, invalid_index: int, *args: object) -> None:
        super().__init__("topic name", name, error_msg, invalid_index, *args)


class InvalidServiceNameException(NameValidationException):
    """A service's name breaks the rules."""

    def __init__(self, name: str, error_msg: str, invalid_index: int, *args: object) -> None:
        super().__init__("service name", name, error_msg, invalid_index, *args)


class ParameterException(Exception):
    """Base of what can go wrong with parameters."""

    def __init__(self, error_msg: str, parameters: Any, *args: object) -> None:
        super().__init__(error_msg, parameters, *args)


class ParameterNotDeclaredException(ParameterException):
    """A parameter was used that was not declared."""

    def __init__(self, parameters: Any, *args: object) -> None:
        super().__init__("Invalid access to undeclared parameter(s)", parameters, *args)


class ParameterAlreadyDeclaredException(ParameterException):
    """A parameter was declared twice."""

    def __init__(self, parameters: Any, *args: object) -> None:
        super().__init__("Parameter(s) already declared", parameters, *args)


class InvalidParameterException(ParameterException):
    """A parameter's name is invalid."""

    def __init__(self, parameter: Any, *args: object) -> None:
        super().__init__("Invalid parameter name", parameter, *args)


class InvalidParameterTypeException(ParameterException):
    """A parameter's value has another type than declared."""

    def __init__(self, parameter: Any, reason: str, *args: object) -> None:
        super().__init__(
            f"Trying to set parameter '{parameter.name}' to '{parameter.value}' of type "
            f"'{parameter.type_.name}', {reason}",
            parameter,
            *args,
        )
        self.param_name = parameter.name


class InvalidParameterValueException(ParameterException):
    """A parameter's value was refused."""

    def __init__(self, parameter: Any, value: Any, reason: str = "", *args: object) -> None:
        detail = f". Reason: {reason}" if reason else ""
        super().__init__(
            f"Invalid parameter value ({value}) for parameter{detail}", parameter, *args
        )


class ParameterImmutableException(ParameterException):
    """A read-only parameter was to be changed."""

    def __init__(self, parameter: Any, *args: object) -> None:
        super().__init__("Attempted to modify read-only parameter", parameter, *args)


class ParameterUninitializedException(ParameterException):
    """A parameter was declared with a type but never got a value."""

    def __init__(self, parameter: str, *args: object) -> None:
        super().__init__(f"The parameter '{parameter}' is not initialized", parameter, *args)


class ROSInterruptException(Exception):
    """A sleep was ended by a shutdown."""


class TimerCancelledError(Exception):
    """A timer was cancelled when it was needed."""
