"""A covariance that expects quick looks to tell about thorough ones."""

from __future__ import annotations

import math

from gpytorch.constraints import GreaterThan
from gpytorch.kernels import Kernel, MaternKernel, ProductKernel, ScaleKernel
from gpytorch.priors import LogNormalPrior

from matlab_ros.planning.process_fit import MIN_LENGTH, WEIGHT_PRIOR, Factor
from matlab_ros.planning.space import SearchSpace

ALIKE = 1.0
"""Least length of the fidelity, in its whole range: the correlation of its ends is 0.52 at least.
Few experiments would let a model believe that a short scan tells nothing of a long one."""

ALIKE_PRIOR = (math.log(2.5), 0.5)


def fidelity_covariance(space: SearchSpace, parameter: str) -> Kernel:
    """Product of Matern-5/2 covariances, of which that of the fidelity is long.

    Args:
        space: of the campaign.
        parameter: the fidelity.
    """
    numbers = [item.name for item in space.numeric]
    columns = tuple(n for n, name in enumerate(numbers) if name != parameter)
    factors = [_matern(Factor(columns, ard=True))] if columns else []
    for dimension, block in zip(space.categorical, space.blocks, strict=True):
        own = tuple(range(block.start, block.stop))
        if not own:
            continue
        if dimension.name == parameter:
            factors.append(_alike(own))
        else:
            factors.append(_matern(Factor(own, ard=False, scaled=block.described)))
    if parameter in numbers:
        factors.append(_alike((numbers.index(parameter),)))
    return ScaleKernel(
        factors[0] if len(factors) == 1 else ProductKernel(*factors),
        outputscale_prior=LogNormalPrior(*WEIGHT_PRIOR),
        outputscale_constraint=GreaterThan(1e-8),
    )


def _matern(factor: Factor) -> MaternKernel:
    prior = LogNormalPrior(*factor.prior)
    return MaternKernel(
        nu=2.5,
        ard_num_dims=len(factor.columns) if factor.ard else None,
        active_dims=factor.columns,
        lengthscale_prior=prior,
        lengthscale_constraint=GreaterThan(MIN_LENGTH, transform=None, initial_value=prior.mode),
    )


def _alike(columns: tuple[int, ...]) -> MaternKernel:
    prior = LogNormalPrior(*ALIKE_PRIOR)
    return MaternKernel(
        nu=2.5,
        active_dims=columns,
        lengthscale_prior=prior,
        lengthscale_constraint=GreaterThan(ALIKE, transform=None, initial_value=prior.mode),
    )
