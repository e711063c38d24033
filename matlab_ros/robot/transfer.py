"""Planning a transfer: every movement from source to target, made whole before anything moves."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matlab_ros.model.lab_config import LabConfig, StationConfig
from matlab_ros.robot import kinematics
from matlab_ros.robot.clearance import (
    Contact,
    Hand,
    contact_on_drive,
    contact_on_path,
    full_hand,
    open_hand,
)
from matlab_ros.robot.drive import drive_duration_s
from matlab_ros.robot.mobile_arm import (
    CRUCIBLE,
    MOBILE_ARM,
    MOTION_LIMITS,
    ContainerShape,
    FloatArray,
    MobileArm,
    MotionLimits,
)
from matlab_ros.robot.plan import (
    Drive,
    Grip,
    GripperReading,
    Move,
    NoPlan,
    RobotState,
    Stage,
    StageKind,
    TransferPlan,
    Whereabouts,
    is_gripper,
)
from matlab_ros.robot.poses import BasePose, Point, tilt_rad
from matlab_ros.robot.reach import HOVER_M, Reach, along_branch, flange_poses, reach, tool_frames
from matlab_ros.robot.scene import Scene, base_pose, grasp_points, scene_of, station_of
from matlab_ros.robot.trajectory import JointTrajectory, ToolLimits, line, timed

_AT_REST_RAD = 0.01
_RISES_M = (HOVER_M, HOVER_M / 2)
"""How far an arm that was left somewhere is lifted before it is tucked."""
_CLEAR_M = 0.8
"""How far the base backs off a station where the straight way to another is not clear."""


def plan_transfer(
    lab: LabConfig,
    source: str,
    target: str,
    start: RobotState,
    *,
    keep_upright: bool = True,
    limits: MotionLimits = MOTION_LIMITS,
    container: ContainerShape = CRUCIBLE,
    arm: MobileArm = MOBILE_ARM,
    closed_lids: frozenset[str] = frozenset(),
) -> TransferPlan:
    """Plans all movements of a transfer, none of which hits anything: always the same ones.

    Args:
        lab: where stations and positions are.
        source: position to take from; ``<arm>/gripper`` goes on with what the gripper holds.
        target: position to put to.
        start: where the robot is now.
        keep_upright: refuse a plan that tilts the container beyond `limits.carried_tilt_rad`.
        limits: of speed, acceleration and range.
        container: what is carried.
        arm: the robot's dimensions.
        closed_lids: names of the furnaces that will be closed; whoever asks for a transfer opens
            the others before the arm reaches in.

    Raises:
        UnknownPosition: the lab has no such source or target.
        NoPlan: a position is out of reach, something is in the way, or the robot is in no state to
            begin.
    """
    if source == target:
        raise NoPlan(source, target, "source and target are the same")
    holding = is_gripper(source)
    if holding and start.gripper is GripperReading.CLOSED:
        raise NoPlan(source, target, "the gripper holds nothing")
    if not holding and start.gripper is GripperReading.HOLDING:
        raise NoPlan(
            source,
            target,
            "the gripper is not open and holds something; name it as the source to put that down "
            "first",
        )

    def way_to(position: str) -> tuple[StationConfig, Reach]:
        station = station_of(lab, position)
        base = base_pose(station)
        grasp = _in_base(grasp_points(lab, container)[position], base)
        way = reach(grasp, base, position, scene, limits, container, arm)
        if way is None:
            raise NoPlan(
                source,
                target,
                f"the arm does not reach {position} from {station.name}'s base_pose "
                f"{list(station.base_pose)}; move the one or the other",
            )
        if isinstance(way, Contact):
            raise NoPlan(source, target, f"{way} on every way to {position}")
        return station, way

    scene = scene_of(lab.stations, closed_lids, container)
    pick = None if holding else way_to(source)
    place = way_to(target)
    stages = _Stages(source, target, start, scene, keep_upright, limits, container, arm)
    if pick is None:
        stages.tuck(StageKind.CARRYING, Whereabouts.GRIPPER)
    else:
        stages.tuck(StageKind.APPROACHING, Whereabouts.SOURCE)
        if start.gripper is GripperReading.CLOSED:
            stages.grip(StageKind.APPROACHING, False, Whereabouts.SOURCE)
        stages.pick(*pick)
    stages.place(*place)
    return stages.plan()


def plan_retreat(
    lab: LabConfig,
    source: str,
    target: str,
    start: RobotState,
    *,
    limits: MotionLimits = MOTION_LIMITS,
    container: ContainerShape = CRUCIBLE,
    arm: MobileArm = MOBILE_ARM,
) -> TransferPlan:
    """The end of a transfer whose container stands at the target already: the arm is tucked.

    Raises:
        NoPlan: something is in the way.
    """
    scene = scene_of(lab.stations, container=container)
    stages = _Stages(source, target, start, scene, False, limits, container, arm)
    stages.tuck(StageKind.RETREATING, Whereabouts.TARGET)
    return stages.plan()


def is_tucked(state: RobotState, arm: MobileArm = MOBILE_ARM) -> bool:
    """Whether the arm is folded up, and so reaches into nothing."""
    way = np.array(state.joints_rad) - np.array(arm.tucked_rad)
    return float(np.abs(way).max()) <= _AT_REST_RAD


def _in_base(point_m: Point, base: BasePose) -> Point:
    local = np.linalg.solve(base.matrix(), np.array([*point_m, 1.0]))
    # Rounded, so that equal positions of equal stations share one entry of the cache of ways.
    return round(float(local[0]), 6), round(float(local[1]), 6), round(float(local[2]), 6)


class _Stages:
    """Builds the stages of one transfer in order, keeping track of where the base is."""

    def __init__(
        self,
        source: str,
        target: str,
        start: RobotState,
        scene: Scene,
        keep_upright: bool,
        limits: MotionLimits,
        container: ContainerShape,
        arm: MobileArm,
    ) -> None:
        self._source, self._target, self._start = source, target, start
        self._scene, self._container = scene, container
        self._keep_upright, self._limits, self._arm = keep_upright, limits, arm
        self._base = start.base
        self._stages: list[Stage] = []
        self._length_m = 0.0

    def plan(self) -> TransferPlan:
        """What was built."""
        return TransferPlan(self._source, self._target, tuple(self._stages), self._length_m)

    def tuck(self, kind: StageKind, where: Whereabouts) -> None:
        """From wherever the arm was left; straight up first where the tool points down."""
        if is_tucked(self._start, self._arm):
            return
        joints, tucked = np.array(self._start.joints_rad), np.array(self._arm.tucked_rad)
        hand = self._hand_at_start(where)
        blocked: Contact | None = None
        for rise_m in (*_RISES_M, 0.0):
            lift = self._lift(joints, rise_m)
            if lift is None and rise_m > 0:
                continue
            begin = joints if lift is None else lift[-1]
            paths = [path for path in (lift, line(begin, tucked)) if path is not None]
            contact = self._contact(paths, hand)
            if contact is None:
                carrying = where is Whereabouts.GRIPPER
                parts = [_part(path, carrying, self._limits, self._arm) for path in paths]
                self._move(kind, "tuck the arm", parts, where)
                return
            blocked = blocked or contact
        raise NoPlan(
            self._source,
            self._target,
            f"{blocked} on every way to tuck the arm from where it stands; move it free by hand",
        )

    def _hand_at_start(self, where: Whereabouts) -> Hand:
        """What the gripper holds, and which container it is at.

        The arm may have been left around a container, or with one that touches a station.
        """
        position = ""
        if self._base is not None:
            joints = np.array(self._start.joints_rad)
            tip = (self._base.matrix() @ tool_frames(joints, self._arm))[:3, 3]
            position = self._scene.position_at(tip, self._container.diameter_m) or ""
        if where is Whereabouts.GRIPPER:
            return full_hand(position, self._container)
        gap = self._start.gripper_gap_m
        return Hand(gap, gap, None, position)

    def _contact(self, paths: Sequence[FloatArray], hand: Hand) -> Contact | None:
        """What the arm would hit; it may begin as near to something as it was left."""
        for path in paths:
            contact = contact_on_path(
                path, self._base, hand, self._scene, margin_m=0.0, arm=self._arm
            )
            if contact is not None:
                return contact
        return None

    def _lift(self, joints: FloatArray, height_m: float) -> FloatArray | None:
        tool = tool_frames(joints, self._arm)
        if float(tilt_rad(tool)) > self._limits.carried_tilt_rad:
            return None
        tops = float(tool_frames(np.array(self._arm.tucked_rad), self._arm)[2, 3])
        rise = min(height_m, tops - float(tool[2, 3]))
        if rise <= 0:
            return None
        frames = np.repeat(tool[None], 9, axis=0)
        frames[:, 2, 3] += np.linspace(0.0, rise, 9)
        solutions = kinematics.nearest_turn(
            kinematics.inverse(flange_poses(frames[:1], self._arm))[0],
            joints,
            np.array(self._limits.joint_lower_rad),
            np.array(self._limits.joint_upper_rad),
        )
        distance = np.abs(solutions - joints).max(axis=1)
        if not np.isfinite(distance).any():
            return None
        return along_branch(frames, int(np.nanargmin(distance)), joints, self._limits, self._arm)

    def pick(self, station: StationConfig, way: Reach) -> None:
        """Fetch the container from the source, ending tucked."""
        self._drive(station, StageKind.APPROACHING, Whereabouts.SOURCE)
        self._move(
            StageKind.APPROACHING,
            f"reach {self._source}",
            self._way(way, there=True, carrying=False),
            Whereabouts.SOURCE,
            station.name,
        )
        self.grip(StageKind.GRASPING, True, Whereabouts.SOURCE, station.name)
        self._move(
            StageKind.CARRYING,
            f"lift from {self._source}",
            self._way(way, there=False, carrying=True),
            Whereabouts.GRIPPER,
            station.name,
        )

    def place(self, station: StationConfig, way: Reach) -> None:
        """Put the container to the target, ending tucked."""
        self._drive(station, StageKind.CARRYING, Whereabouts.GRIPPER)
        self._move(
            StageKind.PLACING,
            f"lower to {self._target}",
            self._way(way, there=True, carrying=True),
            Whereabouts.GRIPPER,
            station.name,
        )
        self.grip(StageKind.PLACING, False, Whereabouts.TARGET, station.name)
        self._move(
            StageKind.RETREATING,
            "tuck the arm",
            self._way(way, there=False, carrying=False),
            Whereabouts.TARGET,
            station.name,
        )

    def _drive(self, station: StationConfig, kind: StageKind, where: Whereabouts) -> None:
        goal = base_pose(station)
        if self._base is not None and self._base.is_at(goal):
            return
        for pose in self._stops(goal, where):
            step = f"drive to {station.name}"
            duration = math.nan
            if self._base is not None:
                duration = drive_duration_s(self._base, pose, self._limits)
                self._length_m += self._base.distance_m(pose)
            if pose != goal:
                step = f"drive clear on the way to {station.name}"
            self._stages.append(Stage(kind, step, Drive(pose, duration), where))
            self._base = pose

    def _stops(self, goal: BasePose, where: Whereabouts) -> tuple[BasePose, ...]:
        """Where the base drives straight to, one after the other, without hitting anything."""
        start = self._base
        if start is None:
            return (goal,)
        hand = open_hand(self._arm)
        if where is Whereabouts.GRIPPER:
            hand = full_hand(container=self._container)
        blocked: Contact | None = None
        for stops in (
            (goal,),
            (start.backed(_CLEAR_M), goal.backed(_CLEAR_M), goal),
        ):
            for begin, end in itertools.pairwise((start, *stops)):
                contact = contact_on_drive(begin, end, hand, self._scene, self._arm)
                if contact is not None:
                    blocked = blocked or contact
                    break
            else:
                return stops
        raise NoPlan(self._source, self._target, f"{blocked} on the drive to {goal}")

    def grip(self, kind: StageKind, closed: bool, where: Whereabouts, station: str = "") -> None:
        """A stroke of the gripper."""
        gap = 0.0 if closed else self._arm.gripper_open_m
        action = Grip(closed, gap, self._arm.gripper_stroke_s)
        self._stages.append(
            Stage(
                kind, "close the gripper" if closed else "open the gripper", action, where, station
            )
        )

    def _way(self, way: Reach, *, there: bool, carrying: bool) -> tuple[_Part, ...]:
        return _way_parts(way, there, carrying, self._limits, self._arm)

    def _move(
        self,
        kind: StageKind,
        step: str,
        parts: Sequence[_Part],
        where: Whereabouts,
        station: str = "",
    ) -> None:
        """One stage that follows paths one after the other, at rest in between."""
        whole: JointTrajectory | None = None
        for part in parts:
            open_container = where is Whereabouts.GRIPPER and self._keep_upright
            if open_container and part.tilt_rad > self._limits.carried_tilt_rad:
                raise NoPlan(
                    self._source,
                    self._target,
                    f"{step} would tilt the open container by {part.tilt_rad:.2f} rad",
                )
            if part.motion is not None:
                whole = part.motion if whole is None else whole.then(part.motion)
            self._length_m += part.length_m
        if whole is not None:
            self._stages.append(Stage(kind, step, Move(whole), where, station))


@dataclass(frozen=True, eq=False)
class _Part:
    """The movement along one path.

    Attributes:
        motion: along the path; None where the path goes nowhere.
        tilt_rad: the largest of the tool on the way.
        length_m: of the tool's way.
    """

    motion: JointTrajectory | None
    tilt_rad: float
    length_m: float


@lru_cache(maxsize=1024)
def _way_parts(
    way: Reach, there: bool, carrying: bool, limits: MotionLimits, arm: MobileArm
) -> tuple[_Part, ...]:
    """The movements from tucked to a grasp, or back; the same whenever a container is fetched."""
    paths = (way.swing_rad, way.descent_rad)
    if not there:
        paths = (way.descent_rad[::-1], way.swing_rad[::-1])
    return tuple(_part(path, carrying, limits, arm) for path in paths)


def _part(path_rad: FloatArray, carrying: bool, limits: MotionLimits, arm: MobileArm) -> _Part:
    """The movement along a path in joint space, shape (n, 6)."""
    tool = tool_frames(path_rad, arm)
    points = tool[:, :3, 3]
    is_vertical = float(np.ptp(tool[:, :2, 3], axis=0).max()) < 1e-6
    tool_limits = ToolLimits(
        limits.approach_speed_m_s if is_vertical else None,
        limits.carried_acceleration_m_s2 if carrying else None,
    )
    return _Part(
        timed(path_rad, points, limits, tool_limits),
        float(tilt_rad(tool).max()),
        float(np.linalg.norm(np.diff(points, axis=0), axis=1).sum()),
    )
