"""What a planner reads beside a campaign's definition: its recipe, and journals of earlier ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matlab_ros.lab import events as ev
from matlab_ros.lab.experiment_values import CampaignPlan as LabPlan
from matlab_ros.lab.experiment_values import Observation as LabObservation
from matlab_ros.lab.journal import JournalReader
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.model.recipe import Recipe, load_recipes
from matlab_ros.nodes.conversions import campaign_from_message
from matlab_ros.nodes.table_lab import planned_observation
from matlab_ros.planning.campaign import CampaignPlan, plan_of
from matlab_ros.planning.costs import RecipeCost, recipe_cost
from matlab_ros.planning.selection import EarlierCampaign
from matlab_ros.planning.settings import Value


class PlanSource:
    """Plans of definitions; each campaign's recipe and journals are read once.

    Args:
        recipes_dir: folder of the recipes.
    """

    def __init__(self, recipes_dir: Path) -> None:
        self._recipes_dir = recipes_dir
        self._known: dict[str, tuple[CampaignConfig, str, CampaignPlan]] = {}

    def plan(self, definition: Any) -> CampaignPlan:
        """The plan of a CampaignDefinition.

        Raises:
            ConfigError: it contradicts itself.
            PlanningError: likewise, or its recipe or a journal is not here.
            JournalError: a journal cannot be read.
        """
        config = campaign_from_message(definition)
        known = self._known.get(config.name)
        if known is not None and known[:2] == (config, definition.recipe_sha256):
            return known[2]
        costs = None
        if config.costs is not None:
            prices = {
                item.name: float(item.price_per_g)
                for item in definition.precursor_sets
                if math.isfinite(item.price_per_g)
            }
            scans = {item.name: float(item.duration_s) for item in definition.costs[0].scans}
            costs = _costs(config, self._recipe(definition), prices, scans)
        plan = plan_of(config, costs, earlier_campaigns(config.learn_from))
        self._known[config.name] = config, definition.recipe_sha256, plan
        return plan

    def _recipe(self, definition: Any) -> Recipe:
        recipe = load_recipes(self._recipes_dir).get(definition.recipe_name)
        if recipe is None or (
            definition.recipe_sha256 and definition.recipe_sha256 != recipe.sha256
        ):
            raise PlanningError(
                f"The planner has no recipe {definition.recipe_name!r} as the campaign was made "
                f"for in {self._recipes_dir}, so what experiments cost is unknown; give it the "
                "lab's recipes by the parameter recipes_dir."
            )
        return recipe


def plan_in_lab(plan: LabPlan) -> CampaignPlan:
    """How a campaign is planned that was checked against its lab.

    Raises:
        PlanningError: it contradicts itself, or a journal is not here.
        JournalError: a journal cannot be read.
    """
    config, costs = plan.config, None
    if config.costs is not None:
        prices = {
            item.name: item.price_per_g for item in plan.mixtures if item.price_per_g is not None
        }
        scans = {item.name: item.duration_s for item in plan.scans}
        costs = _costs(config, plan.recipe, prices, scans)
    return plan_of(config, costs, earlier_campaigns(config.learn_from))


def earlier_campaigns(journals: Iterable[str]) -> tuple[EarlierCampaign, ...]:
    """Campaigns of journals, one for each, in the order of their names.

    Args:
        journals: files or SQLAlchemy URLs.

    Raises:
        JournalError: one cannot be read.
        PlanningError: one holds no campaign with observations.
    """
    found = []
    for place in journals:
        reader = JournalReader(place if "://" in place else f"sqlite:///{place}")
        try:
            events = [entry.event for entry in reader.read()]
        finally:
            reader.close()
        plans = [item.plan for item in events if isinstance(item, ev.CampaignStarted)]
        observed = [item.observation for item in events if isinstance(item, ev.ObservationMade)]
        known = _last_campaign(plans, observed)
        if known is None:
            raise PlanningError(
                f"The journal {place} holds no campaign that observed anything; expected one to "
                "learn from."
            )
        found.append(known)
    return tuple(found)


def _last_campaign(
    plans: Iterable[LabPlan], observed: Iterable[LabObservation]
) -> EarlierCampaign | None:
    """The last campaign of a journal, with its own experiments; guests are not of it."""
    plan = next(iter(reversed(list(plans))), None)
    if plan is None:
        return None
    names = {item.name for item in plan.config.parameters}
    own = [
        planned_observation(item)
        for item in observed
        if item.experiment_id.startswith(f"{plan.name}-")
        and {each.name for each in item.settings} == names
    ]
    return EarlierCampaign(plan.name, tuple(own)) if own else None


def _costs(
    config: CampaignConfig, recipe: Recipe, prices: dict[str, float], scans_s: dict[str, float]
) -> RecipeCost:
    assert config.costs is not None, "only such campaigns have costs"
    constants: dict[str, Value] = {
        "sample_mass_mg": config.sample_mass_mg,
        "target_phase": config.target.phase,
    }
    if len(config.precursor_sets) == 1:
        constants["precursors"] = config.precursor_sets[0].name
    scans_min = {name: seconds / 60.0 for name, seconds in scans_s.items() if seconds > 0}
    return recipe_cost(config.costs, recipe, constants, prices, scans_min)
