"""Python classes for interfaces, generated on first use and shaped like rclpy's."""

from __future__ import annotations

import operator
import threading
from array import array
from collections.abc import Callable
from typing import Any

from pocket_ros.idl.catalog import structure
from pocket_ros.idl.checks import FieldError, describe_misfit
from pocket_ros.idl.definitions import FLOATS, PRIMITIVES, STRINGS, Container, Field, Structure
from pocket_ros.idl.hashing import type_hash

NUMPY_DTYPES = {
    "b": "int8", "B": "uint8", "h": "int16", "H": "uint16", "i": "int32", "I": "uint32",
    "q": "int64", "Q": "uint64", "f": "float32", "d": "float64",
}  # fmt: skip

_SERVICE_PARTS = ("Request", "Response", "Event")
_ACTION_PARTS = ("Goal", "Result", "Feedback")

_classes: dict[str, Any] = {}
_lock = threading.RLock()


class _Default:
    """Stands in signatures for a value that each instance makes anew."""

    def __repr__(self) -> str:
        return "<default>"


_DEFAULT = _Default()


class InterfaceType(type):
    """Type of all interface classes: the wire's names, and parts that appear on first use."""

    _type_name: str
    _parts: dict[str, str]

    @property
    def _type_hash(cls) -> str:
        return type_hash(cls._type_name)

    @property
    def _dds_name(cls) -> str:
        package, kind, name = cls._type_name.split("/")
        return f"{package}::{kind}::dds_::{name}_"

    def __getattr__(cls, name: str) -> Any:
        part = cls.__dict__.get("_parts", {}).get(name)
        if part is None:
            raise AttributeError(f"{cls.__name__!r} has no attribute {name!r}")
        value = load(part)
        setattr(cls, name, value)
        return value

    def __dir__(cls) -> list[str]:
        return [*super().__dir__(), *cls.__dict__.get("_parts", ())]


def load(name: str) -> Any:
    """The class of an interface: "pkg/msg/Name", "pkg/srv/Name" or "pkg/action/Name".

    A service has Request, Response and Event; an action Goal, Result, Feedback and Impl.
    Structures inside them have names too: "std_srvs/srv/Trigger_Request".

    Raises InterfaceNotFoundError or InterfaceSyntaxError.
    """
    found = _classes.get(name)
    if found is None:
        # Messages are checked by their class, so each must exist once.
        with _lock:
            found = _classes.get(name)
            if found is None:
                found = _classes[name] = _make(structure(name))
    return found


def _make(item: Structure) -> Any:
    names = [field.name for field in item.fields]
    if names == ["request_message", "response_message", "event_message"]:
        parts = {part: f"{item.name}_{part}" for part in _SERVICE_PARTS}
        return _namespace(item.name, parts)
    if item.name.split("/")[1] == "action" and names[:2] == ["goal", "result"]:
        cls = _namespace(item.name, {part: f"{item.name}_{part}" for part in _ACTION_PARTS})
        cls.Impl = _namespace(
            item.name,
            {
                "SendGoalService": f"{item.name}_SendGoal",
                "GetResultService": f"{item.name}_GetResult",
                "FeedbackMessage": f"{item.name}_FeedbackMessage",
                "CancelGoalService": "action_msgs/srv/CancelGoal",
                "GoalStatusMessage": "action_msgs/msg/GoalStatusArray",
            },
        )
        return cls
    return _message_class(item)


def _namespace(name: str, parts: dict[str, str]) -> Any:
    short = name.split("/")[-1]

    def no_instance(cls: type, *_: object, **__: object) -> None:
        raise NotImplementedError(f"{cls.__name__} is no message: make one of {', '.join(parts)}")

    body = {
        "_type_name": name,
        "_parts": parts,
        "__module__": name.rsplit("/", 1)[0].replace("/", "."),
        "__new__": no_instance,
        "__doc__": f"The interface {name}.",
    }
    return InterfaceType(short, (), body)


def _message_class(item: Structure) -> Any:
    """Generate the class of a message or of a part of a service or action."""
    short = item.name.split("/")[-1]
    module = item.name.rsplit("/", 1)[0].replace("/", ".")
    scope: dict[str, Any] = {"DEFAULT": _DEFAULT, "array": array, "InterfaceType": InterfaceType}
    signature, body = [], []
    for index, field in enumerate(item.fields):
        signature.append(_argument(field, index, scope))
        body.append(_assignment(field, index, scope))
    # A field may be called "self".
    me = "self" if all(field.name != "self" for field in item.fields) else "self_"
    parameters = f"{me}, *, {', '.join(signature)}" if signature else me
    lines = [
        f"class {short}(metaclass=InterfaceType):",
        f"    __slots__ = {tuple(field.slot for field in item.fields)!r}",
        f"    def __init__({parameters}):",
        *(f"        {line.replace('SELF', me)}" for lines in body for line in lines),
        "        pass",
        "    def __eq__(self, other):",
        "        if other.__class__ is not self.__class__:",
        "            return NotImplemented",
        f"        return {' and '.join(map(_comparison, item.fields)) or 'True'}",
    ]
    exec(compile("\n".join(lines), f"<{item.name}>", "exec"), scope)
    cls: Any = scope[short]
    cls.__module__, cls.__qualname__ = module, short
    cls.__doc__ = f"The message {item.name}."
    cls._type_name = item.name
    cls.__repr__ = _repr
    cls._fields_and_field_types = {field.name: field.idl_type for field in item.fields}
    cls.get_fields_and_field_types = classmethod(_fields_and_types)
    for constant in item.constants:
        setattr(cls, constant.name, constant.value)
    for field in item.fields:
        if field.typecode:
            store = getattr(cls, field.slot).__set__
            make = _array_setter if field.container is Container.ARRAY else _sequence_setter
            setter = make(item.name, field, store)
            setattr(cls, field.name, property(operator.attrgetter(field.slot), setter))
    return cls


def _fields_and_types(cls: Any) -> dict[str, str]:
    return dict(cls._fields_and_field_types)


def _repr(self: Any) -> str:
    values = []
    for name in self._fields_and_field_types:
        value = getattr(self, name, "<unset>")
        shown = value.tolist() if isinstance(value, array) else value
        values.append(f"{name}={shown!r}")
    return f"{self.__class__.__module__}.{self.__class__.__name__}({', '.join(values)})"


def _comparison(field: Field) -> str:
    if field.typecode and field.container is Container.ARRAY:
        return f"bool((self.{field.slot} == other.{field.slot}).all())"
    return f"self.{field.slot} == other.{field.slot}"


def _argument(field: Field, index: int, scope: dict[str, Any]) -> str:
    if field.container is Container.ONE and not field.is_nested:
        scope[f"default{index}"] = scalar_default(field)
        return f"{field.name}=default{index}"
    return f"{field.name}=DEFAULT"


def scalar_default(field: Field) -> Any:
    """The value of one element of a primitive or string field that nobody has set."""
    if field.container is Container.ONE and field.default is not None:
        return field.default
    if field.base in STRINGS:
        return ""
    if field.base in FLOATS:
        return 0.0
    return {"bool": False, "byte": b"\0"}.get(field.base, 0)


def _assignment(field: Field, index: int, scope: dict[str, Any]) -> list[str]:
    name = field.name
    if field.container is Container.ONE and not field.is_nested:
        return [f"SELF.{name} = {name}"]
    maker = f"make{index}"
    if field.typecode:
        scope[maker] = _numeric_maker(field)
        return [
            f"if {name} is DEFAULT: SELF.{field.slot} = {maker}()",
            f"else: SELF.{name} = {name}",
        ]
    if field.container is Container.ONE:
        scope[maker] = load(field.base)
    else:
        scope[maker] = _list_maker(field)
    return [f"SELF.{name} = {maker}() if {name} is DEFAULT else {name}"]


def _numeric_maker(field: Field) -> Callable[[], Any]:
    code = field.typecode
    assert code is not None
    if field.container is not Container.ARRAY:
        values = field.default or ()
        return lambda: array(code, values)
    import numpy as np  # only messages with fixed arrays pay for it

    initial = np.zeros(field.size, NUMPY_DTYPES[code])
    if field.default is not None:
        initial[:] = field.default
    return initial.copy


def _list_maker(field: Field) -> Callable[[], list[Any]]:
    if field.default is not None:
        default = list(field.default)
        return lambda: list(default)
    if field.container is not Container.ARRAY:
        return list
    size = field.size
    if field.is_nested:
        cls = load(field.base)
        return lambda: [cls() for _ in range(size)]
    value = scalar_default(Field(field.name, field.base))
    return lambda: [value] * size


def _sequence_setter(owner: str, field: Field, store: Any) -> Callable[[Any, Any], None]:
    """Setter of a numeric sequence: whatever holds numbers becomes an array.array."""
    code = field.typecode
    assert code is not None
    itemsize = PRIMITIVES[field.base].size
    bound = field.size

    def assign(self: Any, value: Any) -> None:
        if value.__class__ is not array or value.typecode != code:
            if isinstance(value, str) or (isinstance(value, (bytes, bytearray)) and itemsize > 1):
                raise FieldError(describe_misfit(owner, field, value))
            try:
                if getattr(value, "dtype", None) == NUMPY_DTYPES[code]:
                    value = array(code, value.tobytes())
                else:
                    value = array(code, value)
            except (TypeError, ValueError, OverflowError):
                raise FieldError(describe_misfit(owner, field, value)) from None
        if bound and len(value) > bound:
            raise FieldError(describe_misfit(owner, field, value))
        store(self, value)

    return assign


def _array_setter(owner: str, field: Field, store: Any) -> Callable[[Any, Any], None]:
    """Setter of a fixed numeric array: whatever holds that many numbers becomes numpy's."""
    import numpy as np

    assert field.typecode is not None
    dtype = np.dtype(NUMPY_DTYPES[field.typecode])
    shape = (field.size,)
    info = np.iinfo(dtype) if dtype.kind in "iu" else None

    def assign(self: Any, value: Any) -> None:
        if value.__class__ is not np.ndarray or value.dtype != dtype:
            try:
                if isinstance(value, (bytes, bytearray, memoryview)) and dtype.itemsize == 1:
                    value = np.frombuffer(value, np.uint8).astype(dtype)
                else:
                    given = np.asarray(value)
                    if given.dtype.kind not in ("iub" if info else "iubf"):
                        raise FieldError(describe_misfit(owner, field, value))
                    if (
                        info
                        and given.size
                        and not (info.min <= given.min() and given.max() <= info.max)
                    ):
                        raise FieldError(describe_misfit(owner, field, value))
                    value = given.astype(dtype)
            except (TypeError, ValueError, OverflowError):
                raise FieldError(describe_misfit(owner, field, value)) from None
        if value.shape != shape:
            raise FieldError(describe_misfit(owner, field, value))
        store(self, value)

    return assign
