"""``/rosout`` carries what the loggers of nodes say."""

from __future__ import annotations

import queue

from rcl_interfaces.msg import Log
from rclpy.logging import get_logger
from rclpy.qos import qos_profile_rosout_default

DEADLINE_SEC = 20.0


def test_logs_reach_a_listener_that_comes_later(ros):
    talker, listener = ros.node("talker", namespace="lab"), ros.node("listener")
    heard: queue.Queue[Log] = queue.Queue()
    talker.get_logger().warning("mind the furnace")
    talker.get_logger().debug("nobody hears this")
    get_logger("elsewhere").error("nor this")
    talker.get_logger().get_child("arm").error("stuck")
    listener.create_subscription(Log, "/rosout", heard.put, qos_profile_rosout_default)
    ros.spin(listener)
    logs = [heard.get(timeout=DEADLINE_SEC) for _ in range(2)]
    assert [(log.name, log.level, log.msg) for log in logs] == [
        ("lab.talker", Log.WARN, "mind the furnace"),
        ("lab.talker.arm", Log.ERROR, "stuck"),
    ]
    assert logs[0].file == __file__
    assert logs[0].function == "test_logs_reach_a_listener_that_comes_later"
    assert logs[0].stamp.sec > 0
    assert logs[0].line > 0


def test_node_without_rosout_keeps_its_logs_to_itself(ros):
    node = ros.node("quiet", enable_rosout=False)
    assert node.get_logger().info("psst")
    assert node.count_publishers("/rosout") == 0


def test_logging_goes_on_when_the_node_is_gone(ros):
    node = ros.node("gone")
    assert node.get_logger().info("no text of UTF-8: \udcff")
    node.destroy_node()
    assert node.get_logger().info("still said")
