"""The cached acquisition says what BoTorch's says, with the covariances of the kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler
from gpytorch.kernels import MaternKernel, PeriodicKernel, RBFKernel, ScaleKernel

from matlab_ros.planning.cached_improvement import CachedImprovement, CachedProcess
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.models import fit_surrogate
from matlab_ros.planning.plain_kernels import plain
from matlab_ros.planning.space import SearchSpace

SPACE = SearchSpace(
    (
        ContinuousDimension("x", 0, 1),
        ContinuousDimension("y", 0, 1),
        CategoricalDimension("c", ("a", "b", "c")),
    )
)


@pytest.fixture(scope="module")
def fitted():
    """A process of twenty noisy points, and features of others."""
    rng = np.random.default_rng(3)
    items = SPACE.sample(20, rng)
    values = np.array([np.sin(5 * s.number("x")) - s.number("y") ** 2 for s in items])
    values = values + 0.05 * rng.standard_normal(20)
    surrogate = fit_surrogate(SPACE, SPACE.features(items), values, np.full(20, 0.05), 1.0, 0)
    others = torch.as_tensor(SPACE.features(SPACE.sample(60, rng)))
    return surrogate.gp, others


def botorch(gp, baseline, pending):
    """The same quantity with many draws."""
    return qLogNoisyExpectedImprovement(
        gp,
        X_baseline=baseline,
        X_pending=pending,
        sampler=SobolQMCNormalSampler(torch.Size([4096]), seed=0),
        prune_baseline=False,
    )


def cached(gp, pending, baseline=None) -> CachedImprovement:
    """With so many draws that what is left of chance is small."""
    return CachedImprovement(CachedProcess(gp), pending, 0, baseline, samples=4096)


def test_one_and_several_points_are_worth_what_botorch_says(fitted) -> None:
    gp, others = fitted
    pending, single = others[:2], others[2:]
    ours = cached(gp, pending, gp.train_inputs[0])
    reference = botorch(gp, gp.train_inputs[0], pending)
    with torch.no_grad():
        expected = reference(single.unsqueeze(1))
        # Where an improvement is rare, even so many draws see too little of it to compare.
        best = expected.topk(6).indices
        assert torch.allclose(ours(single[best]), expected[best], atol=0.1)
        together = single[best].reshape(2, 3, -1)
        assert torch.allclose(ours.joint(together), reference(together), atol=0.1)


def test_leaving_out_what_cannot_be_best_changes_nothing(fitted) -> None:
    gp, others = fitted
    pruned, whole = (
        cached(gp, others[:0], baseline).of_many(others) for baseline in (None, gp.train_inputs[0])
    )
    best = whole.topk(6).indices
    assert torch.allclose(pruned[best], whole[best], atol=0.1)


def test_several_together_are_worth_the_sum_of_each_given_the_ones_before(fitted) -> None:
    gp, others = fitted
    ours = cached(gp, others[:0])
    best = others[ours.of_many(others).topk(3).indices]
    total = float(ours.joint(best.unsqueeze(0))[0])
    parts = []
    for number in range(3):
        ours.add_pending(best[:number])
        parts.append(ours(best[number : number + 1])[0])
    assert float(torch.logsumexp(torch.stack(parts), 0)) == pytest.approx(total, abs=0.1)


@pytest.mark.parametrize(
    "kernel",
    [
        MaternKernel(nu=2.5, ard_num_dims=3),
        ScaleKernel(MaternKernel(nu=2.5, active_dims=(0, 2))) + RBFKernel(active_dims=(1,)),
        MaternKernel(nu=2.5, active_dims=(0,)) * MaternKernel(nu=2.5, active_dims=(1, 2)),
        PeriodicKernel(),
    ],
)
def test_plain_covariances_are_those_of_the_kernels(kernel) -> None:
    kernel = kernel.double()
    points = torch.rand(2, 4, 3, dtype=torch.float64, generator=torch.manual_seed(1))
    others = torch.rand(2, 5, 3, dtype=torch.float64)
    expected = kernel(points, others).to_dense().detach()
    assert torch.allclose(plain(kernel)(points, others), expected, atol=1e-7)
