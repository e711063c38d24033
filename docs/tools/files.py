"""Reference page of the lab's YAML files, from the models that read them."""

from __future__ import annotations

import ast
import enum
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.recipe import Recipe

FILES = {
    "The lab": (
        LabConfig,
        "`config/labs/*.yaml`. A file with `like: other.yaml` is that lab, but for its own keys.",
    ),
    "A campaign": (CampaignConfig, "`config/campaigns/*.yaml`."),
    "A recipe": (
        Recipe,
        "`config/recipes/*.yaml`; [Recipes](../recipes.md) explains the language.",
    ),
}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def files_page() -> str:
    """Every key of every file: type, default, meaning."""
    lines = [
        "# Files",
        "",
        "Keys of the YAML files. An unknown key is an error, and so is one that is missing and "
        "has no "
        "default. `matlab-ros recipe check FILE --lab LAB` checks a recipe before anything starts; "
        "`matlab-ros campaign FILE` refuses a campaign or a lab that does not fit.",
    ]
    for title, (model, about) in FILES.items():
        lines += ["", f"## {title}", "", about]
        for each in reachable(model):
            lines += ["", f"### {each.__name__}", "", _first_paragraph(each), "", *_table(each)]
    return "\n".join(lines) + "\n"


def reachable(model: type[BaseModel]) -> list[type[BaseModel]]:
    """A model and all that its fields hold, each once, in the order of the fields."""
    found: list[type[BaseModel]] = []
    waiting = [model]
    while waiting:
        item = waiting.pop(0)
        if item in found:
            continue
        found.append(item)
        for info in item.model_fields.values():
            waiting += _models_in(info.annotation)
    return found


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)


def _table(model: type[BaseModel]) -> list[str]:
    if not model.model_fields:
        return ["No keys."]
    meanings = docstrings(model)
    lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for name, info in model.model_fields.items():
        kind = _type(info.annotation)
        bounds = _bounds(info)
        cells = (
            f"`{info.alias or name}`",
            f"{kind} {bounds}".strip(),
            _default(info),
            meanings.get(name, ""),
        )
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return lines


def _type(annotation: Any) -> str:
    arguments = typing.get_args(annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _type(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_type(item) for item in arguments if item is not type(None))
    if origin is typing.Literal:
        return ", ".join(f"`{item}`" for item in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_type(arguments[0])}"
        return f"list of {len(arguments)} {_type(arguments[0])}s"
    if origin is dict:
        return f"mapping of {_type(arguments[0])} to {_type(arguments[1])}"
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if inspect.isclass(annotation) and issubclass(annotation, enum.Enum):
        return ", ".join(f"`{_word(item)}`" for item in annotation)
    names = {"str": "text", "float": "number", "int": "whole number", "bool": "true, false"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name.lower())


def _word(item: enum.Enum) -> str:
    return item.value if isinstance(item.value, str) else item.name.lower()


def _bounds(info: FieldInfo) -> str:
    found = []
    for item in info.metadata:
        for key, sign in _BOUNDS.items():
            value = getattr(item, key, None)
            if value is not None:
                found.append(f"{sign} {value:g}")
    return ", ".join(found)


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    default = info.get_default(call_default_factory=True)
    if default is PydanticUndefined or default is None or default in ((), {}, ""):
        return "none"
    if isinstance(default, BaseModel):
        return "its defaults"
    if isinstance(default, tuple):
        return ", ".join(f"`{_said(item)}`" for item in default)
    return f"`{_said(default)}`"


def _said(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return _word(value)
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def _first_paragraph(model: type[BaseModel]) -> str:
    text = inspect.getdoc(model) or ""
    return _markdown(text.split("\n\n")[0])


def docstrings(model: type[BaseModel]) -> dict[str, str]:
    """What stands in quotes under each field, also of the classes that a model builds on."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, BaseModel) or each is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(each))).body[0]
        assert isinstance(body, ast.ClassDef)
        for item, after in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(item, ast.AnnAssign)
                and isinstance(item.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                found[item.target.id] = _markdown(after.value.value)
    return found


def _markdown(text: str) -> str:
    """A docstring as one paragraph of Markdown."""
    text = " ".join(text.split())
    text = re.sub(r"``(.+?)``", r"`\1`", text)
    return text[:1].upper() + text[1:]
