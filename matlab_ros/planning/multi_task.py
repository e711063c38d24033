"""Learning from earlier campaigns: one process over all of them, of which one is the present."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from botorch.fit import fit_gpytorch_mll
from botorch.models.multitask import MultiTaskGP
from botorch.utils.sampling import manual_seed
from gpytorch.constraints import GreaterThan
from gpytorch.likelihoods import FixedNoiseGaussianLikelihood
from gpytorch.mlls import ExactMarginalLogLikelihood
from gpytorch.priors import LogNormalPrior
from torch import Tensor

from matlab_ros.planning.cached_improvement import CachedProcess
from matlab_ros.planning.models import Surrogate, covariance
from matlab_ros.planning.plain_kernels import plain
from matlab_ros.planning.process_fit import MIN_NOISE, NOISE_PRIOR
from matlab_ros.planning.space import Array, SearchSpace

MAX_EARLIER = 200
"""Experiments of one earlier campaign that are learned from; of more, the latest."""

_MAX_FIT_ITERATIONS = 150


class PresentProcess(CachedProcess):
    """Posterior of the present campaign, at points that do not say which campaign they are of."""

    def __init__(self, gp: MultiTaskGP) -> None:
        super().__init__(gp)
        data, tasks = gp.covar_module.kernels
        alike = plain(data)
        with torch.no_grad():
            matrix = tasks.covar_matrix.to_dense()
            # Of each campaign a constant.
            level = gp.forward(_present(self.train[:1, :-1])).mean

        def prior(one: Tensor, other: Tensor) -> Tensor:
            rows = one[..., -1].long().unsqueeze(-1)
            columns = other[..., -1].long().unsqueeze(-2)
            product: Tensor = alike(one[..., :-1], other[..., :-1]) * matrix[rows, columns]
            return product

        self.prior = prior
        self._mean = lambda points: level.expand(len(points))

    def at(self, points: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """See `CachedProcess.at`."""
        return super().at(_present(points), _present(known))

    def prior_variance(self, points: Tensor) -> Tensor:
        """See `CachedProcess.prior_variance`."""
        return super().prior_variance(_present(points))


def _present(points: Tensor) -> Tensor:
    return torch.cat([points, torch.zeros_like(points[..., :1])], dim=-1)


def fit_multi_task(
    space: SearchSpace,
    features: Sequence[Array],
    values: Sequence[Array],
    sigmas: Sequence[Array],
    sign: float,
    seed: int,
) -> Surrogate:
    """Fit one process to several campaigns; the first is the present one.

    Campaigns share the covariance of the parameters; how alike they are is learned (the intrinsic
    model of coregionalisation; Bonilla et al., NeurIPS 2007; Swersky et al., NeurIPS 2013), and
    every one has a level of its own. Where they have nothing in common, the earlier ones are
    ignored.

    Args:
        space: whose features they are.
        features: of each campaign, ``n x width``; n at least 1 for the first.
        values: of the outcome, likewise n.
        sigmas: standard uncertainties; NaN where unknown.
        sign: +1 to maximise, -1 to minimise.
        seed: of restarts of the fit.
    """
    present = values[0]
    everything = np.concatenate(list(values))
    # Each campaign's level is a constant of the model, its scale is not: the largest spread within
    # a campaign is that of what the parameters do.
    spread = max(float(item.std()) if len(item) > 1 else 0.0 for item in values)
    scale = sign * (spread if spread > 1e-12 * max(1.0, float(abs(everything).max())) else 1.0)
    offset = float(present.mean())
    rows = [
        np.column_stack([item, np.full(len(item), float(task))])
        for task, item in enumerate(features)
    ]
    train = torch.as_tensor(np.concatenate(rows))
    target = torch.as_tensor((everything - offset) / scale).unsqueeze(-1)
    known = torch.as_tensor(np.nan_to_num(np.concatenate(list(sigmas)), nan=0.0) / scale) ** 2
    likelihood = FixedNoiseGaussianLikelihood(
        noise=known.clamp_min(MIN_NOISE),
        learn_additional_noise=True,
        noise_prior=LogNormalPrior(*NOISE_PRIOR),
        noise_constraint=GreaterThan(MIN_NOISE, transform=None, initial_value=math.exp(-5.0)),
    )
    with manual_seed(seed):
        gp = MultiTaskGP(
            train,
            target,
            task_feature=-1,
            likelihood=likelihood,
            covar_module=covariance(space),
            output_tasks=[0],
            outcome_transform=None,
        )
        fit_gpytorch_mll(
            ExactMarginalLogLikelihood(gp.likelihood, gp),
            optimizer_kwargs={"options": {"maxiter": _MAX_FIT_ITERATIONS}},
        )
    gp.eval()
    return Surrogate(
        gp,
        offset,
        scale,
        torch.as_tensor(features[0]),
        f"multi-task Gaussian process, {len(features) - 1} earlier "
        f"campaign{'s' if len(features) > 2 else ''}",
    )
