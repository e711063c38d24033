"""Poses of bodies in space and of the base in the plane."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from transforms3d.affines import compose
from transforms3d.euler import euler2mat, euler2quat

from matlab_ros.robot.mobile_arm import FloatArray

Point = tuple[float, float, float]


@dataclass(frozen=True)
class BasePose:
    """Where the base stands in the map: metres, and radians from the map's x to its front."""

    x_m: float
    y_m: float
    yaw_rad: float

    def matrix(self) -> FloatArray:
        """The base's frame in the map, shape (4, 4)."""
        return placed((self.x_m, self.y_m, 0.0), yaw_rad=self.yaw_rad)

    def quaternion(self) -> tuple[float, float, float, float]:
        """Of its heading: w, x, y, z."""
        w, x, y, z = (float(part) for part in euler2quat(0.0, 0.0, self.yaw_rad))
        return w, x, y, z

    def backed(self, way_m: float) -> BasePose:
        """The same heading, some way straight back."""
        return BasePose(
            self.x_m - way_m * math.cos(self.yaw_rad),
            self.y_m - way_m * math.sin(self.yaw_rad),
            self.yaw_rad,
        )

    def __str__(self) -> str:
        return f"({self.x_m:.2f}, {self.y_m:.2f}, {self.yaw_rad:.2f})"

    def distance_m(self, other: BasePose) -> float:
        """Between the two places, whatever their headings."""
        return math.hypot(other.x_m - self.x_m, other.y_m - self.y_m)

    def turn_rad(self, other: BasePose) -> float:
        """The shorter turn to the other's heading, in [-pi, pi)."""
        return (other.yaw_rad - self.yaw_rad + math.pi) % (2 * math.pi) - math.pi

    def is_at(self, other: BasePose, within_m: float = 0.002, within_rad: float = 0.005) -> bool:
        """Whether the two are the same for the arm's purposes."""
        return self.distance_m(other) <= within_m and abs(self.turn_rad(other)) <= within_rad


def yaw_of(w: float, x: float, y: float, z: float) -> float:
    """Heading of a quaternion that turns about the vertical, in radians."""
    return math.atan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))


def placed(point_m: Point, *, yaw_rad: float = 0.0) -> FloatArray:
    """A frame at a point, turned about the vertical; shape (4, 4)."""
    frame: FloatArray = compose(point_m, euler2mat(0.0, 0.0, yaw_rad), np.ones(3))
    return frame


def pointing_down(points_m: FloatArray, yaw_rad: float) -> FloatArray:
    """Frames whose z points straight down; shapes (n, 3) to (n, 4, 4).

    `yaw_rad` turns their x against the x of the frame the points are in.
    """
    frames = np.zeros((len(points_m), 4, 4))
    frames[:, :3, :3] = euler2mat(math.pi, 0.0, yaw_rad)
    frames[:, :3, 3] = points_m
    frames[:, 3, 3] = 1.0
    return frames


def tilt_rad(frames: FloatArray) -> FloatArray:
    """Angle between each frame's z and straight down; shapes (..., 4, 4) to (...)."""
    x, y, z = (frames[..., row, 2] for row in range(3))
    angle: FloatArray = np.arctan2(np.hypot(x, y), -z)
    return angle
