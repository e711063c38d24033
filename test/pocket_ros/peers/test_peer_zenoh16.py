"""Zenoh 1.6, which ROS 2 Jazzy carries: as the library of a peer, and as the router."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import textwrap
from importlib.metadata import version

import pytest
from action_msgs.msg import GoalStatus
from example_interfaces.action import Fibonacci
from example_interfaces.srv import AddTwoInts
from rclpy.action import ActionClient
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

from pocket_ros.router import router_command

OLD = "zenoh_1_6.txt"
TELL_VERSION = """\
from importlib.metadata import version
print(version("eclipse-zenoh"), flush=True)
"""
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope="module", params=["old router", "our router"])
def wire(request, packages):
    """The router of this module's tests, in place of the one that other tests use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp/127.0.0.1:{probe.getsockname()[1]}"
    environment = dict(os.environ)
    if request.param == "old router":
        environment["PYTHONPATH"] = packages(OLD)
    process = subprocess.Popen(
        router_command([endpoint]), stdout=subprocess.PIPE, text=True, env=environment
    )
    assert endpoint in process.stdout.readline()
    patch = pytest.MonkeyPatch()
    patch.setenv("ZENOH_CONFIG_OVERRIDE", f'connect/endpoints=["{endpoint}"]')
    patch.setenv("ROS_DOMAIN_ID", "88")
    yield
    patch.undo()
    process.terminate()
    assert process.wait(20) == 0
    process.stdout.close()


@pytest.fixture
def old_peer(peer, packages, monkeypatch):
    """Start a script in a process with the old library."""
    monkeypatch.setenv("PYTHONPATH", packages(OLD))

    def start(script):
        started = peer(TELL_VERSION + textwrap.dedent(script))
        assert started.line() == "1.6.2"
        return started

    return start


def test_the_old_library_is_another_than_ours():
    assert not version("eclipse-zenoh").startswith("1.6.")


def test_messages_go_both_ways(ros, old_peer):
    node = ros.node("new")
    echoed = queue.Queue()
    node.create_subscription(String, "echo", lambda m: echoed.put(m.data), 200)
    publisher = node.create_publisher(String, "say", 200)
    ros.spin(node)
    old_peer("""
        import rclpy
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("old")
        publisher = node.create_publisher(String, "echo", 200)
        node.create_subscription(String, "say", lambda m: publisher.publish(m), 200)
        rclpy.spin(node)
    """)
    graph = node.context._live_graph()
    assert graph.wait(lambda: publisher.get_subscription_count() == 1, 20.0)
    heard = []
    for number in range(200):
        publisher.publish(String(data=str(number)))
        if not heard:
            # What matches is known in the graph a moment before it is on the way of the data.
            try:
                heard.append(echoed.get(timeout=0.2))
            except queue.Empty:
                continue
    first = int(heard[0])
    while heard[-1] != "199":
        heard.append(echoed.get(timeout=20.0))
    assert heard == [str(number) for number in range(first, 200)]


def test_latched_messages_reach_late_joiners_both_ways(ros, old_peer):
    node = ros.node("new")
    node.create_publisher(String, "ours", LATCHED).publish(String(data="from us"))
    its = old_peer("""
        import rclpy
        from rclpy.qos import DurabilityPolicy, QoSProfile
        from std_msgs.msg import String
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        rclpy.init()
        node = rclpy.create_node("old")
        node.create_publisher(String, "theirs", latched).publish(String(data="from them"))
        node.create_subscription(String, "ours", lambda m: print(m.data, flush=True), latched)
        rclpy.spin(node)
    """)
    assert its.line() == "from us"
    heard = queue.Queue()
    node.create_subscription(String, "theirs", lambda m: heard.put(m.data), LATCHED)
    ros.spin(node)
    assert heard.get(timeout=20.0) == "from them"


def test_services_and_actions_go_both_ways(ros, old_peer):
    node = ros.node("new")

    def add(request, response):
        response.sum = request.a + request.b
        return response

    node.create_service(AddTwoInts, "ours", add)
    ros.spin(node)
    its = old_peer("""
        import rclpy
        from example_interfaces.action import Fibonacci
        from example_interfaces.srv import AddTwoInts
        from rclpy.action import ActionServer, CancelResponse
        from rclpy.callback_groups import ReentrantCallbackGroup
        from rclpy.executors import MultiThreadedExecutor
        rclpy.init()
        node = rclpy.create_node("old")
        client = node.create_client(AddTwoInts, "ours")
        client.wait_for_service()
        future = client.call_async(AddTwoInts.Request(a=40, b=2))
        rclpy.spin_until_future_complete(node, future)
        print(future.result().sum, flush=True)

        def add(request, response):
            response.sum = request.a - request.b
            return response

        def execute(goal):
            feedback = Fibonacci.Feedback(sequence=[0, 1])
            if goal.request.order == 0:
                while not goal.is_cancel_requested:
                    goal.publish_feedback(feedback)
                    node.get_clock().sleep_for(rclpy.duration.Duration(seconds=0.01))
                goal.canceled()
            else:
                goal.publish_feedback(feedback)
                goal.succeed()
            return Fibonacci.Result(sequence=[1, 2, 3])

        node.create_service(AddTwoInts, "theirs", add)
        server = ActionServer(
            node, Fibonacci, "fibonacci", execute, callback_group=ReentrantCallbackGroup(),
            cancel_callback=lambda goal: CancelResponse.ACCEPT,
        )
        executor = MultiThreadedExecutor(4)
        executor.add_node(node)
        executor.spin()
    """)
    assert its.line() == "42"
    assert ros.call(node, AddTwoInts, "theirs", AddTwoInts.Request(a=40, b=2)).sum == 38
    client = ActionClient(node, Fibonacci, "fibonacci")
    assert client.wait_for_server(20.0)
    feedback = queue.Queue()
    goal = ros.result(client.send_goal_async(Fibonacci.Goal(order=3), feedback.put))
    assert goal.accepted
    result = ros.result(goal.get_result_async())
    assert (result.status, list(result.result.sequence)) == (GoalStatus.STATUS_SUCCEEDED, [1, 2, 3])
    goal = ros.result(client.send_goal_async(Fibonacci.Goal(order=0), feedback.put))
    assert list(feedback.get(timeout=20.0).feedback.sequence) == [0, 1]
    ros.result(goal.cancel_goal_async())
    assert ros.result(goal.get_result_async()).status == GoalStatus.STATUS_CANCELED
    client.destroy()


def test_a_killed_old_peer_leaves_the_graph(ros, old_peer):
    node = ros.node("new")
    its = old_peer("""
        import rclpy
        rclpy.init()
        node = rclpy.create_node("old")
        rclpy.spin(node)
    """)
    graph = node.context._live_graph()
    assert graph.wait(lambda: "old" in node.get_node_names(), 20.0)
    its.kill()
    assert graph.wait(lambda: "old" not in node.get_node_names(), 20.0)
