"""What a campaign's file and a method's options ask for, as a selection."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import PlanningError
from matlab_ros.planning.costs import CostModel, fidelity_of
from matlab_ros.planning.objectives import objectives_of
from matlab_ros.planning.selection import AcquisitionName, EarlierCampaign, ModelName, Selection
from matlab_ros.planning.settings import Value

_Name = TypeVar("_Name", bound=Enum)

OPTIONS = ("acquisition", "kappa", "model")
"""Of the method bayesian, that select."""


def selection_of(
    config: CampaignConfig,
    costs: CostModel | None = None,
    earlier: tuple[EarlierCampaign, ...] = (),
) -> Selection:
    """What a campaign's file asks for, but for the options of its method.

    Args:
        config: the file.
        costs: of an experiment, from its recipe; see `matlab_ros.planning.costs.recipe_cost`.
        earlier: what the journals hold that it wants to learn from.

    Raises:
        PlanningError: it contradicts itself, or something is missing that it asks for.
    """
    if config.learn_from and not earlier:
        raise PlanningError(
            "The campaign wants to learn from earlier ones, and their experiments are not here; "
            "expected the journals that learn_from names."
        )
    if config.costs is not None and costs is None:
        raise PlanningError(
            "The campaign speaks of costs, and its recipe is not here; expected the recipe to "
            "compute them from."
        )
    objectives = None
    if config.objectives:
        objectives = objectives_of(config.objectives, config.combine)
    is_cooling = config.costs is not None and config.costs.cooling
    return Selection(
        objectives=objectives,
        earlier=earlier,
        costs=costs,
        budget=config.budget.experiments if is_cooling else 0,
        fidelity=None if config.fidelity is None else fidelity_of(config.fidelity),
    )


def with_options(selection: Selection, options: Mapping[str, Value]) -> Selection:
    """A selection with the acquisition, kappa and model of the method's options.

    Raises:
        PlanningError: an unknown name, or they contradict the selection.
    """
    changes: dict[str, object] = {}
    if "acquisition" in options:
        changes["acquisition"] = _named(AcquisitionName, "acquisition", options["acquisition"])
    if "model" in options:
        changes["model"] = _named(ModelName, "model", options["model"])
    if "kappa" in options:
        kappa = options["kappa"]
        if isinstance(kappa, str):
            raise PlanningError(f"The option kappa is {kappa!r}; expected a number above 0.")
        changes["kappa"] = kappa
    return dataclasses.replace(selection, **changes)  # type: ignore[arg-type]


def _named(kind: type[_Name], option: str, value: Value) -> _Name:
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(str(item.value) for item in kind)
        raise PlanningError(f"The option {option} is {value!r}; expected one of {known}.") from None
