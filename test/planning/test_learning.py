"""Learning instead of optimising: variance, boundaries, earlier campaigns, many parameters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from botorch.acquisition.active_learning import qNegIntegratedPosteriorVariance
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.models import ModelListGP
from botorch.sampling.normal import SobolQMCNormalSampler

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.classifier import fit_classifier
from matlab_ros.planning.dimensions import ContinuousDimension
from matlab_ros.planning.knowledge import Knowledge
from matlab_ros.planning.learning import IntegratedVariance, PhaseBoundary
from matlab_ros.planning.models import Surrogate, fit_surrogate
from matlab_ros.planning.monte_carlo import MeritImprovement
from matlab_ros.planning.multi_task import fit_multi_task
from matlab_ros.planning.objectives import Goal, Objective, Objectives
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.saas import saas_covariance
from matlab_ros.planning.selection import EarlierCampaign, ModelName, Selection
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import Array, SearchSpace
from matlab_ros.planning.utility import Utility

SQUARE = SearchSpace((ContinuousDimension("x", 0, 1), ContinuousDimension("y", 0, 1)))
MEASURED = ObservationStatus.MEASURED


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def wavy(points: Array) -> Array:
    return np.asarray(np.sin(5 * points[:, 0]) + points[:, 1] ** 2)


def fitted(points: Array, values: Array, space: SearchSpace = SQUARE) -> Surrogate:
    return fit_surrogate(space, points, values, np.full(len(values), math.nan), 1.0, 0)


def rms(predicted: Array, true: Array) -> float:
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def known(
    function: Callable[[Array], Array], points: Array, prefix: str = "e"
) -> list[Observation]:
    values = function(points)
    return [
        Observation(f"{prefix}{n:03d}", SQUARE.from_unit(point), MEASURED, float(value))
        for n, (point, value) in enumerate(zip(points, values, strict=True))
    ]


def test_integrated_variance_is_botorchs() -> None:
    rng = np.random.default_rng(0)
    points = rng.random((20, 2))
    surrogate = fitted(points, wavy(points))
    grid, pending, asked = (torch.as_tensor(rng.random((n, 2))) for n in (40, 3, 12))
    ours = IntegratedVariance([surrogate], grid)
    ours.set_pending(pending)
    theirs = qNegIntegratedPosteriorVariance(surrogate.gp, mc_points=grid, X_pending=pending)
    with torch.no_grad():
        fall, value = ours(asked).exp(), theirs(asked.unsqueeze(-2))
    # The same but for a constant, the variance before, and what noise the next one will have.
    assert int(fall.argmax()) == int(value.argmax())
    assert float(torch.corrcoef(torch.stack([fall, value]))[0, 1]) > 0.99


def test_pending_points_narrow_beliefs_as_measurements_would() -> None:
    rng = np.random.default_rng(1)
    points = rng.random((8, 2))
    surrogate = fitted(points, wavy(points))
    more, asked = torch.as_tensor(rng.random((2, 2))), torch.as_tensor(rng.random((5, 2)))
    ours = Knowledge(surrogate)
    ours.set_pending(more)
    noise = torch.full((2, 1), ours.noise, dtype=torch.float64)
    surrogate.gp.posterior(asked)
    gp = surrogate.gp
    train = torch.cat([gp.train_inputs[0], more])
    own = gp.likelihood.noise.detach().reshape(-1)
    covariance = gp.covar_module(train).to_dense() + torch.diag(torch.cat([own, noise[:, 0]]))
    across = gp.covar_module(train, asked).to_dense()
    expected = gp.covar_module(asked).to_dense() - across.T @ torch.linalg.solve(covariance, across)
    assert torch.allclose(ours.at(asked).variance, expected.diagonal(), atol=1e-5)


def test_improvement_under_a_threshold_is_botorchs() -> None:
    rng = np.random.default_rng(2)
    points = rng.random((12, 2))
    surrogates = {
        "objective": fitted(points, wavy(points)),
        "h": fitted(points, points[:, 0] + points[:, 1]),
    }
    utility = Utility(
        Objectives((Objective("objective"), Objective("h", Goal.AT_MOST, threshold=1.0))),
        surrogates,
    )
    baseline = torch.as_tensor(points)
    model = ModelListGP(*(item.gp for item in surrogates.values()))
    theirs = qLogNoisyExpectedImprovement(
        model,
        X_baseline=baseline,
        sampler=SobolQMCNormalSampler(torch.Size([512]), seed=0),
        objective=GenericMCObjective(lambda samples, X=None: utility.value(samples)),
        constraints=[lambda samples: -utility.slacks(samples)[..., 0]],
        prune_baseline=False,
        eta=0.02,
    )
    ours = MeritImprovement(utility, baseline, 0)
    asked = torch.as_tensor(rng.random((60, 2)))
    with torch.no_grad():
        a, b = ours(asked), theirs(asked.unsqueeze(-2))
    # Further down, few of the draws improve on anything.
    worth = b > b.max() - 2
    assert int(worth.sum()) > 2
    assert float((a - b)[worth].abs().max()) < 0.5
    assert int(a.argmax()) == int(b.argmax())


def test_integrated_variance_learns_quicker_than_random_choice() -> None:
    asked = np.random.default_rng(99).random((200, 2))
    better = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        first, grid = rng.random((5, 2)), torch.as_tensor(rng.random((64, 2)))
        pool, points = rng.random((128, 2)), first
        for _ in range(6):
            worth = IntegratedVariance([fitted(points, wavy(points))], grid)
            with torch.no_grad():
                points = np.vstack([points, pool[int(worth(torch.as_tensor(pool)).argmax())]])
        chosen = rms(fitted(points, wavy(points)).predict(asked)[0], wavy(asked))
        some = np.vstack([first, rng.random((6, 2))])
        better += chosen < rms(fitted(some, wavy(some)).predict(asked)[0], wavy(asked))
    assert better >= 8


def circle(points: Array) -> Array:
    return np.asarray((np.hypot(points[:, 0] - 0.5, points[:, 1] - 0.5) < 0.3).astype(float))


@pytest.mark.slow
def test_asking_at_the_boundary_finds_where_a_phase_forms() -> None:
    asked = np.random.default_rng(99).random((400, 2))
    wrong: dict[str, list[float]] = {"boundary": [], "random": []}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        first, pool = rng.random((8, 2)), rng.random((200, 2))
        points = first
        for _ in range(11):
            worth = PhaseBoundary(fit_classifier(SQUARE, points, circle(points)))
            with torch.no_grad():
                one = pool[int(worth(torch.as_tensor(pool)).argmax())]
                worth.set_pending(torch.as_tensor(one[None]))
                other = pool[int(worth(torch.as_tensor(pool)).argmax())]
            points = np.vstack([points, one, other])
        for name, used in (("boundary", points), ("random", np.vstack([first, pool[:22]]))):
            likely = fit_classifier(SQUARE, used, circle(used)).probability(asked) > 0.5
            wrong[name].append(float(np.mean(likely != (circle(asked) > 0.5))))
    assert np.mean(wrong["boundary"]) < 0.75 * np.mean(wrong["random"])


def test_a_classifier_is_sure_only_where_it_has_seen_something() -> None:
    line = SearchSpace((ContinuousDimension("x", 0, 1),))
    points = np.array([[0.0], [0.1], [0.2], [0.6], [0.7]])
    classifier = fit_classifier(line, points, np.array([1, 1, 1, 0, 0]))
    at = classifier.probability(np.array([[0.1], [0.4], [0.65]]))
    assert at[0] > 0.75
    assert 0.2 < at[1] < 0.8
    assert at[2] < 0.35
    with pytest.raises(PlanningError, match="at least one"):
        fit_classifier(line, np.zeros((0, 1)), np.zeros(0))


def test_the_phase_boundary_is_a_way_to_plan() -> None:
    objectives = Objectives((Objective("objective", threshold=0.5),))
    plan = CampaignPlan(
        SQUARE,
        selection=Selection(objectives),
        options=Settings({"acquisition": "phase_boundary"}),
    )
    campaign = Campaign(plan, known(circle, np.random.default_rng(3).random((12, 2))))
    found = campaign.suggest(2)
    assert [item.method for item in found] == ["phase boundary"] * 2
    assert found[0].settings != found[1].settings


def test_an_earlier_campaign_teaches_a_shifted_one() -> None:
    asked = np.random.default_rng(99).random((200, 2))
    nothing = math.nan
    better = 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        now, before = rng.random((5, 2)), rng.random((25, 2))
        values = 1.3 * wavy(now) + 2.0
        alone = fitted(now, values)
        taught = fit_multi_task(
            SQUARE,
            [now, before],
            [values, wavy(before)],
            [np.full(5, nothing), np.full(25, nothing)],
            1.0,
            0,
        )
        truth = 1.3 * wavy(asked) + 2.0
        better += rms(taught.predict(asked)[0], truth) < 0.5 * rms(alone.predict(asked)[0], truth)
    assert better >= 3


def test_simulated_experiments_teach_only_where_asked_for_and_are_marked() -> None:
    rng = np.random.default_rng(4)
    virtual = tuple(
        Observation(item.experiment_id, item.settings, MEASURED, item.objective, simulated=True)
        for item in known(wavy, rng.random((12, 2)), "v")
    )
    real = known(wavy, rng.random((6, 2)))
    with pytest.raises(PlanningError, match="data of one kind"):
        Campaign(CampaignPlan(SQUARE), [*real, *virtual])
    plan = CampaignPlan(SQUARE, selection=Selection(earlier=(EarlierCampaign("virtual", virtual),)))
    campaign = Campaign(plan, real)
    suggestion = campaign.suggest(1)[0]
    assert "multi-task Gaussian process" in suggestion.provenance.model
    assert "learns from virtual (simulated)" in suggestion.provenance.model
    assert suggestion.provenance.observations == 6
    best = campaign.best()
    assert best is not None
    assert not best.simulated


def test_few_of_many_parameters_are_found() -> None:
    wide = SearchSpace(tuple(ContinuousDimension(f"x{n}", 0, 1) for n in range(20)))
    rng = np.random.default_rng(0)

    def truth(points: Array) -> Array:
        return np.asarray(np.sin(4 * points[:, 3]) + 2 * (points[:, 11] - 0.4) ** 2)

    points, asked = rng.random((30, 20)), rng.random((300, 20))
    unknown = np.full(30, math.nan)
    sparse = fit_surrogate(wide, points, truth(points), unknown, 1.0, 0, saas_covariance(20, 0))
    plain = fitted(points, truth(points), wide)
    assert rms(sparse.predict(asked)[0], truth(asked)) < 0.6 * rms(
        plain.predict(asked)[0], truth(asked)
    )
    observations = [
        Observation(f"e{n:02d}", wide.from_unit(point), MEASURED, float(value))
        for n, (point, value) in enumerate(zip(points, truth(points), strict=True))
    ]
    campaign = Campaign(CampaignPlan(wide, selection=Selection(model=ModelName.SAAS)), observations)
    assert "SAAS" in campaign.suggest(1)[0].provenance.model
