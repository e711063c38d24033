"""The mobile arm in numbers: a UR5e on a holonomic base, with a parallel gripper.

Every length in metres, every angle in radians. `urdf/` says the same to ROS tools; a test compares
the two.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

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
"""The gap between the fingers is the sum of their positions."""


@dataclass(frozen=True)
class DhLink:
    """One row of a table after Denavit and Hartenberg (classic convention)."""

    a_m: float
    alpha_rad: float
    d_m: float


UR5E_LINKS = (
    DhLink(0.0, math.pi / 2, 0.1625),
    DhLink(-0.425, 0.0, 0.0),
    DhLink(-0.3922, 0.0, 0.0),
    DhLink(0.0, math.pi / 2, 0.1333),
    DhLink(0.0, -math.pi / 2, 0.0997),
    DhLink(0.0, 0.0, 0.0996),
)
"""Universal Robots' published parameters of the UR5e, base to flange."""


@dataclass(frozen=True)
class MotionLimits:
    """How far and how fast joints, tool and base may go.

    The joint ranges and speeds of the arm are those its maker publishes; accelerations are not
    published, and these are prudent. While a container is carried the tool's acceleration is
    bounded too, so that powder in an open crucible stays where it is.
    """

    joint_lower_rad: tuple[float, ...] = (-2 * math.pi,) * 2 + (-math.pi,) + (-2 * math.pi,) * 3
    joint_upper_rad: tuple[float, ...] = (2 * math.pi,) * 2 + (math.pi,) + (2 * math.pi,) * 3
    joint_speed_rad_s: tuple[float, ...] = (1.6, 1.6, 1.6, 2.4, 2.4, 2.4)
    joint_acceleration_rad_s2: tuple[float, ...] = (3.0,) * 6
    joint_jerk_rad_s3: tuple[float, ...] = (30.0,) * 6
    approach_speed_m_s: float = 0.10
    """Of the tool on the last centimetres to and from a position."""
    carried_acceleration_m_s2: float = 1.5
    """Of the tool while it holds a container."""
    carried_tilt_rad: float = math.radians(3.0)
    """Of an open container against the vertical."""
    base_speed_m_s: float = 0.9
    base_acceleration_m_s2: float = 0.5
    base_turn_rad_s: float = 1.0
    base_turn_rad_s2: float = 0.8


@dataclass(frozen=True)
class MobileArm:
    """Where the parts sit on each other."""

    mount_m: tuple[float, float, float] = (0.20, 0.0, 0.60)
    """Foot of the arm in the base's frame; its axes are the base's."""
    base_size_m: tuple[float, float] = (0.988, 0.662)
    tool_length_m: float = 0.16
    """From the flange to the point between the finger tips."""
    link_radius_m: float = 0.06
    """No part of the arm is further than this from the line of its joints."""
    gripper_open_m: float = 0.050
    gripper_stroke_s: float = 0.5
    tucked_rad: tuple[float, ...] = (
        2.49,
        -2.15,
        1.49,
        -math.pi / 2 + 2.15 - 1.49,
        -math.pi / 2,
        2.49,
    )
    """The arm's joints while the base drives: tool straight down, above the base's front.

    Straight lines in joint space between configurations of this branch that all point down keep
    pointing down: joints 2 to 4 have the same sum everywhere, and joint 5 stands still.
    """


@dataclass(frozen=True)
class ContainerShape:
    """A crucible as the gripper sees it."""

    height_m: float = 0.040
    diameter_m: float = 0.030
    grasp_height_m: float = 0.025
    """Of the finger tips above the container's bottom."""


MOTION_LIMITS = MotionLimits()
MOBILE_ARM = MobileArm()
CRUCIBLE = ContainerShape()
