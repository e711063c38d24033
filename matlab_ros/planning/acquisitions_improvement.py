"""Expected improvement of one number, and of the volume that a Pareto front dominates."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from matlab_ros.planning.cached_improvement import CachedImprovement
from matlab_ros.planning.knowledge import process_of
from matlab_ros.planning.monte_carlo import FrontImprovement, MeritImprovement
from matlab_ros.planning.multi_task import PresentProcess
from matlab_ros.planning.utility import Utility


class Core(Protocol):
    """Logarithm of what one more experiment is worth, given what is pending."""

    def __call__(self, points: Tensor) -> Tensor:
        """At points ``n x width`` -> ``n``; differentiable."""
        ...

    def set_pending(self, points: Tensor) -> None:
        """Count points, ``k x width``, as under way: all of them, replacing earlier ones."""
        ...


class CachedCore:
    """The expected improvement of one outcome, with factors computed once."""

    def __init__(self, improvement: CachedImprovement) -> None:
        self._improvement = improvement

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        return self._improvement(points)

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        self._improvement.add_pending(points)


def noisy_improvement(utility: Utility, baseline: Tensor, seed: int) -> Core:
    """qLogNEI over measured points (Ament et al., NeurIPS 2023), with thresholds as constraints.

    Args:
        utility: of the outcomes.
        baseline: features of what was measured, ``n x width``.
        seed: of everything random.
    """
    if utility.is_linear and utility.sign > 0.0 and not utility.objectives.thresholds:
        process = process_of(utility.surrogates[0])
        # Of several campaigns only the present one's experiments are to be improved on.
        own = baseline if isinstance(process, PresentProcess) else None
        return CachedCore(CachedImprovement(process, baseline[:0], seed, own))
    return MeritImprovement(utility, baseline, seed)


def improvement(utility: Utility, baseline: Tensor, seed: int) -> Core:
    """LogEI over the best that the model believes of measured points.

    Pending points are integrated over by draws. Where no measured point is believed to keep the
    thresholds, the worst of them is what is improved on.

    Args:
        utility: of the outcomes.
        baseline: features of what was measured, ``n x width``.
        seed: of everything random.
    """
    return MeritImprovement(utility, baseline, seed, is_fixed=True)


def hypervolume_improvement(utility: Utility, baseline: Tensor, seed: int) -> Core:
    """qLogNEHVI: how much more an experiment lets the front dominate.

    Args:
        utility: of the outcomes.
        baseline: features of what was measured, ``n x width``.
        seed: of everything random.
    """
    return FrontImprovement(utility, baseline, seed)
