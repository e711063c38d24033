"""The most probable hyperparameters of a Gaussian process, by analytic slopes: milliseconds.

A covariance is a sum of parts, a part a product of Matern-5/2 factors, a factor a Matern-5/2 of
some features. What is found is the maximum of the marginal likelihood times priors; the mean far
from all data is what generalised least squares gives, which believes a crowd of neighbours no more
than one of them: a campaign crowds where values are good, and their plain mean would promise as
much of everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize

Array = npt.NDArray[np.float64]

MIN_LENGTH = 0.025
"""Least length, in units of the unit cube."""

MAX_LENGTH = 1e4
LENGTH_MODE = math.exp(math.sqrt(2) - 3)
"""Most probable length of one feature; of d, sqrt(d) as long (Hvarfner et al., ICML 2024)."""

LENGTH_SPREAD = 1.0
"""Standard deviation of the logarithm of a length. Their sqrt(3) lets a few dozen points call a
feature noise or nothing; see docs/planner_default.md."""

MIN_NOISE = 1e-4
"""Least variance of the noise, in units of the objective's variance; keeps matrices regular."""

NOISE_PRIOR = (-4.0, 1.0)
"""Mean and standard deviation of the logarithm of the noise that is inferred."""

WEIGHT_PRIOR = (0.0, 1.0)
"""The same of the variance of one of several parts."""

MAX_ITERATIONS = 200
TOLERANCE = 1e-7
FITTED_POINTS = 512
"""Of more, the hyperparameters are fitted to a random part; the posterior still uses all."""


@dataclass(frozen=True)
class Factor:
    """A Matern-5/2 of some features.

    Attributes:
        columns: the features.
        ard: a length for each, otherwise one for all.
        scaled: lengths grow with the number of columns, because distances do.
    """

    columns: tuple[int, ...]
    ard: bool
    scaled: bool = True

    @property
    def lengths(self) -> int:
        """How many lengths it has."""
        return len(self.columns) if self.ard else 1

    @property
    def prior(self) -> tuple[float, float]:
        """Mean and standard deviation of the logarithm of a length."""
        features = len(self.columns) if self.scaled else 1
        mode = math.log(LENGTH_MODE) + 0.5 * math.log(features)
        return mode + LENGTH_SPREAD**2, LENGTH_SPREAD


Part = tuple[Factor, ...]
"""Factors that are multiplied."""


@dataclass(frozen=True)
class Hyperparameters:
    """Of a fitted process.

    Attributes:
        lengths: of every factor of every part, in their order.
        weights: variance of each part; a single part has 1.
        noise: variance common to all points.
        mean: far from everything.
    """

    lengths: tuple[tuple[Array, ...], ...]
    weights: Array
    noise: float
    mean: float


def fit_process(
    parts: Sequence[Part], features: Array, values: Array, known: Array, seed: int
) -> Hyperparameters:
    """The most probable hyperparameters.

    Args:
        parts: of the covariance; a single part has the variance 1.
        features: ``n x width``.
        values: n, standardised.
        known: n known variances of their noise.
        seed: chooses the points that are fitted to, of very many.
    """
    if len(values) > FITTED_POINTS:
        rows = np.random.default_rng(seed).permutation(len(values))[:FITTED_POINTS]
        features, values, known = features[rows], values[rows], known[rows]
    posterior = _Posterior(parts, features, values, known)
    result = minimize(
        posterior.loss,
        posterior.start,
        jac=True,
        method="L-BFGS-B",
        bounds=posterior.bounds,
        options={"maxiter": MAX_ITERATIONS, "ftol": TOLERANCE},
    )
    return posterior.hyperparameters(np.asarray(result.x, dtype=np.float64))


class _Posterior:
    """Negative logarithm of likelihood times priors, over the logarithms of the parameters."""

    def __init__(self, parts: Sequence[Part], features: Array, values: Array, known: Array) -> None:
        self._parts = parts
        self._values = values
        self._known = known
        self._squares = {
            column: (features[:, None, column] - features[None, :, column]) ** 2
            for part in parts
            for factor in part
            for column in factor.columns
        }
        centre: list[float] = []
        spread: list[float] = []
        start: list[float] = []
        bounds: list[tuple[float, float]] = []
        for factor in (factor for part in parts for factor in part):
            mean, sigma = factor.prior
            centre += [mean] * factor.lengths
            spread += [sigma] * factor.lengths
            start += [mean - sigma**2] * factor.lengths
            bounds += [(math.log(MIN_LENGTH), math.log(MAX_LENGTH))] * factor.lengths
        self._first_weight = len(centre)
        if len(parts) > 1:
            centre += [WEIGHT_PRIOR[0]] * len(parts)
            spread += [WEIGHT_PRIOR[1]] * len(parts)
            start += [-math.log(len(parts))] * len(parts)
            bounds += [(-18.0, 4.0)] * len(parts)
        centre.append(NOISE_PRIOR[0])
        spread.append(NOISE_PRIOR[1])
        start.append(NOISE_PRIOR[0] - NOISE_PRIOR[1] ** 2)
        bounds.append((math.log(MIN_NOISE), 4.0))
        self._centre = np.array(centre)
        self._spread = np.array(spread)
        self.start = np.array(start)
        self.bounds = bounds

    def loss(self, point: Array) -> tuple[float, Array]:
        """Value and gradient; lengths and variances have log-normal densities."""
        prior, terms = self._covariance(point)
        n = len(self._values)
        noisy = prior
        noisy[np.diag_indices(n)] += math.exp(point[-1]) + self._known
        try:
            factor = cholesky(noisy, lower=True, check_finite=False)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(point)
        inverse = cho_solve((factor, True), np.eye(n), check_finite=False)
        sums = inverse.sum(axis=1)
        mean = float(sums @ self._values / sums.sum())
        residual = self._values - mean
        weights = inverse @ residual
        off = (point - self._centre) / self._spread
        value = (
            0.5 * residual @ weights + np.log(np.diag(factor)).sum() + 0.5 * off @ off + point.sum()
        )
        # Derivative of the likelihood by the covariance; the mean is at its optimum and adds none.
        outer = 0.5 * (inverse - np.outer(weights, weights))
        gradient = off / self._spread + 1.0
        at = 0
        for number, term in enumerate(terms):
            for slope, squares in term.slopes:
                weighted = outer * slope
                for square in squares:
                    gradient[at] += np.sum(weighted * square)
                    at += 1
            if len(terms) > 1:
                gradient[self._first_weight + number] += np.sum(outer * term.value)
        gradient[-1] += math.exp(point[-1]) * np.trace(outer)
        return float(value), gradient

    def hyperparameters(self, point: Array) -> Hyperparameters:
        """What a point means."""
        noisy, _ = self._covariance(point)
        noisy[np.diag_indices(len(self._values))] += math.exp(point[-1]) + self._known
        sums = cho_solve((cholesky(noisy, lower=True), True), np.ones(len(self._values)))
        lengths, at = [], 0
        for part in self._parts:
            own = []
            for factor in part:
                own.append(np.exp(point[at : at + factor.lengths]))
                at += factor.lengths
            lengths.append(tuple(own))
        weights = np.exp(point[at:-1]) if len(self._parts) > 1 else np.ones(1)
        mean = float(sums @ self._values / sums.sum())
        return Hyperparameters(tuple(lengths), weights, math.exp(point[-1]), mean)

    def _covariance(self, point: Array) -> tuple[Array, list[_Term]]:
        terms = []
        at = 0
        for number, part in enumerate(self._parts):
            several = len(self._parts) > 1
            weight = math.exp(point[self._first_weight + number]) if several else 1.0
            values, slopes = [], []
            for factor in part:
                inverse = np.exp(-2 * point[at : at + factor.lengths])
                at += factor.lengths
                columns = [self._squares[column] for column in factor.columns]
                squares = (
                    [square * one for square, one in zip(columns, inverse, strict=True)]
                    if factor.ard
                    else [np.sum(columns, axis=0) * inverse[0]]
                )
                root = np.sqrt(5 * np.sum(squares, axis=0))
                decay = np.exp(-root)
                values.append((1 + root + root**2 / 3) * decay)
                # By the logarithm of a length, times that length's share of the squared distance.
                slopes.append(((5 / 3) * (1 + root) * decay, squares))
            term = weight * np.prod(values, axis=0)
            others = [
                weight * np.prod([*values[:n], *values[n + 1 :]], axis=0)
                for n in range(len(values))
            ]
            terms.append(
                _Term(
                    term,
                    [
                        (slope * other, squares)
                        for (slope, squares), other in zip(slopes, others, strict=True)
                    ],
                )
            )
        return np.sum([term.value for term in terms], axis=0), terms


@dataclass(frozen=True)
class _Term:
    """A part's covariance, and of each factor the common slope and the squares it multiplies."""

    value: Array
    slopes: list[tuple[Array, list[Array]]]
