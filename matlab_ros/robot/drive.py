"""Driving the base: how long it takes from one place to another, and where it comes by."""

from __future__ import annotations

import math

import numpy as np

from matlab_ros.robot.mobile_arm import FloatArray, MotionLimits
from matlab_ros.robot.poses import BasePose

_STEP_M = 0.04
_STEP_RAD = 0.04


def drive_duration_s(start: BasePose, end: BasePose, limits: MotionLimits) -> float:
    """Seconds for a straight drive that turns on the way, with ramps of speed at both ends."""
    return max(
        _ramped_s(start.distance_m(end), limits.base_speed_m_s, limits.base_acceleration_m_s2),
        _ramped_s(abs(start.turn_rad(end)), limits.base_turn_rad_s, limits.base_turn_rad_s2),
    )


def drive_path(start: BasePose, end: BasePose) -> FloatArray:
    """The base's frames in the map along a straight drive that turns evenly on the way.

    Returns:
        Shape (n, 4, 4), n >= 2, at most 4 cm and 0.04 rad from one to the next.
    """
    turn = start.turn_rad(end)
    steps = max(1, math.ceil(max(start.distance_m(end) / _STEP_M, abs(turn) / _STEP_RAD)))
    shares = np.linspace(0.0, 1.0, steps + 1)
    yaw = start.yaw_rad + shares * turn
    frames = np.zeros((steps + 1, 4, 4))
    frames[:, 0, 0] = frames[:, 1, 1] = np.cos(yaw)
    frames[:, 1, 0] = np.sin(yaw)
    frames[:, 0, 1] = -frames[:, 1, 0]
    frames[:, 0, 3] = start.x_m + shares * (end.x_m - start.x_m)
    frames[:, 1, 3] = start.y_m + shares * (end.y_m - start.y_m)
    frames[:, 2, 2] = frames[:, 3, 3] = 1.0
    return frames


def _ramped_s(distance: float, speed: float, acceleration: float) -> float:
    if distance < speed**2 / acceleration:
        return 2 * math.sqrt(distance / acceleration)
    return distance / speed + speed / acceleration
