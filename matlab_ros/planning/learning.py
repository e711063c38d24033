"""Experiments that teach most: where a model knows least, and where a phase begins to form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from matlab_ros.planning.classifier import Classifier
from matlab_ros.planning.knowledge import Knowledge
from matlab_ros.planning.models import Surrogate

_LEAST = 1e-12
_WIDTH = math.sqrt(math.pi * math.log(2.0) / 2.0)
"""Of the bell that stands for the expected entropy of a probit (Houlsby et al., 2011)."""


class Uncertainty:
    """Standard deviation of the true values, once everything pending is known.

    Of several outcomes the root of the mean variance, each in units of its spread.
    """

    def __init__(self, surrogates: Sequence[Surrogate]) -> None:
        self._beliefs = [Knowledge(item) for item in surrogates]

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        variance = torch.stack([item.at(points).variance for item in self._beliefs])
        return 0.5 * variance.mean(dim=0).log()

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        for item in self._beliefs:
            item.set_pending(points)


class IntegratedVariance:
    """By how much a measurement lowers the mean variance over the space.

    The same order as integrated negative posterior variance (Seo et al., IJCNN 2000; qNIPV of
    BoTorch), in closed form: the space's covariance with the point, squared, over its variance.

    Args:
        surrogates: of the outcomes.
        grid: features all over the space, ``m x width``.
    """

    def __init__(self, surrogates: Sequence[Surrogate], grid: Tensor) -> None:
        self._beliefs = [Knowledge(item, grid) for item in surrogates]

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        fall = points.new_zeros(len(points))
        for item in self._beliefs:
            found = item.at(points)
            fall = fall + found.anchored.square().mean(dim=-1) / (found.variance + item.noise)
        return (fall / len(self._beliefs)).add(_LEAST).log()

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        for item in self._beliefs:
            item.set_pending(points)


class PhaseBoundary:
    """Information of an experiment about where something happens (BALD; Houlsby et al., 2011).

    High where the outcome is uncertain because the boundary is, not because it is a coin's throw.
    """

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._pending = classifier.train.new_zeros(0, classifier.train.shape[-1])

    def __call__(self, points: Tensor) -> Tensor:
        """See `Core`."""
        n, k = len(points), len(self._pending)
        mean, covariance = self._classifier.latent(torch.cat([points, self._pending]))
        variance = covariance.diagonal()[:n]
        if k:
            # A label that is not there yet narrows the latent function as its expected curvature
            # says, whichever it will be.
            known = covariance[n:, n:] + torch.diag(1.0 / _information(mean[n:]))
            root = torch.linalg.cholesky(known)
            halves = torch.linalg.solve_triangular(root, covariance[n:, :n], upper=False)
            variance = variance - halves.square().sum(dim=0)
        variance = variance.clamp_min(_LEAST)
        total = _entropy(torch.special.ndtr(mean[:n] / (1.0 + variance).sqrt()))
        bell = variance + _WIDTH**2
        expected = _WIDTH / bell.sqrt() * (-mean[:n].square() / (2.0 * bell)).exp()
        return (total - expected).clamp_min(0.0).add(_LEAST).log()

    def set_pending(self, points: Tensor) -> None:
        """See `Core`."""
        self._pending = points


def _entropy(probability: Tensor) -> Tensor:
    """Of a yes or no, bits."""
    p = probability.clamp(1e-12, 1.0 - 1e-12)
    return -(p * p.log2() + (1.0 - p) * (1.0 - p).log2())


def _information(latent: Tensor) -> Tensor:
    """Fisher information of a label about the latent value behind it."""
    density = (-latent.square()).exp() / (2.0 * math.pi)
    chance = torch.special.ndtr(latent)
    information: Tensor = density / (chance * (1.0 - chance)).clamp_min(1e-12)
    return information.clamp_min(1e-6)
