"""ROS time: /clock, timers, sleepers and jump callbacks that follow it; steady timers beside."""

from __future__ import annotations

import queue
import threading

import pytest
import rclpy
from builtin_interfaces.msg import Time as TimeMsg
from rclpy.clock import Clock, ClockChange, JumpThreshold, ROSClock
from rclpy.clock_type import ClockType
from rclpy.duration import Duration
from rclpy.parameter import Parameter
from rclpy.time import Time
from rosgraph_msgs.msg import Clock as ClockMsg

DEADLINE_SEC = 20.0
SIMULATED = [Parameter("use_sim_time", value=True)]


class Simulation:
    """A node that owns /clock and one that lives by it and is spun."""

    def __init__(self, ros):
        self.ros = ros
        self.owner = ros.node("owner")
        self.node = ros.node("sleeper", parameter_overrides=SIMULATED)
        self.clock = self.node.get_clock()
        self._publisher = self.owner.create_publisher(ClockMsg, "/clock", 10)
        self._shown = queue.Queue()
        threshold = JumpThreshold(
            min_forward=Duration(nanoseconds=1), min_backward=Duration(nanoseconds=-1)
        )
        self._handle = self.clock.create_jump_callback(threshold, post_callback=self._shown.put)
        ros.meet(self._publisher)
        ros.spin(self.node)

    def set(self, seconds):
        """Set the clock and wait until the node's clock shows it."""
        seconds, nanoseconds = divmod(round(seconds * 1e9), 10**9)
        self._publisher.publish(ClockMsg(clock=TimeMsg(sec=seconds, nanosec=nanoseconds)))
        return self._shown.get(timeout=DEADLINE_SEC)


@pytest.fixture
def simulation(ros):
    return Simulation(ros)


def test_simulated_time_is_zero_before_the_first_clock_message(ros, simulation):
    assert simulation.clock.ros_time_is_active
    assert simulation.clock.now() == Time(clock_type=ClockType.ROS_TIME)


def test_timer_fires_once_per_jump_and_skips_what_it_missed(ros, simulation):
    simulation.set(100)
    fired = queue.Queue()
    simulation.node.create_timer(10.0, lambda: fired.put(simulation.clock.now().nanoseconds / 1e9))
    simulation.set(109)
    simulation.set(110)
    assert fired.get(timeout=DEADLINE_SEC) == 110
    simulation.set(155)
    assert fired.get(timeout=DEADLINE_SEC) == 155
    simulation.set(159)
    simulation.set(160)
    assert fired.get(timeout=DEADLINE_SEC) == 160
    assert fired.empty()


def test_timer_waits_anew_after_the_clock_went_back(ros, simulation):
    simulation.set(100)
    fired = queue.Queue()
    timer = simulation.node.create_timer(10.0, lambda: fired.put(1))
    simulation.set(50)
    assert timer.time_until_next_call() == 10 * 10**9
    simulation.set(60)
    fired.get(timeout=DEADLINE_SEC)


def test_steady_timer_runs_while_the_simulated_clock_stands(ros, simulation):
    fired, never = threading.Event(), threading.Event()
    steady = Clock(clock_type=ClockType.STEADY_TIME)
    simulation.node.create_timer(0.001, never.set)
    simulation.node.create_timer(0.001, fired.set, clock=steady)
    ros.wait(fired)
    assert not never.is_set()


def test_sleep_ends_when_the_clock_gets_there(ros, simulation):
    simulation.set(1)
    outcomes = queue.Queue()
    until = Time(seconds=10, clock_type=ClockType.ROS_TIME)

    def sleep():
        outcomes.put(simulation.clock.sleep_until(until))
        outcomes.put(simulation.clock.now().nanoseconds)

    threading.Thread(target=sleep, daemon=True).start()
    simulation.set(9)
    assert outcomes.empty()
    simulation.set(11)
    assert outcomes.get(timeout=DEADLINE_SEC) is True
    assert outcomes.get(timeout=DEADLINE_SEC) == 11 * 10**9


def test_shutdown_ends_a_sleep(ros, simulation):
    outcomes = queue.Queue()
    until = Time(seconds=10, clock_type=ClockType.ROS_TIME)
    begun = threading.Event()

    def sleep():
        begun.set()
        outcomes.put(simulation.clock.sleep_until(until))

    threading.Thread(target=sleep, daemon=True).start()
    ros.wait(begun)
    rclpy.shutdown()
    # Whoever begins to sleep after the shutdown is told so by an exception, in its own thread.
    if not outcomes.empty():
        assert outcomes.get_nowait() is False


def test_jump_callbacks_are_called_from_their_threshold_on(simulation):
    jumps = queue.Queue()
    kept = simulation.clock.create_jump_callback(
        JumpThreshold(
            min_forward=Duration(seconds=5),
            min_backward=Duration(seconds=-5),
            on_clock_change=False,
        ),
        pre_callback=lambda: jumps.put("before"),
        post_callback=lambda jump: jumps.put(jump.delta.nanoseconds // 10**9),
    )
    simulation.set(4)
    simulation.set(9)
    simulation.set(7)
    simulation.set(1)
    told = [jumps.get(timeout=DEADLINE_SEC) for _ in range(4)]
    assert told == ["before", 5, "before", -6]
    kept.unregister()
    simulation.set(100)
    assert jumps.empty()


def test_change_of_the_source_is_a_jump(ros):
    node = ros.node("changing")
    changes = []
    handle = node.get_clock().create_jump_callback(
        JumpThreshold(min_forward=None, min_backward=None, on_clock_change=True),
        post_callback=lambda jump: changes.append(jump.clock_change),
    )
    node.set_parameters(SIMULATED)
    assert node.get_clock().ros_time_is_active
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert changes == [ClockChange.ROS_TIME_ACTIVATED, ClockChange.ROS_TIME_DEACTIVATED]
    assert node.get_clock().now().nanoseconds > 10**18
    handle.unregister()


def test_timer_is_cancelled_reset_and_started_late(ros):
    node = ros.node("timed")
    fired = queue.Queue()
    cancelled = node.create_timer(0.001, lambda: fired.put("cancelled"))
    cancelled.cancel()
    late = node.create_timer(0.001, lambda: fired.put("late"), autostart=False)
    assert cancelled.is_canceled()
    assert late.is_canceled()
    assert late.time_until_next_call() is None
    flag = threading.Event()
    node.create_timer(0.01, flag.set)
    ros.spin(node)
    ros.wait(flag)
    assert fired.empty()
    late.reset()
    assert fired.get(timeout=DEADLINE_SEC) == "late"


def test_rate_sleeps_for_a_period_of_ros_time(ros, simulation):
    simulation.set(1)
    rate = simulation.node.create_rate(1.0)
    awake = queue.Queue()

    def sleep():
        rate.sleep()
        awake.put(simulation.clock.now().nanoseconds)

    threading.Thread(target=sleep, daemon=True).start()
    simulation.set(1.5)
    assert awake.empty()
    simulation.set(2.5)
    assert awake.get(timeout=DEADLINE_SEC) == 2_500_000_000


def test_times_of_different_clocks_do_not_mix():
    ros_time = Time(seconds=1, clock_type=ClockType.ROS_TIME)
    system_time = Time(seconds=1, clock_type=ClockType.SYSTEM_TIME)
    with pytest.raises(TypeError):
        _ = ros_time < system_time
    with pytest.raises(TypeError):
        _ = ros_time - system_time
    assert ros_time + Duration(seconds=2) == Time(seconds=3, clock_type=ClockType.ROS_TIME)
    assert (ros_time - Time(clock_type=ClockType.ROS_TIME)) == Duration(seconds=1)
    assert Time.from_msg(ros_time.to_msg()) == ros_time
    assert isinstance(Clock(clock_type=ClockType.ROS_TIME), ROSClock)
