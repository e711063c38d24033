"""Kinematics of the UR5e: forward, Jacobian, analytic inverse with all branches, singularities.

Poses are homogeneous 4 x 4 matrices of the flange in the frame of the arm's foot, joints are in
radians; everything takes stacks of either, and returns stacks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from matlab_ros.robot.mobile_arm import UR5E_LINKS, DhLink, FloatArray

_D1 = UR5E_LINKS[0].d_m
_A2 = UR5E_LINKS[1].a_m
_A3 = UR5E_LINKS[2].a_m
_D4 = UR5E_LINKS[3].d_m
_D6 = UR5E_LINKS[5].d_m

_ROUNDING = 1e-9
_WRIST_SINGULAR = 1e-7


@dataclass(frozen=True)
class Branch:
    """One of the eight ways in which the arm can reach a pose; each field is +1 or -1."""

    shoulder: int
    wrist: int
    elbow: int


BRANCHES = tuple(
    Branch(shoulder, wrist, elbow) for shoulder in (1, -1) for wrist in (1, -1) for elbow in (1, -1)
)
"""In the order of the second axis of `inverse`."""


class Singularity(str, Enum):
    """Where the arm loses a direction of movement."""

    SHOULDER = "shoulder"
    """The wrist is above the shoulder's axis."""
    ELBOW = "elbow"
    """The arm is stretched out or folded flat."""
    WRIST = "wrist"
    """The axes of the first and last wrist joint are parallel."""


def wrapped(angle_rad: FloatArray) -> FloatArray:
    """The same angles in [-pi, pi)."""
    return (angle_rad + math.pi) % (2 * math.pi) - math.pi


def _link(link: DhLink, angle_rad: FloatArray) -> FloatArray:
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    cos_alpha, sin_alpha = round(math.cos(link.alpha_rad), 15), round(math.sin(link.alpha_rad), 15)
    frame = np.zeros((*np.shape(angle_rad), 4, 4))
    frame[..., 0, 0] = cosine
    frame[..., 0, 1] = -sine * cos_alpha
    frame[..., 0, 2] = sine * sin_alpha
    frame[..., 0, 3] = link.a_m * cosine
    frame[..., 1, 0] = sine
    frame[..., 1, 1] = cosine * cos_alpha
    frame[..., 1, 2] = -cosine * sin_alpha
    frame[..., 1, 3] = link.a_m * sine
    frame[..., 2, 1] = sin_alpha
    frame[..., 2, 2] = cos_alpha
    frame[..., 2, 3] = link.d_m
    frame[..., 3, 3] = 1.0
    return frame


def _inverse_frames(frames: FloatArray) -> FloatArray:
    inverse = np.zeros_like(frames)
    rotation = np.swapaxes(frames[..., :3, :3], -1, -2)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -np.einsum("...ij,...j->...i", rotation, frames[..., :3, 3])
    inverse[..., 3, 3] = 1.0
    return inverse


def link_frames(joints_rad: FloatArray) -> FloatArray:
    """Frames of the foot and after each joint.

    Args:
        joints_rad: shape (..., 6).

    Returns:
        Shape (..., 7, 4, 4); the first is the identity, the last the flange.
    """
    joints = np.asarray(joints_rad, dtype=np.float64)
    frames = np.zeros((*joints.shape[:-1], 7, 4, 4))
    frames[..., 0, :, :] = np.eye(4)
    for index, link in enumerate(UR5E_LINKS):
        frames[..., index + 1, :, :] = frames[..., index, :, :] @ _link(link, joints[..., index])
    return frames


def forward(joints_rad: FloatArray) -> FloatArray:
    """Pose of the flange; joints of shape (..., 6) to poses of shape (..., 4, 4)."""
    return link_frames(joints_rad)[..., 6, :, :]


def jacobian(joints_rad: FloatArray) -> FloatArray:
    """Geometric Jacobian of the flange: velocity, then angular velocity, over joint speeds.

    Args:
        joints_rad: shape (..., 6).

    Returns:
        Shape (..., 6, 6): rows x, y, z in m/s, then about x, y, z in rad/s, in the foot's frame.
    """
    frames = link_frames(joints_rad)
    axes = frames[..., :6, :3, 2]
    arms = frames[..., 6:7, :3, 3] - frames[..., :6, :3, 3]
    rows = np.concatenate((np.cross(axes, arms), axes), axis=-1)
    return np.swapaxes(rows, -1, -2)


def singularities(joints_rad: FloatArray, margin_rad: float = 0.05) -> frozenset[Singularity]:
    """The singularities that one configuration, shape (6,), is within `margin_rad` of."""
    joints = np.asarray(joints_rad, dtype=np.float64)
    near = set()
    if abs(math.sin(joints[4])) < math.sin(margin_rad):
        near.add(Singularity.WRIST)
    if abs(math.sin(joints[2])) < math.sin(margin_rad):
        near.add(Singularity.ELBOW)
    wrist = link_frames(joints)[5, :3, 3]
    planar = math.sqrt(max(0.0, math.hypot(wrist[0], wrist[1]) ** 2 - _D4**2))
    if planar < math.sin(margin_rad) * (abs(_A2) + abs(_A3)):
        near.add(Singularity.SHOULDER)
    return frozenset(near)


def inverse(poses: FloatArray, wrist_3_rad: float = 0.0) -> FloatArray:
    """All joint configurations that put the flange at each pose.

    Closed form for arms whose joints 2, 3 and 4 are parallel (K. P. Hawkins, Analytic inverse
    kinematics for the Universal Robots, Georgia Tech, 2013): joint 1 from the centre of the wrist,
    joints 5 and 6 from the direction of the flange, joints 2 to 4 as a planar arm.

    Args:
        poses: shape (n, 4, 4).
        wrist_3_rad: what joint 6 is set to where the wrist is singular and it is free.

    Returns:
        Shape (n, 8, 6), in [-pi, pi), in the order of `BRANCHES`; NaN where a branch has no
        solution.
    """
    poses = np.asarray(poses, dtype=np.float64)
    count = len(poses)
    joints = np.full((count, 8, 6), np.nan)
    if count == 0:
        return joints
    shoulder, wrist, elbow = (
        np.array([getattr(branch, name) for branch in BRANCHES], dtype=np.float64)[None, :]
        for name in ("shoulder", "wrist", "elbow")
    )
    pose = poses[:, None, :, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = pose[..., :3, 3] - _D6 * pose[..., :3, 2]
        radius = np.hypot(centre[..., 0], centre[..., 1])
        q1 = (
            np.arctan2(centre[..., 1], centre[..., 0])
            + shoulder * np.arccos(_cosine(_D4 / radius))
            + math.pi / 2
        )
        sine, cosine = np.sin(q1), np.cos(q1)
        q5 = wrist * np.arccos(
            _cosine((pose[..., 0, 3] * sine - pose[..., 1, 3] * cosine - _D4) / _D6)
        )
        sin5 = np.sin(q5)
        q6 = np.where(
            np.abs(sin5) < _WRIST_SINGULAR,
            wrist_3_rad,
            np.arctan2(
                (-pose[..., 0, 1] * sine + pose[..., 1, 1] * cosine) / sin5,
                (pose[..., 0, 0] * sine - pose[..., 1, 0] * cosine) / sin5,
            ),
        )
        after_first = _inverse_frames(_link(UR5E_LINKS[0], q1)) @ pose
        planar = after_first @ _inverse_frames(_link(UR5E_LINKS[4], q5) @ _link(UR5E_LINKS[5], q6))
        x = planar[..., 0, 3] - _D4 * planar[..., 0, 1]
        y = planar[..., 1, 3] - _D4 * planar[..., 1, 1]
        square = x**2 + y**2
        q3 = elbow * np.arccos(_cosine((square - _A2**2 - _A3**2) / (2 * _A2 * _A3)))
        q2 = -np.arctan2(y, -x) + np.arcsin(np.clip(_A3 * np.sin(q3) / np.sqrt(square), -1.0, 1.0))
        fourth = _inverse_frames(_link(UR5E_LINKS[1], q2) @ _link(UR5E_LINKS[2], q3)) @ planar
        q4 = np.arctan2(fourth[..., 1, 0], fourth[..., 0, 0])
        found = np.stack((q1, q2, q3, q4, np.broadcast_to(q5, q1.shape), q6), axis=-1)
    complete = np.isfinite(found).all(axis=-1)
    joints[complete] = wrapped(found[complete])
    return joints


def _cosine(value: FloatArray) -> FloatArray:
    """The value as a cosine: rounding beyond 1 is forgiven, anything else becomes NaN."""
    clipped = np.clip(value, -1.0, 1.0)
    return np.where(np.abs(value - clipped) <= _ROUNDING, clipped, np.nan)


def nearest_turn(
    joints_rad: FloatArray, to_rad: FloatArray, lower_rad: FloatArray, upper_rad: FloatArray
) -> FloatArray:
    """The same configuration with whole turns added, so that each joint is nearest to `to_rad`.

    Args:
        joints_rad: shape (..., 6), in [-pi, pi).
        to_rad: shape (..., 6).
        lower_rad: shape (6,).
        upper_rad: shape (6,).

    Returns:
        Shape (..., 6), within the limits; NaN in a configuration with a joint that has no turn
        within them.
    """
    turns = 2 * math.pi * np.arange(-2, 3)
    candidates = joints_rad[..., None] + turns
    allowed = (candidates >= lower_rad[:, None] - 1e-12) & (
        candidates <= upper_rad[:, None] + 1e-12
    )
    distance = np.where(allowed, np.abs(candidates - to_rad[..., None]), np.inf)
    best = np.argmin(distance, axis=-1)[..., None]
    chosen = np.take_along_axis(candidates, best, axis=-1)[..., 0]
    reachable = np.isfinite(np.take_along_axis(distance, best, axis=-1)[..., 0])
    return np.where(reachable.all(axis=-1, keepdims=True), chosen, np.nan)
