"""Driving the base: how long it takes from one place to another."""

from __future__ import annotations

import math

from matlab_ros.robot.mobile_arm import MotionLimits
from matlab_ros.robot.poses import BasePose


def drive_duration_s(start: BasePose, end: BasePose, limits: MotionLimits) -> float:
    """Seconds for a straight drive that turns on the way, with ramps of speed at both ends."""
    return max(
        _ramped_s(start.distance_m(end), limits.base_speed_m_s, limits.base_acceleration_m_s2),
        _ramped_s(abs(start.turn_rad(end)), limits.base_turn_rad_s, limits.base_turn_rad_s2),
    )


def _ramped_s(distance: float, speed: float, acceleration: float) -> float:
    if distance < speed**2 / acceleration:
        return 2 * math.sqrt(distance / acceleration)
    return distance / speed + speed / acceleration
