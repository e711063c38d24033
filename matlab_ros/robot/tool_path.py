"""The way of the tool through the map, for people to look at."""

from __future__ import annotations

import numpy as np

from matlab_ros.robot.mobile_arm import MOBILE_ARM, FloatArray, MobileArm
from matlab_ros.robot.plan import Drive, Move, RobotState, TransferPlan
from matlab_ros.robot.reach import tool_frames

_POINTS = 16
"""Of each movement of the arm."""


def tool_path(plan: TransferPlan, start: RobotState, arm: MobileArm = MOBILE_ARM) -> FloatArray:
    """Where the tool comes by, in the map; shape (n, 3).

    What it does before the first drive is left out where nobody knows where the base stands.
    """
    base, joints = start.base, np.array(start.joints_rad)
    points: list[FloatArray] = []
    for stage in plan.stages:
        path = joints[None]
        if isinstance(stage.action, Drive):
            base = stage.action.pose
        elif isinstance(stage.action, Move):
            trajectory = stage.action.trajectory
            path = trajectory.sampled(np.linspace(0.0, trajectory.duration_s, _POINTS))
            joints = path[-1]
        else:
            continue
        if base is not None:
            points.append((base.matrix() @ tool_frames(path, arm))[:, :3, 3])
    return np.concatenate(points) if points else np.zeros((0, 3))
