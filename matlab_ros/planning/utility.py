"""From predicted outcomes to what they are worth: goals in one number or several, and limits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from matlab_ros.planning.models import Surrogate
from matlab_ros.planning.objectives import Goal, Objective, Objectives

LEAK = 0.05
"""Slope of desirability beyond its worst value, so that a search sees which way is better."""

_FLOOR = 1e-4
"""Least desirability inside of the product; roots have no slope at 0."""


class Utility:
    """What standardised outcomes are worth, in units of their spread.

    Args:
        objectives: what is wanted.
        surrogates: one for each of `objectives.names`, larger outcome = larger value; the only
            outcome without a threshold may be negated.
    """

    def __init__(self, objectives: Objectives, surrogates: Mapping[str, Surrogate]) -> None:
        self.objectives = objectives
        self.names = objectives.names
        self.surrogates = tuple(surrogates[name] for name in self.names)
        self._column = {name: n for n, name in enumerate(self.names)}

    @property
    def is_linear(self) -> bool:
        """Whether the one number is an outcome as it is, or its negative."""
        goals = self.objectives.goals
        return len(goals) == 1 and goals[0].goal in (Goal.MAXIMIZE, Goal.MINIMIZE)

    @property
    def sign(self) -> float:
        """Of that outcome as its model says it."""
        goal = self.objectives.goals[0]
        sign = -1.0 if goal.goal is Goal.MINIMIZE else 1.0
        return math.copysign(sign, sign * self.surrogates[self.column(goal)].scale)

    def believed(self, points: Tensor) -> Tensor:
        """Means of the standardised outcomes at points ``n x width``, ``n x outcomes``."""
        with torch.no_grad():
            means = [item.gp.posterior(points).mean for item in self.surrogates]
            return torch.cat(means, dim=-1)

    def incumbent(self, points: Tensor) -> float:
        """The best worth believed of points where the thresholds are believed to be kept.

        Where they are nowhere, the worst of them: anything that keeps them is an improvement.
        """
        mean = self.believed(points)
        worth = self.value(mean)
        kept = (self.slacks(mean) >= 0.0).all(dim=-1)
        return float(worth[kept].max() if bool(kept.any()) else worth.min())

    def column(self, goal: Objective) -> int:
        """Where an objective's outcome stands."""
        return self._column[goal.name]

    def value(self, samples: Tensor) -> Tensor:
        """The one number of standardised outcomes ``... x outcomes``."""
        goals = self.objectives.goals
        if self.objectives.combine == "desirability":
            total = math.fsum(item.weight for item in goals)
            logarithm, slope = samples.new_zeros(()), samples.new_zeros(())
            for item in goals:
                own = self._own(samples, item)
                plain = item.desirability(own)
                logarithm = logarithm + item.weight / total * plain.clamp_min(_FLOOR).log()
                slope = slope + item.desirability(own, LEAK) - plain
            return logarithm.exp() + slope
        return self._gain(samples, goals[0])

    def gains(self, samples: Tensor) -> Tensor:
        """Every goal's gain, ``... x goals``."""
        return torch.stack([self._gain(samples, item) for item in self.objectives.goals], dim=-1)

    def gain_at(self, goal: Objective, value: float) -> float:
        """Gain of an outcome's value in the units of `gains`."""
        return float(goal.gain(value)) / self._unit(goal)

    def slacks(self, samples: Tensor) -> Tensor:
        """How far every threshold is kept, in units of the spread, ``... x thresholds``."""
        parts = [
            item.slack(self._own(samples, item)) / self._unit(item)
            for item in self.objectives.thresholds
        ]
        return torch.stack(parts, dim=-1) if parts else samples.new_zeros(*samples.shape[:-1], 0)

    def log_chance(self, means: Tensor, sigmas: Tensor) -> Tensor:
        """Logarithm of the probability that all thresholds are kept.

        Args:
            means: standardised, ``n x outcomes``.
            sigmas: likewise.
        """
        total = means.new_zeros(len(means))
        for item in self.objectives.thresholds:
            n, surrogate = self.column(item), self.surrogates[self.column(item)]
            spread = sigmas[:, n].clamp_min(1e-6)

            def at(
                level: float, n: int = n, surrogate: Surrogate = surrogate, spread: Tensor = spread
            ) -> Tensor:
                return ((level - surrogate.offset) / surrogate.scale - means[:, n]) / spread

            if item.goal is Goal.TARGET:
                upper = at(item.target + item.threshold)
                lower = at(item.target - item.threshold)
                between = torch.special.ndtr(upper) - torch.special.ndtr(lower)
                total = total + between.clamp_min(1e-12).log()
            elif item.goal in (Goal.MAXIMIZE, Goal.AT_LEAST):
                total = total + torch.special.log_ndtr(-at(item.threshold))
            else:
                total = total + torch.special.log_ndtr(at(item.threshold))
        return total

    def _gain(self, samples: Tensor, goal: Objective) -> Tensor:
        gain: Tensor = goal.gain(self._own(samples, goal)) / self._unit(goal)
        return gain

    def _own(self, samples: Tensor, goal: Objective) -> Tensor:
        """An outcome in its own unit."""
        n = self.column(goal)
        return self.surrogates[n].offset + self.surrogates[n].scale * samples[..., n]

    def _unit(self, goal: Objective) -> float:
        return abs(self.surrogates[self.column(goal)].scale)


def reference_point(utility: Utility, gains: Tensor) -> list[float]:
    """Gains below which a Pareto front does not count.

    A goal's threshold where it has one; otherwise the worst that was measured: a point close to the
    front itself (Ishibuchi et al., Evol. Comput. 26, 411, 2018) gives its ends no worth while it is
    short.

    Args:
        utility: whose goals they are.
        gains: of what was measured, ``n x goals``, n at least 1.
    """
    low, high = gains.min(dim=0).values, gains.max(dim=0).values
    spread = (high - low).where(high > low, torch.ones_like(low))
    points = (low - 0.01 * spread).tolist()
    return [
        utility.gain_at(goal, goal.threshold)
        if goal.has_threshold and goal.goal is not Goal.TARGET
        else point
        for goal, point in zip(utility.objectives.goals, points, strict=True)
    ]
