"""Values to JSON and back, led by their type hints: the journal's written form.

Understands None, bool, int, float, str, enumerations, homogeneous tuples, mappings from text,
dataclasses, pydantic models, and unions of these. Members of a union of dataclasses are told apart
by their class variable ``TAG``, written as the key ``kind``.
"""

from __future__ import annotations

import dataclasses
import json
import math
import types
import typing
from enum import Enum
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from matlab_ros.model.errors import LabError

_Value = TypeVar("_Value")


class CodecError(LabError):
    """Text does not hold the value it should hold."""


def to_json(value: object) -> str:
    """Canonical JSON text of a value: sorted keys, no spaces.

    Raises:
        CodecError: the value holds something that has no written form, such as NaN.
    """
    return json.dumps(encode(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(kind: type[_Value], text: str) -> _Value:
    """The value that `to_json` wrote.

    Raises:
        CodecError: the text is no JSON or does not fit the type.
    """
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise CodecError(f"No JSON at character {error.pos}: {error.msg}.") from error
    value: _Value = decode(kind, data)
    return value


def encode(value: object) -> Any:
    """`value` as what `json` can write."""
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CodecError(f"{value} has no written form; expected None for an unknown number.")
        return value
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        written = {
            field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        tag = getattr(value, "TAG", None)
        return written if tag is None else {"kind": tag, **written}
    raise CodecError(f"A {type(value).__name__} has no written form.")


def decode(kind: Any, data: Any) -> Any:
    """The value of type `kind` that `encode` wrote as `data`.

    Raises:
        CodecError: they do not fit.
    """
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(kind, data)
    if origin is tuple:
        inner, *rest = typing.get_args(kind)
        if not isinstance(data, list):
            raise CodecError(f"Expected a list, found {data!r}.")
        if rest == [...]:
            return tuple(decode(inner, item) for item in data)
        if len(data) != 1 + len(rest):
            raise CodecError(f"Expected {1 + len(rest)} items, found {len(data)}.")
        return tuple(decode(item, part) for item, part in zip((inner, *rest), data, strict=True))
    if origin is dict:
        _, inner = typing.get_args(kind)
        return {key: decode(inner, item) for key, item in data.items()}
    if kind is type(None):
        if data is not None:
            raise CodecError(f"Expected null, found {data!r}.")
        return None
    if kind in (bool, int, str):
        if type(data) is not kind:
            raise CodecError(f"Expected {kind.__name__}, found {data!r}.")
        return data
    if kind is float:
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            raise CodecError(f"Expected a number, found {data!r}.")
        return float(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(data)
        except ValueError as error:
            raise CodecError(f"{data!r} is no {kind.__name__}.") from error
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        try:
            return kind.model_validate(data)
        except ValidationError as error:
            raise CodecError(f"No {kind.__name__}: {error.errors()[0]['msg']}.") from error
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, data)
    raise CodecError(f"{kind!r} has no written form.")


def _decode_union(kind: Any, data: Any) -> Any:
    members = typing.get_args(kind)
    if data is None and type(None) in members:
        return None
    tag = data.get("kind") if isinstance(data, dict) else None
    for member in members:
        if tag is not None and getattr(member, "TAG", None) == tag:
            return decode(member, data)
    for member in members:
        if member is type(None) or getattr(member, "TAG", None) is not None:
            continue
        try:
            return decode(member, data)
        except CodecError:
            continue
    raise CodecError(f"{data!r} fits none of {', '.join(str(member) for member in members)}.")


def _decode_dataclass(kind: type, data: Any) -> Any:
    if not isinstance(data, dict):
        raise CodecError(f"Expected the fields of {kind.__name__}, found {data!r}.")
    hints = _hints(kind)
    rest = set(data) - set(hints) - {"kind"}
    if rest:
        raise CodecError(f"{kind.__name__} has no field {sorted(rest)[0]!r}.")
    try:
        return kind(**{name: decode(hints[name], data[name]) for name in hints if name in data})
    except TypeError as error:
        raise CodecError(f"Fields of {kind.__name__} are missing: {error}.") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    """Resolved type of each field of a dataclass, in order."""
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
