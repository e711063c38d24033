"""Reaching one position from where the base stands: the way down to it, and the way there.

Containers are taken from above everywhere. They stand in rows at distances of a few centimetres,
so fingers that came from the side would sweep their neighbours away; and a tool that points down
keeps an open crucible upright whatever the arm does above it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matlab_ros.robot import kinematics
from matlab_ros.robot.clearance import Contact, any_hand, contact_on_path
from matlab_ros.robot.mobile_arm import (
    CRUCIBLE,
    MOBILE_ARM,
    MOTION_LIMITS,
    ContainerShape,
    FloatArray,
    MobileArm,
    MotionLimits,
)
from matlab_ros.robot.poses import BasePose, Point, placed, pointing_down, tilt_rad
from matlab_ros.robot.scene import Scene
from matlab_ros.robot.trajectory import line

_HOVERS_M = (0.12, 0.20, 0.28)
"""Heights above its place at which a container is carried sideways; others stand below."""
HOVER_M = _HOVERS_M[0]
_DESCENT_STEPS = 13
_TOOL_YAWS_RAD = (0.0, np.pi / 2, np.pi, -np.pi / 2)


@dataclass(frozen=True, eq=False)
class Reach:
    """How the tucked arm gets to a position.

    Attributes:
        swing_rad: from tucked to above the position, a straight line in joint space, shape (n, 6).
        descent_rad: from there straight down to the grasp, shape (m, 6).
    """

    swing_rad: FloatArray
    descent_rad: FloatArray


def tool_frames(joints_rad: FloatArray, arm: MobileArm = MOBILE_ARM) -> FloatArray:
    """Frames of the point between the finger tips, in the base; shapes (..., 6) to (..., 4, 4)."""
    tip = placed((0.0, 0.0, arm.tool_length_m))
    frames: FloatArray = placed(arm.mount_m) @ kinematics.forward(joints_rad) @ tip
    return frames


def flange_poses(tool: FloatArray, arm: MobileArm = MOBILE_ARM) -> FloatArray:
    """Flange poses in the arm's foot for tool frames in the base; shape (n, 4, 4) both."""
    back = placed((0.0, 0.0, -arm.tool_length_m))
    foot = placed((-arm.mount_m[0], -arm.mount_m[1], -arm.mount_m[2]))
    poses: FloatArray = foot @ tool @ back
    return poses


def along_branch(
    tool: FloatArray, branch: int, near_rad: FloatArray, limits: MotionLimits, arm: MobileArm
) -> FloatArray | None:
    """Joints that follow tool frames, shape (n, 4, 4), without leaving a branch.

    Starts at the turn of each joint that is nearest to `near_rad`.

    Returns:
        Shape (n, 6), or None where the branch ends or a joint meets its limit.
    """
    return _followed(kinematics.inverse(flange_poses(tool, arm))[:, branch], near_rad, limits)


def _followed(joints: FloatArray, near_rad: FloatArray, limits: MotionLimits) -> FloatArray | None:
    if not np.isfinite(joints).all():
        return None
    lower, upper = np.array(limits.joint_lower_rad), np.array(limits.joint_upper_rad)
    first = kinematics.nearest_turn(joints[0], near_rad, lower, upper)
    followed: FloatArray = np.unwrap(np.concatenate((first[None], joints[1:])), axis=0)
    if not np.isfinite(followed).all():
        return None
    if (followed < lower).any() or (followed > upper).any():
        return None
    return followed


@lru_cache(maxsize=1024)
def reach(
    grasp_m: Point,
    base: BasePose,
    position: str,
    scene: Scene,
    limits: MotionLimits = MOTION_LIMITS,
    container: ContainerShape = CRUCIBLE,
    arm: MobileArm = MOBILE_ARM,
) -> Reach | Contact | None:
    """The shortest clear way from tucked to a grasp from above, with an upright tool all along.

    Container and gripper are round enough that the tool may be turned by quarters; every such turn
    and every branch of the arm is tried from lower and higher above, those that move the joints
    least before the others, and the first that hits nothing is taken. It is clear both with an
    empty, open gripper while a container stands at the position, and with that container held.

    Args:
        grasp_m: where the finger tips meet, in the base's frame.
        base: where the base stands in the map.
        position: that is reached.
        scene: what else there is.
        limits: of the joints, and of the tilt.
        container: that is taken or put down.
        arm: the robot's dimensions.

    Returns:
        What the best way would hit where every way hits something; None where there is none.
    """
    blocked: Contact | None = None
    for hover_m in _HOVERS_M:
        for way in _ways(grasp_m, hover_m, limits, arm):
            contact = _contact(way, base, position, scene, container, arm)
            if contact is None:
                return way
            blocked = blocked or contact
    return blocked


def _ways(grasp_m: Point, hover_m: float, limits: MotionLimits, arm: MobileArm) -> Iterator[Reach]:
    """Every upright way that no joint limit and no singularity forbids, the shortest first."""
    heights = np.linspace(grasp_m[2] + hover_m, grasp_m[2], _DESCENT_STEPS)
    points = np.column_stack((np.full((_DESCENT_STEPS, 2), grasp_m[:2]), heights))
    tucked = np.array(arm.tucked_rad)
    found: list[tuple[float, FloatArray]] = []
    for yaw in _TOOL_YAWS_RAD:
        solutions = kinematics.inverse(flange_poses(pointing_down(points, yaw), arm))
        for branch in range(len(kinematics.BRANCHES)):
            descent = _followed(solutions[:, branch], tucked, limits)
            if descent is not None:
                found.append((round(float(np.abs(descent[0] - tucked).max()), 9), descent))
    for _, descent in sorted(found, key=lambda pair: pair[0]):
        if any(kinematics.singularities(descent[end]) for end in (0, -1)):
            continue
        swing = line(tucked, descent[0])
        if float(tilt_rad(tool_frames(swing, arm)).max()) <= limits.carried_tilt_rad:
            yield Reach(swing, descent)


def _contact(
    way: Reach,
    base: BasePose,
    position: str,
    scene: Scene,
    container: ContainerShape,
    arm: MobileArm,
) -> Contact | None:
    hand = any_hand(position, container, arm)
    for path in (way.descent_rad, way.swing_rad):
        contact = contact_on_path(path, base, hand, scene, arm=arm)
        if contact is not None:
            return contact
    return None
