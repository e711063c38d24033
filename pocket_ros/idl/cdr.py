"""CDR (XCDR1) bytes of messages: straight-line code, generated once for each type.

Runs of numbers, also through nested structures, are one call of `struct`. Alignment counts
from behind the four header bytes, so each run exists once for each start offset modulo 8.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from pocket_ros.idl.catalog import closure, structure
from pocket_ros.idl.checks import check
from pocket_ros.idl.classes import NUMPY_DTYPES, load
from pocket_ros.idl.definitions import FLOATS, PRIMITIVES, STRINGS, Container, Field, Structure

_HEADER_BIG, _HEADER_LITTLE = b"\x00\x00", b"\x00\x01"
_HEADER_SIZE = 4

Writer = Callable[[Any, bytearray], None]
Reader = Callable[[bytes, int], tuple[Any, int]]

_writers: dict[type, Writer] = {}
_readers: dict[tuple[type, bool], Reader] = {}


class CdrError(ValueError):
    """Bytes are not the CDR form of the expected message."""


def serialize(message: Any) -> bytes:
    """The message as little endian CDR with its four header bytes.

    Raises FieldError, which names the field, where a value does not fit.
    """
    data = bytearray(b"\x00\x01\x00\x00")
    cls = message.__class__
    try:
        (_writers.get(cls) or _writer(cls))(message, data)
    except (TypeError, ValueError, AttributeError, OverflowError, struct.error):
        if getattr(cls, "_type_name", None) is None or not hasattr(
            cls, "get_fields_and_field_types"
        ):
            raise TypeError(f"expected a message, got {cls.__name__}") from None
        check(message)
        raise
    return bytes(data)


def deserialize(data: bytes | bytearray | memoryview, cls: type) -> Any:
    """The message of class `cls` that CDR bytes hold; either byte order is read.

    Raises CdrError if the bytes are too short or hold what the type forbids. Bytes behind the
    message are ignored.
    """
    data = bytes(data)
    if len(data) < _HEADER_SIZE:
        raise CdrError(f"{_name(cls)}: {len(data)} bytes are too short for a CDR header")
    if data[:2] not in (_HEADER_LITTLE, _HEADER_BIG):
        raise CdrError(f"{_name(cls)}: the encoding {data[:2].hex()} is not plain CDR")
    big = data[:2] == _HEADER_BIG
    reader = _readers.get((cls, big)) or _reader(cls, big)
    try:
        return reader(data, _HEADER_SIZE)[0]
    except CdrError as error:
        raise CdrError(f"{_name(cls)}: {error}") from None
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise CdrError(f"{_name(cls)}: {error}") from None


def _name(cls: type) -> str:
    return getattr(cls, "_type_name", cls.__name__)


def _writer(cls: Any) -> Writer:
    writer = _writers[cls] = _WriterSource(structure(cls._type_name)).build()
    return writer


def _reader(cls: Any, big: bool) -> Reader:
    reader = _readers[cls, big] = _ReaderSource(structure(cls._type_name), big).build()
    return reader


@lru_cache(maxsize=4096)
def _structs(codes: str, order: str) -> tuple[struct.Struct, ...]:
    """One Struct with explicit padding for each start offset modulo 8."""
    sizes = {p.code: p.size for p in PRIMITIVES.values()}
    result = []
    for offset in range(8):
        layout = order
        for code in codes:
            pad = -offset % sizes[code]
            layout += "x" * pad + code
            offset += pad + sizes[code]
        result.append(struct.Struct(layout))
    return tuple(result)


def _flat(field: Field) -> bool:
    """Whether the field is a number or a structure of nothing but numbers."""
    if field.container is not Container.ONE or field.base in STRINGS:
        return False
    if not field.is_nested:
        return True
    return all(_flat(inner) for inner in structure(field.base).wire_fields)


def _wide(units: bytes, big: bool) -> str:
    """Text of a wstring, written as one 32 bit number for each UTF-16 unit."""
    numbers = struct.unpack(f"{'>' if big else '<'}{len(units) // 4}I", units)
    return struct.pack(f"<{len(numbers)}H", *(n & 0xFFFF for n in numbers)).decode("utf-16-le")


def _wide_bytes(text: str) -> tuple[int, bytes]:
    raw = text.encode("utf-16-le")
    numbers = struct.unpack(f"<{len(raw) // 2}H", raw)
    return len(numbers), struct.pack(f"<{len(numbers)}I", *numbers)


def _refuse(reason: str) -> None:
    raise CdrError(reason)


def _misfit() -> None:
    """Raised inside a writer; `serialize` then finds out which field it is."""
    raise TypeError


class _Source:
    """Lines of a function, the values they use, and fresh names."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.indent = 1
        self.scope: dict[str, Any] = {"array": array, "SIZE": struct.Struct("<I")}
        self._count = 0

    def emit(self, *lines: str) -> None:
        self.lines += ["    " * self.indent + line for line in lines]

    def fresh(self, prefix: str = "v") -> str:
        self._count += 1
        return f"{prefix}{self._count}"

    def use(self, value: Any) -> str:
        name = self.fresh("k")
        self.scope[name] = value
        return name

    def compile(self, head: str, origin: str) -> Any:
        text = "\n".join([head, *self.lines])
        exec(compile(text, origin, "exec"), self.scope)
        return self.scope[head[4 : head.index("(")]]


class _WriterSource(_Source):
    """Code that appends a message `m` to the bytes `b`."""

    def __init__(self, item: Structure) -> None:
        super().__init__()
        self.item = item
        self.run: list[tuple[str, str]] = []
        self.scope |= {
            "misfit": _misfit,
            "wide": _wide_bytes,
            "PAD2": (b"", b"\0"),
            "PAD4": (b"", b"\0\0\0", b"\0\0", b"\0"),
            # The header shifts eight-byte alignment by four.
            "PAD8": tuple(bytes((4 - i) % 8) for i in range(8)),
        }

    def build(self) -> Writer:
        closure(self.item.name)  # refuses a structure that contains itself
        self.structure(self.item, "m")
        self.flush()
        return self.compile("def write(m, b):", f"<write {self.item.name}>")

    def flush(self) -> None:
        """Write the numbers collected so far with one call."""
        if not self.run:
            return
        floats = [name for name, base in self.run if base in FLOATS]
        for name, base in self.run:
            if base == "bool":
                self.emit(f"if {name}.__class__ is not bool: misfit()")
        if floats:
            same = " is ".join(f"{name}.__class__" for name in floats)
            # Subclasses of float (numpy's float64) take the second way.
            every = " and ".join(f"isinstance({name}, float)" for name in floats)
            self.emit(f"if not (float is {same}) and not ({every}): misfit()")
        structs = self.use(_structs("".join(PRIMITIVES[b].code for _, b in self.run), "<"))
        names = ", ".join(name for name, _ in self.run)
        self.emit(f"b += {structs}[(len(b) + 4) & 7].pack({names})")
        self.run.clear()

    def structure(self, item: Structure, variable: str) -> None:
        if not item.fields:
            self.run.append(("0", "uint8"))
        for field in item.fields:
            self.field(field, f"{variable}.{field.slot}")

    def field(self, field: Field, source: str) -> None:
        if field.container is not Container.ONE:
            self.flush()
            self.many(field, source)
            return
        if field.base in STRINGS:
            self.flush()
            self.string(field, source)
            return
        name = self.fresh()
        self.emit(f"{name} = {source}")
        if field.base in PRIMITIVES:
            self.run.append((name, field.base))
        else:
            self.nested(field.base, name)

    def nested(self, base: str, name: str) -> None:
        self.emit(f"if {name}.__class__ is not {self.use(load(base))}: misfit()")
        self.structure(structure(base), name)

    def string(self, field: Field, source: str) -> None:
        if field.base == "wstring":
            self.emit(f"n, u = wide({source})")
            size = "n"
        else:
            self.emit(f"u = {source}.encode()")
            size = "len(u) + 1"
        if field.string_bound:
            length = "n" if field.base == "wstring" else "len(u)"
            self.emit(f"if {length} > {field.string_bound}: misfit()")
        self.emit(f"b += PAD4[len(b) & 3]; b += SIZE.pack({size}); b += u")
        if field.base == "string":
            self.emit("b.append(0)")

    def many(self, field: Field, source: str) -> None:
        values = self.fresh()
        self.emit(f"{values} = {source}", f"n = len({values})")
        if field.container is Container.ARRAY:
            self.emit(f"if n != {field.size}: misfit()")
        else:
            if field.container is Container.BOUNDED:
                self.emit(f"if n > {field.size}: misfit()")
            self.emit("b += PAD4[len(b) & 3]; b += SIZE.pack(n)")
        if field.typecode:
            self.numbers(field, values)
            return
        self.emit(f"if {values}.__class__ in (str, bytes, dict): misfit()")
        if field.base == "bool":
            self.emit(f"for x in {values}:", "    if x.__class__ is not bool: misfit()")
            self.emit(f"b += bytes({values})")
        elif field.base == "byte":
            self.emit(f"u = b''.join({values})", "if len(u) != n: misfit()", "b += u")
        else:
            self.emit(f"for x in {values}:")
            self.indent += 1
            if field.base in STRINGS:
                self.string(field, "x")
            elif _flat(Field(field.name, field.base)):
                self.nested(field.base, "x")
                self.flush()
            else:
                cls = load(field.base)
                self.emit(f"if x.__class__ is not {self.use(cls)}: misfit()")
                self.emit(f"{self.use(_writers.get(cls) or _writer(cls))}(x, b)")
            self.indent -= 1

    def numbers(self, field: Field, values: str) -> None:
        size = PRIMITIVES[field.base].size
        if size > 1:
            mask = {2: 1, 4: 3, 8: 7}[size]
            self.emit(f"if n: b += PAD{size}[len(b) & {mask}]")
        if sys.byteorder == "little" or size == 1:
            self.emit(f"b += {values}.tobytes()")
        else:
            self.emit(f"u = array({field.typecode!r}, {values}); u.byteswap(); b += u.tobytes()")


class _ReaderSource(_Source):
    """Code that makes a message from the bytes `c`, beginning at the offset `o`."""

    def __init__(self, item: Structure, big: bool) -> None:
        super().__init__()
        self.item = item
        self.big = big
        self.order = ">" if big else "<"
        self.swap = big != (sys.byteorder == "big")
        self.run: list[tuple[str, str]] = []
        self.scope |= {
            "SIZE": struct.Struct(self.order + "I"),
            "new": object.__new__,
            "refuse": _refuse,
            "wide": _wide,
            "BIG": big,
        }

    def build(self) -> Reader:
        closure(self.item.name)
        self.emit("end = len(c)", f"m = new({self.use(load(self.item.name))})")
        self.structure(self.item, "m")
        self.flush()
        self.emit("return m, o")
        return self.compile("def read(c, o):", f"<read {self.item.name}>")

    def flush(self) -> None:
        """Read the numbers due so far with one call."""
        if not self.run:
            return
        structs = self.use(_structs("".join(PRIMITIVES[b].code for _, b in self.run), self.order))
        targets = ", ".join(target for target, _ in self.run)
        self.emit(f"s = {structs}[(o + 4) & 7]; {targets}, = s.unpack_from(c, o); o += s.size")
        self.run.clear()

    def structure(self, item: Structure, variable: str) -> None:
        if not item.fields:
            self.run.append((self.fresh(), "uint8"))
        for field in item.fields:
            self.field(field, f"{variable}.{field.slot}")

    def field(self, field: Field, target: str) -> None:
        if field.container is not Container.ONE:
            self.flush()
            self.many(field, target)
        elif field.base in PRIMITIVES:
            self.run.append((target, field.base))
        elif field.base in STRINGS:
            self.flush()
            self.string(field, target)
        else:
            self.nested(field.base, target)

    def nested(self, base: str, target: str) -> None:
        name = self.fresh()
        self.emit(f"{name} = new({self.use(load(base))}); {target} = {name}")
        self.structure(structure(base), name)

    def size(self) -> None:
        self.emit("o = (o + 3) & -4; n, = SIZE.unpack_from(c, o); o += 4")

    def string(self, field: Field, target: str) -> None:
        self.size()
        if field.base == "wstring":
            self.emit("k = o + 4 * n")
            self.emit("if k > end: refuse('the bytes end inside a string')")
            self.emit(f"{target} = wide(c[o:k], BIG); o = k")
        else:
            self.emit("k = o + n")
            self.emit("if k > end: refuse('the bytes end inside a string')")
            self.emit("u = c[o:k - 1] if n and not c[k - 1] else c[o:k]; o = k")
            self.emit(f"{target} = u.decode()")
        if field.string_bound:
            size = "n" if field.base == "wstring" else "len(u)"
            self.emit(f"if {size} > {field.string_bound}: refuse('{field.name} is too long')")

    def many(self, field: Field, target: str) -> None:
        if field.container is Container.ARRAY:
            self.emit(f"n = {field.size}")
        else:
            self.size()
            if field.container is Container.BOUNDED:
                self.emit(f"if n > {field.size}: refuse('{field.name} has too many elements')")
        # Every element takes a byte at least, so a lying length cannot make us allocate.
        self.emit("if n > end - o: refuse('the bytes end inside a sequence')")
        if field.typecode:
            self.numbers(field, target)
        elif field.base == "bool":
            self.emit(f"{target} = [x != 0 for x in c[o:o + n]]; o += n")
        elif field.base == "byte":
            self.emit(f"{target} = [c[i:i + 1] for i in range(o, o + n)]; o += n")
        else:
            items = self.fresh()
            self.emit(f"{items} = {target} = []", "for _ in range(n):")
            self.indent += 1
            item = self.fresh()
            if field.base in STRINGS:
                self.string(field, item)
            elif _flat(Field(field.name, field.base)):
                self.nested(field.base, item)
                self.flush()
            else:
                cls = load(field.base)
                reader = _readers.get((cls, self.big)) or _reader(cls, self.big)
                self.emit(f"{item}, o = {self.use(reader)}(c, o)")
            self.emit(f"{items}.append({item})")
            self.indent -= 1

    def numbers(self, field: Field, target: str) -> None:
        size = PRIMITIVES[field.base].size
        if size == 8:
            self.emit("if n: o = ((o + 3) & -8) + 4")
        elif size > 1:
            self.emit(f"if n: o = (o + {size - 1}) & -{size}")
        self.emit(f"k = o + {size} * n")
        self.emit("if k > end: refuse('the bytes end inside a sequence')")
        if field.container is Container.ARRAY:
            import numpy as np

            dtype = np.dtype(NUMPY_DTYPES[field.typecode or ""])
            self.scope["frombuffer"] = np.frombuffer
            source = self.use(dtype.newbyteorder(">" if self.big else "<"))
            self.emit(f"{target} = frombuffer(c, {source}, n, o).astype({self.use(dtype)})")
        else:
            self.emit(f"u = array({field.typecode!r}); u.frombytes(c[o:k])")
            if self.swap and size > 1:
                self.emit("u.byteswap()")
            self.emit(f"{target} = u")
        self.emit("o = k")
