"""From a campaign's definition, as a client sends it, to a plan that the lab can carry out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matlab_ros.lab.engine import Refused
from matlab_ros.lab.experiment_values import CampaignPlan
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
