"""What an experiment is worth: log noisy expected improvement, times the chance that it works."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from matlab_ros.planning.cached_improvement import CHUNK, CachedImprovement, CachedProcess
from matlab_ros.planning.classifier import Classifier
from matlab_ros.planning.models import Surrogate


@dataclass(frozen=True)
class Acquisition:
    """Value of one more experiment, given all that is observed and pending.

    Attributes:
        improvement: logarithm of the expected improvement over what is observed and pending.
        feasibility: of the chemistry; None when nothing failed.
    """

    improvement: CachedImprovement
    feasibility: Classifier | None

    def __call__(self, points: Tensor) -> Tensor:
        """Logarithm of the value at each of the points, ``n x width`` -> ``n``."""
        value = self.improvement(points)
        if self.feasibility is not None:
            value = value + self.feasibility.log_probability(points)
        return value

    def joint(self, batches: Tensor) -> Tensor:
        """The same of several points together, ``n x q x width`` -> ``n``.

        The chance that they work is that of all of them on average.
        """
        value = self.improvement.joint(batches)
        if self.feasibility is not None:
            chances = self.feasibility.log_probability(batches.reshape(-1, batches.shape[-1]))
            value = value + chances.reshape(batches.shape[:2]).mean(dim=-1)
        return value

    def of_many(self, points: Tensor) -> Tensor:
        """The value at each of any number of points without gradients, in pieces."""
        with torch.no_grad():
            pieces = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
            return torch.cat([self(piece) for piece in pieces])

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``m x width``, as being under way: all of them, replacing earlier ones."""
        self.improvement.add_pending(points)


def noisy_expected_improvement(
    surrogate: Surrogate, feasibility: Classifier | None, pending: Tensor, seed: int
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
    improvement = CachedImprovement(CachedProcess(surrogate.gp), pending, seed)
    return Acquisition(improvement, feasibility)
