"""CDR bytes: the same as another implementation's, and safe to read whatever they hold."""

from __future__ import annotations

import contextlib
import random
import re
import struct
from array import array
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_ros.idl import CdrError, FieldError, deserialize, interface_names, load, serialize
from pocket_ros.idl.catalog import BUNDLED, structure
from pocket_ros.idl.definitions import FLOATS, INTEGER_RANGES, Container
from pocket_ros.idl.hashing import type_hash

# The interface packages that come with pocket_ros, and those of this workspace.
FOLDERS = sorted(BUNDLED.iterdir()) + sorted(
    path.parent for path in Path(__file__).resolve().parents[2].glob("*/package.xml")
)
FILES = {
    f"{folder.name}/{kind}/{name}": folder / kind / f"{name}.{kind}"
    for folder in FOLDERS
    for kind in ("msg", "srv", "action")
    for name in interface_names(folder.name, kind)
}
MESSAGES = sorted(name for name in FILES if "/msg/" in name)
SECTIONS = {
    "msg": ("",),
    "srv": ("_Request", "_Response"),
    "action": ("_Goal", "_Result", "_Feedback"),
}


def random_value(rng, base):
    if base in FLOATS:
        return float(struct.unpack("<f", struct.pack("<f", rng.gauss(0, 1e3)))[0])
    if base == "bool":
        return rng.random() < 0.5
    if base == "byte":
        return bytes([rng.randrange(256)])
    if base in ("string", "wstring"):
        return "".join(rng.choice("aé漢z😀 ") for _ in range(rng.randrange(6)))
    if base in INTEGER_RANGES:
        return rng.randint(*INTEGER_RANGES[base])
    return random_message(rng, base)


def random_message(rng, name):
    values = {}
    for field in structure(name).fields:
        if field.container is Container.ONE:
            values[field.name] = random_value(rng, field.base)
        else:
            most = field.size or 3
            count = field.size if field.container is Container.ARRAY else rng.randint(0, most)
            values[field.name] = [random_value(rng, field.base) for _ in range(count)]
    return load(name)(**values)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_survives_the_wire(name):
    rng = random.Random(name)
    cls = load(name)
    for message in (cls(), *(random_message(rng, name) for _ in range(3))):
        assert deserialize(serialize(message), cls) == message


def without_char(definition):
    """A rosbags definition with ROS 2's idea of `char`, which is another name of uint8."""
    if definition == ("char", 0):
        return ("uint8", 0)
    if isinstance(definition, (tuple, list)):
        return type(definition)(without_char(item) for item in definition)
    return definition


def composed(types, name):
    """What rosidl makes of a service or an action whose sections rosbags has read."""
    base, nested = types.Nodetype.BASE, types.Nodetype.NAME
    goal_id = ("goal_id", (nested, "unique_identifier_msgs/msg/UUID"))

    def service(name):
        request, response, event = (f"{name}_{part}" for part in ("Request", "Response", "Event"))
        sequence = types.Nodetype.SEQUENCE
        return {
            event: [
                ("info", (nested, "service_msgs/msg/ServiceEventInfo")),
                ("request", (sequence, ((nested, request), 1))),
                ("response", (sequence, ((nested, response), 1))),
            ],
            name: [
                ("request_message", (nested, request)),
                ("response_message", (nested, response)),
                ("event_message", (nested, event)),
            ],
        }

    if "/srv/" in name:
        return service(name)
    if "/msg/" in name:
        return {}
    return {
        f"{name}_SendGoal_Request": [goal_id, ("goal", (nested, f"{name}_Goal"))],
        f"{name}_SendGoal_Response": [
            ("accepted", (base, ("bool", 0))),
            ("stamp", (nested, "builtin_interfaces/msg/Time")),
        ],
        f"{name}_GetResult_Request": [goal_id],
        f"{name}_GetResult_Response": [
            ("status", (base, ("int8", 0))),
            ("result", (nested, f"{name}_Result")),
        ],
        f"{name}_FeedbackMessage": [goal_id, ("feedback", (nested, f"{name}_Feedback"))],
        **service(f"{name}_SendGoal"),
        **service(f"{name}_GetResult"),
        name: [
            ("goal", (nested, f"{name}_Goal")),
            ("result", (nested, f"{name}_Result")),
            ("feedback", (nested, f"{name}_Feedback")),
            ("send_goal_service", (nested, f"{name}_SendGoal")),
            ("get_result_service", (nested, f"{name}_GetResult")),
            ("feedback_message", (nested, f"{name}_FeedbackMessage")),
        ],
    }


@pytest.fixture(scope="module")
def store():
    """All our interfaces as rosbags reads their texts; its own definitions where it has them."""
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is a development dependency")
    import rosbags.interfaces as types

    definitions = dict(typesys.get_typestore(typesys.Stores.ROS2_JAZZY).fielddefs)
    for name, path in FILES.items():
        if name in definitions:
            continue
        package, kind, short = name.split("/")
        texts = re.split(r"^---$", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for text, suffix in zip(texts, SECTIONS[kind], strict=True):
            # rosbags knows messages only, and renames what says to be something else.
            [(constants, fields)] = typesys.get_types_from_msg(
                text, f"{package}/msg/{short}{suffix}"
            ).values()
            definitions[name + suffix] = (constants, fields)
        definitions.update({part: ([], fields) for part, fields in composed(types, name).items()})
    empty = [("structure_needs_at_least_one_member", (types.Nodetype.BASE, ("uint8", 0)))]
    store = typesys.get_typestore(typesys.Stores.EMPTY)
    store.register(
        {
            name: (constants, without_char(fields or empty))
            for name, (constants, fields) in definitions.items()
        }
    )
    return store


def to_rosbags(store, message):
    name = message._type_name
    values = {}
    for field in structure(name).wire_fields:
        value = getattr(message, field.name, 0)
        if isinstance(value, array):
            value = np.array(value)
        elif field.is_nested and field.container is Container.ONE:
            value = to_rosbags(store, value)
        elif field.is_nested:
            value = [to_rosbags(store, item) for item in value]
        elif field.base == "byte":
            # There a byte is a signed number.
            value = (
                int.from_bytes(value, "big", signed=True)
                if isinstance(value, bytes)
                else np.frombuffer(b"".join(value), "i1")
            )
        elif field.base == "bool" and field.container is not Container.ONE:
            value = np.array(value, bool)
        values[field.name] = value
    return store.types[name](**values)


def parts_of(name):
    """The structures of an interface that travel by themselves."""
    if "/msg/" in name:
        return [name]
    if "/srv/" in name:
        return [f"{name}_Request", f"{name}_Response"]
    return [
        f"{name}_{part}"
        for part in (
            *("SendGoal_Request", "SendGoal_Response"),
            *("GetResult_Request", "GetResult_Response", "FeedbackMessage"),
        )
    ]


# rosbags has no wide strings.
@pytest.mark.parametrize("name", sorted(FILES.keys() - {"example_interfaces/msg/WString"}))
def test_bytes_and_hashes_equal_those_of_rosbags(store, name):
    rng = random.Random(name)
    for part in parts_of(name):
        for _ in range(4):
            message = random_message(rng, part)
            theirs = to_rosbags(store, message)
            assert serialize(message) == bytes(store.serialize_cdr(theirs, part))
            big = bytes(store.serialize_cdr(theirs, part, little_endian=False))
            assert deserialize(big, type(message)) == message
    assert type_hash(name) == store.hash_rihs01(name)


SAMPLES = (
    "std_msgs/msg/String",
    "sensor_msgs/msg/JointState",
    "visualization_msgs/msg/MarkerArray",
    "diagnostic_msgs/msg/DiagnosticArray",
    "rcl_interfaces/msg/ParameterValue",
    "example_interfaces/msg/WString",
    "nav_msgs/msg/OccupancyGrid",
    "unique_identifier_msgs/msg/UUID",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_truncated_bytes_raise_cdr_error(name):
    data = serialize(random_message(random.Random(7), name))
    for end in range(len(data)):
        with pytest.raises(CdrError):
            deserialize(data[:end], load(name))


@given(st.sampled_from(SAMPLES), st.binary(max_size=200), st.booleans())
def test_random_bytes_give_a_message_or_cdr_error(name, body, little):
    cls = load(name)
    try:
        message = deserialize(b"\0" + bytes([little]) + b"\0\0" + body, cls)
    except CdrError:
        return
    assert isinstance(message, cls)


@given(st.sampled_from(SAMPLES), st.data())
def test_damaged_bytes_give_a_message_or_cdr_error(name, data):
    raw = bytearray(serialize(random_message(random.Random(3), name)))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CdrError):
        assert isinstance(deserialize(memoryview(raw), load(name)), load(name))


def test_a_lying_length_allocates_nothing():
    data = serialize(load("std_msgs/msg/Float64MultiArray")())[:-4] + b"\xff\xff\xff\xff"
    with pytest.raises(CdrError, match="end inside a sequence"):
        deserialize(data, load("std_msgs/msg/Float64MultiArray"))


def test_other_encodings_are_refused():
    with pytest.raises(CdrError, match="0006"):
        deserialize(b"\x00\x06\x00\x00aaaaaaaa", load("std_msgs/msg/String"))


def test_memoryviews_and_bytearrays_are_read():
    message = load("std_msgs/msg/String")(data="läuft")
    for kind in (bytes, bytearray, memoryview):
        assert deserialize(kind(serialize(message)), type(message)) == message


def test_wstring_is_utf16_units_of_four_bytes():
    data = serialize(load("example_interfaces/msg/WString")(data="a😀"))
    assert data[4:] == struct.pack("<4I", 3, ord("a"), 0xD83D, 0xDE00)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("geometry_msgs/msg/Point", "x", 1),
        ("geometry_msgs/msg/Point", "y", "1"),
        ("builtin_interfaces/msg/Time", "sec", 2**31),
        ("builtin_interfaces/msg/Time", "sec", 1.0),
        ("std_msgs/msg/Bool", "data", 1),
        ("std_msgs/msg/String", "data", b"bytes"),
        ("std_msgs/msg/String", "data", None),
        ("std_msgs/msg/Header", "stamp", 3),
        ("sensor_msgs/msg/JointState", "name", "abc"),
        ("sensor_msgs/msg/JointState", "name", [1]),
        ("geometry_msgs/msg/PolygonStamped", "polygon", None),
        ("geometry_msgs/msg/Polygon", "points", [None]),
        ("diagnostic_msgs/msg/DiagnosticStatus", "level", 1),
        ("rcl_interfaces/msg/ParameterValue", "bool_array_value", [0, 1]),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(name, field, value):
    message = load(name)()
    setattr(message, field, value)
    with pytest.raises(FieldError, match=rf"'{field}.*' of {name}"):
        serialize(message)


def test_a_message_of_a_lookalike_class_is_refused():
    pose = load("geometry_msgs/msg/Pose")(position=load("geometry_msgs/msg/Vector3")())
    with pytest.raises(FieldError, match="'position' of geometry_msgs/msg/Pose"):
        serialize(pose)


def test_numpy_floats_are_floats():
    point = load("geometry_msgs/msg/Point")(x=np.float64(2.5))
    assert deserialize(serialize(point), type(point)).x == 2.5


def test_what_is_no_message_is_refused():
    with pytest.raises(TypeError, match="expected a message, got int"):
        serialize(3)
