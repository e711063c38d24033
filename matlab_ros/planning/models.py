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
from gpytorch.kernels import AdditiveKernel, Kernel, MaternKernel, ProductKernel, ScaleKernel
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.process_fit import (
    MIN_LENGTH,
    MIN_NOISE,
    NOISE_PRIOR,
    WEIGHT_PRIOR,
    Factor,
    Hyperparameters,
    Part,
    fit_process,
)
from matlab_ros.planning.space import Array, SearchSpace

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
    kernel: Kernel | None = None,
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
        seed: chooses the points that hyperparameters are fitted to, of very many; of restarts.
        kernel: another covariance than that of `covariance`.
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
        noise_prior=LogNormalPrior(*NOISE_PRIOR),
        noise_constraint=GreaterThan(MIN_NOISE, transform=None, initial_value=math.exp(-5.0)),
    )
    gp = SingleTaskGP(
        train,
        target,
        likelihood=likelihood,
        covar_module=covariance(space) if kernel is None else kernel,
        outcome_transform=None,
    )
    if kernel is None:
        variances = known.clamp_min(MIN_NOISE).numpy()
        found = fit_process(parts_of(space), features, target.squeeze(-1).numpy(), variances, seed)
        _set(gp, likelihood, found)
    else:
        _fit_by_gradients(gp, seed)
    gp.eval()
    described = any(block.described for block in space.blocks)
    return Surrogate(
        gp,
        offset,
        scale,
        train,
        "Gaussian process, "
        + ("Matern-5/2 ARD" if kernel is None else "sparse axis-aligned (SAAS)")
        + (" with descriptors of choices" if described else ""),
    )


def parts_of(space: SearchSpace) -> tuple[Part, ...]:
    """Parts of the covariance over a space's features.

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
    columns = tuple(range(len(space.numeric)))
    numbers = (Factor(columns, ard=True),) if columns else ()
    choices = tuple(
        Factor(tuple(range(block.start, block.stop)), ard=False, scaled=block.described)
        for block in space.blocks
        if block.stop > block.start
    )
    if not numbers and not choices:
        raise PlanningError("The search space has a single setting; there is nothing to plan.")
    return (numbers, numbers + choices) if numbers and choices else (numbers + choices,)


def covariance(space: SearchSpace) -> Kernel:
    """Covariance over a space's features, as `parts_of` says, with priors.

    Raises:
        PlanningError: the space has a single setting.
    """
    parts = [_product([_matern(factor) for factor in part]) for part in parts_of(space)]
    return parts[0] if len(parts) == 1 else AdditiveKernel(*(_scaled(part) for part in parts))


def _product(factors: list[MaternKernel]) -> Kernel:
    return factors[0] if len(factors) == 1 else ProductKernel(*factors)


def _matern(factor: Factor) -> MaternKernel:
    """Matern-5/2 of some features."""
    mean, sigma = factor.prior
    prior = LogNormalPrior(mean, sigma)
    return MaternKernel(
        nu=2.5,
        ard_num_dims=len(factor.columns) if factor.ard else None,
        active_dims=factor.columns,
        lengthscale_prior=prior,
        lengthscale_constraint=GreaterThan(MIN_LENGTH, transform=None, initial_value=prior.mode),
    )


def _scaled(kernel: Kernel) -> ScaleKernel:
    """A kernel with a variance of its own, about that of the standardised objective."""
    return ScaleKernel(
        kernel,
        outputscale_prior=LogNormalPrior(*WEIGHT_PRIOR),
        # A long step of the fit may take it to exactly 0, of which the prior knows no density.
        outputscale_constraint=GreaterThan(MIN_SCALE),
    )


def _set(
    gp: SingleTaskGP, likelihood: FixedNoiseGaussianLikelihood, found: Hyperparameters
) -> None:
    """Give a process of `covariance` what was found for its parts."""
    kernel = gp.covar_module
    parts = list(kernel.kernels) if isinstance(kernel, AdditiveKernel) else [kernel]
    with torch.no_grad():
        for part, lengths, weight in zip(parts, found.lengths, found.weights, strict=True):
            product = part
            if isinstance(part, ScaleKernel):
                part.outputscale = float(weight)
                product = part.base_kernel
            factors = product.kernels if isinstance(product, ProductKernel) else [product]
            for factor, own in zip(factors, lengths, strict=True):
                factor.lengthscale = torch.as_tensor(own).clamp_min(MIN_LENGTH)
        likelihood.second_noise = max(found.noise, MIN_NOISE)
        gp.mean_module.constant = torch.as_tensor(found.mean)


def _fit_by_gradients(gp: SingleTaskGP, seed: int) -> None:
    """The same for any covariance, by automatic derivatives: several times slower."""
    with manual_seed(seed):
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(gp.likelihood, gp),
            optimizer_kwargs={"options": {"maxiter": MAX_FIT_ITERATIONS, "ftol": FIT_TOLERANCE}},
        )
