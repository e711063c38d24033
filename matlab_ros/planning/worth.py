"""What one more experiment is worth: what it teaches or improves, its chances, and its price."""

from __future__ import annotations

import torch
from torch import Tensor

from matlab_ros.planning.acquisitions_improvement import Core
from matlab_ros.planning.classifier import Classifier
from matlab_ros.planning.cost_surface import CostSurface

CHUNK = 1024
"""Points evaluated at once; bounds the memory of large pools."""


class Worth:
    """Sum of logarithms: the acquisition, the chance that the chemistry works, and cost.

    Args:
        core: the acquisition.
        feasibility: of the chemistry; None when nothing failed.
        costs: None: experiments cost the same.
        exponent: of cost, 0 to 1.
    """

    def __init__(
        self,
        core: Core,
        feasibility: Classifier | None,
        costs: CostSurface | None = None,
        exponent: float = 1.0,
    ) -> None:
        self._core = core
        self._feasibility = feasibility
        self._costs = costs
        self._exponent = exponent

    def __call__(self, points: Tensor) -> Tensor:
        """Logarithm of the worth of each of the points, ``n x width`` -> ``n``."""
        value = self._core(points)
        if self._feasibility is not None:
            value = value + self._feasibility.log_probability(points)
        if self._costs is not None and self._exponent > 0.0:
            value = value - self._exponent * self._costs(points)
        return value

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients, in pieces."""
        with torch.no_grad():
            pieces = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
            return torch.cat([self(piece) for piece in pieces])

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``k x width``, as being under way: all of them, replacing earlier ones."""
        self._core.set_pending(points)
