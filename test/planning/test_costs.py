"""Hours of furnace and price of powder follow from the recipe, step by step."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from matlab_ros.model.errors import PlanningError
from matlab_ros.model.objective_config import CostsConfig, FidelityConfig
from matlab_ros.model.recipe import load_recipe
from matlab_ros.planning.campaign import Campaign, CampaignPlan
from matlab_ros.planning.cost_surface import CostSurface
from matlab_ros.planning.costs import (
    Fidelity,
    RecipeCost,
    cooling_exponent,
    fidelity_of,
    recipe_cost,
)
from matlab_ros.planning.dimensions import CategoricalDimension, ContinuousDimension
from matlab_ros.planning.observation import Observation, ObservationStatus
from matlab_ros.planning.selection import Selection
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace

RECIPES = Path(__file__).parents[2] / "config" / "recipes"
SPACE = SearchSpace(
    (
        CategoricalDimension("precursors", ("dear", "cheap")),
        ContinuousDimension("temperature_c", 700, 1200),
        ContinuousDimension("dwell_h", 0.5, 24, log=True),
    )
)


def costs(**prices: float) -> RecipeCost:
    return recipe_cost(
        CostsConfig(**{"furnace_per_h": 2.0, "measurement_per_h": 6.0, **prices}),
        load_recipe(RECIPES / "solid_state.yaml"),
        {"sample_mass_mg": 500.0, "target_phase": "MgTiO3"},
        {"dear": 200.0, "cheap": 1.0},
        {"10-100_8-minutes": 8.0},
    )


def test_every_step_costs_what_it_takes() -> None:
    settings = {"precursors": "dear", "temperature_c": 1020.0, "dwell_h": 4.0}
    steps = {item.step: item for item in costs().steps(settings)}
    # 1000 degrees at 10 a minute, 4 hours, and 940 degrees at 5 a minute.
    assert steps["heat"].hours == pytest.approx(100 / 60 + 4 + 188 / 60)
    assert steps["heat"].price == pytest.approx(2 * steps["heat"].hours)
    assert steps["measure"].price == pytest.approx(6 * 8 / 60)
    assert steps["dispense"].price == pytest.approx(100.0)
    assert costs(per_experiment=3.0)(Settings(settings)) == pytest.approx(
        3 + sum(item.price for item in steps.values())
    )


def test_an_unknown_argument_gets_a_sentence() -> None:
    with pytest.raises(PlanningError, match="'heat' has an argument without a value"):
        costs()(Settings({"precursors": "dear", "dwell_h": 4.0}))


def test_the_search_sees_the_cost_to_a_few_percent() -> None:
    rng = np.random.default_rng(0)
    model = costs()
    seen, asked = SPACE.sample(256, rng), SPACE.sample(100, rng)
    surface = CostSurface(model, seen, SPACE.features(seen))
    found = surface(torch.as_tensor(SPACE.features(asked))).exp().numpy()
    true = np.array([model(item) for item in asked])
    assert np.max(np.abs(found / true - 1)) < 0.05


@pytest.mark.slow
def test_worth_per_cost_spends_less_for_the_same_yield() -> None:
    def world(settings: Settings) -> float:
        heat = (settings.number("temperature_c") - 950) / 150
        done = 1 - math.exp(-settings.number("dwell_h") / 2)
        return (
            math.exp(-(heat**2)) * done * (1.0 if settings.choice("precursors") == "dear" else 0.99)
        )

    def campaign(selection: Selection) -> tuple[float, float]:
        found = Campaign(CampaignPlan(SPACE, selection=selection, seed=2, initial_experiments=5))
        for number in range(13):
            settings = found.suggest(1)[0].settings
            found.report(
                Observation(f"e{number:02d}", settings, ObservationStatus.MEASURED, world(settings))
            )
        best = found.best()
        assert best is not None
        return best.objective, sum(costs()(item.settings) for item in found.observations[5:])

    thrifty = campaign(Selection(costs=costs(), budget=26))
    careless = campaign(Selection())
    assert thrifty[1] < 0.8 * careless[1]
    assert thrifty[0] > careless[0] - 0.05


def test_cost_matters_less_towards_the_end() -> None:
    exponents = [cooling_exponent(done, 5, 25) for done in (0, 5, 15, 25, 30)]
    assert exponents == [1.0, 1.0, 0.5, 0.0, 0.0]
    assert cooling_exponent(20, 5, 0) == 1.0


def test_fidelities_cost_what_lies_between() -> None:
    scan = fidelity_of(FidelityConfig(parameter="scan_min", target=8, costs={"2": 1, "8": 4}))
    assert scan(Settings({"scan_min": 5})) == pytest.approx(2.0)
    assert scan.is_target({"scan_min": 8.0})
    with pytest.raises(PlanningError, match="numbers and words"):
        Fidelity("scan_min", 8.0, (("short", 1.0),))
    with pytest.raises(PlanningError, match="'y' is no parameter"):
        Campaign(CampaignPlan(SPACE, selection=Selection(fidelity=Fidelity("y", 8.0))))
