"""CDR bytes: the same as another implementation's, and safe to read whatever they hold."""

import contextlib
import random
import struct
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocket_ros.idl import CdrError, FieldError, deserialize, interface_names, load, serialize
from pocket_ros.idl.catalog import BUNDLED, structure
from pocket_ros.idl.definitions import FLOATS, INTEGER_RANGES, Container

MESSAGES = sorted(
    f"{package.name}/msg/{name}"
    for package in BUNDLED.iterdir()
    for name in interface_names(package.name, "msg")
)
# Packages that rosbags does not have.
NOT_IN_ROSBAGS = {"control_msgs", "example_interfaces"}


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


@pytest.fixture(scope="module")
def store():
    typesys = pytest.importorskip("rosbags.typesys", reason="rosbags is a development dependency")
    return typesys.get_typestore(typesys.Stores.ROS2_JAZZY)


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


@pytest.mark.parametrize("name", [n for n in MESSAGES if n.split("/")[0] not in NOT_IN_ROSBAGS])
def test_bytes_equal_those_of_rosbags(store, name):
    rng = random.Random(name)
    for _ in range(4):
        message = random_message(rng, name)
        theirs = to_rosbags(store, message)
        assert serialize(message) == bytes(store.serialize_cdr(theirs, name))
        big = bytes(store.serialize_cdr(theirs, name, little_endian=False))
        assert deserialize(big, type(message)) == message


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
