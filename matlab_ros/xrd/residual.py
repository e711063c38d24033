"""Peaks that nothing in a fit explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from matlab_ros.xrd.fit import FitResult

# A peak must stand this many standard deviations over noise, and this much over the strongest.
SIGNIFICANCE = 6.0
SMALLEST_SHARE = 0.02
_SMOOTH_DEG = 0.06
_NEAR_DEG = 0.4


@dataclass(frozen=True)
class UnexplainedPeak:
    """A peak of the difference curve where the phases have none.

    Attributes:
        two_theta_deg: where.
        height: in counts over the calculated curve.
        share_of_strongest: height over that of the strongest measured peak, 0 to 1.
    """

    two_theta_deg: float
    height: float
    share_of_strongest: float


@dataclass(frozen=True)
class Unexplained:
    """What a fit leaves over.

    Attributes:
        peaks: strongest first.
        share_of_intensity: area of these peaks over the area of all measured peaks, 0 to 1.
    """

    peaks: tuple[UnexplainedPeak, ...]
    share_of_intensity: float


def unexplained_peaks(fit: FitResult) -> Unexplained:
    """Finds peaks of the residual that are no mere misfit of a calculated peak.

    The residual is smoothed over 0.06 degrees. A maximum counts if it is significant, at least
    2 % of the strongest peak, and higher than the calculated peaks within 0.4 degrees: where a
    phase does have a strong peak, what is left is a question of its shape.
    """
    pattern = fit.pattern
    step = pattern.step_deg
    width = max(_SMOOTH_DEG / step, 0.5)
    residual = pattern.counts - fit.calculated
    smooth = gaussian_filter1d(residual, width)
    noise = pattern.uncertainty() / np.sqrt(max(2.0 * np.sqrt(np.pi) * width, 1.0))
    net = np.maximum(pattern.counts - fit.background, 0.0)
    strongest = float(gaussian_filter1d(net, width).max())
    phases = fit.calculated - fit.background
    reach = max(2 * int(_NEAR_DEG / step) + 1, 3)
    nearby = maximum_filter1d(phases, reach)
    top = maximum_filter1d(smooth, max(2 * int(0.15 / step) + 1, 3))
    is_peak = (
        (smooth == top)
        & (smooth > SIGNIFICANCE * noise)
        & (smooth > SMALLEST_SHARE * strongest)
        & (smooth > nearby)
    )
    peaks = []
    inside = np.zeros(residual.size, dtype=bool)
    for index in np.flatnonzero(is_peak):
        height = float(smooth[index])
        left = right = int(index)
        while left > 0 and smooth[left - 1] > 0.1 * height:
            left -= 1
        while right < residual.size - 1 and smooth[right + 1] > 0.1 * height:
            right += 1
        inside[left : right + 1] = True
        peaks.append(
            UnexplainedPeak(float(pattern.two_theta_deg[index]), height, height / strongest)
        )
    area = float(np.maximum(residual[inside], 0.0).sum())
    total = float(np.maximum(pattern.counts - np.minimum(fit.background, fit.calculated), 0).sum())
    peaks.sort(key=lambda peak: -peak.height)
    return Unexplained(tuple(peaks), area / total if total > 0 else 0.0)
