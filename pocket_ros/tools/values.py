"""Messages as text: YAML to a message's fields, and a message to YAML or CSV as ros2 prints it."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import yaml

from pocket_ros import idl
from pocket_ros.idl.catalog import structure
from pocket_ros.idl.definitions import FLOATS, Container
from pocket_ros.tools.command import ToolError

TRUNCATE_LENGTH = 128
_TIME = "builtin_interfaces/msg/Time"
_HEADER = "std_msgs/msg/Header"


@dataclass(frozen=True)
class Style:
    """How much of a message is shown."""

    truncate: int | None = TRUNCATE_LENGTH
    no_arrays: bool = False
    no_strings: bool = False
    flow: bool = False


WHOLE = Style(truncate=None)


def parse_yaml(text: str | None) -> Any:
    """What a YAML text of a command line means; ToolError where it is none."""
    try:
        return yaml.safe_load(text or "{}")
    except yaml.YAMLError as error:
        raise ToolError(f"{text!r} is no YAML: {str(error).splitlines()[0]}") from None


def fill(message: Any, values: Any) -> list[Callable[[Any], None]]:
    """Set a message's fields from dictionaries, lists and plain values.

    `header: auto` and `stamp: now` stand for the time of sending: the functions returned put a
    builtin_interfaces/msg/Time there. Raises ToolError for fields that do not exist.
    """
    stamps: list[Callable[[Any], None]] = []
    _fill(message, values, stamps)
    return stamps


def _fill(message: Any, values: Any, stamps: list[Callable[[Any], None]]) -> Any:
    if values is None:
        return message
    if not isinstance(values, dict):
        raise ToolError(f"expected the fields of {message._type_name} as 'name: value'")
    definition = {field.name: field for field in structure(message._type_name).fields}
    for name, value in values.items():
        field = definition.get(name)
        if field is None:
            known = ", ".join(definition) or "none"
            raise ToolError(f"{message._type_name} has no field {name!r} (it has: {known})")
        many = field.container is not Container.ONE
        if field.base == _TIME and not many and value == "now":
            stamps.append(_setter(message, name))
            continue
        if field.base == _HEADER and not many and value == "auto":
            stamps.append(_setter(getattr(message, name), "stamp"))
            continue
        if field.is_nested and many:
            if not isinstance(value, list):
                raise ToolError(f"expected a list for {message._type_name}.{name}")
            value = [_fill(idl.load(field.base)(), item, stamps) for item in value]
        elif field.is_nested:
            value = _fill(getattr(message, name), value, stamps)
        elif field.base in FLOATS and not many and type(value) is int:
            value = float(value)
        elif field.base == "byte" and not many and isinstance(value, int):
            value = bytes([value])
        elif field.base == "byte" and many and isinstance(value, list):
            value = [bytes([item]) if isinstance(item, int) else item for item in value]
        setattr(message, name, value)
    return message


def _setter(message: Any, name: str) -> Callable[[Any], None]:
    return lambda stamp: setattr(message, name, stamp)


def to_plain(value: Any, style: Style = WHOLE, field_type: str = "") -> Any:
    """A message or a field of it as dictionaries, lists and plain values."""
    if is_message(value):
        types = value.get_fields_and_field_types()
        return {name: to_plain(getattr(value, name), style, types[name]) for name in types}
    if isinstance(value, (bytes, str)):
        text = value if isinstance(value, str) else value.decode("latin-1")
        if style.no_strings and isinstance(value, str):
            return f"<string length: <{len(text)}>>"
        cut = style.truncate is not None and len(text) > style.truncate
        return f"{text[: style.truncate]}..." if cut else text
    if isinstance(value, (list, tuple, array)) or hasattr(value, "tolist"):
        return _plain_list(value, style, field_type)
    return value


def _plain_list(value: Any, style: Style, field_type: str) -> Any:
    if style.no_arrays and field_type:
        if field_type.startswith("sequence<"):
            base = field_type[len("sequence<") : -1].split(",")[0]
            return f"<sequence type: {base}, length: {len(value)}>"
        return f"<array type: {field_type}>"
    cut = style.truncate is not None and len(value) > style.truncate
    items = value[: style.truncate] if cut else value
    plain = items.tolist() if hasattr(items, "tolist") else [to_plain(i, style) for i in items]
    return [*plain, "..."] if cut else plain


def is_message(value: Any) -> bool:
    """Whether a value is a message, and not a field of plain values."""
    return hasattr(value, "get_fields_and_field_types")


def to_yaml(message: Any, style: Style = WHOLE) -> str:
    """A message as block YAML in the order of its fields; ends with a line end."""
    return yaml.safe_dump(
        to_plain(message, style),
        sort_keys=False,
        allow_unicode=True,
        width=sys.maxsize,
        default_flow_style=style.flow,
    )


def to_csv(message: Any, style: Style = WHOLE) -> str:
    """All values of a message, separated by commas."""

    def leaves(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        if isinstance(value, list):
            return [leaf for item in value for leaf in leaves(item)]
        return [str(value)]

    return ",".join(leaves(to_plain(message, style)))
