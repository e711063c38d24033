"""Processes: how nodes end, and what their command lines do."""

from __future__ import annotations

import signal
import sys

import pytest
import rclpy
from std_msgs.msg import String
from std_srvs.srv import Trigger

NODE = """
    import rclpy
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    import sys
    rclpy.init()
    node = rclpy.create_node("mortal")
    executor = MultiThreadedExecutor(2) if sys.argv[1] == "many" else None
    # A real rclpy may sleep through a signal, unless something else wakes it.
    timer = node.create_timer(0.05, lambda: None)
    node.create_guard_condition(lambda: print("ready", flush=True)).trigger()
    try:
        rclpy.spin(node, executor)
    except KeyboardInterrupt:
        print("interrupted")
    except ExternalShutdownException:
        print("shut down")
    except Exception:
        # A real rclpy may find its context gone just before it waits.
        if rclpy.ok():
            raise
        print("shut down")
    else:
        # The context was shut down while a callback ran, so nothing waited for it.
        print("shut down")
    finally:
        print(rclpy.ok())
        rclpy.try_shutdown()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM between processes")
@pytest.mark.parametrize("executor", ["one", "many"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        # Which of the two a real rclpy makes of it is a matter of timing.
        (signal.SIGINT, ("interrupted", "shut down")),
        (signal.SIGTERM, ("shut down",)),
    ],
)
def test_signal_ends_a_spinning_node(peer, executor, number, words):
    process = peer(NODE, executor)
    assert process.line() == "ready"
    process.signal(number)
    assert process.line() in words
    process.line()
    assert process.exit_code() == 0


def test_uncaught_exception_ends_the_process(peer):
    process = peer("""
        import rclpy
        rclpy.init()
        node = rclpy.create_node("failing")
        def fail():
            raise ZeroDivisionError
        node.create_timer(0.001, fail)
        rclpy.spin(node)
    """)
    assert process.exit_code() == 1
    assert "ZeroDivisionError" in "".join(process.stderr)


def test_logs_go_to_stderr_with_level_and_name(peer):
    process = peer(
        """
        import rclpy
        rclpy.init()
        node = rclpy.create_node("talkative", namespace="lab")
        for _ in range(3):
            node.get_logger().info("once only", once=True)
            node.get_logger().warning("skipped first", skip_first=True)
            node.get_logger().error("throttled", throttle_duration_sec=100)
        node.get_logger().debug("shown")
        node.get_logger().get_child("part").debug("shown too")
        rclpy.logging.get_logger("other").debug("hidden")
        rclpy.shutdown()
        """,
        "--ros-args",
        "--log-level",
        "lab.talkative:=debug",
    )
    assert process.exit_code() == 0
    lines = [
        (line.split("]")[0].strip("["), line.split("[")[-1].replace("]:", "", 1).strip())
        for line in process.stderr
    ]
    assert lines == [
        ("INFO", "lab.talkative once only"),
        ("ERROR", "lab.talkative throttled"),
        ("WARN", "lab.talkative skipped first"),
        ("WARN", "lab.talkative skipped first"),
        ("DEBUG", "lab.talkative shown"),
        ("DEBUG", "lab.talkative.part shown too"),
    ]


@pytest.fixture
def node_with(wire):
    nodes = []

    def make(*arguments, name="first", **kwargs):
        rclpy.try_shutdown()
        rclpy.init(args=["program", "--ros-args", *arguments])
        nodes.append(rclpy.create_node(name, **kwargs))
        return nodes[-1]

    yield make
    rclpy.try_shutdown()
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize(
    ("rule", "topic", "expected"),
    [
        ("chatter:=talk", "chatter", "/lab/talk"),
        ("chatter:=/talk", "chatter", "/talk"),
        ("/lab/chatter:=talk", "chatter", "/lab/talk"),
        ("/chatter:=talk", "chatter", "/lab/chatter"),
        ("~/state:=status", "~/state", "/lab/status"),
        ("chatter:=~/talk", "chatter", "/lab/first/talk"),
        ("first:chatter:=talk", "chatter", "/lab/talk"),
        ("second:chatter:=talk", "chatter", "/lab/chatter"),
        ("rostopic://chatter:=talk", "chatter", "/lab/talk"),
        ("rosservice://chatter:=talk", "chatter", "/lab/chatter"),
        ("__node:=other", "~/state", "/lab/other/state"),
        ("__ns:=/a/b", "chatter", "/a/b/chatter"),
        ("first:__ns:=/a", "chatter", "/a/chatter"),
        ("second:__ns:=/a", "chatter", "/lab/chatter"),
    ],
)
def test_topics_are_remapped(node_with, rule, topic, expected):
    node = node_with("-r", rule, namespace="/lab")
    assert node.resolve_topic_name(topic) == expected
    assert node.create_publisher(String, topic, 10).topic_name == expected


def test_services_are_remapped(node_with):
    node = node_with("-r", "go:=start", "-r", "rostopic://stop:=halt", namespace="/lab")
    service = node.create_service(Trigger, "go", lambda request, response: response)
    assert service.service_name == "/lab/start"
    assert node.resolve_service_name("stop") == "/lab/stop"
    assert node.resolve_service_name("go", only_expand=True) == "/lab/go"


def test_node_name_and_namespace_are_remapped_together(node_with):
    node = node_with("-r", "__node:=furnace_1", "-r", "__ns:=/lab")
    assert node.get_fully_qualified_name() == "/lab/furnace_1"
    assert node.get_logger().name == "lab.furnace_1"


@pytest.mark.parametrize(
    "arguments",
    [["--nonsense"], ["-r", "x"], ["-p", "x"], ["-r"], ["--params-file", "missing.yaml"]],
)
def test_malformed_arguments_are_refused(wire, arguments):
    with pytest.raises(RuntimeError):
        rclpy.init(args=["--ros-args", *arguments])
    assert not rclpy.ok()


def test_arguments_of_others_are_left_alone(wire):
    rclpy.init(args=["--mine", "--ros-args", "-p", "a:=1", "--", "--also-mine"])
    from rclpy.utilities import remove_ros_args

    assert remove_ros_args(["x", "--mine", "--ros-args", "-p", "a:=1", "--", "y"]) == [
        "x",
        "--mine",
        "y",
    ]
    rclpy.shutdown()


def test_nothing_works_before_init_and_after_shutdown(ros):
    node = ros.node("late")
    publisher = node.create_publisher(String, "x", 10)
    rclpy.shutdown()
    with pytest.raises(RuntimeError):
        publisher.publish(String())
    with pytest.raises(Exception, match="init"):
        rclpy.create_node("x")
    with pytest.raises(RuntimeError):
        rclpy.shutdown()
    node.destroy_node()


def test_context_can_be_initialised_again(wire):
    for _ in range(2):
        rclpy.init(args=[])
        node = rclpy.create_node("again")
        rclpy.spin_once(node, timeout_sec=0.0)
        node.destroy_node()
        rclpy.shutdown()
