"""Moving settings to where constraints hold, and at random inside of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matlab_ros.planning.cells import Array, Cells, Mask, columns_of
from matlab_ros.planning.constraints import BROKEN, TOLERANCE

if TYPE_CHECKING:
    from matlab_ros.planning.region import Region

STEPS_TO_CONSTRAINTS = 30
WALK = 12
"""Random steps that lead a point away from where the constraints were met."""

SHRINKS = 16
_DIFFERENCE = 1e-6
"""Step of numerical derivatives in the box."""


def towards(
    region: Region, points: Array, cells: Cells, free: Mask | None = None
) -> tuple[Array, Array]:
    """Points moved to where the constraints hold, as far as possible, and their numbers.

    Args:
        points: of the box.
        cells: of the settings.
        free: coordinates that may be moved; None: all of them.
    """
    points = _projected(region, points, cells, free)
    numbers = region.numbers(points, cells)
    if region.space.constraints and region.is_stepped.any() and not region.is_stepped.all():
        bad = region.worst(numbers, cells) > TOLERANCE
        if bad.any():
            some = cells.take(bad)
            start = region.encode(numbers[bad], some)
            loose = np.tile(~region.is_stepped, (len(start), 1))
            if free is not None:
                loose &= free[bad]
            points[bad] = _projected(region, start, some, loose)
            numbers[bad] = region.numbers(points[bad], some)
    return points, numbers


def _projected(region: Region, points: Array, cells: Cells, free: Mask | None = None) -> Array:
    """Gauss-Newton steps in the box towards the constraints, without rounding."""
    points = points.copy()
    if not region.space.constraints or not region.count:
        return points
    movable = cells.exists if free is None else cells.exists & free
    for _ in range(STEPS_TO_CONSTRAINTS):
        over = _over(region, points, cells)
        worst = over.max(axis=1)
        bad = np.flatnonzero((worst > 0.5 * TOLERANCE) & (worst < 0.5 * BROKEN))
        if not len(bad):
            break
        here, some = points[bad], cells.take(bad)
        slopes = _slopes(region, here, some, over[bad])
        step = _least_step(slopes, over[bad], here, movable[bad])
        points[bad] = np.clip(here + step, 0.0, 1.0)
    return points


def _over(region: Region, points: Array, cells: Cells) -> Array:
    found = region.violations(region.decode(points, cells), cells)
    return np.asarray(columns_of(found, len(points), np.float64))


def _slopes(region: Region, points: Array, cells: Cells, over: Array) -> Array:
    """Derivatives of the violations, ``n x violations x numeric``."""
    slopes = np.zeros((*over.shape, region.count))
    for index in range(region.count):
        ahead = np.where(points[:, index] > 0.5, -_DIFFERENCE, _DIFFERENCE)
        moved = points.copy()
        moved[:, index] += ahead
        slopes[:, :, index] = (_over(region, moved, cells) - over) / ahead[:, None]
    return slopes


def walk(region: Region, points: Array, cells: Cells, rng: np.random.Generator) -> Array:
    """Points moved at random inside the constraints.

    Hit and run with a shrinking interval (Smith, Operations Research 32, 1296, 1984; Neal,
    Annals of Statistics 31, 705, 2003), which leaves an even distribution even.
    """
    points = points.copy()
    for _ in range(WALK):
        direction = rng.standard_normal(points.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        with np.errstate(divide="ignore"):
            ends = np.stack([-points / direction, (1.0 - points) / direction])
        high = np.min(ends.max(axis=0), axis=1)
        low = np.max(ends.min(axis=0), axis=1)
        left = np.ones(len(points), dtype=bool)
        for _ in range(SHRINKS):
            if not left.any():
                break
            length = rng.uniform(low, np.maximum(high, low))
            moved = np.clip(points + length[:, None] * direction, 0.0, 1.0)
            good = left & (region.worst(region.numbers(moved, cells), cells) <= TOLERANCE)
            points[good] = moved[good]
            left &= ~good
            high = np.where(left & (length > 0), length, high)
            low = np.where(left & (length <= 0), length, low)
    return points


def _least_step(slopes: Array, over: Array, points: Array, movable: Mask) -> Array:
    """The shortest steps inside the box that undo violations to first order."""
    wanted = np.where(over > 0, over + 0.3 * TOLERANCE, 0.0)
    slopes = np.where((over > 0)[:, :, None], slopes, 0.0)
    open_ = movable.copy()
    step = np.zeros_like(points)
    for _ in range(3):
        part = np.where(open_[:, None, :], slopes, 0.0)
        square = part @ part.transpose(0, 2, 1)
        size = np.einsum("nii->n", square) + 1e-12
        square += (1e-9 * size)[:, None, None] * np.eye(square.shape[1])
        solved = np.linalg.solve(square, wanted[:, :, None])
        step = -(part.transpose(0, 2, 1) @ solved)[:, :, 0]
        blocked = open_ & (((points <= 0) & (step < 0)) | ((points >= 1) & (step > 0)))
        if not blocked.any():
            break
        open_ &= ~blocked
    return np.clip(step, -1.0, 1.0)
