"""Many parameters of which few matter: a covariance with a sparse axis-aligned prior."""

from __future__ import annotations

from botorch.models.map_saas import get_additive_map_saas_covar_module
from botorch.utils.sampling import manual_seed
from gpytorch.kernels import Kernel

MANY = 15
"""Numeric parameters from which on a model that may choose takes this one."""

SPARSITIES = 4
"""Degrees of sparsity that are drawn from the prior and added up."""


def saas_covariance(width: int, seed: int) -> Kernel:
    """Sum of Matern-5/2 covariances whose lengths are long until the data shorten them.

    Sparse axis-aligned subspaces (Eriksson and Jankowiak, UAI 2021) at the largest posterior
    density (Hvarfner et al., 2023), which takes a fit instead of minutes of sampling.

    Args:
        width: number of features.
        seed: of the degrees of sparsity.
    """
    with manual_seed(seed):
        return get_additive_map_saas_covar_module(ard_num_dims=width, num_taus=SPARSITIES)
