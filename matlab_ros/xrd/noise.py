"""How noisy a pattern is, where its numbers are no counts: rates, scaled or normalised exports."""

from __future__ import annotations

import numpy as np

from matlab_ros.xrd.pattern import FloatArray

_WINDOW = 40
# No detector counts more than this in the strongest peak; a pattern that seems to was smoothed or
# calculated, and its noise is not that of counting.
_MOST_COUNTS = 2e6
# Values that scatter as counts do, within what an estimate can tell; peaks a few points wide add to
_COUNTS_LIKE = (0.75, 1.6)


def is_integral(values: FloatArray) -> bool:
    """Whether all values are whole numbers, as counts are."""
    return bool(np.all(np.abs(values - np.rint(values)) < 1e-3))


def variance_ratio(values: FloatArray) -> float:
    """Variance over mean of the values of a scan: 1 for counts, 1/t for counts per second.

    Second differences of neighbouring points take out background and broad peaks; of windows of
    40 points those with the lower half of means count, where peaks are fewest.

    Args:
        values: intensities of a scan in order of angle, shape (n,).

    Returns:
        The ratio, at least that of two million counts in the strongest point; 1 where there are
        too few points to tell.
    """
    n = values.size // _WINDOW * _WINDOW
    if n < 4 * _WINDOW or float(values.max()) <= 0:
        return 1.0
    differences = np.zeros(values.size)
    differences[1:-1] = values[:-2] - 2.0 * values[1:-1] + values[2:]
    windows = differences[:n].reshape(-1, _WINDOW)
    means = values[:n].reshape(-1, _WINDOW).mean(axis=1)
    # The median of |normal| is 0.6745 sigma; the sum 1 -2 1 has six times the variance of a point.
    sigma = np.median(np.abs(windows), axis=1) / 0.6745 / np.sqrt(6.0)
    usable = (means > 0) & (means <= np.median(means))
    if not usable.any():
        return 1.0
    ratio = float(np.median(sigma[usable] ** 2 / means[usable]))
    return max(ratio, float(values.max()) / _MOST_COUNTS)


def estimated_sigma(values: FloatArray) -> FloatArray | None:
    """Standard uncertainties of values that are no whole numbers, shape (n,).

    None where they scatter as counts do, so that Poisson statistics hold as they are.
    """
    ratio = variance_ratio(values)
    if _COUNTS_LIKE[0] < ratio < _COUNTS_LIKE[1]:
        return None
    return np.asarray(np.sqrt(np.maximum(values, ratio) * ratio), dtype=np.float64)
