"""The wire: golden keys, tokens and attachments, and what malformed input does to a node."""

from __future__ import annotations

import queue
import struct
import threading

import pytest
import rclpy
import zenoh
from action_msgs.msg import GoalInfo, GoalStatus, GoalStatusArray
from builtin_interfaces.msg import Time
from std_msgs.msg import String
from std_srvs.srv import Trigger
from unique_identifier_msgs.msg import UUID

import pocket_ros.rclpy
from pocket_ros.idl import serialize
from pocket_ros.rclpy._core import wire
from pocket_ros.rclpy._core.graph import parse_token
from pocket_ros.rclpy.action import _status
from pocket_ros.rclpy.qos import (
    DurabilityPolicy,
    HistoryPolicy,
    QoSProfile,
    ReliabilityPolicy,
)

DEADLINE_SEC = 20.0
STRING_HASH = "RIHS01_df668c740482bbd48fb39d76a70dfd4bd59db1288021743503259e948f6b1a18"


def test_topic_key_is_rmw_zenohs():
    key = wire.topic_key(0, "/chatter", String._dds_name, String._type_hash)
    assert key == f"0/chatter/std_msgs::msg::dds_::String_/{STRING_HASH}"


def test_endpoint_token_is_rmw_zenohs_and_is_read_back():
    token = wire.endpoint_token(
        2, "aabb", 3, 10, wire.PUBLISHER, "/", "/lab", "node", "/lab/x",
        "std_msgs::msg::dds_::String_", "RIHS01_00",
        QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE),
    )  # fmt: skip
    assert token == (
        "@ros2_lv/2/aabb/3/10/MP/%/%lab/node/%lab%x/"
        "std_msgs::msg::dds_::String_/RIHS01_00/::,10:,:,:,,"
    )
    entity = parse_token(token + "/something/newer")
    assert entity is not None
    assert (entity.node_fqn, entity.name) == ("/lab/node", "/lab/x")
    assert wire.ros_type(entity.dds_type) == "std_msgs/msg/String"


@pytest.mark.parametrize("token", ["", "x/y", "@ros2_lv/0/a/1/1/MP/%/%/node", "@ros2_lv/0/a"])
def test_strange_tokens_are_ignored(token):
    assert parse_token(token) is None


@pytest.mark.parametrize(
    ("qos", "text"),
    [
        (QoSProfile(depth=10), "::,10:,:,:,,"),
        (QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT), "2::,5:,:,:,,"),
        (QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL), ":1:,1:,:,:,,"),
        (QoSProfile(history=HistoryPolicy.KEEP_ALL, depth=0), "::2,0:,:,:,,"),
        (QoSProfile(depth=42), "::,:,:,:,,"),
    ],
)
def test_qos_is_written_and_read(qos, text):
    assert wire.encode_qos(qos) == text
    read = wire.decode_qos(text)
    for name in ("history", "depth", "reliability", "durability"):
        assert getattr(read, name) == getattr(qos, name)


def test_attachment_has_33_bytes_and_the_old_form_is_understood():
    gid = bytes(range(16))
    raw = wire.pack_attachment(7, gid)
    assert len(raw) == 33
    assert wire.unpack_attachment(raw)[::2] == (7, gid)
    old = b"\x0fsequence_number" + struct.pack("<q", 7)
    old += b"\x10source_timestamp" + struct.pack("<q", 9)
    old += b"\x0asource_gid" + b"\x10" + gid
    assert len(old) == 77
    assert wire.unpack_attachment(old) == (7, 9, gid)


@pytest.mark.parametrize("raw", [b"", b"x" * 33, b"x" * 77, bytes(32)])
def test_malformed_attachments_are_refused(raw):
    with pytest.raises(ValueError, match="attachment"):
        wire.unpack_attachment(raw)


@pytest.fixture
def intruder(ros):
    """The session of the nodes themselves: what it puts reaches them in any case, and in order."""
    return pocket_ros.rclpy.get_default_context()._live_session()


GOOD = wire.pack_attachment(1, bytes(16))


@pytest.mark.parametrize(
    ("payload", "attachment"),
    [
        (b"", GOOD),
        (b"\x00\x01\x00\x00\xff\xff\xff\xff", GOOD),
        (b"\x00\x01\x00\x00", GOOD),
        (None, None),
        (None, b"short"),
    ],
    ids=["empty", "longer than it is", "too short", "unattached", "attachment too short"],
)
def test_malformed_message_is_dropped_told_once_and_the_next_is_heard(
    ros, intruder, capsys, payload, attachment
):
    node = ros.node("victim")
    received = queue.Queue()
    node.create_subscription(String, "x", lambda m: received.put(m.data), 10)
    ros.spin(node)
    key = wire.topic_key(87, "/x", String._dds_name, String._type_hash)
    publisher = intruder.declare_publisher(key)
    good = serialize(String(data="good"))
    for _ in range(2):
        publisher.put(good if payload is None else payload, attachment=attachment)
    publisher.put(good, attachment=GOOD)
    assert received.get(timeout=DEADLINE_SEC) == "good"
    assert received.empty()
    assert capsys.readouterr().err.count("cannot be read") == 1


def test_malformed_request_ends_without_an_answer_and_the_service_lives(ros, intruder):
    node = ros.node("victim")
    calls = []

    def answer(request, response):
        calls.append(request)
        return response

    node.create_service(Trigger, "go", answer)
    ros.spin(node)
    key = wire.topic_key(87, "/go", Trigger._dds_name, Trigger._type_hash)
    caller = ros.node("caller")
    ros.spin(caller)
    ros.call(caller, Trigger, "go", Trigger.Request())
    ended = threading.Event()
    replies = []
    intruder.get(
        key,
        zenoh.handlers.Callback(replies.append, ended.set, indirect=False),
        payload=b"rubbish",
        attachment=b"rubbish",
        target=zenoh.QueryTarget.ALL,
    )
    assert ended.wait(DEADLINE_SEC)
    assert replies == []
    ros.call(caller, Trigger, "go", Trigger.Request())
    assert len(calls) == 2


def test_malformed_clock_leaves_the_clock_as_it_was(ros, intruder, capsys):
    from rclpy.parameter import Parameter
    from rosgraph_msgs.msg import Clock

    node = ros.node("victim", parameter_overrides=[Parameter("use_sim_time", value=True)])
    seen = threading.Event()
    handle = node.get_clock().create_jump_callback(
        rclpy.clock.JumpThreshold(
            min_forward=rclpy.duration.Duration(nanoseconds=1), min_backward=None
        ),
        post_callback=lambda jump: seen.set(),
    )
    key = wire.topic_key(87, "/clock", Clock._dds_name, Clock._type_hash)
    publisher = intruder.declare_publisher(key)
    publisher.put(b"short")
    publisher.put(struct.pack("<4siI", b"\x00\x01\x00\x00", -1, 0))
    publisher.put(struct.pack("<4siI", b"\x00\x01\x00\x00", 5, 7))
    assert seen.wait(DEADLINE_SEC)
    assert node.get_clock().now().nanoseconds == 5_000_000_007
    handle.unregister()


def test_message_in_big_endian_is_understood(ros, intruder):
    node = ros.node("victim")
    received = queue.Queue()
    node.create_subscription(String, "x", lambda m: received.put(m.data), 10)
    ros.spin(node)
    publisher = intruder.declare_publisher(
        wire.topic_key(87, "/x", String._dds_name, String._type_hash)
    )
    publisher.put(b"\x00\x00\x00\x00\x00\x00\x00\x03hi\x00", attachment=GOOD)
    publisher.put(serialize(String(data="end")), attachment=GOOD)
    assert received.get(timeout=DEADLINE_SEC) in ("hi", "end")


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_goal_status_array_is_packed_as_the_message_is(count):
    statuses = [
        GoalStatus(
            goal_info=GoalInfo(
                goal_id=UUID(uuid=[number] * 16), stamp=Time(sec=number, nanosec=number + 1)
            ),
            status=number,
        )
        for number in range(count)
    ]
    goals = [(bytes([number] * 16), number, number + 1, number) for number in range(count)]
    raw = serialize(GoalStatusArray(status_list=statuses))
    assert _status.pack(goals) == raw
    assert _status.read(raw) == [(goal[0], goal[3]) for goal in goals]
    with pytest.raises(ValueError, match="no GoalStatusArray"):
        _status.read(raw[:-1])
