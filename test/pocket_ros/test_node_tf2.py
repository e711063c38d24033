"""Transforms between nodes: broadcast, latched, heard, and forgotten when time jumps back."""

from __future__ import annotations

import math

import pytest
from geometry_msgs.msg import TransformStamped
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from tf2_msgs.srv import FrameGraph
from tf2_ros import (
    Buffer,
    StaticTransformBroadcaster,
    TransformBroadcaster,
    TransformException,
    TransformListener,
)
from tf2_ros.transform_listener import TransformListener as SameListener

PATIENCE = Duration(seconds=20)


def transform(parent, child, seconds, x):
    message = TransformStamped()
    message.header.frame_id, message.child_frame_id = parent, child
    message.header.stamp.sec = seconds
    message.transform.translation.x = x
    return message


def test_a_late_listener_has_all_static_transforms(ros):
    broadcaster = StaticTransformBroadcaster(ros.node("told"))
    broadcaster.sendTransform(transform("map", "bench", 0, 1.0))
    broadcaster.sendTransform([transform("bench", "rack", 0, 2.0)])
    late = ros.node("late")
    buffer = Buffer()
    listener = TransformListener(buffer, late, spin_thread=True)
    found = buffer.lookup_transform("map", "rack", Time(), PATIENCE)
    assert math.isclose(found.transform.translation.x, 3.0)
    listener.unregister()
    assert SameListener is TransformListener


def test_moving_transforms_are_heard_and_shown(ros):
    node, talker = ros.node("hears"), ros.node("talks")
    buffer = Buffer(node=node)
    TransformListener(buffer, node)
    ros.spin(node, talker)
    broadcaster = TransformBroadcaster(talker)
    deadline = talker.get_clock().now() + PATIENCE
    # The subscription may not be known to the talker yet.
    while not buffer.can_transform("map", "arm", Time(), Duration(seconds=0.05)):
        assert talker.get_clock().now() < deadline
        broadcaster.sendTransform(transform("map", "arm", 5, 4.0))
    assert buffer.lookup_transform("map", "arm", Time()).transform.translation.x == 4.0
    answer = ros.call(talker, FrameGraph, "tf2_frames", FrameGraph.Request())
    assert "arm: \n  parent: 'map'" in answer.frame_yaml


def test_a_jump_back_in_time_empties_the_buffer(ros):
    node = ros.node("simulated", parameter_overrides=[Parameter("use_sim_time", value=True)])
    ticker = ros.node("ticker")
    clock = ticker.create_publisher(Clock, "/clock", 10)
    buffer = Buffer(node=node)
    ros.spin(node)

    def tick_until(seconds):
        message = Clock()
        message.clock.sec = seconds
        deadline = ticker.get_clock().now() + PATIENCE
        while node.get_clock().now().nanoseconds != seconds * 10**9:
            assert ticker.get_clock().now() < deadline
            clock.publish(message)
            ticker.get_clock().sleep_for(Duration(seconds=0.02))

    tick_until(100)
    buffer.set_transform(transform("map", "arm", 99, 4.0), "test")
    buffer.set_transform_static(transform("arm", "tool", 0, 1.0), "test")
    tick_until(10)
    deadline = ticker.get_clock().now() + PATIENCE
    while buffer.can_transform("map", "arm", Time()):
        assert ticker.get_clock().now() < deadline
    assert buffer.can_transform("arm", "tool", Time())
    with pytest.raises(TransformException):
        buffer.lookup_transform("map", "arm", Time())
