"""What an experiment is worth: log noisy expected improvement, times the chance that it works."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.utils import prune_inferior_points
from botorch.sampling.normal import SobolQMCNormalSampler
from torch import Tensor

from matlab_ros.planning.models import Surrogate

SAMPLES = 128
"""Quasi-random draws of the posterior that the expectation is taken over."""

PRUNING_SAMPLES = 1024
"""Draws in which a point must be the best at least once to stay in the baseline."""

CHUNK = 1024
"""Points evaluated at once; bounds the memory of large pools."""


@dataclass(frozen=True)
class Acquisition:
    """Value of one more experiment, given all that is observed and pending.

    Attributes:
        improvement: logarithm of the expected improvement over what is observed and pending.
        feasibility: predicts 1 for what works and 0 for what does not; None when nothing failed.
    """

    improvement: qLogNoisyExpectedImprovement
    feasibility: Surrogate | None

    def __call__(self, points: Tensor) -> Tensor:
        """Logarithm of the value at each of the points, ``n x width`` -> ``n``."""
        value: Tensor = self.improvement(points.unsqueeze(-2))
        if self.feasibility is not None:
            value = value + _log_chance(self.feasibility, points)
        return value

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients, in pieces."""
        with torch.no_grad():
            pieces = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
            return torch.cat([self(piece) for piece in pieces])

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``m x width``, as being under way: all of them, replacing earlier ones."""
        self.improvement.set_X_pending(points if len(points) else None)


def noisy_expected_improvement(
    surrogate: Surrogate, feasibility: Surrogate | None, pending: Tensor, seed: int
) -> Acquisition:
    """Log noisy expected improvement (Ament et al., NeurIPS 2023) of one point at a time.

    What is pending counts as part of the baseline: the improvement expected is the one over
    whatever they will give.

    Args:
        surrogate: of the objective.
        feasibility: see `Acquisition`.
        pending: features under way, ``m x width``, m may be 0.
        seed: of the quasi-random draws.
    """
    # Points that can hardly be the best are left out of the baseline: it is sampled jointly with
    # every candidate, which costs time with the cube of its size.
    baseline = prune_inferior_points(
        surrogate.gp,
        surrogate.train,
        sampler=SobolQMCNormalSampler(torch.Size([PRUNING_SAMPLES]), seed=seed),
    )
    improvement = qLogNoisyExpectedImprovement(
        surrogate.gp,
        X_baseline=baseline,
        sampler=SobolQMCNormalSampler(torch.Size([SAMPLES]), seed=seed),
        X_pending=pending if len(pending) else None,
        prune_baseline=False,
    )
    return Acquisition(improvement, feasibility)


def _log_chance(feasibility: Surrogate, points: Tensor) -> Tensor:
    """Logarithm of the probability that a latent feasibility is above one half."""
    posterior = feasibility.gp.posterior(points)
    mean = feasibility.offset + feasibility.scale * posterior.mean.squeeze(-1)
    sigma = abs(feasibility.scale) * posterior.variance.squeeze(-1).clamp_min(1e-12).sqrt()
    chance: Tensor = torch.special.log_ndtr((mean - 0.5) / sigma)
    return chance
