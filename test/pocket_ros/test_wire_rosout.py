"""``/rosout`` where a real one may differ: odd texts, nodes that are gone or share a name."""

from __future__ import annotations

import queue

from rcl_interfaces.msg import Log
from rclpy.logging import get_logger
from rclpy.qos import DurabilityPolicy, QoSProfile

DEADLINE_SEC = 20.0
LATCHED = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_logging_goes_on_when_the_node_is_gone(ros):
    node = ros.node("gone")
    assert node.get_logger().info("no text of UTF-8: \udcff")
    node.destroy_node()
    assert node.get_logger().info("still said")


def test_loggers_that_belong_to_no_node_are_not_heard_and_twins_speak_once(ros):
    twins, listener = [ros.node("twin"), ros.node("twin")], ros.node("listener")
    heard = queue.Queue()
    listener.create_subscription(Log, "/rosout", lambda log: heard.put(log.msg), LATCHED)
    ros.spin(listener)
    get_logger("elsewhere").error("not heard")
    twins[0].get_logger().info("of both")
    twins[0].destroy_node()
    twins[1].get_logger().info("of the second")
    # Two publishers: each keeps its order, and there is none between them.
    said = {heard.get(timeout=DEADLINE_SEC) for _ in range(2)}
    assert said == {"of both", "of the second"}
