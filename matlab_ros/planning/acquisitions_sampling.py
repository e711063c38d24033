"""Upper confidence bounds and Thompson sampling, of anything that outcomes are worth."""

from __future__ import annotations

import math

import torch
from scipy.stats import norm, qmc
from torch import Tensor

from matlab_ros.planning.knowledge import Knowledge, process_of
from matlab_ros.planning.models import Surrogate
from matlab_ros.planning.utility import Utility

DRAWS = 64
"""Quantiles of one outcome, or quasi-random draws of several, that moments are taken over."""

TEMPERATURE = 0.05
"""In units of the spread: how softly what lies below the incumbent counts for nothing."""

PATH_POINTS = 512
"""Points at which a path is drawn; between them it is interpolated by the process itself."""

_PATH_NOISE = 1e-5


class UpperConfidence:
    """Mean plus kappa standard deviations of what an experiment is worth, over the incumbent.

    Srinivas et al., ICML 2010; what is pending narrows the bound (Desautels et al., JMLR 15, 4053,
    2014). As a logarithm, so that chances and costs can be added; the order of experiments is that
    of the bound itself.

    Args:
        utility: of the outcomes.
        incumbent: the best worth believed of a measured point.
        kappa: how many standard deviations.
        seed: of the draws, where there are several outcomes.
    """

    def __init__(self, utility: Utility, incumbent: float, kappa: float, seed: int) -> None:
        self._utility = utility
        self._incumbent = incumbent
        self._kappa = kappa
        self._beliefs = [Knowledge(item) for item in utility.surrogates]
        self._draws = _normal_draws(len(self._beliefs), seed)

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        found = [item.at(points) for item in self._beliefs]
        means = torch.stack([item.mean for item in found], dim=-1)
        sigmas = torch.stack([item.variance.sqrt() for item in found], dim=-1)
        if self._utility.is_linear:
            n = self._utility.column(self._utility.objectives.goals[0])
            bound = self._utility.value(means) + self._kappa * sigmas[:, n]
        else:
            worth = self._utility.value(means + sigmas * self._draws[:, None, :])
            bound = worth.mean(dim=0) + self._kappa * worth.std(dim=0)
        return over(bound, self._incumbent) + self._utility.log_chance(means, sigmas)

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        for item in self._beliefs:
            item.set_pending(points)


class Thompson:
    """A random draw of what might be true, at its best.

    Every suggestion follows a draw of its own, so any number can be under way (Kandasamy et al.,
    AISTATS 2018). A draw is a function: the process given its values at random points.

    Args:
        utility: of the outcomes.
        incumbent: the best worth believed of a measured point.
        points: of the space, at which paths are drawn, ``m x width``.
        seed: of the draws.
    """

    def __init__(self, utility: Utility, incumbent: float, points: Tensor, seed: int) -> None:
        self._utility = utility
        self._incumbent = incumbent
        self._points = points[:PATH_POINTS]
        self._seed = seed
        self._number = 0
        self._beliefs = [Knowledge(item) for item in utility.surrogates]
        self._draw()

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        values = torch.stack([path(points) for path in self._paths], dim=-1)
        worth = over(self._utility.value(values), self._incumbent)
        if not self._utility.objectives.thresholds:
            return worth
        # A draw alone would follow its own idea of a threshold to the very edge, and miss it in
        # half of all experiments.
        found = [item.at(points) for item in self._beliefs]
        means = torch.stack([item.mean for item in found], dim=-1)
        sigmas = torch.stack([item.variance.sqrt() for item in found], dim=-1)
        return worth + self._utility.log_chance(means, sigmas)

    def set_pending(self, points: Tensor) -> None:
        """Begin another draw; what is pending was suggested by other ones."""
        self._number += 1
        self._draw()

    def _draw(self) -> None:
        generator = torch.Generator().manual_seed(self._seed + self._number)
        self._paths = [_Path(item, self._points, generator) for item in self._utility.surrogates]


class _Path:
    """One function drawn from a process."""

    def __init__(self, surrogate: Surrogate, points: Tensor, generator: torch.Generator) -> None:
        self._process = process_of(surrogate)
        self._points = points
        with torch.no_grad():
            _, self._white, prior = self._process.at(points, points)
            covariance = prior - self._white @ self._white.T
            noise = _PATH_NOISE * float(covariance.diagonal().mean().clamp_min(1e-6))
            root = torch.linalg.cholesky(covariance + noise * torch.eye(len(points)).to(prior))
            away = root @ torch.randn(len(points), generator=generator).to(prior)
            # Weights of the points in the conditional mean, which is the path between them.
            self._weights = torch.cholesky_solve(away[:, None], root).squeeze(-1)
            self._whitened = self._white.T @ self._weights

    def __call__(self, points: Tensor) -> Tensor:
        """Its values at points ``n x width``."""
        mean, white, prior = self._process.at(points, self._points)
        return mean + prior @ self._weights - white @ self._whitened


def over(value: Tensor, incumbent: float) -> Tensor:
    """Logarithm of how far values are above the incumbent, softly 0 below it."""
    scaled = (value - incumbent) / TEMPERATURE
    # Far below, the logarithm of the softplus is its argument; there the softplus itself is 0.
    soft = torch.nn.functional.softplus(scaled.clamp_min(-30.0))
    return torch.where(scaled > -30.0, soft.log(), scaled) + math.log(TEMPERATURE)


def _normal_draws(outcomes: int, seed: int) -> Tensor:
    """Standard normal draws, ``DRAWS x outcomes``; of one outcome its quantiles."""
    if outcomes == 1:
        levels = (torch.arange(DRAWS, dtype=torch.float64) + 0.5) / DRAWS
        return torch.as_tensor(norm.ppf(levels.numpy()))[:, None]
    points = qmc.Sobol(d=outcomes, scramble=True, rng=seed).random(DRAWS)
    return torch.as_tensor(norm.ppf(points.clip(1e-6, 1 - 1e-6)))
