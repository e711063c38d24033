"""Values that describe an interface: primitive types, fields, constants, structures."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple


class Primitive(NamedTuple):
    """How one primitive type is written, stored and described."""

    code: str
    """Character of the `struct` module."""
    size: int
    """Bytes on the wire, and alignment."""
    typecode: str | None
    """Typecode of `array.array`; None where rclpy keeps a list."""
    type_id: int
    """Identifier in type_description_interfaces/msg/FieldType."""
    idl_name: str
    """Name in IDL, as get_fields_and_field_types() says it."""


# The .msg type `char` is an unsigned 8 bit number, and is described as one.
PRIMITIVES = {
    "bool": Primitive("?", 1, None, 15, "boolean"),
    "byte": Primitive("c", 1, None, 16, "octet"),
    "char": Primitive("B", 1, "B", 3, "uint8"),
    "int8": Primitive("b", 1, "b", 2, "int8"),
    "uint8": Primitive("B", 1, "B", 3, "uint8"),
    "int16": Primitive("h", 2, "h", 4, "int16"),
    "uint16": Primitive("H", 2, "H", 5, "uint16"),
    "int32": Primitive("i", 4, "i", 6, "int32"),
    "uint32": Primitive("I", 4, "I", 7, "uint32"),
    "int64": Primitive("q", 8, "q", 8, "int64"),
    "uint64": Primitive("Q", 8, "Q", 9, "uint64"),
    "float32": Primitive("f", 4, "f", 10, "float"),
    "float64": Primitive("d", 8, "d", 11, "double"),
}
STRINGS = ("string", "wstring")
FLOATS = ("float32", "float64")

INTEGER_RANGES = {
    name: (-(1 << 8 * p.size - 1), (1 << 8 * p.size - 1) - 1)
    if p.code.islower()
    else (0, (1 << 8 * p.size) - 1)
    for name, p in PRIMITIVES.items()
    if p.code in "bBhHiIqQ"
}


class Container(Enum):
    """How often a field holds its base type; the value is the offset of the type id."""

    ONE = 0
    ARRAY = 48
    BOUNDED = 96
    UNBOUNDED = 144


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `base` is a primitive, "string", "wstring" or a full name (pkg/msg/Name)."""

    name: str
    base: str
    container: Container = Container.ONE
    size: int = 0
    """Elements of an array, upper bound of a bounded sequence, otherwise 0."""
    string_bound: int = 0
    """Upper bound of a bounded string, otherwise 0."""
    default: Any = None

    @property
    def is_nested(self) -> bool:
        """Whether the base is a structure."""
        return self.base not in PRIMITIVES and self.base not in STRINGS

    @property
    def is_sequence(self) -> bool:
        """Whether a length is written before the elements."""
        return self.container in (Container.BOUNDED, Container.UNBOUNDED)

    @property
    def typecode(self) -> str | None:
        """Typecode of the numeric container that holds this field's values, if one does."""
        if self.container is Container.ONE or self.base not in PRIMITIVES:
            return None
        return PRIMITIVES[self.base].typecode

    @property
    def slot(self) -> str:
        """Name of the attribute that really holds the value."""
        return f"_{self.name}" if self.typecode else self.name

    @property
    def idl_type(self) -> str:
        """The type as rclpy's get_fields_and_field_types() spells it."""
        if self.base in PRIMITIVES:
            base = PRIMITIVES[self.base].idl_name
        elif self.base in STRINGS:
            base = f"{self.base}<{self.string_bound}>" if self.string_bound else self.base
        else:
            package, _, name = self.base.split("/")
            base = f"{package}/{name}"
        if self.container is Container.ARRAY:
            return f"{base}[{self.size}]"
        if self.container is Container.BOUNDED:
            return f"sequence<{base}, {self.size}>"
        if self.container is Container.UNBOUNDED:
            return f"sequence<{base}>"
        return base


@dataclass(frozen=True, slots=True)
class Constant:
    """A named value of an interface."""

    name: str
    base: str
    value: Any


@dataclass(frozen=True, slots=True)
class Structure:
    """A message, or one of the structures that a service or an action is made of."""

    name: str
    """Full name: pkg/kind/Name."""
    fields: tuple[Field, ...]
    constants: tuple[Constant, ...] = ()

    @property
    def wire_fields(self) -> tuple[Field, ...]:
        """The fields as written: an empty structure still holds one byte."""
        return self.fields or (PLACEHOLDER,)


PLACEHOLDER = Field("structure_needs_at_least_one_member", "uint8")
