"""The surrogate: a Gaussian process over numbers and choices, with noise known per point."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.utils.sampling import manual_seed
from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, MaternKernel, ProductKernel, ScaleKernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.space import Array, SearchSpace

MIN_NOISE = 1e-4
"""Least variance of the noise, in units of the objective's variance; keeps matrices regular."""

MIN_SCALE = 1e-8
"""Least variance of a part of the covariance, in the same units."""

MAX_FIT_ITERATIONS = 200
FIT_TOLERANCE = 1e-6
"""Relative change of the likelihood per point at which a fit has arrived. SciPy's own is 500 times
finer, and hours of walking along flat ridges of the likelihood change no suggestion."""


@dataclass(frozen=True)
class Surrogate:
    """A fitted process and the scale of what it was fitted to.

    Attributes:
        gp: takes features ``... x width``, gives the standardised objective, larger is better.
        offset: objective at the standardised 0, in the objective's unit.
        scale: signed; objective = offset + scale x standardised.
        train: features it was fitted to, ``n x width``.
        description: for people.
    """

    gp: SingleTaskGP
    offset: float
    scale: float
    train: Tensor
    description: str

    def predict(self, features: Array) -> tuple[Array, Array]:
        """Mean and standard deviation of the true objective at features ``n x width``."""
        with torch.no_grad():
            posterior = self.gp.posterior(torch.as_tensor(features, dtype=torch.float64))
            mean = posterior.mean.squeeze(-1).numpy()
            sigma = posterior.variance.clamp_min(0).sqrt().squeeze(-1).numpy()
        return self.offset + self.scale * mean, abs(self.scale) * sigma


def fit_surrogate(
    space: SearchSpace,
    features: Array,
    objective: Array,
    sigma: Array,
    sign: float,
    seed: int,
) -> Surrogate:
    """Fit a Gaussian process to what was measured.

    Matern-5/2 with a length for every feature and dimension-scaled priors of the lengths
    (Hvarfner et al., ICML 2024). The noise of a point is its known variance plus one that is
    inferred and common to all, because a diffractogram's uncertainty says nothing about how
    well a synthesis repeats itself.

    Args:
        space: whose features they are.
        features: ``n x width``, n at least 1.
        objective: n finite values.
        sigma: n standard uncertainties; NaN where unknown.
        sign: +1 to maximise, -1 to minimise.
        seed: of restarts of the fit, which happen only when it fails numerically.
    """
    offset = float(objective.mean())
    spread = float(objective.std()) if len(objective) > 1 else 0.0
    # One value or all equal: any scale will do, as there is nothing to see but the prior.
    scale = sign * (spread if spread > 1e-12 * max(1.0, abs(offset)) else 1.0)
    train = torch.as_tensor(features, dtype=torch.float64)
    target = torch.as_tensor((objective - offset) / scale, dtype=torch.float64).unsqueeze(-1)
    known = torch.as_tensor(np.nan_to_num(sigma, nan=0.0) / abs(scale), dtype=torch.float64) ** 2
    likelihood = FixedNoiseGaussianLikelihood(
        noise=known.clamp_min(MIN_NOISE),
        learn_additional_noise=True,
        noise_prior=LogNormalPrior(-4.0, 1.0),
        noise_constraint=GreaterThan(MIN_NOISE, transform=None, initial_value=math.exp(-5.0)),
    )
    gp = SingleTaskGP(
        train,
        target,
        likelihood=likelihood,
        covar_module=covariance(space),
        outcome_transform=None,
    )
    likelihood_of_data = ExactMarginalLogLikelihood(gp.likelihood, gp)
    with manual_seed(seed):
        fit_gpytorch_mll(
            likelihood_of_data,
            optimizer_kwargs={"options": {"maxiter": MAX_FIT_ITERATIONS, "ftol": FIT_TOLERANCE}},
        )
    gp.eval()
    described = any(block.described for block in space.blocks)
    return Surrogate(
        gp,
        offset,
        scale,
        train,
        "Gaussian process, Matern-5/2 ARD" + (" with descriptors of choices" if described else ""),
    )


def covariance(space: SearchSpace) -> Kernel:
    """Covariance over a space's features.

    Numbers: Matern-5/2 with a length for each. Choices: Matern-5/2 with one length over all columns
    of a choice, so that choices that have a powder in common are alike; without descriptors it only
    knows equal and different, like a Hamming kernel. Both together: what the numbers do to every
    choice alike, plus what they do to each choice (the sum and product of BoTorch's mixed model).
    Without the first part a model has to learn anew for every precursor set that 600 degrees are
    too few. A length for every descriptor would be fitted to noise: a campaign has fewer
    experiments than powders.

    Raises:
        PlanningError: the space has a single setting.
    """
    numbers = range(len(space.numeric))
    choices = [
        _matern(range(block.start, block.stop), ard=False, scaled=block.described)
        for block in space.blocks
        if block.stop > block.start
    ]
    if numbers and choices:
        shared = _scaled(_matern(numbers, ard=True))
        return shared + _scaled(ProductKernel(_matern(numbers, ard=True), *choices))
    if numbers:
        return _matern(numbers, ard=True)
    if not choices:
        raise PlanningError("The search space has a single setting; there is nothing to plan.")
    return choices[0] if len(choices) == 1 else ProductKernel(*choices)


def _matern(columns: range, ard: bool, scaled: bool = True) -> MaternKernel:
    """Matern-5/2 of some features.

    Args:
        columns: the features.
        ard: a length for each, otherwise one for all.
        scaled: lengths grow with the number of columns, because distances do.
    """
    dimensions = len(columns) if scaled else 1
    prior = LogNormalPrior(math.sqrt(2) + 0.5 * math.log(dimensions), math.sqrt(3))
    return MaternKernel(
        nu=2.5,
        ard_num_dims=len(columns) if ard else None,
        active_dims=tuple(columns),
        lengthscale_prior=prior,
        lengthscale_constraint=GreaterThan(0.025, transform=None, initial_value=prior.mode),
    )


def _scaled(kernel: Kernel) -> ScaleKernel:
    """A kernel with a variance of its own, about that of the standardised objective."""
    return ScaleKernel(
        kernel,
        outputscale_prior=LogNormalPrior(0.0, 1.0),
        # A long step of the fit may take it to exactly 0, of which the prior knows no density.
        outputscale_constraint=GreaterThan(MIN_SCALE),
    )
