"""What a campaign is after arrives at the planner as the file says it; docs hold such files."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from matlab_ros.lab.experiment_values import NamedOutcome, Observation
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.campaign_config import CampaignConfig, load_campaign
from matlab_ros.model.errors import PlanningError
from matlab_ros.model.lab_config import load_lab
from matlab_ros.model.lab_words import ObservationKind
from matlab_ros.model.recipe import load_recipe
from matlab_ros.nodes.campaign_sources import PlanSource, plan_in_lab
from matlab_ros.nodes.conversions import (
    campaign_from_message,
    campaign_to_message,
    observation_from,
    observation_to,
)
from matlab_ros.planning.objectives import Goal

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/objectives.md").read_text(), re.DOTALL)


def changed(**changes: object) -> CampaignConfig:
    demo = load_campaign(CONFIG / "campaigns" / "demo.yaml").model_dump(mode="json")
    return CampaignConfig.model_validate({**demo, **changes})


def lab_plan(config: CampaignConfig):
    lab = load_lab(CONFIG / "labs" / "virtual_lab.yaml")
    priced = lab.model_copy(
        update={"stock": tuple(i.model_copy(update={"price_per_g": 2.0}) for i in lab.stock)}
    )
    recipe = load_recipe(CONFIG / "recipes" / "solid_state.yaml")
    phases = {path.stem for path in (CONFIG / "structures").glob("*.cif")}
    return check_campaign(config, priced, recipe, phases, "file")


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_of_the_docs_are_campaigns(number: int) -> None:
    example = yaml.safe_load(EXAMPLES[number])
    if "fidelity" in example:
        demo = load_campaign(CONFIG / "campaigns" / "demo.yaml").model_dump(mode="json")
        scan = {"name": "scan_min", "kind": "continuous", "low": 2, "high": 8, "step": 6}
        example["parameters"] = [*demo["parameters"], scan]
    config = changed(**example)
    assert campaign_from_message(campaign_to_message(replace_config(config))).model_dump(
        exclude={"lab", "precursor_sets", "planner"}
    ) == config.model_dump(exclude={"lab", "precursor_sets", "planner"})


def replace_config(config: CampaignConfig):
    """A plan with that configuration, whatever the recipe thinks of its parameters."""
    return replace(lab_plan(changed()), config=config)


def test_the_planner_knows_costs_as_the_lab_does() -> None:
    config = changed(
        objectives=[
            {"name": "target_fraction", "direction": "maximize"},
            {"name": "furnace_h", "direction": "at_most", "threshold": 20},
        ],
        costs={"furnace_per_h": 4.0},
    )
    plan = lab_plan(config)
    there = PlanSource(CONFIG / "recipes").plan(campaign_to_message(plan))
    here = plan_in_lab(plan)
    assert there.selection == here.selection
    assert there.sha256 == here.sha256
    objectives = there.selection.objectives
    assert objectives is not None
    assert [item.goal for item in objectives.items] == [Goal.MAXIMIZE, Goal.AT_MOST]
    settings = there.space.sample(1, np.random.default_rng(0))[0]
    assert there.selection.costs is not None
    steps = {item.step: item for item in there.selection.costs.steps(settings)}
    assert steps["dispense"].price == pytest.approx(2.0)
    assert steps["heat"].hours > 1.0


def test_another_recipe_under_the_same_name_is_refused(tmp_path: Path) -> None:
    text = (CONFIG / "recipes" / "solid_state.yaml").read_text()
    (tmp_path / "solid_state.yaml").write_text(text.replace("version: 1", "version: 2"))
    plan = lab_plan(changed(costs={"furnace_per_h": 4.0}))
    with pytest.raises(PlanningError, match="recipes_dir"):
        PlanSource(tmp_path).plan(campaign_to_message(plan))


def test_outcomes_travel_with_their_uncertainty() -> None:
    observation = Observation(
        "e1",
        (),
        (),
        ObservationKind.MEASURED,
        0.5,
        None,
        True,
        7,
        outcomes=(NamedOutcome("furnace_h", 3.0), NamedOutcome("target_fraction", 0.5, 0.02)),
    )
    assert observation_from(observation_to(observation)).outcomes == observation.outcomes
