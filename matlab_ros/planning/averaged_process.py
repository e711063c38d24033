"""A Gaussian process whose hyperparameters are averaged over, not fitted.

A few dozen experiments do not say how smooth a landscape is. So the predictions of many draws of
the hyperparameters' prior are averaged, weighted with how likely each makes what was measured
(Bayesian model averaging). Nothing is optimised: there is nothing to get stuck in, and equal data
give equal predictions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve, solve_triangular
from scipy.stats import norm, qmc

from matlab_ros.planning.space import Array

DRAWS = 128
"""Draws of the prior; a power of two keeps Sobol's points balanced."""

LEAST_WEIGHT = 1e-2
"""Draws that are less likely than this, against the likeliest, are left out."""

JITTER = 1e-6


@dataclass(frozen=True)
class Part:
    """A smooth part of the covariance, the product of Matern-5/2 over groups of features.

    Attributes:
        groups: columns of each group; a group has one length for all its columns.
        lengths: median of the prior of each group's length, in the features' unit.
        amplitude: median of the prior of the part's standard deviation.
    """

    groups: tuple[tuple[int, ...], ...]
    lengths: tuple[float, ...]
    amplitude: float


@dataclass(frozen=True)
class ProcessPrior:
    """What is believed before the first measurement; the objective is a fraction, 0 to 1.

    Attributes:
        mean: of the objective.
        mean_sigma: standard deviation of that.
        slopes: expected change of the objective with each physical feature.
        slope_sigmas: standard deviations of these.
        parts: what else there may be.
        noise: median of the prior of a measurement's standard deviation.
        spread: standard deviation of the logarithm of every length, amplitude and of the noise.
    """

    mean: float
    mean_sigma: float
    slopes: tuple[float, ...]
    slope_sigmas: tuple[float, ...]
    parts: tuple[Part, ...]
    noise: float = 0.07
    spread: float = 0.65


@dataclass(frozen=True)
class Prediction:
    """Beliefs about n points: mean and standard deviation of the true objective, ``n`` each."""

    mean: Array
    sigma: Array


def predict(
    prior: ProcessPrior,
    physical: tuple[Array, Array],
    features: tuple[Array, Array],
    measured: Array,
    sigma: Array,
    seed: int,
) -> Prediction:
    """Beliefs about candidates after what was measured.

    Args:
        prior: believed before.
        physical: features that `ProcessPrior.slopes` belong to, of the n measured points
            ``n x p`` and of the m candidates ``m x p``.
        features: that the smooth parts are made of, ``n x width`` and ``m x width``.
        measured: n values; n may be 0.
        sigma: n standard uncertainties, NaN where unknown.
        seed: of the draws.
    """
    slopes = np.asarray(prior.slopes)
    scales = np.asarray(prior.slope_sigmas) ** 2
    n = len(measured)
    expected = prior.mean + physical[1] @ slopes
    draws = _draws(prior, seed)
    constant = prior.mean_sigma**2 + (physical[1] ** 2) @ scales
    if n == 0:
        smooth = sum(
            float(np.mean([part.amplitudes[i] ** 2 for part in draws]))
            for i in range(len(prior.parts))
        )
        return Prediction(expected, np.sqrt(constant + smooth))
    residual = measured - prior.mean - physical[0] @ slopes
    among = prior.mean_sigma**2 + (physical[0] * scales) @ physical[0].T
    known = np.nan_to_num(sigma, nan=0.0) ** 2
    inner = [_distances(part, features[0], features[0]) for part in prior.parts]
    fits = [_fit(draw, among, inner, known, residual) for draw in draws]
    best = max(fit.log_evidence for fit in fits)
    kept = [
        (math.exp(fit.log_evidence - best), draw, fit)
        for draw, fit in zip(draws, fits, strict=True)
        if fit.log_evidence > best + math.log(LEAST_WEIGHT)
    ]
    across = prior.mean_sigma**2 + (physical[1] * scales) @ physical[0].T
    outer = [_distances(part, features[1], features[0]) for part in prior.parts]
    total = sum(weight for weight, _, _ in kept)
    mean = np.zeros(len(expected))
    square = np.zeros(len(expected))
    for weight, draw, fit in kept:
        covariance = across + _smooth(draw, outer)
        shift = covariance @ fit.weights
        halves = solve_triangular(fit.root, covariance.T, lower=True)
        variance = constant + sum(a**2 for a in draw.amplitudes) - (halves**2).sum(axis=0)
        mean += weight / total * shift
        square += weight / total * (np.maximum(variance, 0.0) + shift**2)
    spread = np.sqrt(np.maximum(square - mean**2, 1e-12))
    return Prediction(expected + mean, spread)


@dataclass(frozen=True)
class _Draw:
    """Hyperparameters: lengths of every part's groups, amplitudes of the parts, noise."""

    lengths: tuple[tuple[float, ...], ...]
    amplitudes: tuple[float, ...]
    noise: float


@dataclass(frozen=True)
class _Fit:
    """Lower Cholesky root of the covariance, ``K^-1 y``, and ln p(y)."""

    root: Array
    weights: Array
    log_evidence: float


def _draws(prior: ProcessPrior, seed: int) -> list[_Draw]:
    medians = [value for part in prior.parts for value in (*part.lengths, part.amplitude)]
    points = qmc.Sobol(d=len(medians) + 1, scramble=True, rng=seed).random(DRAWS)
    factors = np.exp(prior.spread * norm.ppf(np.clip(points, 1e-6, 1 - 1e-6)))
    draws = []
    for row in factors * np.array([*medians, prior.noise]):
        values = iter(row.tolist())
        lengths, amplitudes = [], []
        for part in prior.parts:
            lengths.append(tuple(next(values) for _ in part.lengths))
            amplitudes.append(next(values))
        draws.append(_Draw(tuple(lengths), tuple(amplitudes), next(values)))
    return draws


def _fit(
    draw: _Draw, among: Array, inner: Sequence[Sequence[Array]], known: Array, residual: Array
) -> _Fit:
    covariance = among + _smooth(draw, inner)
    covariance[np.diag_indices_from(covariance)] += known + draw.noise**2 + JITTER
    root = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    weights = cho_solve((root, True), residual)
    evidence = -0.5 * float(residual @ weights) - float(np.log(np.diag(root)).sum())
    return _Fit(root, weights, evidence)


def _smooth(draw: _Draw, distances: Sequence[Sequence[Array]]) -> Array:
    total: Array | float = 0.0
    for lengths, amplitude, groups in zip(draw.lengths, draw.amplitudes, distances, strict=True):
        value: Array | float = amplitude**2
        for length, distance in zip(lengths, groups, strict=True):
            value = value * _matern(distance / length)
        total = total + value
    return np.array(total)


def _matern(r: Array) -> Array:
    """Matern-5/2 of scaled distances (Rasmussen and Williams, 2006, equation 4.17)."""
    root = math.sqrt(5.0) * r
    return np.asarray((1.0 + root + root**2 / 3.0) * np.exp(-root))


def _distances(part: Part, rows: Array, columns: Array) -> list[Array]:
    """Euclidean distances in each group of features."""
    found = []
    for group in part.groups:
        left, right = rows[:, group], columns[:, group]
        square = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
        found.append(np.sqrt(np.maximum(square, 0.0)))
    return found
