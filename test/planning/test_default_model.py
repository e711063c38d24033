"""The default's models: fitted exactly, weighed by evidence, honest about what is pending."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from gpytorch.mlls import ExactMarginalLogLikelihood
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime

from matlab_ros.planning.confidence import confidence_bound
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.ensemble import Ensemble, fit_ensemble, stacking_weight
from matlab_ros.planning.forest import grow_forest
from matlab_ros.planning.models import _fit_by_gradients, fit_surrogate, parts_of
from matlab_ros.planning.process_fit import _Posterior, fit_process
from matlab_ros.planning.space import SearchSpace

PLANE = SearchSpace((ContinuousDimension("a", 0, 1), ContinuousDimension("b", 0, 1)))
MIXED = SearchSpace((*PLANE.dimensions, CategoricalDimension("c", ("x", "y", "z"))))


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _points(space: SearchSpace, count: int, seed: int = 0):
    return space.features(space.sample(count, np.random.default_rng(seed)))


def _smooth(points):
    return np.sin(6 * points[:, 0]) + points[:, 1] * points[:, -1]


def _steps(points):
    return np.where((points[:, 0] > 0.5) & (points[:, 1] < 0.3), 5.0, 0.0)


def _ensemble(values, points, space: SearchSpace = PLANE) -> Ensemble:
    unknown = np.full(len(points), math.nan)
    return fit_ensemble(space, points, values, unknown, 1.0, 1)


@pytest.mark.parametrize("space", [PLANE, MIXED])
def test_the_slopes_of_the_fit_are_those_of_its_value(space: SearchSpace) -> None:
    points = _points(space, 12)
    posterior = _Posterior(parts_of(space), points, _smooth(points), np.full(12, 1e-3))
    at = posterior.start + 0.2
    numeric = approx_fprime(at, lambda point: posterior.loss(point)[0], 1e-6)
    assert posterior.loss(at)[1] == pytest.approx(numeric, abs=1e-3)


@pytest.mark.parametrize("space", [PLANE, MIXED])
def test_no_other_fit_finds_anything_more_probable_from_there(space: SearchSpace) -> None:
    points = _points(space, 30)
    surrogate = fit_surrogate(space, points, _smooth(points), np.full(30, math.nan), 1.0, 0)
    likelihood = ExactMarginalLogLikelihood(surrogate.gp.likelihood, surrogate.gp)

    def probability() -> float:
        surrogate.gp.train()
        value = likelihood(surrogate.gp(*surrogate.gp.train_inputs), surrogate.gp.train_targets)
        return float(value.detach())

    before = probability()
    _fit_by_gradients(surrogate.gp, 0)
    assert probability() == pytest.approx(before, abs=1e-3)


def test_a_crowd_of_good_neighbours_does_not_promise_as_much_of_everywhere_else() -> None:
    rng = np.random.default_rng(0)
    crowd = 0.8 + 0.01 * rng.standard_normal((20, 2))
    points = np.vstack([crowd, rng.random((4, 2)) * 0.4])
    values = np.r_[np.full(20, 1.0), np.full(4, -2.0)]
    found = fit_process(parts_of(PLANE), points, values, np.full(24, 1e-3), 0)
    assert found.mean < values.mean() - 0.3


def test_a_forest_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    points = _points(PLANE, 30)
    one, same, other = (grow_forest(points, _smooth(points), seed) for seed in (1, 1, 2))
    assert np.array_equal(one.trees.predict(points), same.trees.predict(points))
    assert not np.array_equal(one.trees.predict(points), other.trees.predict(points))


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=12), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_a_forest_never_leaves_the_range_of_what_it_saw(values: list[float], seed: int) -> None:
    points = np.random.default_rng(seed).random((len(values), 3))
    forest = grow_forest(points, np.array(values), seed, trees=10)
    mean, sigma = forest.predict(np.random.default_rng(seed + 1).random((5, 3)))
    slack = 1e-9 * max(1.0, *map(abs, values))
    assert min(values) - slack <= mean.min() <= mean.max() <= max(values) + slack
    assert np.all(sigma >= 0)


def test_out_of_bag_is_what_the_trees_say_that_did_not_see_a_point() -> None:
    points = _points(PLANE, 25)
    values = np.random.default_rng(1).standard_normal(25)
    forest = grow_forest(points, values, 3, trees=200)
    seen = np.abs(forest.predict(points)[0] - values).mean()
    # Of noise there is nothing to learn: only what a tree saw it can repeat.
    assert np.abs(forest.out_of_bag_mean - values).mean() > 1.5 * seen
    assert np.all(forest.unseen_by > 40)


@given(st.lists(st.tuples(st.floats(-50, 5), st.floats(-50, 5)), max_size=20))
@settings(deadline=None)
def test_a_weight_is_a_share_and_the_other_model_has_the_rest(pairs) -> None:
    first, second = np.array(pairs).reshape(-1, 2).T
    weight = stacking_weight(first, second)
    assert 0 < weight < 1
    assert stacking_weight(second, first) == pytest.approx(1 - weight)
    if np.all(first >= second):
        assert weight >= 0.5 - 1e-9


def test_jumps_are_left_to_the_forest_and_smooth_results_to_the_process() -> None:
    points = _points(PLANE, 60)
    assert _ensemble(_steps(points), points).weight < 0.35
    assert _ensemble(_smooth(points), points).weight > 0.65


@pytest.mark.parametrize("space", [PLANE, MIXED])
def test_what_is_pending_takes_uncertainty_and_leaves_the_mean(space: SearchSpace) -> None:
    points = _points(space, 15)
    ensemble = _ensemble(_smooth(points), points, space)
    asked = torch.as_tensor(_points(space, 20, seed=1))
    mean, sigma = ensemble.latent(asked, asked[:0])
    one_mean, one = ensemble.latent(asked, asked[:1])
    two = ensemble.latent(asked, asked[:2])[1]
    assert torch.allclose(mean, one_mean)
    assert bool((one <= sigma + 1e-9).all())
    assert bool((two <= one + 1e-9).all())
    assert float(one[0]) < 0.9 * float(sigma[0])


def test_the_worth_ranks_as_the_bound_does_and_has_its_gradient() -> None:
    points = _points(PLANE, 15)
    ensemble = _ensemble(_smooth(points), points)
    asked = torch.as_tensor(_points(PLANE, 50, seed=1)).requires_grad_(True)
    worth = confidence_bound(ensemble, None, asked[:0].detach())(asked)
    mean, sigma = ensemble.latent(asked, asked[:0])
    assert torch.equal(worth.argsort(), (mean + 1.5 * sigma).argsort())
    (slope,) = torch.autograd.grad(worth.sum(), asked)
    assert bool(torch.isfinite(slope).all())
    assert float(slope.abs().max()) > 0


@pytest.mark.parametrize("values", [[2.0], [2.0, 2.0], [1.0, 2.0], [1e12, -1e12, 0.0]])
def test_few_or_equal_or_huge_values_give_finite_predictions(values: list[float]) -> None:
    points = _points(PLANE, len(values))
    ensemble = _ensemble(np.array(values), points)
    mean, sigma = ensemble.predict(_points(PLANE, 5, seed=1))
    assert np.all(np.isfinite(mean))
    assert np.all(sigma > 0)
    assert 0 < ensemble.weight < 1
