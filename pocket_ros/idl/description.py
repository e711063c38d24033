"""Type descriptions: what `~/get_type_description` tells of an interface (REP 2016)."""

from __future__ import annotations

from typing import Any

from pocket_ros.idl.catalog import closure, source, structure
from pocket_ros.idl.classes import load
from pocket_ros.idl.definitions import Container, Field
from pocket_ros.idl.hashing import describe

_PACKAGE = "type_description_interfaces/msg"
_IMPLICIT = "implicit"


def type_description(name: str) -> Any:
    """The type_description_interfaces/msg/TypeDescription of `name` (pkg/kind/Name)."""
    return load(f"{_PACKAGE}/TypeDescription")(
        type_description=_individual(name),
        referenced_type_descriptions=[_individual(other) for other in closure(name)],
    )


def type_sources(name: str) -> list[Any]:
    """TypeSource of `name` and of all that it refers to; parts of an interface have no text."""
    return [_source(each) for each in (name, *closure(name))]


def _individual(name: str) -> Any:
    field, field_type = load(f"{_PACKAGE}/Field"), load(f"{_PACKAGE}/FieldType")
    described = describe(name)["fields"]
    fields = [
        field(
            name=entry["name"],
            type=field_type(**entry["type"]),
            default_value=_default_text(of),
        )
        for entry, of in zip(described, structure(name).wire_fields, strict=True)
    ]
    return load(f"{_PACKAGE}/IndividualTypeDescription")(type_name=name, fields=fields)


def _source(name: str) -> Any:
    text = source(name)
    return load(f"{_PACKAGE}/TypeSource")(
        type_name=name,
        encoding=_IMPLICIT if text is None else name.split("/")[1],
        # As rosidl embeds it: lines without the last line's end.
        raw_file_contents="" if text is None else "\n".join(text.splitlines()),
    )


def _default_text(field: Field) -> str:
    """A default value as rosidl writes it; arrays become a tuple."""
    if field.default is None:
        return ""
    if field.container is Container.ONE:
        value = field.default
        return str(value[0] if isinstance(value, bytes) else value)
    return repr(tuple(field.default)).replace(",)", ", )")
