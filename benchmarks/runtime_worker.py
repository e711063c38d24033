"""A process of benchmarks/runtime.py: does one thing with rclpy's API and prints JSON."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

if os.environ.get("POCKET_ROS_BENCHMARK"):
    import pocket_ros.hook

    pocket_ros.hook.install()

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

WARM_UP = 30
LARGE_BYTES = 1_000_000
# The greatest pause after which a stream counts as over.
SILENCE_SEC = 2.0


def tell(**values: float) -> None:
    """Answer the parent."""
    print(json.dumps(values), flush=True)


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Milliseconds."""
    ordered = sorted(1000 * value for value in seconds)
    return {
        "p50": ordered[len(ordered) // 2],
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))],
        "max": ordered[-1],
    }


def joints() -> Any:
    """A robot arm's state."""
    from sensor_msgs.msg import JointState

    message = JointState(name=[f"joint_{number}" for number in range(7)])
    message.position = [0.1 * number for number in range(7)]
    message.velocity = [0.0] * 7
    message.effort = [1.0] * 7
    return message


def echo() -> None:
    """Send back what comes, answer calls, reach goals."""
    from example_interfaces.action import Fibonacci
    from example_interfaces.srv import AddTwoInts
    from rclpy.action import ActionServer
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String

    node = rclpy.create_node("echo")
    for name, kind in (("string", String), ("joints", JointState)):
        back = node.create_publisher(kind, f"{name}_back", 10)
        node.create_subscription(kind, name, back.publish, 10)

    def add(request: Any, response: Any) -> Any:
        response.sum = request.a + request.b
        return response

    def execute(goal: Any) -> Any:
        goal.succeed()
        return Fibonacci.Result(sequence=[0, 1, 1])

    node.create_service(AddTwoInts, "add", add)
    server = ActionServer(node, Fibonacci, "fibonacci", execute)
    tell()
    rclpy.spin(node)
    server.destroy()


def repeat(count: int, once: Callable[[], float]) -> None:
    """Warm up, measure, tell."""
    for _ in range(WARM_UP):
        once()
    tell(**percentiles([once() for _ in range(count)]))


def round_trips(what: str, count: str) -> None:
    """Measure round trips with the echo."""
    node = rclpy.create_node("caller")
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    if what.startswith("topic"):
        once = topic_once(node, executor, what)
    elif what == "service":
        once = service_once(node, executor)
    else:
        once = action_once(node, executor, to_result=what.endswith("result"))
    repeat(int(count), once)


def topic_once(node: Node, executor: SingleThreadedExecutor, what: str) -> Callable[[], float]:
    """A message there and back."""
    from sensor_msgs.msg import JointState
    from std_msgs.msg import String

    name, message = ("string", String(data="x" * 16)) if "String" in what else ("joints", joints())
    back: list[Any] = []
    kind = String if name == "string" else JointState
    node.create_subscription(kind, f"{name}_back", back.append, 10)
    publisher = node.create_publisher(kind, name, 10)
    while not back:
        publisher.publish(message)
        executor.spin_once(timeout_sec=0.1)

    def once() -> float:
        back.clear()
        start = time.perf_counter()
        publisher.publish(message)
        while not back:
            executor.spin_once(timeout_sec=1.0)
        return time.perf_counter() - start

    # Late answers to the first messages must not count as answers.
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        executor.spin_once(timeout_sec=0.1)
    return once


def service_once(node: Node, executor: SingleThreadedExecutor) -> Callable[[], float]:
    """A call."""
    from example_interfaces.srv import AddTwoInts

    client = node.create_client(AddTwoInts, "add")
    client.wait_for_service()

    def once() -> float:
        start = time.perf_counter()
        future = client.call_async(AddTwoInts.Request(a=40, b=2))
        executor.spin_until_future_complete(future)
        return time.perf_counter() - start

    return once


def action_once(
    node: Node, executor: SingleThreadedExecutor, to_result: bool
) -> Callable[[], float]:
    """A goal, until it is accepted or until its result is there."""
    from example_interfaces.action import Fibonacci
    from rclpy.action import ActionClient

    client = ActionClient(node, Fibonacci, "fibonacci")
    client.wait_for_server()

    def once() -> float:
        start = time.perf_counter()
        accepted = client.send_goal_async(Fibonacci.Goal(order=3))
        executor.spin_until_future_complete(accepted)
        taken = time.perf_counter() - start
        result = accepted.result().get_result_async()
        executor.spin_until_future_complete(result)
        return time.perf_counter() - start if to_result else taken

    return once


def stream_message(kind: str) -> Any:
    """What is sent at a rate; its stamp is set later."""
    if kind == "joints":
        return joints()
    from sensor_msgs.msg import Image

    return Image(data=bytes(LARGE_BYTES))


def receive(kind: str) -> None:
    """Count what comes until nothing has come for a while; latency from the header's stamp."""
    node = rclpy.create_node("receiver")
    latencies: list[float] = []
    last = [0.0]
    usage: list[float] = []

    def on_message(message: Any) -> None:
        now = time.time_ns()
        stamp = message.header.stamp
        if stamp.sec == 0:
            usage[:] = [time.monotonic(), time.process_time()]
            return
        latencies.append((now - stamp.sec * 1_000_000_000 - stamp.nanosec) / 1e9)
        last[0] = time.monotonic()

    node.create_subscription(type(stream_message(kind)), kind, on_message, 1000)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    tell()
    while not latencies or time.monotonic() - last[0] < SILENCE_SEC:
        executor.spin_once(timeout_sec=0.1)
        if latencies and len(usage) == 2 and time.monotonic() - last[0] > 0.5:
            usage += [last[0], time.process_time()]
    begun, cpu_begun, ended, cpu_ended = usage[:4]
    cpu = (cpu_ended - cpu_begun) / (ended - begun)
    tell(count=len(latencies), cpu=cpu, **percentiles(latencies))


def send(kind: str, rate: str, seconds: str) -> None:
    """Send at a rate, after a few without a stamp that only open the way."""
    node = rclpy.create_node("sender")
    message = stream_message(kind)
    publisher = node.create_publisher(type(message), kind, 1000)
    while not node.count_subscribers(kind):
        time.sleep(0.01)
    for _ in range(20):
        publisher.publish(message)
        time.sleep(0.05)
    count = int(float(rate) * float(seconds))
    begun, cpu_begun = time.monotonic(), time.process_time()
    for number in range(count):
        pause = begun + number / float(rate) - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        stamp = message.header.stamp
        stamp.sec, stamp.nanosec = divmod(time.time_ns(), 1_000_000_000)
        publisher.publish(message)
    elapsed = time.monotonic() - begun
    tell(count=count, cpu=(time.process_time() - cpu_begun) / elapsed)
    # The last messages may still be on their way.
    threading.Event().wait()


def watch(count: str) -> None:
    """Tell when that many other nodes are known."""
    node = rclpy.create_node("watcher")
    tell()
    while sum(name.startswith("crowd_") for name in node.get_node_names()) < int(count):
        time.sleep(0.001)
    tell(seen=time.monotonic())


def nodes(count: str, group: str) -> None:
    """Make nodes, and tell when they were made."""
    kept = [rclpy.create_node(f"crowd_{group}_{number}") for number in range(int(count))]
    tell(created=time.monotonic(), count=len(kept))
    threading.Event().wait()


def empty() -> None:
    """Be a node, and tell how much memory that takes (in MB; 0 where it cannot be known)."""
    node = rclpy.create_node("empty")
    rclpy.spin_once(node, timeout_sec=0.0)
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            pages = int(statm.read().split()[1])
        memory = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    except OSError:
        memory = 0.0
    tell(memory=memory)
    threading.Event().wait()


def main(name: str, *arguments: str) -> None:
    """Do the one thing that the command line names."""
    tasks: dict[str, Callable[..., None]] = {
        task.__name__: task for task in (echo, round_trips, receive, send, watch, nodes, empty)
    }
    rclpy.init(args=[])
    tasks[name](*arguments)
    # A process whose middleware has threads of its own must not linger.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
