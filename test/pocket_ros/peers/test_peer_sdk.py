"""A foreign peer: zenoh-ros2-sdk, in all four directions and in the graph."""

from __future__ import annotations

import json
import queue
import textwrap
import time

import pytest
from example_interfaces.srv import AddTwoInts
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from pocket_ros.idl.catalog import BUNDLED

DEADLINE_SEC = 20.0

# Interface texts come from our folder; it would clone Git repositories for those it misses.
BEGIN = f"""
    import json, sys
    import git
    def refuse(*args, **kwargs):
        raise OSError("this test does not reach out")
    git.Repo.clone_from = refuse
    import zenoh_ros2_sdk
    from zenoh_ros2_sdk import *
    from zenoh_ros2_sdk.message_registry import get_registry
    get_registry({str(BUNDLED)!r})
"""


@pytest.fixture
def sdk(peer, packages, monkeypatch):
    """Start a script of the foreign peer."""
    pytest.importorskip("rosbags", reason="zenoh-ros2-sdk needs rosbags, a development dependency")
    monkeypatch.setenv("PYTHONPATH", packages("zenoh_ros2_sdk.txt"))
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    return lambda script: peer(textwrap.dedent(BEGIN) + textwrap.dedent(script))


def test_its_publisher_is_heard(ros, sdk):
    node = ros.node("listener")
    heard = queue.Queue()
    node.create_subscription(
        JointState, "joints", lambda m, info: heard.put((m, info["source_timestamp"])), 10
    )
    ros.spin(node)
    before = time.time_ns()
    its = sdk("""
        publisher = ROS2Publisher("/joints", "sensor_msgs/msg/JointState", node_name="foreigner")
        Header = publisher.session_mgr.store.types["std_msgs/msg/Header"]
        Time = publisher.session_mgr.store.types["builtin_interfaces/msg/Time"]
        import numpy
        print("ready", flush=True)
        for _ in sys.stdin:
            publisher.publish(
                header=Header(stamp=Time(sec=7, nanosec=8), frame_id="base"), name=["a", "läuft"],
                position=numpy.array([1.5, -2.5]), velocity=numpy.array([]),
                effort=numpy.array([0.25]),
            )
    """)
    assert its.line() == "ready"
    message, stamp = heard_after(lambda: its.tell("publish"), heard)
    assert (message.header.stamp.sec, message.header.frame_id) == (7, "base")
    assert message.name == ["a", "läuft"]
    assert list(message.position) == [1.5, -2.5]
    assert list(message.effort) == [0.25]
    assert before <= stamp <= time.time_ns()
    [info] = node.get_publishers_info_by_topic("joints")
    assert (info.node_name, info.topic_type) == ("foreigner", "sensor_msgs/msg/JointState")


def heard_after(act, heard):
    """Act until something is heard: nobody knows when a foreign peer has matched."""
    end = time.monotonic() + DEADLINE_SEC
    while time.monotonic() < end:
        act()
        try:
            return heard.get(timeout=0.2)
        except queue.Empty:
            continue
    raise AssertionError("nothing was heard in time")


def test_its_subscriber_hears(ros, sdk):
    node = ros.node("talker")
    publisher = node.create_publisher(String, "chatter", 10)
    its = sdk("""
        subscriber = ROS2Subscriber(
            "/chatter", "std_msgs/msg/String", lambda m: print(json.dumps(m.data), flush=True)
        )
        print("ready", flush=True)
        sys.stdin.read()
    """)
    assert its.line() == "ready"
    node.create_timer(0.02, lambda: publisher.publish(String(data="läuft")))
    ros.spin(node)
    assert json.loads(its.line()) == "läuft"
    assert publisher.get_subscription_count() == 1


def test_its_late_subscriber_gets_what_was_latched(ros, sdk):
    node = ros.node("talker")
    qos = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    publisher = node.create_publisher(String, "map", qos)
    publisher.publish(String(data="old"))
    publisher.publish(String(data="latest"))
    # It asks once for what was latched, when it is made, and may know of nobody then.
    its = sdk("""
        import threading
        from zenoh_ros2_sdk.qos import QosDurability, QosProfile
        qos = QosProfile(durability=QosDurability.TRANSIENT_LOCAL)
        heard, subscribers = threading.Event(), []
        def hear(message):
            print(message.data, flush=True)
            heard.set()
        while not heard.is_set():
            subscribers.append(ROS2Subscriber("/map", "std_msgs/msg/String", hear, qos=qos))
            heard.wait(0.5)
        sys.stdin.read()
    """)
    assert its.line() == "latest"


def test_its_client_is_answered(ros, sdk):
    node = ros.node("server")
    node.declare_parameter("speed", 2.5)

    def add(request, response):
        response.sum = request.a + request.b
        return response

    node.create_service(AddTwoInts, "add", add)
    ros.spin(node)
    its = sdk("""
        client = ROS2ServiceClient("/add", "example_interfaces/srv/AddTwoInts")
        print(client.call(a=40, b=2).sum, flush=True)
        client = ROS2ServiceClient(
            "/server/get_parameter_types", "rcl_interfaces/srv/GetParameterTypes"
        )
        print(client.call(names=["speed"]).types.tolist(), flush=True)
        sys.stdin.read()
    """)
    assert its.line() == "42"
    assert its.line() == "[3]"


def test_its_server_answers(ros, sdk):
    node = ros.node("client")
    ros.spin(node)
    its = sdk("""
        def add(request):
            return server.response_msg_class(sum=request.a + request.b)
        server = ROS2ServiceServer("/add", "example_interfaces/srv/AddTwoInts", add)
        print("ready", flush=True)
        sys.stdin.read()
    """)
    assert its.line() == "ready"
    client = node.create_client(AddTwoInts, "add")
    assert client.wait_for_service(DEADLINE_SEC)
    for number in range(3):
        assert ros.result(client.call_async(AddTwoInts.Request(a=40, b=number))).sum == 40 + number
    its.kill()
    assert node.context._live_graph().wait(lambda: not client.service_is_ready(), DEADLINE_SEC)
