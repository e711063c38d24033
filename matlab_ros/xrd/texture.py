"""Preferred orientation of plates and needles: how it changes the strength of each reflection.

The distribution is March's as Dollase (J. Appl. Cryst. 19, 267, 1986) brought it to powder
diffraction: P = (r^2 cos^2 alpha + sin^2 alpha / r)^(-3/2), where alpha is the angle between a
reflection's plane normal and the axis that the grains turn towards (r < 1, plates lying flat) or
away from (r > 1, needles lying down) the sample's normal. Its mean over all directions is 1, so
weight fractions keep their meaning.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.typing import NDArray

from matlab_ros.xrd.pattern import FloatArray
from matlab_ros.xrd.structure import Structure, reciprocal_metric

Axis = tuple[int, int, int]
LOWEST_MARCH = 0.5
HIGHEST_MARCH = 1.3
# Plates and needles are bounded by faces of the simplest indices.
_SIMPLEST = 1


def march_dollase(cos_squared: FloatArray, march: float) -> FloatArray:
    """Factor on the intensity of each reflection, shape (m,).

    Args:
        cos_squared: cos^2 of the angle between the axis and each of g equivalents of m
            reflections, shape (m, g); the factor is the mean over them.
        march: March's parameter r; 1 for no texture.
    """
    base = march * march * cos_squared + (1.0 - cos_squared) / march
    return np.asarray(np.mean(base**-1.5, axis=1), dtype=np.float64)


def march_dollase_slope(cos_squared: FloatArray) -> FloatArray:
    """Derivative of `march_dollase` by r at r = 1, shape (m,)."""
    return np.asarray(-1.5 * (3.0 * np.mean(cos_squared, axis=1) - 1.0), dtype=np.float64)


def cosines_squared(structure: Structure, hkl: NDArray[np.int64], axis: Axis) -> FloatArray:
    """cos^2 of the angle between an axis and all equivalents of reflections, shape (m, g).

    Args:
        structure: the crystal; a refined cell differs from its cell too little to matter here.
        hkl: reflections, shape (m, 3).
        axis: Miller indices of the plane whose normal is meant.
    """
    metric = reciprocal_metric(np.array(structure.cell))
    normal = metric @ np.array(axis, dtype=np.float64)
    length = float(np.sqrt(np.array(axis) @ normal))
    # Friedel mates have the same cos^2, so the rotations alone will do. Each equivalent comes up
    # equally often among them.
    images = np.einsum("mi,gij->mgj", hkl, structure.rotations)
    inverse_d2 = np.einsum("mi,ij,mj->m", hkl, metric, hkl)
    cosine = images @ normal / (length * np.sqrt(inverse_d2)[:, None])
    return np.asarray(np.minimum(cosine * cosine, 1.0), dtype=np.float64)


def candidate_axes(structure: Structure) -> tuple[Axis, ...]:
    """Distinct directions of the simplest indices, one of each set of equivalents.

    At most 13, of indices -1, 0 and 1: (001), (010), (100), (011) and so on. None for cubic
    crystals, whose equivalents average the effect out but for its higher orders.
    """
    a, b, c, *angles = structure.cell
    if max(a, b, c) - min(a, b, c) < 1e-4 * a and all(abs(v - 90.0) < 1e-3 for v in angles):
        return ()
    found: list[Axis] = []
    seen: set[Axis] = set()
    indices = [axis for axis in product((0, 1, -1), repeat=3) if any(axis)]
    indices.sort(key=lambda axis: (sum(abs(i) for i in axis), sum(i < 0 for i in axis), axis))
    for axis in indices:
        if axis in seen:
            continue
        found.append((axis[0], axis[1], axis[2]))
        for rotation in structure.rotations:
            image = tuple(int(i) for i in np.array(axis) @ rotation)
            seen |= {(image[0], image[1], image[2]), (-image[0], -image[1], -image[2])}
    return tuple(found)
