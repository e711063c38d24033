"""Says in a sentence which field of a message holds the wrong thing."""

from __future__ import annotations

from array import array
from typing import Any

from pocket_ros.idl.catalog import structure
from pocket_ros.idl.definitions import FLOATS, INTEGER_RANGES, Container, Field

_FLOAT32_MAX = 3.4028234663852886e38


class FieldError(AssertionError, TypeError):
    """A field holds a value of the wrong type, size or range.

    It is both, because rclpy raises AssertionError or TypeError depending on where it notices.
    """


def describe_misfit(owner: str, field: Field, value: Any, index: int | None = None) -> str:
    """The sentence about a value that does not fit into `field` of the structure `owner`."""
    where = field.name if index is None else f"{field.name}[{index}]"
    shown = repr(value)
    shown = shown if len(shown) <= 60 else shown[:57] + "..."
    sized = hasattr(value, "__len__") and not isinstance(value, str)
    size = f" with {len(value)} element(s)" if sized and index is None and field.size else ""
    wanted = _element_type(field) if index is not None else field.idl_type
    return (
        f"the field {where!r} of {owner} must be {wanted}, got {type(value).__name__} {shown}{size}"
    )


def check(message: Any) -> None:
    """Raise FieldError for the first field, in depth, that cannot be written."""
    _check_structure(message._type_name, message)


def _element_type(field: Field) -> str:
    return Field(field.name, field.base, string_bound=field.string_bound).idl_type


def _check_structure(name: str, message: Any) -> None:
    for field in structure(name).fields:
        try:
            value = getattr(message, field.name)
        except AttributeError:
            raise FieldError(f"the field {field.name!r} of {name} is not set") from None
        if field.container is Container.ONE:
            _check_element(name, field, value, None)
            continue
        if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__"):
            raise FieldError(describe_misfit(name, field, value))
        wrong_size = (
            len(value) != field.size
            if field.container is Container.ARRAY
            else 0 < field.size < len(value)
        )
        if wrong_size:
            raise FieldError(describe_misfit(name, field, value))
        if field.typecode and not isinstance(value, array) and not hasattr(value, "dtype"):
            raise FieldError(describe_misfit(name, field, value))
        if not field.typecode:
            for index, element in enumerate(value):
                _check_element(name, field, element, index)


def _check_element(owner: str, field: Field, value: Any, index: int | None) -> None:
    if field.is_nested:
        if getattr(value, "_type_name", None) != field.base or isinstance(value, type):
            raise FieldError(describe_misfit(owner, field, value, index))
        _check_structure(field.base, value)
    elif not _fits(field, value):
        raise FieldError(describe_misfit(owner, field, value, index))


def _fits(field: Field, value: Any) -> bool:
    if field.base in ("string", "wstring"):
        if not isinstance(value, str):
            return False
        try:
            encoded = value.encode()
        except UnicodeEncodeError:
            return False
        length = len(encoded) if field.base == "string" else len(value.encode("utf-16-le")) // 2
        return not field.string_bound or length <= field.string_bound
    if field.base == "bool":
        return isinstance(value, bool)
    if field.base == "byte":
        return isinstance(value, bytes) and len(value) == 1
    if field.base in FLOATS:
        finite32 = field.base == "float64" or not (
            isinstance(value, float) and _FLOAT32_MAX < abs(value) < float("inf")
        )
        return isinstance(value, float) and finite32
    low, high = INTEGER_RANGES[field.base]
    try:
        return bool(low <= value.__index__() <= high)
    except AttributeError:
        return False
