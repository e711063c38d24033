"""From a campaign's definition, as a client sends it, to a plan that the lab can carry out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from matlab_ros.lab.experiment_values import CampaignPlan
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.validate import check_campaign
from matlab_ros.model.errors import ConfigError
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.recipe import load_recipes
from matlab_ros.nodes.conversions import (
    DEFINITION,
    campaign_from_message,
    mixtures_from_message,
)


def phases_in(directory: Path) -> frozenset[str]:
    """Names of the structures in a library: its CIF files without their ending."""
    return frozenset(path.stem for path in directory.glob("*.cif"))


def plan_campaign(
    definition: Any, lab: LabConfig, recipes_dir: Path, structures_dir: Path
) -> CampaignPlan:
    """Check a CampaignDefinition message against this lab.

    Recipes and structures are read anew, so that what was added since the start is known.

    Raises:
        Refused: it cannot be carried out; code and sentence say why.
    """
    try:
        recipes = load_recipes(recipes_dir)
        recipe = recipes.get(definition.recipe_name)
        if recipe is None:
            known = ", ".join(sorted(recipes)) or "none"
            raise Refused(
                FaultCode.RECIPE_UNKNOWN,
                f"{recipes_dir} has no recipe {definition.recipe_name!r}; it has {known}.",
            )
        if definition.recipe_sha256 and definition.recipe_sha256 != recipe.sha256:
            raise Refused(
                FaultCode.RECIPE_UNKNOWN,
                f"The lab's recipe {recipe.name!r} (version {recipe.version}) is another one than "
                "the campaign was made for; use the same recipe file on both sides.",
            )
        return check_campaign(
            campaign_from_message(definition, lab.name),
            lab,
            recipe,
            phases_in(structures_dir),
            DEFINITION,
            mixtures_from_message(definition),
        )
    except ConfigError as error:
        raise Refused(FaultCode.CAMPAIGN_INVALID, str(error)) from error


def plan_experiment(
    request: Any, lab: LabConfig, recipes_dir: Path, structures_dir: Path
) -> CampaignPlan | None:
    """What the settings of a RunExperiment goal mean.

    Args:
        request: the goal.
        lab: where it is to run.
        recipes_dir: folder of the recipes.
        structures_dir: folder of the structure library.

    Returns:
        The plan of a campaign of one experiment; None where the goal holds no definition.

    Raises:
        Refused: it cannot be carried out; code and sentence say why.
    """
    definition = request.campaign
    if not definition.name and not definition.recipe_name:
        return None
    definition.name = request.experiment_id or definition.name or "single"
    # Not used, but they must be such as a campaign's file could hold.
    definition.max_experiments = 1
    definition.max_in_flight = 1
    definition.planner_method = "random"
    definition.initial_experiments = definition.batch_size = 1
    plan = plan_campaign(definition, lab, recipes_dir, structures_dir)
    return replace(plan, planned=False)
