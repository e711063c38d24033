"""Deciding what to make next: search spaces, surrogate models, acquisition, campaigns.

Loading this loads no torch; the first Bayesian suggestion does.
"""

from matlab_ros.planning.campaign import Campaign, CampaignPlan, Method, plan_of
from matlab_ros.planning.dimensions import (
    CategoricalDimension,
    ContinuousDimension,
    IntegerDimension,
)
from matlab_ros.planning.observation import (
    Observation,
    ObservationStatus,
    Pending,
    Provenance,
    Suggestion,
)
from matlab_ros.planning.proposer import Direction
from matlab_ros.planning.settings import Settings
from matlab_ros.planning.space import SearchSpace, space_of

__all__ = [
    "Campaign",
    "CampaignPlan",
    "CategoricalDimension",
    "ContinuousDimension",
    "Direction",
    "IntegerDimension",
    "Method",
    "Observation",
    "ObservationStatus",
    "Pending",
    "Provenance",
    "SearchSpace",
    "Settings",
    "Suggestion",
    "plan_of",
    "space_of",
]
