"""Deciding what to make next: search spaces, surrogate models, acquisition, campaigns.

Loading this loads no torch; the first Bayesian suggestion does.
"""

from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method, plan_of
from matlab_ros.planning.constraints import Constraint
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    DiscreteDimension,
    IntegerDimension,
)
from matlab_ros.planning.furnace_rules import FurnaceRules
from matlab_ros.planning.mixture import Mixture
from matlab_ros.planning.objectives import Goal, Objective, Objectives
from matlab_ros.planning.observation import (
    Measured,
    Observation,
    ObservationStatus,
    Pending,
    Provenance,
    Suggestion,
)
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.selection import (
    AcquisitionName,
    EarlierCampaign,
    ModelName,
    Selection,
)
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace
from matlab_ros.planning.space_config import space_of

__all__ = [
    "AcquisitionName",
    "Campaign",
    "CampaignPlan",
    "CategoricalDimension",
    "Constraint",
    "ContinuousDimension",
    "Direction",
    "DiscreteDimension",
    "EarlierCampaign",
    "FurnaceRules",
    "Goal",
    "IntegerDimension",
    "Measured",
    "Method",
    "Mixture",
    "ModelName",
    "Objective",
    "Objectives",
    "Observation",
    "ObservationStatus",
    "Pending",
    "Provenance",
    "SearchSpace",
    "Selection",
    "Settings",
    "Suggestion",
    "plan_of",
    "space_of",
]
