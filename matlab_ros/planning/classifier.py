"""Where something happens and where not: a Gaussian process behind a probit, by Laplace."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from botorch.optim.closures import ForwardBackwardClosure
from botorch.optim.core import scipy_minimize
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, ScaleKernel
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.models import covariance
from matlab_ros.planning.space import Array, SearchSpace

_NEWTON_STEPS = 50
_NEWTON_TOLERANCE = 1e-9
_MAX_FIT_ITERATIONS = 60
_JITTER = 1e-6
_MEAN_SPREAD = 1.0
"""Prior standard deviation of the latent mean: before anything is known, 8 to 92 %."""


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier (Rasmussen and Williams, Gaussian Processes, ch. 3.4, 2006).

    Attributes:
        kernel: covariance of the latent function.
        mean: of the latent function far from everything.
        train: features, ``n x width``.
        weights: of the training points in the latent mean, ``n``.
        halves: roots of the likelihood's curvature at them, ``n``.
        root: lower Cholesky factor of ``1 + halves K halves``.
    """

    kernel: Kernel
    mean: Tensor
    train: Tensor
    weights: Tensor
    halves: Tensor
    root: Tensor

    def latent(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Mean ``n`` and covariance ``n x n`` of the latent function at points; differentiable."""
        across = self.kernel(self.train, points).to_dense()
        mean = self.mean + across.T @ self.weights
        solved = torch.linalg.solve_triangular(
            self.root, self.halves[:, None] * across, upper=False
        )
        return mean, self.kernel(points).to_dense() - solved.T @ solved

    def log_probability(self, points: Tensor) -> Tensor:
        """Logarithm of the probability that it happens at points ``n x width``; differentiable."""
        mean, covariance_ = self.latent(points)
        variance = covariance_.diagonal().clamp_min(0.0)
        chance: Tensor = torch.special.log_ndtr(mean / (1.0 + variance).sqrt())
        return chance

    def probability(self, features: Array) -> Array:
        """Probability that it happens at features ``n x width``."""
        with torch.no_grad():
            found = self.log_probability(torch.as_tensor(features, dtype=torch.float64)).exp()
        return np.asarray(found.numpy())


def fit_classifier(space: SearchSpace, features: Array, happened: Array) -> Classifier:
    """Fit a classifier to what happened.

    Lengths, scale and mean are those of the largest marginal likelihood in Laplace's approximation
    times their priors.

    Args:
        space: whose features they are.
        features: ``n x width``.
        happened: n times 1 or 0.

    Raises:
        PlanningError: there is nothing to learn from.
    """
    if len(happened) == 0:
        raise PlanningError("A classifier has no experiments to learn from; expected at least one.")
    train = torch.as_tensor(features, dtype=torch.float64)
    labels = torch.as_tensor(np.where(happened > 0.5, 1.0, -1.0))
    kernel = ScaleKernel(
        covariance(space),
        outputscale_prior=LogNormalPrior(1.0, 1.0),
        outputscale_constraint=GreaterThan(1e-3),
    ).to(train)
    mean = torch.zeros((), dtype=torch.float64, requires_grad=True)

    def loss() -> Tensor:
        evidence = _laplace(kernel(train).to_dense(), labels, mean).evidence
        prior = -0.5 * (mean / _MEAN_SPREAD) ** 2
        for _, module, distribution, closure, _ in kernel.named_priors():
            prior = prior + distribution.log_prob(closure(module)).sum()
        return -(evidence + prior) / len(labels)

    parameters = {**dict(kernel.named_parameters()), "mean": mean}
    bounds: dict[str, tuple[float | None, float | None]] = {
        name: (float(constraint.lower_bound), None)
        for name, _, constraint in kernel.named_parameters_and_constraints()
        if constraint is not None and not constraint.enforced
    }
    scipy_minimize(
        ForwardBackwardClosure(forward=loss, parameters=parameters),
        parameters,
        bounds=bounds,
        options={"maxiter": _MAX_FIT_ITERATIONS},
    )
    with torch.no_grad():
        fitted = _laplace(kernel(train).to_dense(), labels, mean)
    kernel.requires_grad_(False)
    return Classifier(kernel, mean.detach(), train, fitted.weights, fitted.halves, fitted.root)


@dataclass(frozen=True)
class _Laplace:
    evidence: Tensor
    weights: Tensor
    halves: Tensor
    root: Tensor


def _laplace(prior: Tensor, labels: Tensor, mean: Tensor) -> _Laplace:
    """Laplace's approximation, differentiable in the prior's covariance and mean.

    Newton's iteration needs no gradient: one more step from where it ends has the right one.
    """
    prior = prior + _JITTER * torch.eye(len(labels)).to(prior)
    with torch.no_grad():
        latent = mean.expand(len(labels)).clone()
        for _ in range(_NEWTON_STEPS):
            step = _newton(prior, labels, mean, latent)[0]
            moved = float((step - latent).abs().max())
            latent = step
            if moved < _NEWTON_TOLERANCE:
                break
    latent, weights = _newton(prior, labels, mean, latent)
    _, curvature = _slopes(labels, latent)
    halves = curvature.sqrt()
    root = _root(prior, halves)
    evidence = (
        torch.special.log_ndtr(labels * latent).sum()
        - 0.5 * weights @ (latent - mean)
        - root.diagonal().log().sum()
    )
    return _Laplace(evidence, weights, halves, root)


def _newton(prior: Tensor, labels: Tensor, mean: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
    """One step: the latent values and their weights."""
    slope, curvature = _slopes(labels, latent)
    halves = curvature.sqrt()
    root = _root(prior, halves)
    wanted = curvature * (latent - mean) + slope
    solved = torch.cholesky_solve((halves * (prior @ wanted))[:, None], root).squeeze(-1)
    weights = wanted - halves * solved
    return mean + prior @ weights, weights


def _root(prior: Tensor, halves: Tensor) -> Tensor:
    inner = torch.eye(len(halves)).to(prior) + halves[:, None] * prior * halves
    root: Tensor = torch.linalg.cholesky(inner)
    return root


def _slopes(labels: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
    """First derivative and negative second one of the logarithm of the probit."""
    side = labels * latent
    density = -0.5 * side.square() - 0.5 * math.log(2 * math.pi)
    ratio = (density - torch.special.log_ndtr(side)).exp()
    return labels * ratio, (ratio * (ratio + side)).clamp_min(1e-10)
