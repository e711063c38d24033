"""Interface texts: what is read, and what is refused with file and line."""

import itertools

import pytest

from pocket_ros.idl import InterfaceSyntaxError, load
from pocket_ros.idl.catalog import add_text, structure
from pocket_ros.idl.definitions import Container, Field

numbers = itertools.count()


def parse(text, kind="msg"):
    name = f"T{next(numbers)}"
    add_text("parser_test", kind, name, text, f"{name}.{kind}")
    return f"parser_test/{kind}/{name}"


def test_every_form_of_a_field():
    name = parse(
        """
        # a comment
        int32 plain
        uint8[4] four          # behind it
        float64[] any_number
        string<=5[<=2] bounded
        std_msgs/Header header
        std_msgs/msg/Header long_header
        wstring wide
        """
    )
    assert structure(name).fields == (
        Field("plain", "int32"),
        Field("four", "uint8", Container.ARRAY, 4),
        Field("any_number", "float64", Container.UNBOUNDED),
        Field("bounded", "string", Container.BOUNDED, 2, string_bound=5),
        Field("header", "std_msgs/msg/Header"),
        Field("long_header", "std_msgs/msg/Header"),
        Field("wide", "wstring"),
    )


def test_defaults_of_every_kind():
    message = load(
        parse(
            """
            int32 a -5
            bool b true
            string c "with # and \\"quotes\\""
            string d unquoted
            float64[3] e [1.0, 2, 3e1]
            string[] f ["x, y", 'z']
            uint8[] g [1, 0x10]
            float32 h 1
            """
        )
    )()
    assert (message.a, message.b, message.c, message.d) == (
        -5,
        True,
        'with # and "quotes"',
        "unquoted",
    )
    assert list(message.e) == [1.0, 2.0, 30.0]
    assert message.f == ["x, y", "z"]
    assert list(message.g) == [1, 16]
    assert message.h == 1.0


def test_constants_of_every_kind():
    cls = load(
        parse(
            """
            int8 LOW=-128
            uint16 HEX = 0xFFFF  # comment
            string TEXT=with # inside
            string QUOTED = 'q'
            bool YES=True
            float64 PI=3.14
            byte B=7
            """
        )
    )
    assert (cls.LOW, cls.HEX, cls.YES, cls.PI, cls.B) == (-128, 65535, True, 3.14, b"\x07")
    assert (cls.TEXT, cls.QUOTED) == ("with # inside", "q")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("int32", "expected 'TYPE NAME'"),
        ("int32 Upper", "not a valid field name"),
        ("int32 a__b", "not a valid field name"),
        ("int32 lower=3", "not a valid constant name"),
        ("int8 TOO_MUCH=128", "does not fit into int8"),
        ("uint8 a 256", "does not fit into uint8"),
        ("bool a maybe", "expected true or false"),
        ("int32 a 1.5", "invalid literal"),
        ("int32<=3 a", "only strings"),
        ("int32[0] a", "cannot hold anything"),
        ("int32[2] a [1]", "1 values, the field holds 2"),
        ("std_msgs/Header a 3", "cannot have a default"),
        ("int32 a\nint32 a", "used twice"),
        ("---", "separator"),
    ],
)
def test_mistakes_are_named_with_file_and_line(text, reason):
    with pytest.raises(InterfaceSyntaxError, match=rf"T\d+\.msg.*{reason}"):
        parse(text)


def test_a_service_needs_one_separator():
    with pytest.raises(InterfaceSyntaxError, match="expected 1 separator"):
        parse("int32 a", kind="srv")
    assert structure(parse("int32 a\n---\n", kind="srv") + "_Response").fields == ()


def test_a_message_cannot_contain_itself():
    name = parse("")
    add_text("parser_test", "msg", "Loop", "Loop[] inner", "Loop.msg")
    with pytest.raises(InterfaceSyntaxError, match="Loop contains itself"):
        _ = load("parser_test/msg/Loop")._type_hash
    assert load(name)() == load(name)()
