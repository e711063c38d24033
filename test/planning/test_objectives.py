"""What is wanted of an experiment: single values, limits, several at once, and clear refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import ConfigError, PlanningError
from matlab_ros.model.yaml_file import parse
from matlab_ros.planning.campaign import Campaign, CampaignPlan, plan_of
from matlab_ros.planning.dimensions import ContinuousDimension
from matlab_ros.planning.objectives import (
    Goal,
    Objective,
    Objectives,
    is_non_dominated,
    outcome,
)
from matlab_ros.planning.observation import Measured, Observation, ObservationStatus
from matlab_ros.planning.selection import AcquisitionName, ModelName, Selection
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

LINE = SearchSpace((ContinuousDimension("x", 0, 1),))
YIELD = Objective("target_fraction")
HOURS = Objective("furnace_h", Goal.MINIMIZE)

CAMPAIGN = {
    "name": "c",
    "target": {"formula": "MgO", "phase": "MgO"},
    "sample_mass_mg": 1,
    "recipe": "r",
    "parameters": [{"name": "x", "kind": "continuous", "low": 0, "high": 1}],
    "budget": {"experiments": 10},
}


def seen(name: str, fraction: float, hours: float) -> Observation:
    return Observation(
        name,
        Settings({"x": 0.5}),
        ObservationStatus.MEASURED,
        fraction,
        outcomes={"furnace_h": Measured(hours, 0.1)},
    )


def test_the_front_holds_what_nothing_beats_and_no_failure() -> None:
    objectives = Objectives((YIELD, Objective("furnace_h", Goal.MINIMIZE, threshold=20)))
    experiments = [
        seen("good", 0.9, 10),
        seen("quick", 0.5, 5),
        seen("beaten", 0.4, 6),
        seen("too long", 0.99, 30),
        Observation("half known", Settings({"x": 0.5}), ObservationStatus.MEASURED, 0.99),
    ]
    front = objectives.pareto_front(experiments)
    assert [item.experiment_id for item in front] == ["good", "quick"]
    best = objectives.best(experiments)
    assert best is not None
    assert best.experiment_id == "good"


@given(st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=1, max_size=12))
def test_whatever_is_left_out_of_a_front_is_beaten_by_what_is_in_it(rows) -> None:
    gains = np.array(rows, dtype=float)
    front = gains[is_non_dominated(gains)]
    for row in gains:
        in_front = any((row == other).all() for other in front)
        beaten = any((other >= row).all() and (other > row).any() for other in front)
        assert in_front != beaten


def test_a_target_is_hit_from_both_sides() -> None:
    objectives = Objectives((Objective("furnace_h", Goal.TARGET, target=8, threshold=1),))
    near, far = seen("near", 0.0, 8.5), seen("far", 1.0, 6)
    assert objectives.merit(near) == -0.5
    assert objectives.merit(far) == -2.0
    assert objectives.is_success(near)
    assert not objectives.is_success(far)


def test_desirability_is_the_weighted_geometric_mean() -> None:
    objectives = Objectives(
        (
            Objective("target_fraction", weight=3, worst=0, best=1),
            Objective("furnace_h", Goal.MINIMIZE, worst=20, best=4),
        ),
        "desirability",
    )
    # Hours are half way: 0.5; the yield is 0.8; (0.8^3 x 0.5)^(1/4).
    assert objectives.merit(seen("e", 0.8, 12)) == pytest.approx((0.8**3 * 0.5) ** 0.25)
    assert objectives.merit(seen("e", 0.8, 3)) == pytest.approx(0.8**0.75)
    assert objectives.merit(seen("e", 0.8, 25)) == 0.0


def test_a_missing_outcome_is_never_taken_from_elsewhere() -> None:
    alone = Observation("e", Settings({"x": 0.5}), ObservationStatus.MEASURED, 0.7)
    assert outcome(alone, "furnace_h") is None
    assert outcome(alone, "target_fraction") == Measured(0.7, alone.sigma)
    assert math.isnan(Objectives((HOURS,)).merit(alone))


def test_outcomes_survive_saving_and_loading() -> None:
    plan = CampaignPlan(LINE, selection=Selection(objectives=Objectives((YIELD, HOURS))))
    campaign = Campaign(plan, [seen("a", 0.9, 10), seen("b", 0.8, 20)])
    loaded = Campaign.from_json(plan, campaign.to_json())
    assert loaded.observations == campaign.observations
    assert [item.experiment_id for item in loaded.pareto_front()] == ["a"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objectives": [{"name": "h", "direction": "at_most", "threshold": 2}]}, "limits only"),
        ({"objectives": [{"name": "h", "direction": "at_most"}]}, "without a threshold"),
        ({"objectives": [{"name": "h", "direction": "target"}]}, "no target"),
        ({"objectives": [{"name": "h", "direction": "maximize", "target": 3}]}, "a target"),
        (
            {"objectives": [{"name": "h", "direction": "maximize", "weight": 2}]},
            "means nothing on a Pareto front",
        ),
        (
            {
                "objectives": [{"name": "h", "direction": "maximize"}],
                "combine": "desirability",
            },
            "no worst",
        ),
        (
            {"objectives": [{"name": "h", "direction": "minimize", "worst": 1, "best": 2}]},
            "better side of worst",
        ),
        ({"objectives": [{"name": "h", "direction": "maximize"}] * 2}, "'h' stands twice"),
        ({"fidelity": {"parameter": "y", "target": 1}}, "'y' is no parameter"),
        (
            {
                "fidelity": {"parameter": "x", "target": 1, "costs": {"1": 2}},
                "costs": {"furnace_per_h": 1},
            },
            "expected one of them",
        ),
        ({"costs": {"powder": False}}, "costs are all 0"),
    ],
)
def test_contradictions_in_a_campaigns_file_get_a_sentence(changes, words) -> None:
    with pytest.raises(ConfigError, match=words):
        parse("campaign.yaml", {**CAMPAIGN, **changes}, CampaignConfig)


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: Objective("h", Goal.TARGET), "expected a target"),
        (lambda: Objectives(()), "no goal"),
        (lambda: Objectives((YIELD, YIELD)), "stands twice"),
        (lambda: Objectives((YIELD,), "desirability"), "no worst value"),
        (lambda: Selection(model=ModelName.MULTI_TASK), "no earlier campaign"),
        (lambda: Selection(kappa=0.0), "kappa"),
        (lambda: Selection(acquisition=AcquisitionName.QLOGNEHVI), "there is one goal"),
        (
            lambda: Selection(Objectives((YIELD, HOURS)), acquisition=AcquisitionName.UCB),
            "combine: desirability",
        ),
        (lambda: Selection(acquisition=AcquisitionName.PHASE_BOUNDARY), "expected a threshold"),
        (
            lambda: Campaign(
                CampaignPlan(LINE, method="sobol", selection=Selection(Objectives((YIELD, HOURS))))
            ),
            "ranks by one number",
        ),
        (
            lambda: Campaign(CampaignPlan(LINE, options=Settings({"acquisition": "luck"}))),
            "expected one of auto, logei",
        ),
        (
            lambda: Campaign(CampaignPlan(LINE, options=Settings({"kappa": "big"}))),
            "expected a number",
        ),
        (
            lambda: plan_of(
                CampaignConfig.model_validate({**CAMPAIGN, "learn_from": ["a.sqlite"]})
            ),
            "learn_from",
        ),
        (
            lambda: plan_of(
                CampaignConfig.model_validate({**CAMPAIGN, "costs": {"furnace_per_h": 1}})
            ),
            "expected the recipe",
        ),
    ],
)
def test_what_means_nothing_is_refused_in_words(build, words) -> None:
    with pytest.raises(PlanningError, match=words):
        build()


def test_a_method_of_one_number_is_told_what_experiments_are_worth() -> None:
    limited = Objectives((YIELD, Objective("furnace_h", Goal.AT_MOST, threshold=10)))
    plan = CampaignPlan(LINE, method="nelder-mead", selection=Selection(limited), seed=1)
    campaign = Campaign(plan)
    for number in range(25):
        settings = campaign.suggest(1)[0].settings
        x = settings.number("x")
        # The yield rises with x; from 0.6 on it takes too long.
        campaign.report(
            Observation(
                f"e{number:02d}",
                settings,
                ObservationStatus.MEASURED,
                x,
                outcomes={"furnace_h": Measured(x / 0.06)},
            )
        )
    best = campaign.best()
    assert best is not None
    assert 0.5 < best.settings.number("x") <= 0.6
