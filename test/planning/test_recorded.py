"""Recorded experiments as a world, and campaigns that run on it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.planning.campaign import Campaign, Method, plan_of
from matlab_ros.planning.replay import random_expectation, run_recorded, simulated_random
from matlab_ros.virtual.recorded import load_recorded

REPOSITORY = Path(__file__).parents[2]
CAMPAIGN = REPOSITORY / "config" / "campaigns" / "ybco.yaml"
TABLE_NAME = "ybco_188_target_yield.csv"
DATA = Path(os.environ.get("MATLAB_ROS_DATA", REPOSITORY / ".." / "shared" / "datasets")) / "ybco"

needs_data = pytest.mark.skipif(
    not (DATA / TABLE_NAME).exists(),
    reason="the recorded yields are not here; set MATLAB_ROS_DATA to the folder of datasets",
)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def changed(config: CampaignConfig, **values: object) -> CampaignConfig:
    """A campaign's file with other values."""
    return CampaignConfig.model_validate({**config.model_dump(), **values})


@needs_data
def test_every_experiment_of_the_campaign_was_recorded() -> None:
    config = load_campaign(CAMPAIGN)
    world = load_recorded(DATA, config, CAMPAIGN)
    assert world.size == 188
    assert world.pure_count == 10
    table = plan_of(config).space.table
    assert table is not None
    outcomes = [(row, world.outcome(row)) for row in table]
    assert len(outcomes) == 188
    assert all(0 <= outcome.objective <= 1 for _, outcome in outcomes)
    assert {row.number("temperature_c") for row, outcome in outcomes if outcome.pure} == {900}
    best = max(outcome.objective for _, outcome in outcomes if not outcome.pure)
    assert best == pytest.approx(0.88)


@needs_data
def test_a_temperature_that_was_never_recorded_is_named() -> None:
    config = load_campaign(CAMPAIGN)
    parameters = config.model_dump()["parameters"]
    parameters[1]["high"] = 1000
    with pytest.raises(
        ConfigError, match=r"1000 was never recorded; expected one of 600, 700, 800, 900 C"
    ):
        load_recorded(DATA, changed(config, parameters=parameters), CAMPAIGN)


@needs_data
def test_a_precursor_set_that_was_never_recorded_is_named() -> None:
    config = load_campaign(CAMPAIGN)
    sets = config.model_dump()["precursor_sets"]
    sets[0]["substances"] = ("NaCl",)
    with pytest.raises(ConfigError, match="NaCl was never recorded"):
        load_recorded(DATA, changed(config, precursor_sets=sets), CAMPAIGN)


def test_random_choice_is_counted_exactly() -> None:
    exact = random_expectation(188, 10)
    assert exact.first_mean == pytest.approx(189 / 11)
    assert exact.all_mean == pytest.approx(1890 / 11)
    simulated = simulated_random(188, 10, 4000, seed=1)
    assert simulated.first_mean == pytest.approx(exact.first_mean, rel=0.05)
    assert simulated.all_mean == pytest.approx(exact.all_mean, rel=0.02)
    assert abs(simulated.first_median - exact.first_median) <= 1
    assert abs(simulated.all_median - exact.all_median) <= 1


def test_one_among_one_is_found_at_once() -> None:
    exact = random_expectation(1, 1)
    assert (exact.first_mean, exact.first_median, exact.all_median) == (1.0, 1, 1)


@needs_data
def test_random_choice_runs_to_the_end_of_the_table() -> None:
    config = load_campaign(CAMPAIGN)
    world = load_recorded(DATA, config, CAMPAIGN)
    plan = plan_of(changed(config, planner={"method": "random"}))
    assert plan.method == Method.RANDOM
    run = run_recorded(Campaign(plan), world, 188)
    assert len(run.pure_at) == 10
    assert run.all_pure == run.steps[-1].number
    assert len({step.settings for step in run.steps}) == len(run.steps)


@needs_data
def test_the_model_finds_pure_products_several_times_faster_than_random_choice() -> None:
    config = load_campaign(CAMPAIGN)
    world = load_recorded(DATA, config, CAMPAIGN)
    run = run_recorded(Campaign(plan_of(config)), world, 40)
    assert run.all_pure is None
    # Random choice finds 40 x 10 / 188 = 2.1 of them, and five or more in one case of 26.
    assert len(run.pure_at) >= 5
