"""Executors: order, threads, callback groups, tasks, exceptions and ends."""

from __future__ import annotations

import queue
import threading

import pytest
import rclpy
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.executors import (
    ExternalShutdownException,
    MultiThreadedExecutor,
    SingleThreadedExecutor,
)
from rclpy.task import Future
from std_msgs.msg import Int32, String

DEADLINE_SEC = 20.0


def test_what_came_before_the_node_was_spun_is_not_lost(ros):
    node = ros.node("early")
    received = []
    node.create_subscription(Int32, "x", lambda m: received.append(m.data), 10)
    publisher = node.create_publisher(Int32, "x", 10)
    ros.meet(publisher)
    publisher.publish(Int32(data=1))
    first, second = SingleThreadedExecutor(), SingleThreadedExecutor()
    first.add_node(node)
    first.spin_once(timeout_sec=DEADLINE_SEC)
    publisher.publish(Int32(data=2))
    second.add_node(node)
    assert first.get_nodes() == []
    second.spin_once(timeout_sec=DEADLINE_SEC)
    assert received == [1, 2]


class Meeting:
    """Callbacks that wait for each other: they meet only if they run at the same time."""

    def __init__(self, parties):
        self.barrier = threading.Barrier(parties)
        self.met = threading.Event()

    def __call__(self, _=None):
        self.barrier.wait(DEADLINE_SEC)
        self.met.set()


@pytest.mark.parametrize(
    "groups",
    [
        [ReentrantCallbackGroup] * 2,
        [MutuallyExclusiveCallbackGroup] * 2,
    ],
)
def test_callbacks_of_different_groups_run_at_the_same_time(ros, groups):
    node = ros.node("parallel")
    meeting = Meeting(2)
    for index, group in enumerate(groups):
        node.create_subscription(Int32, f"t{index}", meeting, 10, callback_group=group())
    publishers = [node.create_publisher(Int32, f"t{index}", 10) for index in range(2)]
    ros.meet(*publishers)
    ros.spin(node)
    for publisher in publishers:
        publisher.publish(Int32())
    ros.wait(meeting.met)


def test_one_subscription_of_a_reentrant_group_runs_in_parallel_with_itself(ros):
    node = ros.node("reentrant")
    meeting = Meeting(3)
    node.create_subscription(Int32, "x", meeting, 10, callback_group=ReentrantCallbackGroup())
    publisher = node.create_publisher(Int32, "x", 10)
    ros.meet(publisher)
    ros.spin(node)
    for _ in range(3):
        publisher.publish(Int32())
    ros.wait(meeting.met)


def test_callbacks_of_one_exclusive_group_never_overlap(ros):
    node = ros.node("exclusive")
    inside = threading.Lock()
    orders, complete = ([], []), threading.Event()

    def on_message(message, order):
        assert inside.acquire(blocking=False), "two callbacks of the group overlap"
        order.append(message.data)
        inside.release()
        if sum(map(len, orders)) == 200:
            complete.set()

    publishers = []
    for index, order in enumerate(orders):
        node.create_subscription(Int32, f"t{index}", lambda m, o=order: on_message(m, o), 200)
        publishers.append(node.create_publisher(Int32, f"t{index}", 200))
    ros.meet(*publishers)
    ros.spin(node)
    for number in range(200):
        publishers[number % 2].publish(Int32(data=number))
    ros.wait(complete)
    assert orders == (list(range(0, 200, 2)), list(range(1, 200, 2)))
    assert ros.errors.empty()


def test_coroutine_holds_its_exclusive_group_while_it_waits(ros):
    node = ros.node("suspended")
    gate = Future()
    order = queue.Queue()

    async def slow(_):
        order.put("begin")
        await gate
        order.put("end")

    node.create_subscription(Int32, "slow", slow, 10)
    node.create_subscription(Int32, "fast", lambda _: order.put("fast"), 10)
    free = MutuallyExclusiveCallbackGroup()
    node.create_subscription(Int32, "free", lambda _: order.put("free"), 10, callback_group=free)
    publishers = {n: node.create_publisher(Int32, n, 10) for n in ("slow", "fast", "free")}
    ros.meet(*publishers.values())
    # A real rclpy looks at what it awaits only when something else wakes it.
    node.create_timer(0.01, lambda: None, callback_group=ReentrantCallbackGroup())
    ros.spin(node, executor=SingleThreadedExecutor())
    publishers["slow"].publish(Int32())
    assert order.get(timeout=DEADLINE_SEC) == "begin"
    publishers["fast"].publish(Int32())
    publishers["free"].publish(Int32())
    assert order.get(timeout=DEADLINE_SEC) == "free"
    gate.set_result(None)
    assert [order.get(timeout=DEADLINE_SEC) for _ in range(2)] == ["end", "fast"]


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_exception_of_a_callback_comes_out_of_spin(ros, kind):
    node = ros.node("failing")

    def fail():
        raise ZeroDivisionError

    node.create_timer(0.001, fail)
    ros.spin(node, executor=kind())
    assert isinstance(ros.errors.get(timeout=DEADLINE_SEC), ZeroDivisionError)


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_shutdown_ends_a_waiting_spin_with_an_exception(ros, kind):
    node = ros.node("waiting")
    executor = kind()
    executor.add_node(node)
    spinning = threading.Event()
    ends = queue.Queue()
    node.create_guard_condition(spinning.set).trigger()

    def spin():
        try:
            executor.spin()
        except ExternalShutdownException as end:
            ends.put(end)
        else:
            ends.put(None)

    threading.Thread(target=spin, daemon=True).start()
    ros.wait(spinning)
    rclpy.shutdown()
    end = ends.get(timeout=DEADLINE_SEC)
    assert end is None or isinstance(end, ExternalShutdownException)


def test_spin_ends_quietly_when_a_callback_shuts_down(ros):
    node = ros.node("last")
    node.create_timer(0.001, rclpy.shutdown)
    rclpy.spin(node)
    assert not rclpy.ok()


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_spin_until_future_complete_ends_with_the_future_or_in_time(ros, kind):
    node = ros.node("until")
    executor = kind()
    executor.add_node(node)
    never, soon = Future(), Future()
    executor.spin_until_future_complete(never, timeout_sec=0.02)
    assert not never.done()
    node.create_timer(0.001, lambda: soon.done() or soon.set_result(5))
    executor.spin_until_future_complete(soon, timeout_sec=DEADLINE_SEC)
    assert soon.result() == 5
    executor.shutdown()


@pytest.mark.parametrize("kind", [SingleThreadedExecutor, MultiThreadedExecutor])
def test_spin_once_executes_one_callback(ros, kind):
    node = ros.node("once")
    received = queue.Queue()
    node.create_subscription(Int32, "x", lambda m: received.put(m.data), 10)
    publisher = node.create_publisher(Int32, "x", 10)
    ros.meet(publisher)
    publisher.publish(Int32(data=1))
    publisher.publish(Int32(data=2))
    executor = kind()
    executor.add_node(node)
    executor.spin_once(timeout_sec=DEADLINE_SEC)
    assert received.get(timeout=DEADLINE_SEC) == 1
    assert received.empty()
    executor.spin_once(timeout_sec=DEADLINE_SEC)
    assert received.get(timeout=DEADLINE_SEC) == 2
    executor.spin_once(timeout_sec=0.001)
    assert received.empty()
    executor.shutdown()


def test_tasks_run_functions_and_coroutines_and_can_be_awaited(ros):
    node = ros.node("tasks")
    executor = ros.spin(node)

    async def outer():
        inner = executor.create_task(lambda value: value * 2, 21)
        return await inner

    assert ros.result(executor.create_task(outer)) == 42
    assert ros.result(executor.create_task(outer())) == 42


def test_guard_condition_calls_back_after_its_trigger(ros):
    node = ros.node("guarded")
    called = threading.Event()
    guard = node.create_guard_condition(called.set)
    ros.spin(node)
    guard.trigger()
    ros.wait(called)


def test_blocked_callback_does_not_block_others(ros):
    node = ros.node("blocked")
    release, free = threading.Event(), threading.Event()
    node.create_timer(0.001, lambda: release.wait(DEADLINE_SEC))
    node.create_subscription(
        String, "x", lambda _: free.set(), 10, callback_group=MutuallyExclusiveCallbackGroup()
    )
    publisher = node.create_publisher(String, "x", 10)
    ros.meet(publisher)
    ros.spin(node, executor=MultiThreadedExecutor(num_threads=2))
    publisher.publish(String())
    ros.wait(free)
    release.set()


def test_future_gives_its_exception_and_can_be_cancelled():
    failed, cancelled, seen = Future(), Future(), []
    failed.add_done_callback(seen.append)
    failed.set_exception(ValueError("x"))
    with pytest.raises(ValueError, match="x"):
        failed.result()
    cancelled.add_done_callback(seen.append)
    cancelled.cancel()
    assert cancelled.cancelled()
    assert cancelled.result() is None
    assert seen == [failed, cancelled]
