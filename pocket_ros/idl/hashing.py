"""RIHS01 type hashes: SHA-256 over the canonical JSON of a type description (REP 2016)."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from pocket_ros.idl.catalog import closure, structure
from pocket_ros.idl.definitions import PRIMITIVES

_NESTED, _STRING, _WSTRING, _BOUNDED_STRING, _BOUNDED_WSTRING = 1, 17, 18, 21, 22


@cache
def type_hash(name: str) -> str:
    """The hash of the structure `name` (pkg/kind/Name), as "RIHS01_" and 64 hex digits."""
    description = {
        "type_description": describe(name),
        "referenced_type_descriptions": [describe(other) for other in closure(name)],
    }
    text = json.dumps(description, separators=(", ", ": "))
    return "RIHS01_" + hashlib.sha256(text.encode()).hexdigest()


@cache
def describe(name: str) -> dict[str, Any]:
    """One structure as its hash sees it: its name, and names and types of its fields."""
    fields = []
    for field in structure(name).wire_fields:
        if field.base in PRIMITIVES:
            type_id = PRIMITIVES[field.base].type_id
        elif field.base == "string":
            type_id = _BOUNDED_STRING if field.string_bound else _STRING
        elif field.base == "wstring":
            type_id = _BOUNDED_WSTRING if field.string_bound else _WSTRING
        else:
            type_id = _NESTED
        fields.append(
            {
                "name": field.name,
                "type": {
                    "type_id": type_id + field.container.value,
                    "capacity": field.size,
                    "string_capacity": field.string_bound,
                    "nested_type_name": field.base if field.is_nested else "",
                },
            }
        )
    return {"type_name": name, "fields": fields}
