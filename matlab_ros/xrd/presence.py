"""How sure it is that a phase is there: what it explains, against what a wrong model leaves over.

No model of real powder fits to the counting noise: textures, strains and peak shapes leave
residuals at every strong peak, and the background waves. A phase that is not there takes some of
that, and by counting statistics alone it would be beyond doubt. So two things are learnt from the
residual of the better of both fits. Counts are less certain where the other phases are strong, by a
share of what these contribute that makes the residual as large as expected. And neighbouring
residuals are alike: they are described as an autoregressive series, and what it foretells is
taken out (generalised least squares). In what remains, whatever the phase adds stands against white
noise, so that a trace with peaks of its own counts fully, and one that mends another's peaks does
not.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.linalg import solve_toeplitz
from scipy.signal import lfilter

from matlab_ros.xrd.pattern import FloatArray

# Degrees over which residuals are alike: a few peak widths.
_MEMORY_DEG = 0.4
_LARGEST_ERROR = 2.0
_STEPS = 12


def evidence_of_presence(
    before: FloatArray,
    after: FloatArray,
    known: FloatArray,
    own: FloatArray,
    step_deg: float,
    parameters: int,
    candidates: int,
) -> float:
    """Twice the logarithm of the odds that a phase is there, to first order.

    Args:
        before: residual without the phase over the counting uncertainty, shape (n,).
        after: residual with it, shape (n,).
        known: what all other phases contribute over the counting uncertainty, shape (n,).
        own: what the phase contributes, shape (n,).
        step_deg: between points.
        parameters: how many the phase brings.
        candidates: from how many it was chosen.
    """
    error = _relative_error(after, known + own)
    weight = 1.0 / np.sqrt(1.0 + (error * known) ** 2)
    whitening = _whitening(after * weight, max(round(_MEMORY_DEG / step_deg), 2))
    left = lfilter(whitening, [1.0], after * weight)
    change = lfilter(whitening, [1.0], before * weight) - left
    power = float(change @ change)
    variance = float(left @ left) / left.size
    if power <= 0 or variance <= 0:
        return -math.inf
    along = float(change @ (change + left))
    # The square, over its variance, of the best scale of the change.
    likelihood = along * abs(along) / (power * variance)
    return float(likelihood - 2.0 * parameters - 2.0 * math.log(max(candidates, 1)))


def _relative_error(residual: FloatArray, calculated: FloatArray) -> float:
    """The share e for which sum residual^2 / (1 + e^2 calculated^2) is the number of points."""
    r2, c2 = residual**2, calculated**2
    e2 = 0.0
    # The sum falls convexly with e^2, so that Newton's steps approach the root from below.
    for _ in range(_STEPS):
        variance = 1.0 + e2 * c2
        share = r2 / variance
        excess = float(share.sum()) - residual.size
        slope = float((share / variance) @ c2)
        if excess <= 1e-3 * residual.size or slope <= 0:
            break
        e2 += excess / slope
        if e2 >= _LARGEST_ERROR**2:
            return _LARGEST_ERROR
    return math.sqrt(e2)


def _whitening(series: FloatArray, order: int) -> FloatArray:
    """Filter that leaves of an autoregressive series what it does not foretell (Yule-Walker)."""
    order = min(order, series.size // 4)
    n = series.size
    correlation = np.array([float(series[: n - k] @ series[k:]) for k in range(order + 1)])
    if correlation[0] <= 0:
        return np.ones(1)
    correlation[0] *= 1.0 + 1e-6
    foretold = solve_toeplitz(correlation[:order], correlation[1:])
    return np.concatenate([[1.0], -foretold])
