"""Order that rclpy does not promise: over topics, between clock and messages, without a spin."""

from __future__ import annotations

import queue
import threading

import pytest
from builtin_interfaces.msg import Time as TimeMsg
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, JumpThreshold
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock as ClockMsg
from std_msgs.msg import Header, Int32

DEADLINE_SEC = 20.0
SIMULATED = [Parameter("use_sim_time", value=True)]


def test_work_is_taken_in_the_order_of_its_arrival(ros):
    node = ros.node("ordered")
    order = []
    publishers = []
    for index in range(3):
        group = MutuallyExclusiveCallbackGroup()
        node.create_subscription(
            Int32, f"t{index}", lambda m: order.append(m.data), 100, callback_group=group
        )
        publishers.append(node.create_publisher(Int32, f"t{index}", 100))
    for number in range(60):
        publishers[number % 3 if number % 2 else (number * 5) % 3].publish(Int32(data=number))
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    for _ in range(60):
        executor.spin_once(timeout_sec=DEADLINE_SEC)
    assert order == list(range(60))


def test_callbacks_of_one_exclusive_group_never_overlap_and_keep_their_order(ros):
    node = ros.node("exclusive")
    inside = threading.Lock()
    order, complete = [], threading.Event()

    def on_message(message):
        assert inside.acquire(blocking=False), "two callbacks of the group overlap"
        order.append(message.data)
        inside.release()
        if len(order) == 200:
            complete.set()

    for index in range(2):
        node.create_subscription(Int32, f"t{index}", on_message, 200)
    publishers = [node.create_publisher(Int32, f"t{index}", 200) for index in range(2)]
    ros.spin(node)
    for number in range(200):
        publishers[number % 2].publish(Int32(data=number))
    ros.wait(complete)
    assert order == list(range(200))


def test_messages_of_one_peer_keep_their_order_over_all_topics(ros, peer):
    other = peer("""
        import sys
        import rclpy
        from std_msgs.msg import Int32
        rclpy.init()
        node = rclpy.create_node("talker")
        publishers = [node.create_publisher(Int32, f"t{i}", 100) for i in range(4)]
        print("ready")
        sys.stdin.readline()
        for number in range(400):
            publishers[(number * 7) % 4].publish(Int32(data=number))
        print("sent")
        sys.stdin.readline()
    """)
    assert other.line() == "ready"
    node = ros.node("listener")
    received = []
    complete = threading.Event()

    def on_message(message):
        received.append(message.data)
        if len(received) == 400:
            complete.set()

    for index in range(4):
        node.create_subscription(Int32, f"t{index}", on_message, 100)
    ros.spin(node)
    for index in range(4):
        ros.until(node, lambda topic=f"t{index}": node.count_publishers(topic) == 1)
    other.tell("go")
    assert other.line() == "sent"
    ros.wait(complete)
    assert received == list(range(400))


class Simulation:
    """A node that owns /clock and one that lives by it and that nobody spins yet."""

    def __init__(self, ros):
        self.node = ros.node("sleeper", parameter_overrides=SIMULATED)
        self.clock = self.node.get_clock()
        self._publisher = ros.node("owner").create_publisher(ClockMsg, "/clock", 10)
        self._shown = queue.Queue()
        threshold = JumpThreshold(
            min_forward=Duration(nanoseconds=1), min_backward=Duration(nanoseconds=-1)
        )
        self._handle = self.clock.create_jump_callback(threshold, post_callback=self._shown.put)

    def set(self, seconds):
        """Set the clock and wait until the node's clock shows it."""
        seconds, nanoseconds = divmod(round(seconds * 1e9), 10**9)
        self._publisher.publish(ClockMsg(clock=TimeMsg(sec=seconds, nanosec=nanoseconds)))
        return self._shown.get(timeout=DEADLINE_SEC)


@pytest.fixture
def simulation(ros):
    return Simulation(ros)


def test_clock_shows_what_the_message_says_before_anybody_spins(simulation):
    simulation.set(12.5)
    assert simulation.clock.now().nanoseconds == 12_500_000_000
    simulation.set(3)
    assert simulation.clock.now().nanoseconds == 3_000_000_000


def test_message_sent_after_a_clock_is_never_handled_with_an_older_clock(ros, peer):
    other = peer("""
        import sys
        import rclpy
        from rosgraph_msgs.msg import Clock
        from std_msgs.msg import Header
        rclpy.init()
        node = rclpy.create_node("virtual_lab")
        clocks = node.create_publisher(Clock, "/clock", 10)
        events = node.create_publisher(Header, "events", 1000)
        print("ready")
        sys.stdin.readline()
        for number in range(1, 301):
            clock, event = Clock(), Header()
            clock.clock.sec = event.stamp.sec = number
            clocks.publish(clock)
            events.publish(event)
        print("sent")
        sys.stdin.readline()
    """)
    assert other.line() == "ready"
    node = ros.node("follower", parameter_overrides=SIMULATED)
    complete = threading.Event()
    late, stamps = [], []

    def on_event(event):
        now = node.get_clock().now().nanoseconds // 10**9
        if now < event.stamp.sec:
            late.append((now, event.stamp.sec))
        stamps.append(event.stamp.sec)
        if event.stamp.sec == 300:
            complete.set()

    node.create_subscription(Header, "events", on_event, 1000)
    ready = threading.Event()
    watch = Clock(clock_type=ClockType.STEADY_TIME)
    node.create_timer(
        0.01,
        lambda: ready.set() if node.count_publishers("events") else None,
        clock=watch,
    )
    ros.spin(node)
    ros.wait(ready)
    other.tell("go")
    ros.wait(complete)
    assert stamps == list(range(1, 301))
    assert late == []


def test_timers_of_one_jump_and_messages_after_it_come_in_order(ros, simulation):
    done = threading.Event()
    order = []
    simulation.set(1)
    simulation.node.create_timer(5.0, lambda: order.append("timer"))

    def on_message(_):
        order.append("message")
        done.set()

    simulation.node.create_subscription(Header, "x", on_message, 10)
    publisher = simulation.node.create_publisher(Header, "x", 10)
    simulation.set(7)
    publisher.publish(Header())
    ros.spin(simulation.node, executor=SingleThreadedExecutor())
    ros.wait(done)
    assert order == ["timer", "message"]
