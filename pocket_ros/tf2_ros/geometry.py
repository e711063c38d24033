"""Rigid transforms as a translation (x, y, z) and a unit quaternion (x, y, z, w)."""

from __future__ import annotations

import math
from typing import NamedTuple

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]

# Below this angle (as 1 - cosine) the spherical interpolation is the linear one.
_ALMOST_PARALLEL = 1e-9


class Rigid(NamedTuple):
    """Takes the coordinates of a point in a child frame to those in its parent."""

    translation: Vector
    rotation: Quaternion


IDENTITY = Rigid((0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))


def multiply(a: Quaternion, b: Quaternion) -> Quaternion:
    """Hamilton product: the rotation b, then a."""
    ax, ay, az, aw = a
    bx, by, bz, bw = b
    return (
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    )


def rotate(q: Quaternion, v: Vector) -> Vector:
    """The vector turned by a unit quaternion."""
    x, y, z, w = q
    vx, vy, vz = v
    # v + 2 w (u x v) + 2 u x (u x v), with u the quaternion's vector part.
    cx, cy, cz = y * vz - z * vy, z * vx - x * vz, x * vy - y * vx
    return (
        vx + 2 * (w * cx + y * cz - z * cy),
        vy + 2 * (w * cy + z * cx - x * cz),
        vz + 2 * (w * cz + x * cy - y * cx),
    )


def compose(outer: Rigid, inner: Rigid) -> Rigid:
    """The transform `inner`, then `outer`."""
    tx, ty, tz = outer.translation
    rx, ry, rz = rotate(outer.rotation, inner.translation)
    return Rigid((tx + rx, ty + ry, tz + rz), multiply(outer.rotation, inner.rotation))


def inverse(transform: Rigid) -> Rigid:
    """The transform back."""
    x, y, z, w = transform.rotation
    back = (-x, -y, -z, w)
    tx, ty, tz = rotate(back, transform.translation)
    return Rigid((-tx, -ty, -tz), back)


def normalized(q: Quaternion) -> Quaternion:
    """The quaternion of length one. Raises ZeroDivisionError for zero."""
    length = math.sqrt(sum(part * part for part in q))
    x, y, z, w = q
    return (x / length, y / length, z / length, w / length)


def interpolate(a: Rigid, b: Rigid, ratio: float) -> Rigid:
    """Between a (ratio 0) and b (1): linear translation, and rotation on the shorter great arc."""
    (ax, ay, az), (bx, by, bz) = a.translation, b.translation
    translation = (ax + (bx - ax) * ratio, ay + (by - ay) * ratio, az + (bz - az) * ratio)
    return Rigid(translation, slerp(a.rotation, b.rotation, ratio))


def slerp(a: Quaternion, b: Quaternion, ratio: float) -> Quaternion:
    """Spherical linear interpolation (Shoemake 1985) on the shorter of the two arcs."""
    cosine = sum(p * q for p, q in zip(a, b, strict=True))
    sign = -1.0 if cosine < 0 else 1.0
    cosine = min(1.0, abs(cosine))
    if 1.0 - cosine < _ALMOST_PARALLEL:
        from_a, from_b = 1.0 - ratio, ratio
    else:
        angle = math.acos(cosine)
        from_a = math.sin((1.0 - ratio) * angle) / math.sin(angle)
        from_b = math.sin(ratio * angle) / math.sin(angle)
    mixed = [from_a * p + sign * from_b * q for p, q in zip(a, b, strict=True)]
    return normalized((mixed[0], mixed[1], mixed[2], mixed[3]))
