"""Recorded campaigns run through the real engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from matlab_ros.lab.engine import Engine
from matlab_ros.lab.journal import MemoryJournal
from matlab_ros.model.campaign_config import load_campaign
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import ExperimentState
from matlab_ros.nodes.table_lab import CampaignPlanner, run_table_lab
from matlab_ros.nodes.table_plan import table_plan
from matlab_ros.planning.campaign import Campaign, plan_of

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def recorded(recipe):
    """The recorded campaign with random choice, its lab and plan."""
    file = REPOSITORY / "config/campaigns/ybco.yaml"
    config = load_campaign(file)
    config = config.model_copy(
        update={"planner": config.planner.model_copy(update={"method": "random"})}
    )
    return table_plan(config, recipe, file)


def test_a_recorded_campaign_tries_every_experiment_once(recorded, table_world):
    lab, plan = recorded
    engine = Engine(lab, MemoryJournal(written=False))
    planner = CampaignPlanner(Campaign(plan_of(plan.config)))
    assert run_table_lab(engine, plan, table_world, planner).code == FaultCode.NONE
    runs = engine.state.experiments.values()
    assert len({run.suggestion.settings for run in runs}) == 188
    assert all(run.state is ExperimentState.SUCCEEDED for run in runs)


def test_a_recorded_campaign_ends_when_enough_was_found(recorded, table_world):
    lab, plan = recorded
    engine = Engine(lab, MemoryJournal())
    planner = CampaignPlanner(Campaign(plan_of(plan.config)))
    count = []

    def until(observation) -> bool:
        count.append(observation)
        return len(count) == 5

    assert run_table_lab(engine, plan, table_world, planner, until).code == FaultCode.CANCELED
    assert len(engine.state.observations()) <= 6
