"""Log noisy expected improvement of a Gaussian process, fast: what no candidate changes is cached.

The same quantity as BoTorch's qLogNoisyExpectedImprovement (Ament et al., NeurIPS 2023): the
improvement over the best noiseless value of what was measured or is pending, averaged over joint
draws. The factors of the covariances of data, baseline and pending points are computed once, so
that a candidate costs two products of a vector and a matrix, and its gradient a few more.
"""

from __future__ import annotations

import copy

import torch
from botorch.models import SingleTaskGP
from botorch.utils.safe_math import fatmax, log_fatplus, logmeanexp
from botorch.utils.sampling import draw_sobol_normal_samples
from linear_operator.utils.cholesky import psd_safe_cholesky
from torch import Tensor

from matlab_ros.planning.plain_kernels import plain

SAMPLES = 128
"""Quasi-random draws that the expectation is taken over."""

PRUNING_SAMPLES = 1024
"""Draws in which a measured point must be the best at least once to stay in the baseline."""

PRUNED_JOINTLY = 256
"""Measured points, the most promising, that are drawn jointly for that."""

CANDIDATE_DRAWS = 16
"""Columns of the draws that candidates use; the others belong to the baseline."""

SPARE_DRAWS = 16

TAU_MAX, TAU_RELU = 1e-2, 1e-6
"""Smoothing of the two maxima, as in BoTorch."""

LEAST_VARIANCE = 1e-10
CHUNK = 1024


class CachedProcess:
    """Posterior of a fitted process at many points, given factors computed once.

    Args:
        gp: fitted, in evaluation mode, one output, no transforms.
    """

    def __init__(self, gp: SingleTaskGP) -> None:
        # Without gradients of their own: only those with respect to candidates are wanted.
        self._mean = copy.deepcopy(gp.mean_module).requires_grad_(False)
        self.prior = plain(gp.covar_module)
        """Prior covariance of points ``... x n x width`` and ``... x m x width``."""
        with torch.no_grad():
            self.train = gp.train_inputs[0]
            prior = gp.forward(self.train)
            noisy = gp.likelihood(prior, [self.train]).covariance_matrix
            self.noise = (noisy - prior.covariance_matrix).diagonal()
            factor = psd_safe_cholesky(noisy)
            # The inverse factor: products with it are several times faster than solves.
            self.whiten = torch.linalg.solve_triangular(
                factor, torch.eye(len(factor), dtype=factor.dtype), upper=False
            )
            residual = gp.train_targets - prior.mean
            self.weights = self.whiten.T @ (self.whiten @ residual)
            self.train_mean = gp.train_targets - self.noise * self.weights

    def at(self, points: Tensor, known: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of points ``n x width``: posterior means and prior covariances.

        Returns:
            Means ``n``, whitened covariances with the data ``n x data``, and covariances with
            known points ``n x known``.
        """
        data = len(self.train)
        # One call for both: what costs is the call.
        both = self.prior(points, torch.cat([self.train, known]))
        mean = self._mean(points) + both[:, :data] @ self.weights
        return mean, both[:, :data] @ self.whiten.T, both[:, data:]

    def prior_variance(self, points: Tensor) -> Tensor:
        """Prior variances of points ``n x width``, ``n``."""
        return self.prior(points.unsqueeze(-2), points.unsqueeze(-2)).reshape(-1)

    def baseline(self, seed: int) -> Tensor:
        """The measured points that may be the best, ``m x width``.

        Joint draws of the most promising ones; the posterior at measured points follows from the
        noise alone: N - N (K + N)^-1 N.
        """
        noise, mean = self.noise, self.train_mean
        sigma = (noise - noise**2 * self.whiten.square().sum(0)).clamp_min(LEAST_VARIANCE).sqrt()
        promise = (mean - mean.max()) / sigma
        rows = torch.topk(promise, min(len(promise), PRUNED_JOINTLY)).indices.sort().values
        part = self.whiten[:, rows] * noise[rows]
        covariance = torch.diag(noise[rows]) - part.T @ part
        factor = psd_safe_cholesky(0.5 * (covariance + covariance.T))
        draws = draw_sobol_normal_samples(len(rows), PRUNING_SAMPLES, dtype=mean.dtype, seed=seed)
        winners = (mean[rows] + draws @ factor.T).argmax(dim=-1).unique()
        return self.train[rows[winners]]


class CachedImprovement:
    """Log noisy expected improvement of one more experiment, or of several jointly.

    Args:
        process: of the objective, larger is better.
        pending: features under way, ``m x width``, m may be 0.
        seed: of the draws.
        baseline: measured points that may be the best; None: worked out.
        samples: number of draws.
    """

    def __init__(
        self,
        process: CachedProcess,
        pending: Tensor,
        seed: int,
        baseline: Tensor | None = None,
        samples: int = SAMPLES,
    ) -> None:
        self._process = process
        self._seed = seed
        with torch.no_grad():
            self._baseline = process.baseline(seed) if baseline is None else baseline
        self._samples = samples
        self._normals = torch.zeros(samples, 0)
        self.add_pending(pending)

    def add_pending(self, points: Tensor) -> None:
        """Count points, ``m x width``, as being under way: all of them, replacing earlier ones."""
        process = self._process
        with torch.no_grad():
            known = torch.cat([self._baseline, points.to(self._baseline)])
            mean, white, prior = process.at(known, known)
            covariance = prior - white @ white.T
            wanted = CANDIDATE_DRAWS + len(known)
            if wanted > self._normals.shape[1]:
                # With some to spare, because more will be pending.
                self._normals = draw_sobol_normal_samples(
                    wanted + SPARE_DRAWS, self._samples, dtype=mean.dtype, seed=self._seed
                )
            self._draws = self._normals[:, :CANDIDATE_DRAWS]
            self._known_draws = self._normals[:, CANDIDATE_DRAWS:wanted]
            self._known, self._known_white = known, white
            self._factor = psd_safe_cholesky(0.5 * (covariance + covariance.T))
            self._best = (mean + self._known_draws @ self._factor.T).max(dim=-1).values

    def __call__(self, points: Tensor) -> Tensor:
        """Logarithm of the expected improvement of each of the points, ``n x width`` -> ``n``."""
        mean, white, given = self._given(points)
        prior = self._process.prior_variance(points)
        variance = prior - white.square().sum(-1) - given.square().sum(-1)
        values = mean.unsqueeze(-1) + given @ self._known_draws.T
        values = values + variance.clamp_min(LEAST_VARIANCE).sqrt().unsqueeze(-1) * self._draws.T[0]
        return _average(log_fatplus(values - self._best, tau=TAU_RELU))

    def of_many(self, points: Tensor) -> Tensor:
        """The same without gradients, in pieces."""
        with torch.no_grad():
            pieces = [points[at : at + CHUNK] for at in range(0, len(points), CHUNK)]
            return torch.cat([self(piece) for piece in pieces])

    def joint(self, batches: Tensor) -> Tensor:
        """Logarithm of the improvement expected of several together, ``n x q x width`` -> ``n``.

        Raises:
            ValueError: more than `CANDIDATE_DRAWS` together.
        """
        count, together, width = batches.shape
        if together > CANDIDATE_DRAWS:
            raise ValueError(f"{together} together are more than {CANDIDATE_DRAWS}")
        mean, white, given = self._given(batches.reshape(-1, width))
        both = torch.cat([white, given], dim=-1).reshape(count, together, -1)
        covariance = self._process.prior(batches, batches) - both @ both.transpose(-1, -2)
        jitter = torch.eye(together, dtype=batches.dtype) * 10 * LEAST_VARIANCE
        factor = psd_safe_cholesky(covariance + jitter)
        values = (mean.unsqueeze(-1) + given @ self._known_draws.T).reshape(count, together, -1)
        values = values + factor @ self._draws.T[:together]
        gains = log_fatplus(values - self._best, tau=TAU_RELU)
        return _average(fatmax(gains, dim=-2, tau=TAU_MAX))

    def _given(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Means and whitened covariances with the data, and with the baseline given the data."""
        mean, white, prior = self._process.at(points, self._known)
        cross = prior - white @ self._known_white.T
        given = torch.linalg.solve_triangular(self._factor, cross.T, upper=False).T
        return mean, white, given


def _average(values: Tensor) -> Tensor:
    average: Tensor = logmeanexp(values, dim=-1)
    return average
