"""What a Gaussian process would know once everything pending is measured."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from botorch.models.multitask import MultiTaskGP
from torch import Tensor

from matlab_ros.planning.cached_improvement import CachedProcess
from matlab_ros.planning.models import Surrogate
from matlab_ros.planning.multi_task import PresentProcess

LEAST_VARIANCE = 1e-8


@dataclass(frozen=True)
class Marginals:
    """Standardised beliefs about n points, and how they go together with m anchors.

    Attributes:
        mean: ``n``.
        variance: of the true value, ``n``.
        anchored: covariance with the anchors, ``n x m``.
    """

    mean: Tensor
    variance: Tensor
    anchored: Tensor


class Knowledge:
    """Beliefs of a surrogate, with what is pending counted as if it were measured.

    How much a measurement will narrow a process does not depend on what it gives, so variances are
    exact; means stay where they are, which is what is expected of them (GP-BUCB; Desautels et al.,
    JMLR 15, 4053, 2014).

    Args:
        surrogate: fitted.
        anchors: points whose covariance with others matters, ``m x width``; None: none.
    """

    def __init__(self, surrogate: Surrogate, anchors: Tensor | None = None) -> None:
        self.noise = noise_variance(surrogate)
        self._process = process_of(surrogate)
        none = surrogate.train.new_zeros(0, surrogate.train.shape[-1])
        self._anchors = none if anchors is None else anchors
        self.set_pending(none)

    def set_pending(self, points: Tensor) -> None:
        """Count points, ``k x width``, as being under way: all of them, replacing earlier ones."""
        k = len(points)
        self._count = k
        self._known = torch.cat([points, self._anchors])
        with torch.no_grad():
            _, self._white, prior = self._process.at(self._known, self._known)
            covariance = prior - self._white @ self._white.T
            noisy = covariance[:k, :k] + (self.noise + LEAST_VARIANCE) * torch.eye(k).to(prior)
            factor = torch.linalg.cholesky(noisy)
            self._whiten = torch.linalg.inv(factor)
            self._halves = self._whiten @ covariance[:k, k:]

    def at(self, points: Tensor) -> Marginals:
        """Beliefs about points ``n x width``; differentiable."""
        k = self._count
        mean, white, prior = self._process.at(points, self._known)
        variance = self._process.prior_variance(points) - white.square().sum(dim=-1)
        across = prior - white @ self._white.T
        halves = across[:, :k] @ self._whiten.T
        return Marginals(
            mean,
            (variance - halves.square().sum(dim=-1)).clamp_min(LEAST_VARIANCE),
            across[:, k:] - halves @ self._halves,
        )


def process_of(surrogate: Surrogate) -> CachedProcess:
    """The process of a surrogate with its factors; of several campaigns the present one."""
    if isinstance(surrogate.gp, MultiTaskGP):
        return PresentProcess(surrogate.gp)
    return CachedProcess(surrogate.gp)


def noise_variance(surrogate: Surrogate) -> float:
    """Variance of one more measurement's noise, in the units of the standardised objective.

    The part that is inferred; what a diffractogram will add is known only once it is there.
    """
    likelihood = surrogate.gp.likelihood
    noise = likelihood.second_noise if hasattr(likelihood, "second_noise") else likelihood.noise
    return float(noise.detach().mean())
