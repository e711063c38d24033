"""Joint trajectories: a path through joint space and the time law along it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import ruckig
from scipy.interpolate import CubicHermiteSpline, CubicSpline

from matlab_ros.robot.mobile_arm import ARM_JOINTS, FloatArray, MotionLimits

_SAMPLE_PERIOD_S = 0.1
_STANDSTILL_RAD = 1e-9


@dataclass(frozen=True, eq=False)
class JointTrajectory:
    """Positions and speeds of the arm's joints over time, at rest at both ends.

    Attributes:
        times_s: seconds since the start, beginning with 0 and increasing, shape (n,), n >= 2.
        positions_rad: shape (n, 6).
        velocities_rad_s: shape (n, 6).
        joints: names of the six joints.
    """

    times_s: FloatArray
    positions_rad: FloatArray
    velocities_rad_s: FloatArray
    joints: tuple[str, ...] = ARM_JOINTS

    @property
    def duration_s(self) -> float:
        """From the first point to the last."""
        return float(self.times_s[-1])

    @property
    def start_rad(self) -> FloatArray:
        """Joints at the beginning, shape (6,)."""
        return np.asarray(self.positions_rad[0])

    @property
    def end_rad(self) -> FloatArray:
        """Joints at the end, shape (6,)."""
        return np.asarray(self.positions_rad[-1])

    def then(self, other: JointTrajectory) -> JointTrajectory:
        """This one and, after a moment at rest, another that begins where it ends."""
        return JointTrajectory(
            np.concatenate((self.times_s, self.duration_s + other.times_s[1:])),
            np.concatenate((self.positions_rad, other.positions_rad[1:])),
            np.concatenate((self.velocities_rad_s, other.velocities_rad_s[1:])),
            self.joints,
        )

    def peak_acceleration_rad_s2(self) -> FloatArray:
        """Of each joint, as a trajectory controller interpolates; shape (6,).

        The acceleration of a cubic changes evenly: it is the largest at one of its ends.
        """
        periods = np.diff(self.times_s)[:, None]
        ways = 6 * np.diff(self.positions_rad, axis=0) / periods
        begin, end = self.velocities_rad_s[:-1], self.velocities_rad_s[1:]
        first = (ways - 4 * begin - 2 * end) / periods
        last = (2 * begin + 4 * end - ways) / periods
        peak: FloatArray = np.abs(np.concatenate((first, last))).max(axis=0)
        return peak

    def slower(self, factor: float) -> JointTrajectory:
        """The same path in `factor` times the time."""
        return JointTrajectory(
            self.times_s * factor, self.positions_rad, self.velocities_rad_s / factor, self.joints
        )

    def sampled(self, times_s: FloatArray) -> FloatArray:
        """Joints between the points, as a trajectory controller interpolates; (m,) to (m, 6)."""
        spline = CubicHermiteSpline(self.times_s, self.positions_rad, self.velocities_rad_s)
        return np.asarray(spline(np.clip(times_s, 0.0, self.duration_s)), dtype=np.float64)


@dataclass(frozen=True)
class ToolLimits:
    """Bounds on the tool's own movement along a path; None: only the joints' limits hold."""

    speed_m_s: float | None = None
    acceleration_m_s2: float | None = None


def line(start_rad: FloatArray, end_rad: FloatArray, count: int = 33) -> FloatArray:
    """A straight line in joint space, both ends included; shape (count, 6)."""
    return np.linspace(np.asarray(start_rad), np.asarray(end_rad), count)


def timed(
    path_rad: FloatArray,
    tool_m: FloatArray,
    limits: MotionLimits,
    tool: ToolLimits = ToolLimits(),
) -> JointTrajectory | None:
    """The fastest jerk-limited movement along a path that begins and ends at rest.

    One time law for all joints, so that the path is kept exactly. With the path parameter s, a
    joint moves at q's' and accelerates by q''s'^2 + q's''; the bounds on s' and s'' are chosen
    such that each of the two terms stays within its half of the limit (within all of it where the
    path is straight). The jerk limit takes q's''' alone, which is exact on straight lines.

    Args:
        path_rad: configurations at equal steps of the path parameter, shape (n, 6), n >= 4.
        tool_m: where the tool is at each of them, shape (n, 3).
        limits: of the joints.
        tool: of the tool.

    Returns:
        None where the path goes nowhere.
    """
    if float(np.ptp(path_rad, axis=0).max()) < _STANDSTILL_RAD:
        return None
    parameter = np.linspace(0.0, 1.0, len(path_rad))
    spline = CubicSpline(parameter, path_rad)
    tool_spline = CubicSpline(parameter, tool_m)
    first = np.abs(spline(parameter, 1)).max(axis=0)
    second = np.abs(spline(parameter, 2)).max(axis=0)
    tool_first = float(np.linalg.norm(tool_spline(parameter, 1), axis=1).max())
    tool_second = float(np.linalg.norm(tool_spline(parameter, 2), axis=1).max())

    speeds = [_ratio(limits.joint_speed_rad_s, first)]
    accelerations = []
    shares = np.where(second > 1e-6 * np.maximum(first, 1e-12), 0.5, 1.0)
    acceleration_limits = shares * np.array(limits.joint_acceleration_rad_s2)
    accelerations.append(_ratio(acceleration_limits, first))
    curved = shares < 1.0
    if curved.any():
        speeds.append(math.sqrt(_ratio(acceleration_limits[curved], second[curved])))
    if tool.speed_m_s is not None and tool_first > 0:
        speeds.append(tool.speed_m_s / tool_first)
    if tool.acceleration_m_s2 is not None and tool_first > 0:
        accelerations.append(0.5 * tool.acceleration_m_s2 / tool_first)
        if tool_second > 0:
            speeds.append(math.sqrt(0.5 * tool.acceleration_m_s2 / tool_second))
    jerk = _ratio(limits.joint_jerk_rad_s3, first)
    times, values, rates = _time_law(min(speeds), min(accelerations), jerk)
    motion = JointTrajectory(times, spline(values), spline(values, 1) * rates[:, None])
    # The cubics between the points accelerate a little more than the law, by their period's jerk.
    excess = _ratio(limits.joint_acceleration_rad_s2, motion.peak_acceleration_rad_s2())
    return motion.slower(math.sqrt(1.0 / min(excess, 1.0)))


def _ratio(limits: FloatArray | tuple[float, ...], sizes: FloatArray) -> float:
    bounds = np.asarray(limits, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return float(np.min(bounds / sizes))


def _time_law(
    speed: float, acceleration: float, jerk: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times, path parameter and its rate of the jerk-limited movement from 0 to 1."""
    request = ruckig.InputParameter(1)
    request.current_position = [0.0]
    request.target_position = [1.0]
    request.max_velocity = [speed]
    request.max_acceleration = [acceleration]
    request.max_jerk = [jerk]
    law = ruckig.Trajectory(1)
    result = ruckig.Ruckig(1).calculate(request, law)
    if result not in (ruckig.Result.Working, ruckig.Result.Finished):
        raise ArithmeticError(f"no time law for limits {speed}, {acceleration}, {jerk}: {result}")
    count = max(2, math.ceil(law.duration / _SAMPLE_PERIOD_S) + 1)
    times = np.linspace(0.0, law.duration, count)
    states = [law.at_time(float(time)) for time in times]
    values = np.array([state[0][0] for state in states])
    rates = np.array([state[1][0] for state in states])
    values[0], values[-1], rates[0], rates[-1] = 0.0, 1.0, 0.0, 0.0
    return times, values, rates
