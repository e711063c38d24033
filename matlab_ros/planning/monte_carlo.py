"""Expected improvements of anything that outcomes are worth, by joint draws that are cached.

As qLogNEI and qLogNEHVI of BoTorch (Ament et al., NeurIPS 2023), for outcomes that are independent
processes: draws of what was measured and is pending are made once, so that a candidate costs a few
products.
"""

from __future__ import annotations

import torch
from botorch.utils.multi_objective.box_decompositions import (
    BoxDecompositionList,
    FastNondominatedPartitioning,
)
from botorch.utils.safe_math import log_fatmoid, log_fatplus, logmeanexp, smooth_amin
from botorch.utils.sampling import draw_sobol_normal_samples
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from matlab_ros.planning.cached_improvement import CachedProcess
from matlab_ros.planning.knowledge import LEAST_VARIANCE, process_of
from matlab_ros.planning.utility import Utility, reference_point

SAMPLES = 128
FRONT_SAMPLES = 64
"""Draws; of a front fewer, because each has cells of its own."""

MOST_MEASURED = 64
"""Measured points that are drawn jointly: the most promising where there are more."""

TAU_RELU, TAU_MIN = 1e-6, 1e-3
"""Smoothing of an improvement and of a minimum, as in BoTorch."""

SOFT_LIMIT = 0.02
"""Softness of a threshold, likewise."""


class Draws:
    """Joint draws of one outcome at known points, and at candidates given these.

    Args:
        process: of the outcome.
        known: features, ``k x width``.
        normals: standard normal, ``draws x (1 + k)``.
    """

    def __init__(self, process: CachedProcess, known: Tensor, normals: Tensor) -> None:
        self._process, self._known = process, known
        with torch.no_grad():
            mean, self._white, prior = process.at(known, known)
            covariance = prior - self._white @ self._white.T
            factor = psd_safe_cholesky(0.5 * (covariance + covariance.T))
            self._own, others = normals[:, :1], normals[:, 1:]
            self.at_known = mean + others @ factor.T
            # A candidate's draw is its conditional mean given these, and noise of its own.
            inverse = torch.linalg.inv(factor)
            self._inverse = inverse
            self._weights = inverse.T @ others.T

    def at(self, points: Tensor) -> Tensor:
        """At points ``n x width``, each jointly with the known ones: ``draws x n``."""
        mean, white, prior = self._process.at(points, self._known)
        across = prior - white @ self._white.T
        variance = self._process.prior_variance(points) - white.square().sum(dim=-1)
        left = variance - (across @ self._inverse.T).square().sum(dim=-1)
        away: Tensor = left.clamp_min(LEAST_VARIANCE).sqrt() * self._own
        values: Tensor = away + mean + (across @ self._weights).T
        return values


class _Joint:
    """Draws of all outcomes at measured and pending points."""

    def __init__(self, utility: Utility, measured: Tensor, samples: int, seed: int) -> None:
        self._utility = utility
        self._processes = [process_of(item) for item in utility.surrogates]
        self._measured = measured
        self._samples, self._seed = samples, seed
        self.set_pending(measured[:0])

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        known = torch.cat([self._measured, points])
        count = len(self._processes) * (1 + len(known))
        normals = draw_sobol_normal_samples(
            count, self._samples, dtype=known.dtype, seed=self._seed
        ).reshape(self._samples, len(self._processes), 1 + len(known))
        self._draws = [
            Draws(process, known, normals[:, n]) for n, process in enumerate(self._processes)
        ]
        self._take(torch.stack([item.at_known for item in self._draws], dim=-1))

    def _take(self, known: Tensor) -> None:
        """Note what there is to improve on: outcomes of known points, draws x k x outcomes."""
        raise NotImplementedError

    def _at(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Outcomes of candidates, and logarithms of how well they keep the thresholds."""
        outcomes = torch.stack([item.at(points) for item in self._draws], dim=-1)
        slacks = self._utility.slacks(outcomes)
        return outcomes, log_fatmoid(slacks, tau=SOFT_LIMIT).sum(dim=-1)


class MeritImprovement(_Joint):
    """Log noisy expected improvement of one number, with thresholds.

    Args:
        utility: of the outcomes.
        measured: features to improve on, ``n x width``.
        seed: of the draws.
        is_fixed: improve on what the means say instead of on every draw: LogEI.
    """

    def __init__(
        self, utility: Utility, measured: Tensor, seed: int, is_fixed: bool = False
    ) -> None:
        self._incumbent = utility.incumbent(measured) if is_fixed else None
        super().__init__(utility, promising(utility, measured), SAMPLES, seed)

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        outcomes, kept = self._at(points)
        rise = log_fatplus(self._utility.value(outcomes) - self._best[:, None], tau=TAU_RELU)
        return logmeanexp(rise + kept, dim=0)

    def _take(self, known: Tensor) -> None:
        if self._incumbent is not None:
            # Only what is pending is drawn; the rest is what it is believed to be.
            known = known[:, len(self._measured) :]
            start = torch.full((len(known),), self._incumbent, dtype=known.dtype)
            self._best = torch.cat([self._worth(known), start[:, None]], dim=-1).amax(dim=-1)
            return
        worth = self._worth(known)
        value = self._utility.value(known)
        # Where a draw keeps the thresholds nowhere, whatever keeps them is an improvement.
        lowest = value.amin(dim=-1) - 1.0
        self._best = torch.maximum(worth.amax(dim=-1), lowest)

    def _worth(self, known: Tensor) -> Tensor:
        is_kept = (self._utility.slacks(known) >= 0.0).all(dim=-1)
        value = self._utility.value(known)
        return torch.where(is_kept, value, torch.full_like(value, -torch.inf))


class FrontImprovement(_Joint):
    """Log noisy expected improvement of the volume that a Pareto front dominates.

    Daulton et al., NeurIPS 2021; cells of the volume that is not dominated are worked out for every
    draw.

    Args:
        utility: of the outcomes.
        measured: features, ``n x width``.
        seed: of the draws.
    """

    def __init__(self, utility: Utility, measured: Tensor, seed: int) -> None:
        gains = utility.gains(utility.believed(measured))
        self._reference = torch.tensor(reference_point(utility, gains), dtype=measured.dtype)
        super().__init__(utility, promising(utility, measured), FRONT_SAMPLES, seed)

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        outcomes, kept = self._at(points)
        gains = self._utility.gains(outcomes)[:, :, None, :]
        low, high = self._low[:, None], self._high[:, None]
        # Edges of what a point adds to a cell: it starts at the cell's corner and ends in it.
        edges = torch.stack(
            [
                log_fatplus(gains - low, tau=TAU_RELU),
                (high - low).log().expand(*gains.shape[:2], -1, -1),
            ]
        )
        volume = smooth_amin(edges, dim=0, tau=TAU_MIN).sum(dim=-1).logsumexp(dim=-1)
        return logmeanexp(volume + kept, dim=0)

    def _take(self, known: Tensor) -> None:
        gains = self._utility.gains(known)
        is_kept = (self._utility.slacks(known) >= 0.0).all(dim=-1)
        parts = [
            FastNondominatedPartitioning(self._reference, Y=row[kept])
            for row, kept in zip(gains, is_kept, strict=True)
        ]
        self._low, high = BoxDecompositionList(*parts).get_hypercell_bounds()
        # Cells without an end get one far away, so that their logarithms are numbers.
        self._high = high.clamp_max(1e6)
        empty = (self._high <= self._low).any(dim=-1, keepdim=True)
        self._low = torch.where(empty, torch.full_like(high, 1e6 - 1.0), self._low)
        self._high = torch.where(empty, torch.full_like(high, 1e6), self._high)


def promising(utility: Utility, measured: Tensor) -> Tensor:
    """The measured points of which the most is believed, at most `MOST_MEASURED`."""
    if len(measured) <= MOST_MEASURED:
        return measured
    mean = utility.believed(measured)
    if not utility.objectives.is_pareto:
        return measured[utility.value(mean).topk(MOST_MEASURED).indices]
    gains = utility.gains(mean)
    # Those that the fewest others dominate.
    better = (gains[None] >= gains[:, None]).all(dim=-1).sum(dim=-1)
    return measured[better.topk(MOST_MEASURED, largest=False).indices]
