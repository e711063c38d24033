"""Several scans of one sample as one pattern, each point with the uncertainty of its counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from matlab_ros.model.errors import DataError
from matlab_ros.xrd.pattern import FloatArray, Pattern

_OVERLAP_DEG = 1.0


def merged(scans: Sequence[Pattern], exposures: Sequence[float]) -> Pattern:
    """Adds up the counts of scans over different angles, with different steps and times.

    Counts go into bins as wide as the coarsest scan's steps, of the width that falls into each.
    The sum is divided by what all scans that reached the bin were exposed for, and given as counts
    of the first scan; standard uncertainties are those of the counts. Bins that no scan covers
    whole are left out.

    Args:
        scans: of the same sample, unchanged and mounted in the same way.
        exposures: of each, for one degree, in any unit.

    Raises:
        DataError: their radiations differ.
    """
    first = scans[0]
    if len(scans) == 1:
        return first
    for scan in scans[1:]:
        if abs(scan.radiation.kalpha1_angstrom / first.radiation.kalpha1_angstrom - 1) > 1e-4:
            raise DataError(
                scan.source or "scan",
                "it was measured with another radiation than the scan that it is to be added to",
                "analyse them apart",
            )
    step = max(scan.step_deg for scan in scans)
    low = min(float(scan.two_theta_deg[0]) - scan.step_deg / 2 for scan in scans)
    high = max(float(scan.two_theta_deg[-1]) + scan.step_deg / 2 for scan in scans)
    bins = math.floor((high - low) / step + 1e-6)
    edges: FloatArray = low + step * np.arange(bins + 1, dtype=np.float64)
    total = np.zeros(edges.size - 1)
    variance = np.zeros(edges.size - 1)
    exposure = np.zeros(edges.size - 1)
    for scan, amount in zip(scans, exposures, strict=True):
        begin = float(scan.two_theta_deg[0]) - scan.step_deg / 2
        end = float(scan.two_theta_deg[-1]) + scan.step_deg / 2
        # A hundredth of a step is rounding of the file's angles.
        inside = (edges[:-1] >= begin - 0.01 * step) & (edges[1:] <= end + 0.01 * step)
        counts = _binned(scan, scan.counts, edges)
        squares = _binned(scan, scan.uncertainty() ** 2, edges)
        # Counts of finer steps are fewer each: a bin holds as many as its width is wide.
        total[inside] += counts[inside]
        variance[inside] += squares[inside]
        exposure[inside] += amount
    kept = exposure > 0
    scale = exposures[0] / exposure[kept]
    return replace(
        first,
        two_theta_deg=0.5 * (edges[:-1] + edges[1:])[kept],
        counts=total[kept] * scale,
        sigma=np.sqrt(np.maximum(variance[kept], 1.0)) * scale,
    )


def exposures_of(scans: Sequence[Pattern], stated: Sequence[float]) -> tuple[float, ...]:
    """Exposures of scans for one degree relative to the first's.

    Where a scan overlaps the first, the ratio of all counts there says it to the square root of
    their number; what programs state holds the time to get to the start as well.

    Args:
        scans: of one sample.
        stated: of each, for those that do not overlap the first.
    """
    first = scans[0]
    found = [1.0]
    for scan, claim in zip(scans[1:], stated[1:], strict=True):
        low = max(float(first.two_theta_deg[0]), float(scan.two_theta_deg[0]))
        high = min(float(first.two_theta_deg[-1]), float(scan.two_theta_deg[-1]))
        ratio = 0.0
        if high - low > _OVERLAP_DEG:
            own, other = (
                _binned(each, each.counts, np.array([low, high])) for each in (first, scan)
            )
            ratio = float(other[0] / own[0]) if own[0] > 0 else 0.0
        found.append(ratio if ratio > 0 else claim / stated[0])
    return tuple(found)


def _binned(scan: Pattern, values: FloatArray, edges: FloatArray) -> FloatArray:
    """Sums of a scan's values between edges, points as wide as a step, shape (m,)."""
    angles, half = scan.two_theta_deg, scan.step_deg / 2
    borders = np.concatenate(
        [[angles[0] - half], 0.5 * (angles[:-1] + angles[1:]), [angles[-1] + half]]
    )
    cumulative = np.concatenate([[0.0], np.cumsum(values)])
    return np.asarray(np.diff(np.interp(edges, borders, cumulative)), dtype=np.float64)
