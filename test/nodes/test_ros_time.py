"""Moments of one node are never moments of another, and never lie before their cause."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.time import Time

from matlab_ros.nodes.ros_time import TICK_NS, RosTime, to_msg, to_ns

NAMES = ["furnace_1", "furnace_2", "arm", "dispenser", "characterisation", "lab_manager"]
MOMENTS = st.integers(min_value=0, max_value=2**31 * 10**9 - 1)


@pytest.fixture(scope="module")
def times(graph: None) -> Iterator[dict[str, RosTime]]:
    rclpy.init(args=[])
    simulated = [Parameter("use_sim_time", value=True)]
    nodes = [Node(name, parameter_overrides=simulated) for name in NAMES]
    yield {node.get_name(): RosTime(node) for node in nodes}
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(now_ns=MOMENTS)
def test_no_two_nodes_act_at_the_same_instant(times: dict[str, RosTime], now_ns: int) -> None:
    ticks = [time.tick_after(now_ns) for time in times.values()]
    assert len(set(ticks)) == len(NAMES)
    assert all(now_ns < tick <= now_ns + TICK_NS for tick in ticks)


@settings(deadline=None)
@given(now_ns=MOMENTS)
def test_the_tick_after_a_tick_is_the_next_one(times: dict[str, RosTime], now_ns: int) -> None:
    time = times["arm"]
    tick = time.tick_after(now_ns)
    assert time.tick_after(tick) == tick + TICK_NS
    assert time.tick_after(tick - 1) == tick


@given(now_ns=MOMENTS)
def test_stamps_lose_nothing(now_ns: int) -> None:
    assert to_ns(to_msg(now_ns)) == now_ns


def test_time_is_never_before_the_stamp_of_a_cause(times: dict[str, Any]) -> None:
    time = times["dispenser"]
    assert time.now_ns() == 0
    time.observe(to_msg(5_000_000_000))
    time.observe(to_msg(4_000_000_000))
    assert time.now_ns() == 5_000_000_000
    assert times["furnace_1"].now_ns() == 0


def test_whoever_waits_is_woken_before_the_time_has_come(times: dict[str, Any]) -> None:
    time = times["lab_manager"]
    assert not time.wait_until(10**18, wake=lambda: True)
    assert time.wait_until(0)


def test_jumps_before_the_moment_wake_nobody(times: dict[str, Any]) -> None:
    time, looks, began = times["characterisation"], [], threading.Event()

    def look() -> bool:
        looks.append(time.now_ns())
        began.set()
        return False

    waiter = threading.Thread(target=time.wait_until, args=(10**9, look))
    waiter.start()
    assert began.wait(30.0)
    clock = time._clock
    for now_ns in range(1, 2001):
        clock.set_ros_time_override(Time(nanoseconds=now_ns))
    clock.set_ros_time_override(Time(nanoseconds=10**9))
    waiter.join(30.0)
    assert not waiter.is_alive()
    assert len(looks) < 200
