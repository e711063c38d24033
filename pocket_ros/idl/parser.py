"""Parser of .msg, .srv and .action text."""

from __future__ import annotations

import ast
import re
from typing import Any

from pocket_ros.idl.definitions import (
    FLOATS,
    INTEGER_RANGES,
    PRIMITIVES,
    STRINGS,
    Constant,
    Container,
    Field,
    Structure,
)


class InterfaceSyntaxError(ValueError):
    """An interface text cannot be read; the message says which file, line and why."""


_DECLARATION = re.compile(
    r"(?P<type>(?:[A-Za-z]\w*/){0,2}[A-Za-z]\w*)(?:<=(?P<string_bound>\d+))?"
    r"(?P<array>\[(?:(?:<=)?\d+)?\])?\s+(?P<name>[A-Za-z]\w*)\s*(?P<rest>.*)"
)
_FIELD_NAME = re.compile(r"(?!.*__)(?!.*_$)[a-z][a-z0-9_]*")
_CONSTANT_NAME = re.compile(r"[A-Z](?:_?[A-Z0-9]+)*")
_STRING_CONSTANT = re.compile(r"\s*w?string(<=\d+)?\s+\w+\s*=")
_LIST_ITEM = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|[^,\s]+")


def parse_sections(text: str, name: str, count: int) -> list[list[tuple[int, str]]]:
    """Split a .srv (2 sections) or .action (3) text at its `---` lines into numbered lines."""
    sections: list[list[tuple[int, str]]] = [[]]
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() == "---":
            sections.append([])
        else:
            sections[-1].append((number, line))
    if len(sections) != count:
        raise InterfaceSyntaxError(
            f"{name}: expected {count - 1} separator line(s) '---', found {len(sections) - 1}"
        )
    return sections


def parse_structure(name: str, lines: list[tuple[int, str]], origin: str) -> Structure:
    """Parse numbered lines into the structure `name` (pkg/kind/Name)."""
    package = name.split("/")[0]
    fields: list[Field] = []
    constants: list[Constant] = []
    seen: set[str] = set()
    for number, line in lines:
        # A '#' after "string X=" belongs to the value.
        text = line if _STRING_CONSTANT.match(line) else _without_comment(line)
        text = text.strip()
        if not text or text.startswith("@"):
            continue
        try:
            item = _parse_line(package, text)
            if item.name in seen:
                raise ValueError(f"the name {item.name!r} is used twice")
        except (ValueError, SyntaxError) as error:
            raise InterfaceSyntaxError(f"{origin}, line {number}: {error}") from None
        seen.add(item.name)
        if isinstance(item, Field):
            fields.append(item)
        else:
            constants.append(item)
    return Structure(name, tuple(fields), tuple(constants))


def _without_comment(line: str) -> str:
    quote = ""
    for i, char in enumerate(line):
        if quote:
            if char == quote and line[i - 1] != "\\":
                quote = ""
        elif char in "\"'":
            quote = char
        elif char == "#":
            return line[:i]
    return line


def _parse_line(package: str, text: str) -> Field | Constant:
    match = _DECLARATION.fullmatch(text)
    if match is None:
        raise ValueError(f"expected 'TYPE NAME', got {text!r}")
    base, name, rest = match["type"], match["name"], match["rest"].strip()
    string_bound = int(match["string_bound"] or 0)
    if match["string_bound"] and base not in STRINGS:
        raise ValueError(f"only strings have a bound, not {base!r}")
    if rest.startswith("="):
        return _constant(base, name, rest[1:].strip(), match["array"])
    if not _FIELD_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid field name (lower case with underscores)")
    base = _full_name(package, base)
    container, size = _container(match["array"])
    default = None
    if rest:
        if base not in PRIMITIVES and base not in STRINGS:
            raise ValueError(f"the field {name!r} of type {base} cannot have a default value")
        default = _default(base, container, size, rest)
    return Field(name, base, container, size, string_bound, default)


def _constant(base: str, name: str, text: str, array: str | None) -> Constant:
    if (base not in PRIMITIVES and base not in STRINGS) or array:
        raise ValueError(f"the constant {name!r} must have a primitive type")
    if not _CONSTANT_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid constant name (upper case with underscores)")
    return Constant(name, base, _literal(base, text))


def _full_name(package: str, base: str) -> str:
    if base in PRIMITIVES or base in STRINGS:
        return base
    parts = base.split("/")
    if len(parts) == 1:
        parts = [package, "msg", *parts]
    elif len(parts) == 2:
        parts = [parts[0], "msg", parts[1]]
    return "/".join(parts)


def _container(text: str | None) -> tuple[Container, int]:
    if text is None:
        return Container.ONE, 0
    if text == "[]":
        return Container.UNBOUNDED, 0
    if text.startswith("[<="):
        container, size = Container.BOUNDED, int(text[3:-1])
    else:
        container, size = Container.ARRAY, int(text[1:-1])
    if size < 1:
        raise ValueError(f"an array of size {text} cannot hold anything")
    return container, size


def _default(base: str, container: Container, size: int, text: str) -> Any:
    if container is Container.ONE:
        return _literal(base, text)
    if not (text.startswith("[") and text.endswith("]")):
        raise ValueError(f"expected a default like [1, 2], got {text!r}")
    values = [_literal(base, item) for item in _LIST_ITEM.findall(text[1:-1])]
    if (container is Container.ARRAY and len(values) != size) or 0 < size < len(values):
        raise ValueError(f"the default has {len(values)} values, the field holds {size}")
    return values


def _literal(base: str, text: str) -> Any:
    if base in STRINGS:
        if len(text) > 1 and text[0] in "\"'" and text[-1] == text[0]:
            return str(ast.literal_eval(text))
        return text
    if base == "bool":
        if text.lower() not in ("true", "false", "1", "0"):
            raise ValueError(f"expected true or false, got {text!r}")
        return text.lower() in ("true", "1")
    if base in FLOATS:
        return float(text)
    value = int(text, 0) if not text.isdigit() else int(text)
    low, high = INTEGER_RANGES.get(base, (0, 255))
    if not low <= value <= high:
        raise ValueError(f"{value} does not fit into {base}")
    return bytes([value]) if base == "byte" else value
