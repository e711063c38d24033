"""What the engine wants done by the shell around it."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Suggestion
from matlab_ros.lab.goals import Goal


@dataclass(frozen=True)
class SendGoal:
    """Send a goal to a device; the same attempt id again when nobody knows whether it arrived."""

    device: str
    goal: Goal


@dataclass(frozen=True)
class CancelGoal:
    """Tell a device to end an attempt early and safely."""

    device: str
    attempt_id: str


@dataclass(frozen=True)
class RequestSuggestions:
    """Ask the planner for one suggestion for each id."""

    plan: CampaignPlan
    experiment_ids: tuple[str, ...]
    pending: tuple[Suggestion, ...]
    """In flight: not to be proposed again."""
    observations_reported: int
    unfired: tuple[str, ...] = ()
    """Ids of those in flight whose furnace run has not begun: others may join it."""


@dataclass(frozen=True)
class ReportObservation:
    """Tell the planner how an experiment ended."""

    plan: CampaignPlan
    observation: Observation


@dataclass(frozen=True)
class FinishCampaign:
    """The campaign is over: answer whoever waits for it."""

    campaign: str
    code: int
    message: str


Command = SendGoal | CancelGoal | RequestSuggestions | ReportObservation | FinishCampaign
