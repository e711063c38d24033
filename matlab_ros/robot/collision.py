"""Distances between capsules and boxes, for whole stacks of them at once.

A capsule is a line and a radius; a box is a centre, three axes (the columns of a rotation) and half
its size along each. Distances are in metres, 0 or negative where the two overlap; where capsules
touch nothing they are exact. All arguments broadcast against each other.
"""

from __future__ import annotations

import numpy as np

from matlab_ros.robot.mobile_arm import FloatArray

_PARALLEL = 1e-12


def capsule_box_gap(
    ends: FloatArray, radius: FloatArray, centre: FloatArray, axes: FloatArray, half: FloatArray
) -> FloatArray:
    """Exact distance of capsules from boxes.

    The square of the distance of a point of the line from the box is convex along the line, and its
    slope is made of straight pieces that meet where the line crosses the planes of the box's faces:
    so the nearest point is found by looking where the slope changes its sign.

    Args:
        ends: of the line, shape (..., 2, 3).
        radius: shape (...).
        centre: shape (..., 3).
        axes: shape (..., 3, 3).
        half: shape (..., 3).

    Returns:
        Shape (...); less than the negative radius nowhere.
    """
    start = np.einsum("...ji,...j->...i", axes, ends[..., 0, :] - centre)
    way = np.einsum("...ji,...j->...i", axes, ends[..., 1, :] - ends[..., 0, :])
    start, way, half = np.broadcast_arrays(start, way, half)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossings = np.concatenate(((half - start) / way, (-half - start) / way), axis=-1)
    crossings = np.clip(np.where(np.isfinite(crossings), crossings, 0.0), 0.0, 1.0)
    zero = np.zeros((*crossings.shape[:-1], 1))
    knots = np.sort(np.concatenate((zero, crossings, zero + 1.0), axis=-1), axis=-1)
    points = start[..., None, :] + knots[..., None] * way[..., None, :]
    outside = points - np.clip(points, -half[..., None, :], half[..., None, :])
    slopes = (outside * way[..., None, :]).sum(axis=-1)
    # The slopes rise along the line: the last that is not positive is where to look.
    last = np.maximum((slopes <= 0.0).sum(axis=-1) - 1, 0)[..., None]
    after = np.minimum(last + 1, knots.shape[-1] - 1)
    slope, slope_after = (np.take_along_axis(slopes, at, axis=-1) for at in (last, after))
    knot, knot_after = (np.take_along_axis(knots, at, axis=-1) for at in (last, after))
    rise = slope_after - slope
    share = np.where(rise > 0.0, -slope / np.where(rise > 0.0, rise, 1.0), 0.0)
    nearest = knot + np.clip(share, 0.0, 1.0) * (knot_after - knot)
    point = start + nearest * way
    gap: FloatArray = np.linalg.norm(point - np.clip(point, -half, half), axis=-1) - radius
    return gap


def capsule_gap(
    ends: FloatArray, radius: FloatArray, other_ends: FloatArray, other_radius: FloatArray
) -> FloatArray:
    """Exact distance of capsules from capsules.

    The nearest points of two lines are either both within them, or one of them is an end
    (C. Ericson, Real-Time Collision Detection, 2005, section 5.1.9); all five cases are looked at.

    Args:
        ends: shape (..., 2, 3).
        radius: shape (...).
        other_ends: shape (..., 2, 3).
        other_radius: shape (...).

    Returns:
        Shape (...).
    """
    first, second = ends[..., 0, :], other_ends[..., 0, :]
    way, other_way = ends[..., 1, :] - first, other_ends[..., 1, :] - second
    between = first - second
    a, e = (way * way).sum(-1), (other_way * other_way).sum(-1)
    b, c, f = (way * other_way).sum(-1), (way * between).sum(-1), (other_way * between).sum(-1)
    cross = a * e - b * b
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = np.where(cross > _PARALLEL * a * e, (b * f - c * e) / cross, 0.0)
        s = np.clip(inner, 0.0, 1.0)
        t = np.clip(np.where(e > 0.0, (b * s + f) / e, 0.0), 0.0, 1.0)
        s = np.clip(np.where(a > 0.0, (b * t - c) / a, 0.0), 0.0, 1.0)
    offset = between + s[..., None] * way - t[..., None] * other_way
    gap: FloatArray = np.linalg.norm(offset, axis=-1)
    for point, line_start, line in (
        (ends[..., 0, :], second, other_way),
        (ends[..., 1, :], second, other_way),
        (other_ends[..., 0, :], first, way),
        (other_ends[..., 1, :], first, way),
    ):
        gap = np.minimum(gap, _point_line_distance(point, line_start, line))
    return gap - radius - other_radius


def _point_line_distance(point: FloatArray, start: FloatArray, way: FloatArray) -> FloatArray:
    square = (way * way).sum(-1)
    along = ((point - start) * way).sum(-1) / np.where(square > 0.0, square, 1.0)
    nearest = start + np.clip(along, 0.0, 1.0)[..., None] * way
    distance: FloatArray = np.linalg.norm(point - nearest, axis=-1)
    return distance


def box_gap(
    centre: FloatArray,
    axes: FloatArray,
    half: FloatArray,
    other_centre: FloatArray,
    other_axes: FloatArray,
    other_half: FloatArray,
) -> FloatArray:
    """The widest gap between boxes seen along any of the 15 axes that can part them.

    Positive exactly where the boxes do not overlap (S. Gottschalk, OBBTree, 1996), and then never
    more than their distance.

    Args:
        centre: shape (..., 3).
        axes: shape (..., 3, 3).
        half: shape (..., 3).
        other_centre: shape (..., 3).
        other_axes: shape (..., 3, 3).
        other_half: shape (..., 3).

    Returns:
        Shape (...).
    """
    turn = np.einsum("...ki,...kj->...ij", axes, other_axes)
    offset = np.einsum("...ki,...k->...i", axes, other_centre - centre)
    size = np.abs(turn)
    own = np.abs(offset) - half - np.einsum("...ij,...j->...i", size, other_half)
    seen = np.abs(np.einsum("...i,...ij->...j", offset, turn))
    other = seen - other_half - np.einsum("...ij,...i->...j", size, half)
    gap: FloatArray = np.maximum(own.max(axis=-1), other.max(axis=-1))
    for i in range(3):
        i1, i2 = (i + 1) % 3, (i + 2) % 3
        for j in range(3):
            j1, j2 = (j + 1) % 3, (j + 2) % 3
            length = np.sqrt(np.maximum(1.0 - turn[..., i, j] ** 2, 0.0))
            seen = np.abs(offset[..., i2] * turn[..., i1, j] - offset[..., i1] * turn[..., i2, j])
            reach = half[..., i1] * size[..., i2, j] + half[..., i2] * size[..., i1, j]
            other_reach = other_half[..., j1] * size[..., i, j2]
            other_reach = other_reach + other_half[..., j2] * size[..., i, j1]
            usable = length > 1e-6
            along = (seen - reach - other_reach) / np.where(usable, length, 1.0)
            gap = np.maximum(gap, np.where(usable, along, -np.inf))
    return gap
