"""When one model of a pattern is better than another: Schwarz's criterion with what is left over.

A whole-pattern model is never perfect, and a misfitted peak is wrong at all its points together.
Differences of chi^2 are therefore taken in units of the misfit that the better model leaves where
the two differ, and neighbouring points that say the same are counted once.
"""

from __future__ import annotations

import numpy as np
from scipy.fft import next_fast_len

from matlab_ros.xrd.pattern import FloatArray

WORST_GOF = 3.0
"""Goodness of fit above which a person must look."""
STRONG_EVIDENCE = 10.0
"""dBIC above 10 is very strong evidence (Kass & Raftery, J. Am. Stat. Assoc. 90, 773, 1995)."""


def correlation_length(residual: FloatArray) -> float:
    """How many neighbouring points say the same: 1 + 2 sum of the autocorrelation, at least 1.

    Summed up to where it first falls below zero (Berar & Lelann, J. Appl. Cryst. 24, 1, 1991).

    Args:
        residual: weighted differences in order of angle, shape (n,).
    """
    n = residual.size
    size = next_fast_len(2 * n, real=True)
    spectrum = np.abs(np.fft.rfft(residual - residual.mean(), size)) ** 2
    correlation = np.fft.irfft(spectrum, size)[:n]
    if correlation[0] <= 0:
        return 1.0
    correlation /= correlation[0]
    negative = np.flatnonzero(correlation < 0)
    last = int(negative[0]) if negative.size else n
    return float(max(1.0 + 2.0 * correlation[1:last].sum(), 1.0))


def difference(first: FloatArray, second: FloatArray) -> FloatArray:
    """Chi^2 by which each point is expected to tell two models apart, shape (n,).

    Args:
        first, second: their calculated counts, shape (n,); the first is taken for true.
    """
    return np.asarray((first - second) ** 2 / np.maximum(first, 1.0), dtype=np.float64)


def misfit_where(weight: FloatArray, residual: FloatArray, allowance: float = 0.0) -> float:
    """Mean squared residual where two models differ, at least 1, which is what noise leaves.

    Args:
        weight: by how much they differ, see `difference`, shape (n,).
        residual: weighted differences of the better model, shape (n,).
        allowance: how many times its scatter by noise alone is taken off.
    """
    total = float(weight.sum())
    if total <= 0:
        return 1.0
    scatter = float(np.sqrt(2.0 * float(weight @ weight))) / total
    return max(float(weight @ residual**2) / total - allowance * scatter, 1.0)
