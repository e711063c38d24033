"""The default worth of an experiment: how good it may well be, by two models at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from matlab_ros.planning.cached_improvement import CHUNK
from matlab_ros.planning.classifier import Classifier
from matlab_ros.planning.ensemble import Ensemble

KAPPA = 1.5
"""Standard deviations above the mean: half-way between the 1 that suits forests and the 2 that
suits processes; see docs/planner_default.md."""

TEMPERATURE = 0.1
"""Standard deviations of the objective below the best at which the worth has fallen by 1."""


@dataclass
class ConfidenceBound:
    """Upper confidence bound of an ensemble, on a scale that chances can be added to.

    The logarithm of a smooth positive part of the bound above the best that is known: it ranks as
    the bound does, and adding the logarithm of the chance that the chemistry works weighs both as
    an expected gain would.

    Attributes:
        ensemble: of the objective.
        best: largest mean among what was measured, standardised.
        feasibility: of the chemistry; None when nothing failed.
        pending: features under way, ``m x width``.
        kappa: standard deviations above the mean.
    """

    ensemble: Ensemble
    best: float
    feasibility: Classifier | None
    pending: Tensor
    kappa: float = field(default=KAPPA)

    def __call__(self, points: Tensor) -> Tensor:
        """Worth of each of the points, ``n x width`` -> ``n``."""
        mean, sigma = self.ensemble.latent(points, self.pending)
        above = (mean + self.kappa * sigma - self.best) / TEMPERATURE
        # Far below, softplus(x) is exp(x) and would round to 0, of which there is no logarithm.
        worth = torch.where(
            above < -20.0, above, torch.nn.functional.softplus(above.clamp_min(-20.0)).log()
        )
        if self.feasibility is not None:
            worth = worth + self.feasibility.log_probability(points)
        return worth

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients, in pieces."""
        with torch.no_grad():
            pieces = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
            return torch.cat([self(piece) for piece in pieces])

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``m x width``, as being under way: all of them, replacing earlier ones."""
        self.pending = points


def confidence_bound(
    ensemble: Ensemble, feasibility: Classifier | None, pending: Tensor
) -> ConfidenceBound:
    """The default worth, given what is pending, ``m x width``, m may be 0."""
    with torch.no_grad():
        best = ensemble.latent(ensemble.surrogate.train, pending[:0])[0].max()
    return ConfidenceBound(ensemble, float(best), feasibility, pending)
