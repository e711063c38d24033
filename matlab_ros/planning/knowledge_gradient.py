"""The knowledge gradient: how much better one will choose in the end for having measured."""

from __future__ import annotations

import torch
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor

from matlab_ros.planning.knowledge import Knowledge
from matlab_ros.planning.utility import Utility

OUTCOMES = 24
"""Of the measurement, far out as well: most of what is to be found is not expected."""

ANCHORS = 96
"""Points among which the best is chosen afterwards."""

_LEAST = 1e-12


class KnowledgeGradient:
    """Expected rise of the largest posterior mean among anchors (Frazier et al., 2009).

    The measurement's outcome is integrated by Gauss and Hermite's nodes, so the value is a plain,
    differentiable sum. Where anchors are thorough experiments and points are not,
    this is the multi-fidelity knowledge gradient (Poloczek et al., NeurIPS 2017).

    Args:
        utility: of one goal to maximise or minimise.
        anchors: features, ``m x width``, of settings that one may choose in the end.
        is_choice: whether the measured point itself may be chosen, too.
    """

    def __init__(self, utility: Utility, anchors: Tensor, is_choice: bool = True) -> None:
        self._utility = utility
        self._is_choice = is_choice
        goal = utility.objectives.goals[0]
        column = utility.column(goal)
        surrogate = utility.surrogates[column]
        with torch.no_grad():
            posterior = surrogate.gp.posterior(anchors)
            mean = utility.sign * posterior.mean.squeeze(-1)
            # What is far below the best will not be chosen whatever one measurement gives.
            hope = mean + 2.0 * posterior.variance.clamp_min(0.0).sqrt().squeeze(-1)
            half = min(ANCHORS // 2, len(mean))
            kept = torch.unique(torch.cat([mean.topk(half).indices, hope.topk(half).indices]))
        self._mean = mean[kept]
        self._column = column
        self._beliefs = [
            Knowledge(item, anchors[kept] if n == column else None)
            for n, item in enumerate(utility.surrogates)
        ]
        nodes, weights = hermegauss(OUTCOMES)
        self._nodes = torch.as_tensor(nodes)
        self._weights = torch.as_tensor(weights / weights.sum())

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        found = [item.at(points) for item in self._beliefs]
        means = torch.stack([item.mean for item in found], dim=-1)
        sigmas = torch.stack([item.variance.sqrt() for item in found], dim=-1)
        own = found[self._column]
        noise = self._beliefs[self._column].noise
        scale = (own.variance + noise).sqrt()
        slopes = self._utility.sign * own.anchored / scale[:, None]
        after = (self._mean + slopes[:, None, :] * self._nodes[:, None]).max(dim=-1).values
        before = self._mean.max().expand(len(points))
        if self._is_choice:
            itself = self._utility.sign * own.mean
            slope = own.variance / scale
            after = torch.maximum(after, itself[:, None] + slope[:, None] * self._nodes)
            before = torch.maximum(before, itself)
        rise = after @ self._weights - before
        chance = self._utility.log_chance(means, sigmas)
        return rise.clamp_min(0.0).add(_LEAST).log() + chance

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        for item in self._beliefs:
            item.set_pending(points)
