"""QoS on the wire: what tokens say of it, gaps in the numbers of messages, other types."""

from __future__ import annotations

import queue

import pytest
import zenoh
from rclpy.duration import Duration, Infinite
from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
from rclpy.qos import LivelinessPolicy, QoSProfile, ReliabilityPolicy
from std_msgs.msg import Int32, String

import pocket_ros.rclpy
from pocket_ros.idl import serialize
from pocket_ros.rclpy._core import wire

DEADLINE_SEC = 20.0
BEST_EFFORT = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


@pytest.mark.parametrize(
    ("policies", "text"),
    [
        ({"deadline": Duration(seconds=5)}, "::,10:5,0:,:,,"),
        ({"lifespan": Duration(nanoseconds=3)}, "::,10:,:0,3:,,"),
        (
            {
                "liveliness": LivelinessPolicy.MANUAL_BY_TOPIC,
                "liveliness_lease_duration": Duration(seconds=1, nanoseconds=2),
            },
            "::,10:,:,:3,1,2",
        ),
    ],
)
def test_durations_and_liveliness_are_written_and_read(policies, text):
    assert wire.encode_qos(QoSProfile(depth=10, **policies)) == text
    read = wire.decode_qos(text)
    assert {name: getattr(read, name) for name in policies} == policies
    assert wire.encode_qos(read) == text


def test_zero_and_infinite_durations_are_the_default():
    assert wire.encode_qos(QoSProfile(depth=10, deadline=Duration())) == "::,10:,:,:,,"
    assert wire.decode_qos("::,10:,:,:,,").deadline == Infinite


def test_gaps_in_the_numbers_of_a_publisher_are_lost_messages(ros):
    node = ros.node("listener")
    losses, received = queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: received.put(message.data),
        10,
        event_callbacks=SubscriptionEventCallbacks(message_lost=losses.put),
    )
    session = pocket_ros.rclpy.get_default_context()._live_session()
    publisher = session.declare_publisher(
        wire.topic_key(87, "/x", String._dds_name, String._type_hash)
    )
    for number in (7, 8, 11, 10, 12, 14):
        publisher.put(
            serialize(String(data=str(number))),
            attachment=wire.pack_attachment(number, bytes(16)),
        )
    ros.spin(node)
    assert losses.get(timeout=DEADLINE_SEC).total_count == 3
    assert [received.get(timeout=DEADLINE_SEC) for _ in range(6)][-1] == "14"


def test_ends_of_another_type_are_told(ros):
    node = ros.node("both")
    of_publisher, of_subscription = queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: None,
        10,
        event_callbacks=SubscriptionEventCallbacks(incompatible_type=of_subscription.put),
    )
    node.create_publisher(
        Int32,
        "x",
        10,
        event_callbacks=PublisherEventCallbacks(incompatible_type=of_publisher.put),
    )
    ros.spin(node)
    assert of_publisher.get(timeout=DEADLINE_SEC).total_count == 1
    assert of_subscription.get(timeout=DEADLINE_SEC).total_count == 1


def test_liveliness_of_publishers_follows_the_graph(ros):
    node = ros.node("both")
    changes = queue.Queue()
    node.create_subscription(
        String,
        "x",
        lambda message: None,
        10,
        event_callbacks=SubscriptionEventCallbacks(liveliness=changes.put),
    )
    publisher = node.create_publisher(String, "x", 10)
    ros.spin(node)
    assert changes.get(timeout=DEADLINE_SEC).alive_count == 1
    node.destroy_publisher(publisher)
    change = changes.get(timeout=DEADLINE_SEC)
    assert (change.alive_count, change.alive_count_change) == (0, -1)


def test_assertion_alone_makes_a_publisher_alive_again(ros):
    manual = QoSProfile(
        depth=10,
        liveliness=LivelinessPolicy.MANUAL_BY_TOPIC,
        liveliness_lease_duration=Duration(seconds=0.3),
    )
    listener, talker = ros.node("listener"), ros.node("talker")
    changes, received = queue.Queue(), queue.Queue()
    listener.create_subscription(
        String,
        "x",
        received.put,
        manual,
        event_callbacks=SubscriptionEventCallbacks(liveliness=changes.put),
    )
    publisher = talker.create_publisher(String, "x", manual)
    ros.spin(listener)

    def until(alive, not_alive):
        while True:
            change = changes.get(timeout=DEADLINE_SEC)
            if (change.alive_count, change.not_alive_count) == (alive, not_alive):
                return

    until(1, 0)
    until(0, 1)
    publisher.assert_liveliness()
    until(1, 0)
    assert received.empty()


def test_rules_of_zenoh_let_every_pair_talk(ros, monkeypatch):
    monkeypatch.setenv("POCKET_ROS_QOS_RULES", "zenoh")
    node = ros.node("both")
    received, refusals = queue.Queue(), queue.Queue()
    node.create_subscription(
        String,
        "x",
        received.put,
        10,
        event_callbacks=SubscriptionEventCallbacks(incompatible_qos=refusals.put),
    )
    node.create_publisher(String, "x", BEST_EFFORT).publish(String())
    ros.spin(node)
    received.get(timeout=DEADLINE_SEC)
    assert refusals.empty()


def test_message_that_outran_its_publishers_token_is_withheld(ros):
    node = ros.node("both")
    received = queue.Queue()
    node.create_subscription(String, "x", lambda message: received.put(message.data), 10)
    session = pocket_ros.rclpy.get_default_context()._live_session()
    token = wire.endpoint_token(
        87, "aabb", 1, 2, wire.PUBLISHER, "/", "/", "other", "/x",
        String._dds_name, String._type_hash, BEST_EFFORT,
    )  # fmt: skip
    publisher = session.declare_publisher(
        wire.topic_key(87, "/x", String._dds_name, String._type_hash)
    )
    publisher.put(
        serialize(String(data="early")), attachment=wire.pack_attachment(1, wire.gid_of(token))
    )
    liveliness: zenoh.LivelinessToken = session.liveliness().declare_token(token)
    assert node.count_publishers("x") == 1
    publisher.put(
        serialize(String(data="of another")), attachment=wire.pack_attachment(1, bytes(16))
    )
    ros.spin(node)
    assert received.get(timeout=DEADLINE_SEC) == "of another"
    assert received.empty()
    liveliness.undeclare()
