"""Reading YAML files into pydantic models, with errors that name file, key and expectation."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from matlab_ros.model.errors import ConfigError

_Model = TypeVar("_Model", bound="Strict")


class Strict(BaseModel):
    """A frozen value parsed from a file; unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def load_yaml(path: Path, model: type[_Model]) -> _Model:
    """Parse `path` as `model`.

    Raises:
        ConfigError: the file is missing, is not YAML, or does not fit the model; the first
            offending key is named.
    """
    return parse(path, mapping_in(path, read_text(path)), model)


def read_text(path: Path) -> str:
    """What a file holds.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read ({error.strerror})", "a YAML file") from error
    except UnicodeDecodeError as error:
        raise ConfigError(path, "", "is not UTF-8 text", "a YAML file") from error


def mapping_in(source: str | Path, text: str) -> dict[str, Any]:
    """The mapping that a YAML text, read from `source`, holds.

    Raises:
        ConfigError: it is no YAML, or no mapping.
    """
    try:
        data: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(source, "", f"is not valid YAML{where}", "a mapping of keys") from error
    if not isinstance(data, dict):
        raise ConfigError(source, "", "holds no mapping", "a mapping of keys")
    return data


def parse(source: str | Path, data: dict[str, Any], model: type[_Model]) -> _Model:
    """Validate `data`, read from `source`, as `model`.

    Raises:
        ConfigError: the first offending key, and what was expected there.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        problem, expected = explain(first, model)
        raise ConfigError(source, key, problem, expected) from None


def explain(error: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Problem and expectation, in words, of one pydantic error."""
    kind: str = error["type"]
    given = error.get("input")
    if kind == "extra_forbidden":
        known = _keys_at(model, error["loc"][:-1])
        return "unknown key", f"one of {', '.join(known)}" if known else "no such key"
    if kind == "missing":
        return "is missing", "a value"
    message: str = error["msg"]
    for prefix in ("Value error, ", "Input should be ", "Assertion failed, "):
        message = message.removeprefix(prefix)
    if kind == "value_error" and "; expected " in message:
        problem, _, expected = message.partition("; expected ")
        return problem, expected
    return f"has the value {given!r}", message


def _keys_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """Keys that the model at `loc` accepts, empty where the walk leaves the known models."""
    current: Any = model
    for part in loc:
        if isinstance(part, int):
            continue
        fields = getattr(current, "model_fields", {})
        if part not in fields:
            return []
        current = _inner_model(fields[part].annotation)
        if current is None:
            return []
    return sorted(getattr(current, "model_fields", {}))


def _inner_model(annotation: Any) -> Any:
    """The pydantic model inside an annotation such as ``list[X]`` or ``X | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
