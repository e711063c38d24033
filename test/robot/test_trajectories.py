"""Trajectories keep their path and every limit, and begin and end at rest."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlab_ros.robot.mobile_arm import MotionLimits
from matlab_ros.robot.reach import tool_frames
from matlab_ros.robot.trajectory import JointTrajectory, ToolLimits, line, timed

LIMITS = MotionLimits()
joints = st.tuples(*[st.floats(-3.0, 3.0)] * 6)


def _rates(trajectory: JointTrajectory, step: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    times = np.arange(0, trajectory.duration_s, step)
    positions = trajectory.sampled(times)
    velocities = np.gradient(positions, step, axis=0)
    return velocities, np.gradient(velocities, step, axis=0)


@given(joints, joints)
@settings(max_examples=60, deadline=None)
def test_straight_lines_respect_speed_and_acceleration(
    start: tuple[float, ...], end: tuple[float, ...]
) -> None:
    path = line(np.array(start), np.array(end))
    trajectory = timed(path, tool_frames(path)[:, :3, 3], LIMITS)
    if trajectory is None:
        assert np.allclose(start, end)
        return
    velocities, accelerations = _rates(trajectory)
    assert (np.abs(velocities) <= np.array(LIMITS.joint_speed_rad_s) * 1.02 + 1e-6).all()
    # Cubic interpolation between points 0.1 s apart overshoots a jerk-limited ramp a little.
    assert (np.abs(accelerations) <= np.array(LIMITS.joint_acceleration_rad_s2) * 1.4 + 1e-3).all()
    assert trajectory.start_rad == pytest.approx(start, abs=1e-9)
    assert trajectory.end_rad == pytest.approx(end, abs=1e-9)
    assert trajectory.velocities_rad_s[[0, -1]] == pytest.approx(np.zeros((2, 6)), abs=1e-12)


def test_a_straight_line_in_joint_space_is_kept_at_all_times() -> None:
    start, end = np.zeros(6), np.array([1.0, -2.0, 0.5, 0.0, 3.0, -0.1])
    trajectory = timed(line(start, end), np.zeros((33, 3)), LIMITS)
    assert trajectory is not None
    positions = trajectory.sampled(np.linspace(0, trajectory.duration_s, 1001))
    shares = positions @ end / (end @ end)
    assert positions == pytest.approx(shares[:, None] * end, abs=1e-9)


def test_the_tool_limits_slow_a_movement_down() -> None:
    path = line(
        np.array([2.5, -2.0, 1.5, -1.07, -1.57, 0.0]), np.array([3.5, -1.5, 1.0] + [-1] * 3)
    )
    tool = tool_frames(path)[:, :3, 3]
    fast = timed(path, tool, LIMITS)
    slow = timed(path, tool, LIMITS, ToolLimits(speed_m_s=0.1, acceleration_m_s2=0.2))
    assert fast is not None
    assert slow is not None
    assert slow.duration_s > fast.duration_s
    step = 0.01
    points = tool_frames(slow.sampled(np.arange(0, slow.duration_s, step)))[:, :3, 3]
    speeds = np.gradient(points, step, axis=0)
    assert np.linalg.norm(speeds, axis=1).max() <= 0.1 * 1.02
    accelerations = np.linalg.norm(np.gradient(speeds, step, axis=0), axis=1)
    assert accelerations.max() <= 0.2 * 1.1


def test_a_path_that_goes_nowhere_has_no_trajectory() -> None:
    assert timed(line(np.ones(6), np.ones(6)), np.zeros((33, 3)), LIMITS) is None


def test_joined_trajectories_rest_at_the_joint() -> None:
    middle = np.full(6, 0.5)
    first = timed(line(np.zeros(6), middle), np.zeros((33, 3)), LIMITS)
    second = timed(line(middle, np.ones(6) * math.pi / 2), np.zeros((33, 3)), LIMITS)
    assert first is not None
    assert second is not None
    both = first.then(second)
    assert both.duration_s == pytest.approx(first.duration_s + second.duration_s)
    assert (np.diff(both.times_s) > 0).all()
    at = int(np.argmin(np.abs(both.times_s - first.duration_s)))
    assert both.positions_rad[at] == pytest.approx(middle)
    assert both.velocities_rad_s[at] == pytest.approx(np.zeros(6), abs=1e-12)


def test_what_a_controller_makes_of_the_points_stays_within_the_acceleration() -> None:
    for path in (line(np.zeros(6), np.full(6, 1.2)), np.cumsum(np.full((9, 6), 0.05), axis=0) ** 2):
        motion = timed(path, tool_frames(path)[:, :3, 3], MotionLimits())
        times = np.linspace(0, motion.duration_s, 20_001)
        speed = np.gradient(motion.sampled(times), times, axis=0)
        peak = np.abs(np.gradient(speed, times, axis=0))[3:-3].max(axis=0)
        assert (motion.peak_acceleration_rad_s2() <= 3.0 + 1e-9).all()
        assert peak == pytest.approx(motion.peak_acceleration_rad_s2(), rel=0.02)
