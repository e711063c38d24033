"""Logs: levels that others may set, ``/rosout``, and the switches of the command line."""

from __future__ import annotations

import queue

import pytest
from rcl_interfaces.msg import Log, LoggerLevel
from rcl_interfaces.srv import GetLoggerLevels, SetLoggerLevels
from rclpy.logging import LoggingSeverity
from rclpy.qos import DurabilityPolicy, QoSProfile

DEADLINE_SEC = 20.0
LATCHED = QoSProfile(depth=1000, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def listen(ros, texts):
    """Put the texts of the node "talker" into a queue."""
    listener = ros.node("listener")
    listener.create_subscription(
        Log,
        "/rosout",
        lambda log: texts.put(log.msg) if log.name.startswith("talker") else None,
        LATCHED,
    )
    ros.spin(listener)
    return listener


def test_logs_reach_a_listener_that_comes_later(ros):
    talker, listener = ros.node("talker", namespace="lab"), ros.node("listener")
    heard = queue.Queue()
    ros.spin(talker)
    talker.get_logger().warning("mind the furnace")
    talker.get_logger().debug("nobody hears this")
    talker.get_logger().error("stuck")

    def note(log):
        if log.name == "lab.talker":
            heard.put(log)

    listener.create_subscription(Log, "/rosout", note, LATCHED)
    ros.spin(listener)
    logs = [heard.get(timeout=DEADLINE_SEC) for _ in range(2)]
    told = [(log.level, log.msg) for log in logs]
    assert told == [(LoggingSeverity.WARN, "mind the furnace"), (LoggingSeverity.ERROR, "stuck")]
    assert logs[0].file == __file__
    assert logs[0].function == "test_logs_reach_a_listener_that_comes_later"
    assert logs[0].stamp.sec > 0
    assert logs[0].line > 0


def test_node_without_rosout_keeps_its_logs_to_itself(ros):
    node = ros.node("quiet", enable_rosout=False)
    assert node.get_logger().info("psst")
    assert "/rosout" not in dict(node.get_publisher_names_and_types_by_node("quiet", "/"))


class TestSwitchedOff:
    """No node of the process publishes its logs."""

    @pytest.fixture
    def arguments(self):
        return ["--ros-args", "--disable-rosout-logs"]

    def test_command_line_may_switch_rosout_off(self, ros):
        node = ros.node("quiet")
        assert node.get_logger().info("psst")
        assert "/rosout" not in dict(node.get_publisher_names_and_types_by_node("quiet", "/"))


def test_levels_are_seen_and_set_from_outside(ros):
    talker = ros.node("talker", enable_logger_service=True)
    caller = ros.node("caller")
    ros.spin(talker)
    ros.spin(caller)

    def levels():
        request = GetLoggerLevels.Request(names=["talker"])
        (level,) = ros.call(caller, GetLoggerLevels, "talker/get_logger_levels", request).levels
        return level.name, level.level

    assert levels() == ("talker", LoggingSeverity.UNSET)
    wanted = [
        LoggerLevel(name="talker", level=LoggingSeverity.ERROR),
        LoggerLevel(name="talker", level=22),
    ]
    request = SetLoggerLevels.Request(levels=wanted)
    results = ros.call(caller, SetLoggerLevels, "talker/set_logger_levels", request).results
    assert results[0].successful
    assert not results[1].successful
    assert results[1].reason
    assert levels() == ("talker", LoggingSeverity.ERROR)
    assert not talker.get_logger().warning("not said")
    assert talker.get_logger().error("said")
    talker.get_logger().set_level(LoggingSeverity.UNSET)


def test_children_log_below_their_parents_name(ros):
    texts = queue.Queue()
    talker = ros.node("talker")
    listen(ros, texts)
    talker.get_logger().get_child("arm").info("of the child")
    assert texts.get(timeout=DEADLINE_SEC) == "of the child"


def test_line_that_logs_may_do_so_once_or_skip_the_first_or_wait(ros):
    logger = ros.node("talker").get_logger()
    assert [logger.info("once", once=True) for _ in range(3)] == [True, False, False]
    assert [logger.info("later", skip_first=True) for _ in range(3)] == [False, True, True]
    said = [logger.info("rarely", throttle_duration_sec=3600.0) for _ in range(3)]
    assert said == [True, False, False]
