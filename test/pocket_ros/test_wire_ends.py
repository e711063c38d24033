"""Ends of processes where a real rclpy is less strict: idle nodes, work in hand, forgetfulness."""

from __future__ import annotations

import signal
import sys
import time

import pytest
from example_interfaces.action import Fibonacci
from rclpy.action import ActionClient, ActionServer

NODE = """
    import rclpy
    from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
    import sys
    rclpy.init()
    node = rclpy.create_node("mortal")
    executor = MultiThreadedExecutor(2) if sys.argv[1] == "many" else None
    timer = node.create_timer(3600.0, lambda: None)
    node.create_guard_condition(lambda: print("ready", flush=True)).trigger()
    try:
        rclpy.spin(node, executor)
    except KeyboardInterrupt:
        print("interrupted")
    except ExternalShutdownException:
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
    ("number", "words"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "shut down")]
)
def test_signal_ends_a_spinning_node(peer, executor, number, words):
    process = peer(NODE, executor)
    assert process.line() == "ready"
    process.signal(number)
    assert process.line() == words
    process.line()
    assert process.exit_code() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM between processes")
@pytest.mark.parametrize("executor", ["SingleThreadedExecutor()", "MultiThreadedExecutor(4)"])
def test_signal_in_mid_work_ends_a_node_quietly(peer, executor):
    process = peer(f"""
        import rclpy
        from example_interfaces.action import Fibonacci
        from rclpy.action import ActionClient, ActionServer
        from rclpy.callback_groups import ReentrantCallbackGroup
        from rclpy.executors import (
            ExternalShutdownException, MultiThreadedExecutor, SingleThreadedExecutor
        )
        from std_msgs.msg import String
        rclpy.init()
        node = rclpy.create_node("busy")
        publisher = node.create_publisher(String, "x", 10)

        def work():
            publisher.publish(String())

        def go_on():
            print("ready", flush=True)
            while True:
                work()

        def execute(goal):
            feedback = Fibonacci.Feedback()
            while True:
                goal.publish_feedback(feedback)

        group = ReentrantCallbackGroup()
        executor = {executor}
        executor.add_node(node)
        if isinstance(executor, MultiThreadedExecutor):
            server = ActionServer(node, Fibonacci, "f", execute, callback_group=group)
            client = ActionClient(node, Fibonacci, "f", callback_group=group)
            client.wait_for_server()
            client.send_goal_async(Fibonacci.Goal())
            node.create_timer(0.0001, work, group)
        node.create_timer(0.1, go_on, group)
        try:
            executor.spin()
        except ExternalShutdownException:
            pass
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    """)
    assert process.line() == "ready"
    process.signal(signal.SIGTERM)
    assert process.exit_code() == 0, "".join(process.stderr)
    assert process.stderr == []


# What it is about went wrong once in four times.
@pytest.mark.parametrize("attempt", range(8))
def test_process_goes_on_while_a_server_of_actions_goes(ros, attempt):
    node, server_node = ros.node("client"), ros.node("server")
    server = ActionServer(server_node, Fibonacci, "count", lambda goal: Fibonacci.Result())
    client = ActionClient(node, Fibonacci, "count")
    ros.spin(server_node)
    ros.spin(node)
    assert client.wait_for_server(20.0)
    begun = time.monotonic()
    server.destroy()
    # Zenoh gives up after ten seconds.
    assert time.monotonic() - begun < 8.0


@pytest.mark.parametrize("executor", ["SingleThreadedExecutor()", "MultiThreadedExecutor(4)"])
def test_process_that_forgets_to_shut_down_ends(peer, executor):
    process = peer(f"""
        import threading
        import rclpy
        from rclpy.executors import MultiThreadedExecutor, SingleThreadedExecutor
        from std_msgs.msg import String
        from std_srvs.srv import Trigger
        rclpy.init()
        node = rclpy.create_node("careless")
        heard = threading.Event()
        node.create_subscription(String, "x", lambda m: heard.set(), 10)
        node.create_service(Trigger, "y", lambda request, response: response)
        client = node.create_client(Trigger, "y")
        client.wait_for_service()
        future = client.call_async(Trigger.Request())
        publisher = node.create_publisher(String, "x", 10)
        node.create_timer(0.001, lambda: publisher.publish(String()))
        executor = {executor}
        executor.add_node(node)
        threading.Thread(target=executor.spin, daemon=True).start()
        heard.wait(10)
        print("done")
    """)
    assert process.line() == "done"
    assert process.exit_code() == 0, "".join(process.stderr)
