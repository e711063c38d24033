"""Whether the robot hits something on its way: itself, a station, or a container that stands there.

A way is looked at in samples, and is clear only where nothing can be hit between them either: of
two samples, the distances to a thing must together exceed what any point of the body moves from the
one to the other, twice the margin included.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from matlab_ros.robot.bodies import (
    CONTAINER,
    Block,
    PlacedBodies,
    blocks,
    placed_bodies,
    self_pairs,
)
from matlab_ros.robot.collision import box_gap, capsule_box_gap, capsule_gap
from matlab_ros.robot.drive import drive_path
from matlab_ros.robot.mobile_arm import (
    CRUCIBLE,
    MOBILE_ARM,
    ContainerShape,
    FloatArray,
    MobileArm,
)
from matlab_ros.robot.poses import BasePose
from matlab_ros.robot.scene import Scene

IntArray = NDArray[np.intp]

_MARGIN_M = 0.010
_FINE_MARGIN_M = 0.003
"""Of fingers and carried container, which go between neighbours a few centimetres apart."""
_FINE = frozenset({"left_finger_link", "right_finger_link", CONTAINER})
_ARM_REACH_M = 1.4
"""No body is further than this from any of the arm's joints."""
_SAMPLES = 97
"""Of a path: steps of about 1.5 cm on the longest."""


@dataclass(frozen=True)
class Contact:
    """What would hit what.

    Attributes:
        body: of the robot.
        thing: what it would hit: a solid of the scene, or another body of the robot.
        gap_m: the least distance seen, less than the margin.
    """

    body: str
    thing: str
    gap_m: float

    def __str__(self) -> str:
        if self.gap_m <= 0:
            return f"{self.body} would hit {self.thing}"
        return f"{self.body} would come within {self.gap_m * 1e3:.0f} mm of {self.thing}"


@dataclass(frozen=True)
class Hand:
    """What the gripper does meanwhile.

    Attributes:
        gap_m: between the fingers at their narrowest.
        wide_m: between them at their widest.
        container: that is held; None: nothing is.
        clear_position: where no container stands; empty: one stands everywhere.
    """

    gap_m: float = MOBILE_ARM.gripper_open_m
    wide_m: float = MOBILE_ARM.gripper_open_m
    container: ContainerShape | None = None
    clear_position: str = ""


def open_hand(arm: MobileArm = MOBILE_ARM) -> Hand:
    """Nothing held."""
    return Hand(arm.gripper_open_m, arm.gripper_open_m)


def full_hand(clear_position: str = "", container: ContainerShape = CRUCIBLE) -> Hand:
    """A container held, which has left `clear_position` or comes to it."""
    return Hand(container.diameter_m, container.diameter_m, container, clear_position)


def any_hand(
    clear_position: str, container: ContainerShape = CRUCIBLE, arm: MobileArm = MOBILE_ARM
) -> Hand:
    """Both: fingers as wide as when they are open, and a container between them.

    What is clear for it is clear on the way to a container and on the way back with it. The one
    that stands at the position itself is in nobody's way: fingers come down straight around it,
    and the gripper ends above it.
    """
    return Hand(container.diameter_m, arm.gripper_open_m, container, clear_position)


def contact_on_path(
    path_rad: FloatArray,
    base: BasePose | None,
    hand: Hand,
    scene: Scene,
    *,
    margin_m: float = _MARGIN_M,
    arm: MobileArm = MOBILE_ARM,
) -> Contact | None:
    """What the arm would hit on a path through joint space.

    Args:
        path_rad: knots of the spline that the arm follows, shape (n, 6), n >= 4.
        base: where the base stands; None: nobody knows, and only the robot itself is looked at.
        hand: what the gripper holds.
        scene: what else there is.
        margin_m: distance to keep from the scene.
        arm: the robot's dimensions.

    Returns:
        The deepest contact; None where the path is clear.
    """
    spline = CubicSpline(np.linspace(0.0, 1.0, len(path_rad)), path_rad)
    joints = np.asarray(spline(np.linspace(0.0, 1.0, _SAMPLES)), dtype=np.float64)
    turns = np.abs(np.diff(joints, axis=0)).sum(axis=1)
    frame = np.eye(4) if base is None else base.matrix()
    parts = blocks(hand.gap_m, hand.wide_m, hand.container, arm)
    bodies = placed_bodies(joints, frame, parts, arm)
    contacts = [_self_contact(bodies, turns, parts)]
    if base is not None:
        contacts.append(_scene_contact(bodies, turns, hand, scene, margin_m))
    return _deepest(contacts)


@lru_cache(maxsize=1024)
def contact_on_drive(
    start: BasePose, end: BasePose, hand: Hand, scene: Scene, arm: MobileArm = MOBILE_ARM
) -> Contact | None:
    """What the tucked robot would hit on a straight drive that turns on the way.

    Args:
        start: of the drive.
        end: of the drive.
        hand: what the gripper holds.
        scene: what else there is.
        arm: the robot's dimensions.
    """
    frames = drive_path(start, end)
    joints = np.broadcast_to(np.array(arm.tucked_rad), (len(frames), 6))
    bodies = placed_bodies(
        joints, frames, blocks(hand.gap_m, hand.wide_m, hand.container, arm), arm
    )
    turns = np.full(len(frames) - 1, abs(start.turn_rad(end)) / (len(frames) - 1))
    return _scene_contact(bodies, turns, hand, scene, _MARGIN_M)


def _deepest(contacts: list[Contact | None]) -> Contact | None:
    found = [contact for contact in contacts if contact is not None]
    return min(found, key=lambda contact: contact.gap_m, default=None)


def _between(bodies: PlacedBodies, turns: FloatArray) -> FloatArray:
    """How far any point of each body goes between samples, shape (n - 1, bodies).

    Beyond the straight distance: a point that turns about axes by some radians in all leaves its
    chord by no more than an eighth of their square times the distance from the axes.
    """
    bulge = turns**2 * _ARM_REACH_M / 8
    found: FloatArray = bodies.steps() + 2 * bulge[:, None]
    return found


def _scene_contact(
    bodies: PlacedBodies, turns: FloatArray, hand: Hand, scene: Scene, margin_m: float
) -> Contact | None:
    lower, upper = bodies.bounds()
    margins = np.array(
        [min(margin_m, _FINE_MARGIN_M) if name in _FINE else margin_m for name in bodies.names]
    )
    needed = _between(bodies, turns) + 2 * margins
    # What a body never comes near to on the whole way is not looked at any more.
    apart = _box_distance(lower.min(axis=0)[:, None], upper.max(axis=0)[:, None], scene)
    near = 2 * apart < needed.max(axis=0)[:, None]
    if hand.clear_position:
        near[:, scene.container_at[hand.clear_position]] = False
    body, solid = np.nonzero(near)
    if not len(body):
        return None
    low, high = scene.lower_m[solid], scene.upper_m[solid]
    apart = np.maximum(low - upper[:, body], lower[:, body] - high).max(axis=-1)
    needed = needed[:, body]
    doubtful = apart[:-1] + apart[1:] < needed
    looked = np.zeros(apart.shape, dtype=bool)
    looked[:-1] |= doubtful
    looked[1:] |= doubtful
    sample, pair = np.nonzero(looked)
    if not len(sample):
        return None
    exact = _gaps(bodies, sample, body[pair], (low + high)[pair] / 2, (high - low)[pair] / 2)
    apart[sample, pair] = np.maximum(apart[sample, pair], exact)
    lacking = needed - apart[:-1] - apart[1:]
    step, worst = np.unravel_index(int(np.argmax(lacking)), lacking.shape)
    if lacking[step, worst] <= 0:
        return None
    gap = float(apart[step : step + 2, worst].min())
    return Contact(bodies.names[body[worst]], scene.names[solid[worst]], gap)


def _box_distance(lower: FloatArray, upper: FloatArray, scene: Scene) -> FloatArray:
    """Of boxes from each solid, along the axis that parts them best; (..., 1, 3) to (..., m)."""
    found: FloatArray = np.maximum(scene.lower_m - upper, lower - scene.upper_m).max(axis=-1)
    return found


def _gaps(
    bodies: PlacedBodies, sample: IntArray, body: IntArray, centres: FloatArray, halves: FloatArray
) -> FloatArray:
    """Of bodies at samples from boxes along the map's axes; all of shape (k,) or (k, 3)."""
    count = len(bodies.tubes)
    is_tube = body < count
    gaps = np.zeros(len(sample))
    at, which = sample[is_tube], body[is_tube]
    gaps[is_tube] = capsule_box_gap(
        bodies.ends[at, which], bodies.radii[which], centres[is_tube], np.eye(3), halves[is_tube]
    )
    at, which = sample[~is_tube], body[~is_tube] - count
    gaps[~is_tube] = box_gap(
        bodies.centres[at, which],
        bodies.axes[at, which],
        bodies.halves[which],
        centres[~is_tube],
        np.eye(3),
        halves[~is_tube],
    )
    return gaps


def _self_contact(
    bodies: PlacedBodies, turns: FloatArray, parts: tuple[Block, ...]
) -> Contact | None:
    between = _between(bodies, turns)
    count = len(bodies.tubes)
    found = []
    for first, second in self_pairs(parts):
        if second < count:
            gaps = capsule_gap(
                bodies.ends[:, first],
                bodies.radii[first],
                bodies.ends[:, second],
                bodies.radii[second],
            )
        else:
            box = second - count
            centre, axes, half = bodies.centres[:, box], bodies.axes[:, box], bodies.halves[box]
            if first < count:
                ends, radius = bodies.ends[:, first], bodies.radii[first]
                gaps = capsule_box_gap(ends, radius, centre, axes, half)
            else:
                other = first - count
                gaps = box_gap(
                    bodies.centres[:, other],
                    bodies.axes[:, other],
                    bodies.halves[other],
                    centre,
                    axes,
                    half,
                )
        if (gaps[:-1] + gaps[1:] < between[:, first] + between[:, second]).any():
            names = bodies.names
            found.append(Contact(names[first], names[second], float(gaps.min())))
    return _deepest(list(found))
