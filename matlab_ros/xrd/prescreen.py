"""How much of a pattern a structure's strongest lines can be: ranks hundreds of candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.ndimage import maximum_filter1d, minimum_filter1d, uniform_filter1d

from matlab_ros.xrd.pattern import FloatArray, Pattern
from matlab_ros.xrd.summary import Summary, lorentz_polarisation

_LINES = 12
# How far a line may be off: the specimen's height and the zero, and a cell other than the CIF's.
_SHIFT_DEG = 0.15
_CELL = 0.006
# This share of the lines' intensity may be missing from the pattern, as texture takes it away.
_MISSING = 0.35
_BACKGROUND_DEG = 3.0
_STEP_DEG = 0.02


def visible_intensity(pattern: Pattern, summaries: Sequence[Summary]) -> FloatArray:
    """An upper bound to what each structure can explain of a pattern, for ranking, shape (n,).

    Each of a structure's twelve strongest lines limits its scale to what the pattern has of net
    intensity near its place; the scale is what all but 35 % of their intensity (the worst of them,
    which texture may have taken) allow. The bound is the scale times the calculated intensity, in
    counts at the lines' maxima. It takes some 0.1 ms a structure.
    """
    grid, net, noise = _net_intensity(pattern)
    wavelength = pattern.radiation.kalpha1_angstrom
    return np.array([_bound(summary.lines, grid, net, noise, wavelength) for summary in summaries])


def _bound(
    lines: FloatArray, grid: FloatArray, net: FloatArray, noise: float, wavelength: float
) -> float:
    if not lines.size:
        return 0.0
    d, strength = lines.T
    weights = strength * lorentz_polarisation(d, wavelength)
    two_theta = 2 * np.degrees(np.arcsin(np.minimum(wavelength / (2 * d), 1.0)))
    inside = (weights > 0) & (two_theta > grid[0]) & (two_theta < grid[-1])
    strongest = np.flatnonzero(inside)[np.argsort(-weights[inside], kind="stable")[:_LINES]]
    if not strongest.size:
        return 0.0
    at, weights = two_theta[strongest], weights[strongest]
    reach = _SHIFT_DEG + np.degrees(2 * _CELL * np.tan(np.radians(at / 2)))
    first = np.searchsorted(grid, at - reach)
    last = np.maximum(np.searchsorted(grid, at + reach), first + 1)
    seen = np.array([net[i:j].max(initial=0.0) for i, j in zip(first, last, strict=True)])
    ratios = np.maximum(seen, noise) / weights
    order = np.argsort(ratios)
    share = np.cumsum(weights[order]) / weights.sum()
    scale = ratios[order][np.searchsorted(share, _MISSING)]
    return float(scale * weights.sum())


def _net_intensity(pattern: Pattern) -> tuple[FloatArray, FloatArray, float]:
    """Angles, counts over a rough background, and what of them is noise."""
    factor = max(int(_STEP_DEG / pattern.step_deg), 1)
    coarse = pattern.rebinned(factor) if factor > 1 else pattern
    counts = coarse.counts / factor
    width = max(int(_BACKGROUND_DEG / coarse.step_deg), 3)
    smooth = uniform_filter1d(counts, 5)
    # Erosion and dilation take out what is narrower than the window.
    background = maximum_filter1d(minimum_filter1d(smooth, width), width)
    noise = 3.0 * float(np.median(np.sqrt(np.maximum(background, 1.0) / factor)))
    return coarse.two_theta_deg, np.maximum(smooth - background, 0.0), noise
