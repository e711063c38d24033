"""The virtual lab's mobile arm: moves by geometry alone, in virtual time, and holds containers.

It stands at the far end of the robot's action interfaces, so it shares no code with the planner:
its chain is written down as a URDF writes it, and where a container is picked up or put down
follows from where its own tool is, not from what the lab meant.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from transforms3d.affines import compose
from transforms3d.axangles import axangle2mat
from transforms3d.euler import euler2mat

from matlab_ros.model.errors import LabError

FloatArray = NDArray[np.float64]
Point = tuple[float, float, float]
PlanarPose = tuple[float, float, float]
"""x and y in metres, yaw in radians."""

ARM_JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
BASE_JOINTS = ("base_x_joint", "base_y_joint", "base_yaw_joint")
FINGER_JOINTS = ("left_finger_joint", "right_finger_joint")

# Origins of the joints, each in the frame of the link before: x, y, z, roll, pitch, yaw. Every
# joint turns about its own z. Universal Robots' published kinematics of the UR5e.
_ORIGINS = (
    (0.0, 0.0, 0.1625, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, math.pi / 2, 0.0, 0.0),
    (-0.425, 0.0, 0.0, 0.0, 0.0, 0.0),
    (-0.3922, 0.0, 0.1333, 0.0, 0.0, 0.0),
    (0.0, -0.0997, 0.0, math.pi / 2, 0.0, 0.0),
    (0.0, 0.0996, 0.0, -math.pi / 2, 0.0, 0.0),
)
_MOUNT = (0.20, 0.0, 0.60)
_TOOL_M = 0.16
_LOWER_RAD = np.array((-2 * math.pi,) * 2 + (-math.pi,) + (-2 * math.pi,) * 3)
_UPPER_RAD = -_LOWER_RAD
_SPEED_RAD_S = math.pi
_START_TOLERANCE_RAD = 0.05
_INSTANT_S = 1e-3
_SAME_MOMENT_S = 1e-6
"""Times that stand for the same nanosecond of a clock far from zero differ by less, as floats."""
_TUCKED_RAD = (2.49, -2.15, 1.49, -math.pi / 2 + 0.66, -math.pi / 2, 2.49)


class RobotRefused(LabError):
    """The robot's controllers do not take a command."""


class TrajectoryRejected(RobotRefused):
    """A trajectory that the arm cannot follow from where it is."""


class MotionOutcome(str, Enum):
    """How a motion ended."""

    DONE = "done"
    """The arm or the base arrived."""
    CANCELED = "canceled"
    """Stopped where it was, by a cancel or by a newer command."""
    PICKED = "picked"
    """The gripper closed on a container."""
    NOTHING_THERE = "nothing there"
    """The gripper closed on nothing."""
    OPENED = "opened"
    """The gripper opened, and had held nothing."""
    PLACED = "placed"
    """The gripper opened and the container stands in a position."""
    DROPPED = "dropped"
    """The gripper opened where no free position is, and the container fell."""


class MotionFate(Enum):
    """What becomes of a motion."""

    NORMAL = "normal"
    STUMBLES = "stumbles"
    """The arm stops halfway through its trajectory."""
    SLOW = "slow"
    """The arm takes twice the time."""
    LOSES_CONTAINER = "loses container"
    """What is held falls at the end of the trajectory."""
    BASE_STUCK = "base stuck"
    """The drive never arrives."""


@dataclass
class Motion:
    """One command under way or over.

    Attributes:
        began_s: virtual time of its beginning.
        ends_s: virtual time at which it ends by itself.
        outcome: None while it is under way.
        position: where a container was picked up or put down, else None.
        fate: what becomes of it.
    """

    began_s: float
    ends_s: float
    outcome: MotionOutcome | None = None
    position: str | None = None
    fate: MotionFate = MotionFate.NORMAL

    @property
    def is_over(self) -> bool:
        """Whether it ended."""
        return self.outcome is not None


@dataclass
class _ArmMotion(Motion):
    path: Callable[[float], FloatArray] = lambda _: np.zeros(6)
    speed: Callable[[float], FloatArray] = lambda _: np.zeros(6)


@dataclass
class _Drive(Motion):
    start: PlanarPose = (0.0, 0.0, 0.0)
    goal: PlanarPose = (0.0, 0.0, 0.0)


@dataclass
class _Grip(Motion):
    closed: bool = False
    start_m: float = 0.0
    goal_m: float = 0.0


@dataclass(frozen=True)
class RobotTraits:
    """How the robot is built and how fast it is."""

    tolerance_m: float = 0.010
    """The tool takes hold of what it is within this distance of the middle of."""
    grasp_height_m: float = 0.025
    """Where fingers hold a container, above its bottom."""
    gripper_open_m: float = 0.050
    container_width_m: float = 0.030
    gripper_stroke_s: float = 0.5
    base_speed_m_s: float = 0.9
    base_acceleration_m_s2: float = 0.5
    base_turn_rad_s: float = 1.0
    base_turn_rad_s2: float = 0.8


@dataclass(frozen=True)
class JointReading:
    """Joints at one moment: base, arm, then fingers; metres or radians, and per second."""

    names: tuple[str, ...]
    positions: tuple[float, ...]
    velocities: tuple[float, ...]


@dataclass(frozen=True)
class TrajectoryPoint:
    """One point of a trajectory; an empty tuple of velocities: not given."""

    time_s: float
    positions_rad: tuple[float, ...]
    velocities_rad_s: tuple[float, ...] = field(default=())


class KinematicRobot:
    """A mobile arm that does exactly what it is told, when virtual time passes.

    Thread-safe: commands come from action servers, time from the virtual lab's stepping thread.

    Args:
        position_points: where the middle of a container's bottom is at each position, in the map,
            metres.
        pick: takes the container out of a position; False where there is none.
        place: puts the held container into a position; False where it is taken.
        dropped: told when the container falls.
        base: where the base stands at the start.
        joints_rad: of the arm at the start.
        traits: build and speed.
        start_s: virtual time at the start.

    The callbacks are called from `advance_to`, and must not call back into the robot.
    """

    def __init__(
        self,
        position_points: Mapping[str, Point],
        pick: Callable[[str], bool],
        place: Callable[[str], bool],
        *,
        dropped: Callable[[], None] = lambda: None,
        base: PlanarPose = (0.0, 0.0, math.pi / 2),
        joints_rad: Sequence[float] = _TUCKED_RAD,
        traits: RobotTraits | None = None,
        start_s: float = 0.0,
    ) -> None:
        self.next_fate = MotionFate.NORMAL
        """Fault switch: of the next motion that can have it."""
        self._traits = traits or RobotTraits()
        grasp = np.array((0.0, 0.0, self._traits.grasp_height_m))
        self._names = tuple(position_points)
        self._grasp_points = np.array(list(position_points.values())).reshape(-1, 3) + grasp
        self._pick, self._place, self._dropped = pick, place, dropped
        self._now_s = start_s
        self._base = base
        self._joints = np.array(joints_rad, dtype=np.float64)
        self._gap_m = self._traits.gripper_open_m
        self._holds = False
        self._arm_motion: _ArmMotion | None = None
        self._drive: _Drive | None = None
        self._grip: _Grip | None = None
        self._lock = threading.RLock()

    # Commands -----------------------------------------------------------------------------

    def start_trajectory(
        self, names: Sequence[str], points: Sequence[TrajectoryPoint], t: float
    ) -> Motion:
        """Begin a trajectory; one under way ends as CANCELED.

        Raises:
            TrajectoryRejected: it names other joints, goes beyond limits, does not begin where the
                arm is, or its times do not increase.
        """
        with self._lock:
            began = max(t, self._now_s)
            here = self._arm_at(began)
            motion = _follow(names, points, here, began)
            self.cancel_trajectory(began)
            self._meet(motion)
            self._arm_motion = motion
            return motion

    def start_drive(self, pose: PlanarPose, t: float) -> Motion:
        """Begin to drive to a pose in the map; a drive under way ends as CANCELED."""
        with self._lock:
            began = max(t, self._now_s)
            self.cancel_drive(began)
            start = self._base
            way = math.hypot(pose[0] - start[0], pose[1] - start[1])
            turn = abs(_turn(start[2], pose[2]))
            traits = self._traits
            seconds = max(
                _ramped_s(way, traits.base_speed_m_s, traits.base_acceleration_m_s2),
                _ramped_s(turn, traits.base_turn_rad_s, traits.base_turn_rad_s2),
            )
            if self.next_fate is MotionFate.BASE_STUCK and seconds > 0:
                self.next_fate = MotionFate.NORMAL
                seconds = math.inf
            self._drive = _Drive(began, began + seconds, start=start, goal=pose)
            return self._drive

    def command_gripper(self, closed: bool, t: float) -> Motion:
        """Begin to close or to open the gripper; a stroke under way ends as CANCELED."""
        with self._lock:
            began = max(t, self._now_s)
            if self._grip is not None:
                self._gap_m = self._gap_at(began)
                _end(self._grip, MotionOutcome.CANCELED)
            if closed:
                goal = self._traits.container_width_m if self._holds else 0.0
            else:
                goal = self._traits.gripper_open_m
            share = abs(goal - self._gap_m) / self._traits.gripper_open_m
            self._grip = _Grip(
                began,
                began + share * self._traits.gripper_stroke_s,
                closed=closed,
                start_m=self._gap_m,
                goal_m=goal,
            )
            return self._grip

    def cancel_trajectory(self, t: float) -> None:
        """Stop the arm where it is."""
        with self._lock:
            if self._arm_motion is not None:
                self._joints = self._arm_at(max(t, self._now_s))
                _end(self._arm_motion, MotionOutcome.CANCELED)
                self._arm_motion = None

    def cancel_drive(self, t: float) -> None:
        """Stop the base where it is."""
        with self._lock:
            if self._drive is not None:
                self._base = self._base_at(max(t, self._now_s))
                _end(self._drive, MotionOutcome.CANCELED)
                self._drive = None

    def end_stroke(self) -> None:
        """Have the gripper end its stroke now.

        It cannot be stopped in between, like many real ones: half a stroke would leave a container
        neither here nor there.
        """
        with self._lock:
            if self._grip is not None:
                self._finish(self._grip)

    def lose_container(self) -> None:
        """What is held slips out and falls (to be called by who plays misfortune)."""
        with self._lock:
            if self._holds:
                self._holds = False
                self._gap_m = 0.0
                self._dropped()

    # Time ---------------------------------------------------------------------------------

    def advance_to(self, t: float) -> None:
        """Let virtual time pass; everything that ends on the way ends in its order."""
        with self._lock:
            while True:
                due = self._next_motion()
                if due is None or due.ends_s > t + _SAME_MOMENT_S:
                    break
                self._now_s = max(self._now_s, due.ends_s)
                self._finish(due)
            self._now_s = max(self._now_s, t)

    def next_moment(self) -> float | None:
        """When the next motion ends by itself, in seconds of virtual time; None at rest."""
        with self._lock:
            due = self._next_motion()
            return None if due is None or math.isinf(due.ends_s) else due.ends_s

    def _meet(self, motion: _ArmMotion) -> None:
        """Let a trajectory have the fate that is next, where it can."""
        fate = self.next_fate
        if fate in (MotionFate.NORMAL, MotionFate.BASE_STUCK):
            return
        if fate is MotionFate.LOSES_CONTAINER and not self._holds:
            return
        self.next_fate = MotionFate.NORMAL
        motion.fate = fate
        if fate is MotionFate.STUMBLES:
            motion.ends_s = (motion.began_s + motion.ends_s) / 2
        elif fate is MotionFate.SLOW:
            path, speed = motion.path, motion.speed
            motion.ends_s += motion.ends_s - motion.began_s
            motion.path = lambda elapsed_s: path(elapsed_s / 2)
            motion.speed = lambda elapsed_s: speed(elapsed_s / 2) / 2

    def _next_motion(self) -> Motion | None:
        under_way = [m for m in (self._arm_motion, self._drive, self._grip) if m is not None]
        return min(under_way, key=lambda motion: motion.ends_s, default=None)

    def _finish(self, motion: Motion) -> None:
        if motion is self._arm_motion:
            self._joints = self._arm_at(motion.ends_s)
            self._arm_motion = None
            stumbled = motion.fate is MotionFate.STUMBLES
            _end(motion, MotionOutcome.CANCELED if stumbled else MotionOutcome.DONE)
            if motion.fate is MotionFate.LOSES_CONTAINER:
                self.lose_container()
        elif motion is self._drive:
            self._base = self._base_at(motion.ends_s)
            self._drive = None
            _end(motion, MotionOutcome.DONE)
        elif self._grip is not None:
            self._gap_m = self._grip.goal_m
            grip, self._grip = self._grip, None
            if grip.closed:
                self._close(grip)
            else:
                self._open(grip)

    def _close(self, motion: Motion) -> None:
        if not self._holds:
            position = self._position_at_tool()
            if position is None or not self._pick(position):
                _end(motion, MotionOutcome.NOTHING_THERE)
                return
            self._holds = True
            self._gap_m = self._traits.container_width_m
            motion.position = position
        _end(motion, MotionOutcome.PICKED)

    def _open(self, motion: Motion) -> None:
        if not self._holds:
            _end(motion, MotionOutcome.OPENED)
            return
        self._holds = False
        position = self._position_at_tool()
        if position is not None and self._place(position):
            motion.position = position
            _end(motion, MotionOutcome.PLACED)
        else:
            self._dropped()
            _end(motion, MotionOutcome.DROPPED)

    def _position_at_tool(self) -> str | None:
        tool = self._tool(self._base, self._joints)
        distances = np.linalg.norm(self._grasp_points - tool, axis=1)
        nearest = int(np.argmin(distances))
        return self._names[nearest] if distances[nearest] <= self._traits.tolerance_m else None

    # Readings -----------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Virtual time up to which the robot has moved, seconds."""
        with self._lock:
            return self._now_s

    @property
    def holds(self) -> bool:
        """Whether a container is in the gripper."""
        with self._lock:
            return self._holds

    def joint_state(self, t: float | None = None) -> JointReading:
        """All joints at virtual time `t`, now by default."""
        with self._lock:
            moment = self._now_s if t is None else max(t, self._now_s)
            arm = self._arm_at(moment)
            speed = self._arm_speed_at(moment)
            gap = self._gap_at(moment)
            base = self._base_at(moment)
            ahead = self._base_at(moment + _INSTANT_S)
            gap_ahead = self._gap_at(moment + _INSTANT_S)
        drift = ((there - here) / _INSTANT_S for here, there in zip(base, ahead, strict=True))
        finger = (gap_ahead - gap) / 2 / _INSTANT_S
        return JointReading(
            (*BASE_JOINTS, *ARM_JOINTS, *FINGER_JOINTS),
            (*base, *(float(joint) for joint in arm), gap / 2, gap / 2),
            (*drift, *(float(joint) for joint in speed), finger, finger),
        )

    def base_pose(self, t: float | None = None) -> PlanarPose:
        """Where the base stands in the map at virtual time `t`, now by default."""
        with self._lock:
            return self._base_at(self._now_s if t is None else max(t, self._now_s))

    def gripper_gap_m(self, t: float | None = None) -> float:
        """Distance between the fingers at virtual time `t`, now by default."""
        with self._lock:
            return self._gap_at(self._now_s if t is None else max(t, self._now_s))

    def tool_point(self, t: float | None = None) -> Point:
        """The point between the finger tips in the map, metres."""
        with self._lock:
            moment = self._now_s if t is None else max(t, self._now_s)
            x, y, z = self._tool(self._base_at(moment), self._arm_at(moment))
        return float(x), float(y), float(z)

    def _arm_at(self, t: float) -> FloatArray:
        motion = self._arm_motion
        if motion is None:
            return self._joints
        return motion.path(min(t, motion.ends_s) - motion.began_s)

    def _arm_speed_at(self, t: float) -> FloatArray:
        motion = self._arm_motion
        if motion is None or t >= motion.ends_s:
            return np.zeros(6)
        return motion.speed(t - motion.began_s)

    def _base_at(self, t: float) -> PlanarPose:
        drive = self._drive
        if drive is None:
            return self._base
        if t >= drive.ends_s:
            return drive.goal
        ramp = self._traits.base_speed_m_s / self._traits.base_acceleration_m_s2
        share = _ramped_share(t - drive.began_s, drive.ends_s - drive.began_s, ramp)
        x, y, yaw = drive.start
        return (
            x + share * (drive.goal[0] - x),
            y + share * (drive.goal[1] - y),
            yaw + share * _turn(yaw, drive.goal[2]),
        )

    def _gap_at(self, t: float) -> float:
        grip = self._grip
        if grip is None:
            return self._gap_m
        span = grip.ends_s - grip.began_s
        done = 1.0 if span <= 0 else min(max((t - grip.began_s) / span, 0.0), 1.0)
        return grip.start_m + done * (grip.goal_m - grip.start_m)

    @staticmethod
    def _tool(base: PlanarPose, joints: FloatArray) -> FloatArray:
        x, y, yaw = base
        frame = _frame(x, y, 0.0, 0.0, 0.0, yaw) @ _frame(*_MOUNT, 0.0, 0.0, 0.0)
        for origin, angle in zip(_ORIGINS, joints, strict=True):
            turn = compose(np.zeros(3), axangle2mat((0, 0, 1), float(angle)), np.ones(3))
            frame = frame @ _frame(*origin) @ turn
        tip: FloatArray = (frame @ np.array((0.0, 0.0, _TOOL_M, 1.0)))[:3]
        return tip


def _end(motion: Motion, outcome: MotionOutcome) -> None:
    if motion.outcome is None:
        motion.outcome = outcome


def _frame(x: float, y: float, z: float, roll: float, pitch: float, yaw: float) -> FloatArray:
    frame: FloatArray = compose((x, y, z), euler2mat(roll, pitch, yaw), np.ones(3))
    return frame


def _turn(start: float, end: float) -> float:
    """The shorter turn between two headings."""
    return (end - start + math.pi) % (2 * math.pi) - math.pi


def _ramped_s(distance: float, speed: float, acceleration: float) -> float:
    """Seconds for a distance with even ramps of speed at both ends."""
    if distance < speed**2 / acceleration:
        return 2 * math.sqrt(distance / acceleration)
    return distance / speed + speed / acceleration


def _ramped_share(elapsed_s: float, duration_s: float, ramp_s: float) -> float:
    """Share of the way done after some time, speed rising and falling evenly at the ends."""
    ramp = min(ramp_s, duration_s / 2)
    top = 1 / (duration_s - ramp)
    if elapsed_s < ramp:
        return top * elapsed_s**2 / (2 * ramp)
    if elapsed_s > duration_s - ramp:
        return 1 - top * (duration_s - elapsed_s) ** 2 / (2 * ramp)
    return top * (elapsed_s - ramp / 2)


def _follow(
    names: Sequence[str], points: Sequence[TrajectoryPoint], here: FloatArray, began_s: float
) -> _ArmMotion:
    """A motion through the points, joints sorted into the arm's own order."""
    if sorted(names) != sorted(ARM_JOINTS):
        raise TrajectoryRejected(
            f"A trajectory for {', '.join(names) or 'no joints'}; expected {', '.join(ARM_JOINTS)}."
        )
    if not points:
        raise TrajectoryRejected("A trajectory without points; expected at least one.")
    order = [list(names).index(name) for name in ARM_JOINTS]
    for point in points:
        if len(point.positions_rad) != 6 or len(point.velocities_rad_s) not in (0, 6):
            raise TrajectoryRejected(
                f"The point at {point.time_s:g} s has not one value for each of the 6 joints."
            )
    times = np.array([point.time_s for point in points])
    positions = np.array([point.positions_rad for point in points])[:, order]
    if times[0] < 0 or (np.diff(times) <= 0).any():
        raise TrajectoryRejected("The times of a trajectory's points do not increase from 0.")
    if not np.isfinite(positions).all():
        raise TrajectoryRejected("A trajectory has positions that are no numbers.")
    if (positions < _LOWER_RAD).any() or (positions > _UPPER_RAD).any():
        joint = ARM_JOINTS[int(np.argmax((np.abs(positions) - _UPPER_RAD).max(axis=0)))]
        raise TrajectoryRejected(f"A trajectory takes {joint} beyond its limit.")
    with_speeds = all(point.velocities_rad_s for point in points)
    speeds = np.zeros_like(positions)
    if with_speeds:
        speeds = np.array([point.velocities_rad_s for point in points])[:, order]
        if (np.abs(speeds) > _SPEED_RAD_S).any():
            raise TrajectoryRejected("A trajectory is faster than the arm's pi rad/s.")
    if times[0] > 0:
        times = np.concatenate(([0.0], times))
        positions = np.concatenate((here[None], positions))
        speeds = np.concatenate((np.zeros((1, 6)), speeds))
    elif float(np.abs(positions[0] - here).max()) > _START_TOLERANCE_RAD:
        raise TrajectoryRejected(
            f"A trajectory begins {float(np.abs(positions[0] - here).max()):.3f} rad away from "
            "where the arm is; plan it again from there."
        )
    ends = began_s + float(times[-1])
    if len(times) == 1:
        target = positions[0]
        return _ArmMotion(began_s, ends, path=lambda _: target)
    if with_speeds:
        spline = CubicHermiteSpline(times, positions, speeds)
    else:
        spline = PchipInterpolator(times, positions)
    rate = spline.derivative()
    return _ArmMotion(
        began_s,
        ends,
        path=lambda t: np.asarray(spline(t), dtype=np.float64),
        speed=lambda t: np.asarray(rate(t), dtype=np.float64),
    )
