"""The robot's bodies: what of it can hit something, the same primitives as in `urdf/`.

Links that are cylinders in the description are capsules here, which contain them: the arm's true
ends are rounder than a cylinder's. A container in the gripper is a body too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from matlab_ros.robot import kinematics
from matlab_ros.robot.mobile_arm import MOBILE_ARM, ContainerShape, FloatArray, MobileArm
from matlab_ros.robot.poses import Point, placed

BASE, FOOT, FLANGE = -1, 0, 6
"""What a body moves with: the base, the arm's foot, or the link after joint 1 to 6."""

CONTAINER = "the carried container"
_STANDS_M = 0.006
"""So much of a carried container's bottom is no body: it stands on the station at both ends."""


@dataclass(frozen=True)
class Tube:
    """A cylinder.

    Attributes:
        link: name in the description.
        on: what it moves with.
        ends_m: of its axis, in that link's Denavit-Hartenberg frame.
        radius_m: of the cylinder.
    """

    link: str
    on: int
    ends_m: tuple[Point, Point]
    radius_m: float


@dataclass(frozen=True)
class Block:
    """A box along the axes of the frame it moves with.

    Attributes:
        link: name in the description.
        on: what it moves with.
        centre_m: in that frame.
        size_m: along its axes.
    """

    link: str
    on: int
    centre_m: Point
    size_m: Point


# The description's link frames lie on the joint axes before the table's own offsets are gone along.
TUBES = (
    Tube("shoulder_link", 1, ((0.0, -0.12, 0.0), (0.0, 0.02, 0.0)), 0.06),
    Tube("upper_arm_link", 2, ((0.0, 0.0, 0.13), (0.425, 0.0, 0.13)), 0.055),
    Tube("forearm_link", 3, ((0.0002, 0.0, 0.01), (0.3922, 0.0, 0.01)), 0.045),
    Tube("wrist_1_link", 4, ((0.0, -0.09, 0.0), (0.0, 0.03, 0.0)), 0.04),
    Tube("wrist_2_link", 5, ((0.0, 0.06, 0.0), (0.0, -0.04, 0.0)), 0.04),
    Tube("wrist_3_link", 6, ((0.0, 0.0, -0.05), (0.0, 0.0, 0.0)), 0.04),
)


def blocks(
    gap_m: float,
    wide_m: float,
    container: ContainerShape | None = None,
    arm: MobileArm = MOBILE_ARM,
) -> tuple[Block, ...]:
    """The boxes of base and gripper, and of what the gripper holds.

    Args:
        gap_m: between the fingers.
        wide_m: between them at their widest, where they are looked at in all places at once.
        container: that is held; None: nothing is.
        arm: the robot's dimensions.
    """
    pedestal = arm.mount_m[2] - 0.35
    middle, width = (gap_m + wide_m) / 4 + 0.005, (wide_m - gap_m) / 2 + 0.010
    found = [
        Block("base_link", BASE, (0.0, 0.0, 0.20), (*arm.base_size_m, 0.30)),
        Block("pedestal_link", FOOT, (0.0, 0.0, -pedestal / 2), (0.24, 0.24, pedestal)),
        Block("gripper_link", FLANGE, (0.0, 0.0, 0.04), (0.06, 0.10, 0.08)),
        Block("left_finger_link", FLANGE, (0.0, middle, 0.125), (0.020, width, 0.09)),
        Block("right_finger_link", FLANGE, (0.0, -middle, 0.125), (0.020, width, 0.09)),
    ]
    if container is not None:
        # The tool points down: what is above the finger tips is nearer to the flange.
        top = arm.tool_length_m + container.grasp_height_m - container.height_m
        bottom = arm.tool_length_m + container.grasp_height_m - _STANDS_M
        size = (container.diameter_m, container.diameter_m, bottom - top)
        found.append(Block(CONTAINER, FLANGE, (0.0, 0.0, (top + bottom) / 2), size))
    return tuple(found)


@lru_cache(maxsize=8)
def self_pairs(parts: tuple[Block, ...]) -> tuple[tuple[int, int], ...]:
    """Which two bodies could hit each other: those with two joints or more between them.

    Returns:
        Indices into `PlacedBodies.names`, the smaller first.
    """
    on = [max(index, FOOT) for index in [tube.on for tube in TUBES] + [part.on for part in parts]]
    return tuple(
        (i, j) for i in range(len(on)) for j in range(i + 1, len(on)) if abs(on[i] - on[j]) >= 2
    )


@dataclass(frozen=True, eq=False)
class PlacedBodies:
    """The bodies at each of n configurations, in the map.

    Attributes:
        tubes: names of the capsules.
        ends: of their lines, shape (n, t, 2, 3).
        radii: shape (t,).
        blocks: names of the boxes.
        centres: shape (n, b, 3).
        axes: shape (n, b, 3, 3).
        halves: shape (b, 3).
    """

    tubes: tuple[str, ...]
    ends: FloatArray
    radii: FloatArray
    blocks: tuple[str, ...]
    centres: FloatArray
    axes: FloatArray
    halves: FloatArray

    @property
    def names(self) -> tuple[str, ...]:
        """Of all bodies, capsules first."""
        return self.tubes + self.blocks

    def bounds(self) -> tuple[FloatArray, FloatArray]:
        """Lowest and highest coordinates of each body; shapes (n, t + b, 3)."""
        radii = self.radii[:, None]
        reach = np.einsum("nbij,bj->nbi", np.abs(self.axes), self.halves)
        lower = np.concatenate((self.ends.min(axis=2) - radii, self.centres - reach), axis=1)
        upper = np.concatenate((self.ends.max(axis=2) + radii, self.centres + reach), axis=1)
        return lower, upper

    def steps(self) -> FloatArray:
        """How far any point of each body is moved from one configuration to the next.

        Returns:
            Shape (n - 1, t + b), an upper bound of the straight distance.
        """
        ends = np.linalg.norm(np.diff(self.ends, axis=0), axis=-1).max(axis=-1)
        turned = np.linalg.norm(np.diff(self.axes, axis=0), axis=-2)
        centres = np.linalg.norm(np.diff(self.centres, axis=0), axis=-1)
        found: FloatArray = np.concatenate((ends, centres + (turned * self.halves).sum(-1)), axis=1)
        return found


def placed_bodies(
    joints_rad: FloatArray,
    base: FloatArray,
    parts: tuple[Block, ...],
    arm: MobileArm = MOBILE_ARM,
) -> PlacedBodies:
    """Where all bodies are.

    Args:
        joints_rad: shape (n, 6).
        base: the base's frame in the map, shape (4, 4) or (n, 4, 4).
        parts: the boxes, see `blocks`.
        arm: the robot's dimensions.
    """
    count = len(joints_rad)
    base = np.broadcast_to(base, (count, 4, 4))
    links = base[:, None] @ placed(arm.mount_m) @ kinematics.link_frames(joints_rad)
    frames = np.concatenate((links, base[:, None]), axis=1)  # the base is frame -1
    tubes = frames[:, [tube.on for tube in TUBES]]
    ends = np.array([tube.ends_m for tube in TUBES])
    boxes = frames[:, [part.on for part in parts]]
    centres = np.array([part.centre_m for part in parts])
    return PlacedBodies(
        tuple(tube.link for tube in TUBES),
        np.einsum("ntij,tej->ntei", tubes[..., :3, :3], ends) + tubes[..., None, :3, 3],
        np.array([tube.radius_m for tube in TUBES]),
        tuple(part.link for part in parts),
        np.einsum("nbij,bj->nbi", boxes[..., :3, :3], centres) + boxes[..., :3, 3],
        boxes[..., :3, :3],
        np.array([part.size_m for part in parts]) / 2,
    )
