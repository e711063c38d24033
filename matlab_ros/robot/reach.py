"""Reaching one position from where the base stands: the way down to it, and the way there.

Containers are taken from above everywhere. They stand in rows at distances of a few centimetres,
so fingers that came from the side would sweep their neighbours away; and a tool that points down
keeps an open crucible upright whatever the arm does above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matlab_ros.robot import kinematics
from matlab_ros.robot.mobile_arm import (
    CRUCIBLE,
    MOBILE_ARM,
    MOTION_LIMITS,
    ContainerShape,
    FloatArray,
    MobileArm,
    MotionLimits,
)
from matlab_ros.robot.poses import Point, placed, pointing_down, tilt_rad
from matlab_ros.robot.trajectory import line

HOVER_M = 0.12
"""Height above its place at which a container is carried sideways; others stand below."""
_CLEARANCE_M = 0.03
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
    joints = kinematics.inverse(flange_poses(tool, arm))[:, branch, :]
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


@lru_cache(maxsize=512)
def reach(
    grasp_m: Point,
    limits: MotionLimits = MOTION_LIMITS,
    container: ContainerShape = CRUCIBLE,
    arm: MobileArm = MOBILE_ARM,
) -> Reach | None:
    """The shortest clear way from tucked to a grasp from above, with an upright tool all along.

    Container and gripper are round enough that the tool may be turned by quarters; every such turn
    and every branch of the arm is tried, and the one that moves the joints least is taken.

    Args:
        grasp_m: where the finger tips meet, in the base's frame.

    Returns:
        None where there is none.
    """
    heights = np.linspace(grasp_m[2] + HOVER_M, grasp_m[2], _DESCENT_STEPS)
    points = np.column_stack((np.full((_DESCENT_STEPS, 2), grasp_m[:2]), heights))
    tucked = np.array(arm.tucked_rad)
    best: Reach | None = None
    best_cost = np.inf
    for yaw in _TOOL_YAWS_RAD:
        tool = pointing_down(points, yaw)
        for branch in range(len(kinematics.BRANCHES)):
            descent = along_branch(tool, branch, tucked, limits, arm)
            if descent is None or any(kinematics.singularities(descent[end]) for end in (0, -1)):
                continue
            cost = round(float(np.abs(descent[0] - tucked).max()), 9)
            if cost >= best_cost:
                continue
            swing = line(tucked, descent[0])
            if _is_clear(swing, grasp_m, limits, container, arm) and _is_clear(
                descent, None, limits, container, arm
            ):
                best, best_cost = Reach(swing, descent), cost
    return best


def _is_clear(
    path_rad: FloatArray,
    above_m: Point | None,
    limits: MotionLimits,
    container: ContainerShape,
    arm: MobileArm,
) -> bool:
    """Whether a path keeps the tool upright and the arm above the base and the stations.

    The stations are taken as filled with containers up to the height of `above_m`'s; None leaves
    them out (for the way down between them).
    """
    tool = tool_frames(path_rad, arm)
    if float(tilt_rad(tool).max()) > limits.carried_tilt_rad:
        return False
    # Elbow, wrists and flange; the tool has its own, thinner shape.
    bodies = (placed(arm.mount_m) @ kinematics.link_frames(path_rad)[:, 2:])[..., :3, 3]
    floor = arm.mount_m[2] + arm.link_radius_m
    if float(bodies[..., 2].min()) < floor:
        return False
    if above_m is None:
        return True
    tops = above_m[2] - container.grasp_height_m + container.height_m + _CLEARANCE_M
    beyond = bodies[..., 0] > arm.base_size_m[0] / 2
    if (bodies[..., 2] - arm.link_radius_m < tops)[beyond].any():
        return False
    bottom = tool[:, 2, 3] - container.grasp_height_m
    return not (bottom < tops)[tool[:, 0, 3] > arm.base_size_m[0] / 2 - container.diameter_m].any()
