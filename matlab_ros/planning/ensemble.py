"""A Gaussian process and a random forest as one model, weighed by how well each predicts.

A process is right where results follow their settings smoothly, a forest where they jump, or where
most recipes give nothing. Which it is nobody knows beforehand, but the data say: each model
predicts every experiment from the others (leave one out; out of bag), and the weight of the process
is that of the mixture of the two densities under which what was measured is most probable
(stacking: Yao et al., Bayesian Analysis 13, 917, 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from matlab_ros.planning.cached_improvement import CachedProcess
from matlab_ros.planning.forest import Forest, grow_forest
from matlab_ros.planning.models import Surrogate, fit_surrogate
from matlab_ros.planning.space import Array, SearchSpace

PRIOR_EXPERIMENTS = 1.0
"""Experiments that speak for each model before there are any."""

LEAST_VARIANCE = 1e-3
"""Of a forest, in units of the objective's variance: trees that agree may still all be wrong."""

LEAST_TREES = 2
"""That did not see a point, for what they say of it to count."""

PRIOR_RESIDUALS = 3.0
"""Residuals of the expected size that are added to those that a forest's width is scaled by."""

PRIOR_INTERVALS = 20.0
"""Experiments predicted as promised, added to those that intervals are scaled by."""

SUGGESTED = 1.3
"""What is suggested is where the models promise most, and of several promises the largest is more
often wrong than any of them; so much wider are its intervals than experiments left out of the data
ask for. Measured, see docs/planner_default.md."""

LEVEL = 0.95
"""Of the intervals."""

_WEIGHTS = np.linspace(0.01, 0.99, 99)


@dataclass(frozen=True)
class Ensemble:
    """Two models of one objective.

    Attributes:
        surrogate: the Gaussian process, with the scale of what both were fitted to.
        process: its posterior, fast.
        forest: of the standardised objective.
        weight: of the process, 0 to 1; the forest has the rest.
        spread: what the forest's standard deviation is multiplied with to be as wide as its
            residuals.
        noise: variance of a measurement that the process infers, standardised.
        widening: what the standard deviation of an outcome is multiplied with, from how often
            intervals would have held what was measured.
    """

    surrogate: Surrogate
    process: CachedProcess
    forest: Forest
    weight: float
    spread: float
    noise: float
    widening: float

    @property
    def description(self) -> str:
        """For people: the models and what each of them counts."""
        return (
            f"{self.surrogate.description}, {self.weight:.0%}; "
            f"random forest of {len(self.forest.trees.value)} trees, {1 - self.weight:.0%}"
        )

    def latent(self, points: Tensor, pending: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the mixture, standardised, larger is better.

        What is pending is taken to give what is expected of it: it leaves the means where they are
        and takes from the standard deviation what the process says that it will teach.

        Args:
            points: ``n x width``; gradients flow through the process.
            pending: features under way, ``m x width``.
        """
        mean, whitened, across = self.process.at(points, pending)
        variance = self.process.prior_variance(points) - whitened.square().sum(-1)
        variance = variance.clamp_min(1e-12)
        after = variance
        if len(pending):
            after = self._after(whitened, across, variance, pending)
        trees_mean, trees_sigma = self.forest.predict(points.detach().numpy())
        forest_mean = torch.as_tensor(trees_mean)
        forest_variance = torch.as_tensor(trees_sigma**2) * (after / variance).detach()
        return _mixed(self.weight, mean, after, forest_mean, forest_variance)

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of what an experiment would give, in the objective's unit.

        The noise of an experiment is part of it, and the standard deviation is widened or narrowed
        so that intervals hold as many outcomes as they promise.

        Args:
            features: ``n x width``.
        """
        points = torch.as_tensor(features, dtype=torch.float64)
        with torch.no_grad():
            mean, whitened, _ = self.process.at(points, points[:0])
            variance = self.process.prior_variance(points) - whitened.square().sum(-1)
            trees_mean, trees_sigma = self.forest.predict(features)
            found, sigma = _mixed(
                self.weight,
                mean,
                variance.clamp_min(0.0) + self.noise,
                torch.as_tensor(trees_mean),
                torch.as_tensor(_wide(trees_sigma**2, self.spread)),
            )
        offset, scale = self.surrogate.offset, self.surrogate.scale
        return (
            np.asarray(offset + scale * found.numpy(), dtype=np.float64),
            np.asarray(abs(scale) * self.widening * sigma.numpy(), dtype=np.float64),
        )

    def _after(self, whitened: Tensor, across: Tensor, variance: Tensor, pending: Tensor) -> Tensor:
        """Variance of the process once what is pending is known."""
        _, own, among = self.process.at(pending, pending)
        joint = among - own @ own.T + self.noise * torch.eye(len(pending), dtype=among.dtype)
        cross = across - whitened @ own.T
        taken = (cross * torch.linalg.solve(joint, cross.T).T).sum(-1)
        return torch.maximum(variance - taken, 1e-6 * variance)


def fit_ensemble(
    space: SearchSpace, features: Array, objective: Array, sigma: Array, sign: float, seed: int
) -> Ensemble:
    """Fit both models and weigh them; arguments as of `fit_surrogate`."""
    surrogate = fit_surrogate(space, features, objective, sigma, sign, seed)
    process = CachedProcess(surrogate.gp)
    values = (objective - surrogate.offset) / surrogate.scale
    forest = grow_forest(features, values, seed)
    mean, variance = _left_out(process, values)
    forest_mean, forest_variance = forest.out_of_bag_mean, forest.out_of_bag_variance
    judged = (forest.unseen_by >= LEAST_TREES) & np.isfinite(forest_mean)
    mean, variance, values = mean[judged], variance[judged], values[judged]
    forest_mean, forest_variance = forest_mean[judged], forest_variance[judged]
    squares = (values - forest_mean) ** 2 / np.maximum(forest_variance, LEAST_VARIANCE)
    spread = float(np.sqrt((squares.sum() + PRIOR_RESIDUALS) / (len(squares) + PRIOR_RESIDUALS)))
    wide = _wide(forest_variance, spread)
    weight = stacking_weight(
        _log_density(values, mean, variance), _log_density(values, forest_mean, wide)
    )
    mixed, deviation = _mixed(
        weight, *(torch.as_tensor(item) for item in (mean, variance, forest_mean, wide))
    )
    off = np.abs(values - mixed.numpy()) / deviation.numpy()
    noise = float(process.noise.median())
    widening = SUGGESTED * _widening(off)
    return Ensemble(surrogate, process, forest, weight, spread, noise, widening)


def stacking_weight(first: Array, second: Array) -> float:
    """Weight of the first of two models.

    The mean over all weights, each as probable as what was measured is under it: unlike the most
    probable one it does not jump to 0 or 1 on a handful of experiments.

    Args:
        first: logarithm of the density that the first model gives each held-out value, n.
        second: likewise.
    """
    top = np.maximum(first, second)
    shares = np.exp(first - top), np.exp(second - top)
    mixture = _WEIGHTS[:, None] * shares[0] + (1 - _WEIGHTS[:, None]) * shares[1]
    likelihood = np.log(mixture).sum(axis=1)
    likelihood += PRIOR_EXPERIMENTS * np.log(_WEIGHTS * (1 - _WEIGHTS))
    density = np.exp(likelihood - likelihood.max())
    return float(density @ _WEIGHTS / density.sum())


def _left_out(process: CachedProcess, values: Array) -> tuple[Array, Array]:
    """Mean and variance of every value predicted from the others (Rasmussen, Williams, ch. 5.4)."""
    precision = process.whiten.square().sum(0).numpy()
    return values - process.weights.numpy() / precision, 1.0 / precision


def _wide(variance: Array, spread: float) -> Array:
    return np.maximum(variance, LEAST_VARIANCE) * spread**2


def _log_density(values: Array, mean: Array, variance: Array) -> Array:
    found = -0.5 * ((values - mean) ** 2 / variance + np.log(2 * np.pi * variance))
    return np.asarray(found, dtype=np.float64)


def _widening(off: Array) -> float:
    """What deviations, in standard deviations, say of the width of intervals of `LEVEL`."""
    if len(off) == 0:
        return 1.0
    expected = float(ndtri(0.5 + LEVEL / 2))
    seen = float(np.quantile(off, LEVEL)) / expected
    share = len(off) / (len(off) + PRIOR_INTERVALS)
    return float(seen**share) if seen > 0 else 1.0


def _mixed(
    weight: float, mean: Tensor, variance: Tensor, other: Tensor, other_variance: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of a mixture of two, by the law of total variance."""
    middle = weight * mean + (1 - weight) * other
    within = weight * variance + (1 - weight) * other_variance
    between = weight * (1 - weight) * (mean - other).square()
    return middle, (within + between).clamp_min(1e-12).sqrt()
