"""Outside planners keep the laws of ours; each is tested where its package is installed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    IntegerDimension,
)
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.observation import Observation, ObservationStatus, Pending
from matlab_ros.planning.plugins import PLANNERS, planner_named
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

OUTSIDE = [item for item in PLANNERS if item.needs]
BOX = SearchSpace((ContinuousDimension("x", 0, 1), ContinuousDimension("y", 1, 100, log=True)))
TABLE = SearchSpace((ContinuousDimension("x", 0, 1, step=0.1), IntegerDimension("n", 1, 4)))
MIXED = SearchSpace(
    (
        CategoricalDimension("powder", ("a", "b", "c"), ((0.0, 1.0), (1.0, 0.0), (1.0, 1.0))),
        CategoricalDimension("gas", ("air", "oxygen")),
        ContinuousDimension("pressure", 1, 10, when="$gas == 'oxygen'"),
        ContinuousDimension("x", 0, 1),
    )
)
SHARES = SearchSpace(
    tuple(ContinuousDimension(name, 0, 1) for name in "abc"), mixtures=(Mixture(("a", "b", "c")),)
)
SPACES = {"box": BOX, "table": TABLE, "mixed": MIXED, "shares": SHARES}


@pytest.fixture(params=[item.name for item in OUTSIDE])
def method(request: pytest.FixtureRequest) -> str:
    """Each outside planner that is installed."""
    planner = planner_named(request.param)
    if not planner.is_installed:
        pytest.skip(f"{planner.needs} is not installed")
    return str(request.param)


def value(settings: Settings) -> float:
    return sum(
        -((dimension.to_unit(settings[dimension.name]) - 0.7) ** 2)
        for space in SPACES.values()
        for dimension in space.dimensions
        if dimension.name in settings
    )


@pytest.mark.parametrize("name", SPACES)
def test_it_obeys_the_space_and_repeats_nothing(method: str, name: str) -> None:
    space = SPACES[name]
    plan = CampaignPlan(space, method=method, initial_experiments=3, seed=4)
    campaign = Campaign(plan)
    waiting: list[Pending] = []
    keys = set()
    for number in range(5):
        batch = campaign.suggest(2 if number % 2 else 1, waiting)
        assert batch
        for item in batch:
            space.check(item.settings)
            assert space.key(item.settings) not in keys
            keys.add(space.key(item.settings))
            waiting.append(Pending(f"e{len(keys):02d}", item.settings))
        ended = waiting.pop(0)
        status = list(ObservationStatus)[1 if number == 2 else 0]
        found = value(ended.settings) if number != 2 else math.nan
        campaign.report(Observation(ended.experiment_id, ended.settings, status, found))
    again = Campaign(plan, reversed(campaign.observations))
    assert [item.settings for item in again.suggest(1, waiting)] == [
        item.settings for item in campaign.suggest(1, waiting)
    ]


def test_it_leaves_nothing_of_a_table_out(method: str) -> None:
    space = SearchSpace((IntegerDimension("n", 1, 5),))
    campaign = Campaign(CampaignPlan(space, method=method, initial_experiments=2))
    for number in range(5):
        item = campaign.suggest(1)[0].settings
        campaign.report(
            Observation(f"e{number}", item, ObservationStatus.MEASURED, item.number("n"))
        )
    assert campaign.suggest(1) == []


def test_it_looks_where_small_values_are_when_they_are_wanted(method: str) -> None:
    best = []
    for direction in Direction:
        campaign = Campaign(CampaignPlan(TABLE, direction, method, initial_experiments=4, seed=1))
        for number in range(10):
            item = campaign.suggest(1)[0].settings
            campaign.report(
                Observation(f"e{number:02d}", item, ObservationStatus.MEASURED, item.number("x"))
            )
        later = campaign.observations[5:]
        best.append(float(np.mean([item.objective for item in later])))
    assert best[0] > best[1] + 0.2


def test_it_says_what_it_is(method: str) -> None:
    item = Campaign(CampaignPlan(TABLE, method=method)).suggest(1)[0]
    assert planner_named(method).packages[0] in item.provenance.software
    assert "not installed" not in item.provenance.software
    assert math.isnan(item.predicted_mean)


@pytest.mark.parametrize("name", [item.name for item in OUTSIDE])
def test_one_that_is_not_there_is_refused_with_what_to_do(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlab_ros.planning.plugins.Planner.is_installed", False)
    with pytest.raises(PlanningError, match=f"`pip install {planner_named(name).needs}`"):
        Campaign(CampaignPlan(TABLE, method=name))


def test_options_that_mean_nothing_are_refused(method: str) -> None:
    with pytest.raises(PlanningError, match="option 'colour'"):
        Campaign(CampaignPlan(TABLE, method=method, options=Settings({"colour": "red"})))


@pytest.mark.parametrize("algorithm", ["RE", "BLOX", "PTR"])
def test_other_algorithms_of_nimo_run_too(algorithm: str) -> None:
    pytest.importorskip("nimo")
    options = {"algorithm": algorithm} | ({"low": 0.3, "high": 0.5} if algorithm == "PTR" else {})
    plan = CampaignPlan(TABLE, method="nimo", options=Settings(options), initial_experiments=4)
    campaign = Campaign(plan)
    for number in range(7):
        item = campaign.suggest(1)[0]
        campaign.report(
            Observation(
                f"e{number}", item.settings, ObservationStatus.MEASURED, item.settings.number("x")
            )
        )
    assert campaign.suggest(1)[0].method == f"NIMO {algorithm}"
