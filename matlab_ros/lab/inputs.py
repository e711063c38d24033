"""What the world tells the engine: answers of devices and planner, commands of operators, time."""

from __future__ import annotations

from dataclasses import dataclass

from matlab_ros.lab.experiment_values import CampaignPlan, Setting, Suggestion
from matlab_ros.lab.goals import Outcome
from matlab_ros.model.faults import Fault
from matlab_ros.model.lab_words import Resolution, SampleState, Scope


@dataclass(frozen=True)
class Tick:
    """Time has passed."""


@dataclass(frozen=True)
class CampaignSubmitted:
    """A checked campaign is to be run; one of the same name that is unfinished goes on."""

    plan: CampaignPlan


@dataclass(frozen=True)
class ExperimentAsked:
    """Somebody wants an experiment with given settings; the same once more changes nothing.

    Where a campaign is under way to which the settings mean the same, it is one of that campaign's,
    and its planner hears of it. Where they mean something else it is a guest beside that campaign.
    Where none is under way one begins for it alone.
    """

    settings: tuple[Setting, ...]
    experiment_id: str = ""
    """Empty: the lab gives one."""
    plan: CampaignPlan | None = None
    """What the settings mean, checked; its name is used where the lab gives the id.
    None: what they mean to the campaign under way."""
    operator: str = ""


@dataclass(frozen=True)
class SuggestionsAnswered:
    """The planner's suggestions for the experiments it was asked for."""

    suggestions: tuple[Suggestion, ...]
    exhausted: bool = False
    model: str = ""
    data_sha256: str = ""
    software: str = ""
    seed: int = 0
    plan_sha256: str = ""


@dataclass(frozen=True)
class ObservationAccepted:
    """The planner knows of an experiment's observation."""

    experiment_id: str


@dataclass(frozen=True)
class PlannerFailed:
    """The planner answered the open call with an error."""

    code: int
    message: str


@dataclass(frozen=True)
class AttemptFinished:
    """A device's answer to a goal."""

    attempt_id: str
    outcome: Outcome


@dataclass(frozen=True)
class DeviceReady:
    """A device takes goals."""

    device: str


@dataclass(frozen=True)
class DeviceLost:
    """A device takes no goals any more: silent, faulted, stopped or not active."""

    device: str
    fault: Fault


@dataclass(frozen=True)
class DeviceGivenUp:
    """A lost device did not come back in time; the campaign ends without it."""

    device: str


@dataclass(frozen=True)
class AttemptMissing:
    """A device is heard, was given an attempt, and does not list it among what it works on."""

    attempt_id: str


@dataclass(frozen=True)
class AttemptListed:
    """A device lists an attempt that was missing."""

    attempt_id: str


@dataclass(frozen=True)
class PauseAsked:
    """An operator wants no further step begun."""

    scope: Scope
    subject: str = ""
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class ResumeAsked:
    """An operator wants to go on."""

    scope: Scope
    subject: str = ""
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class CancelAsked:
    """An operator wants an early end."""

    scope: Scope
    subject: str = ""
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class EmergencyStopAsked:
    """Somebody engages the emergency stop or releases its latch."""

    engage: bool
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class FaultResolutionAsked:
    """An operator decides about an open fault."""

    fault_id: str
    resolution: Resolution
    operator: str
    remark: str = ""


@dataclass(frozen=True)
class PositionAsked:
    """An operator looked at a position, and says what stands there."""

    position: str
    container_id: str = ""
    """Empty: nothing."""
    operator: str = ""
    remark: str = ""
    cleared: bool = False
    """He emptied it himself: what is known to stand there is back in its own place."""


@dataclass(frozen=True)
class RestockAsked:
    """An operator put clean, empty containers into the home positions of used ones."""

    container_ids: tuple[str, ...] = ()
    """Empty: all that are used and at rest."""
    operator: str = ""
    remark: str = ""


@dataclass(frozen=True)
class CorrectionAsked:
    """An operator says where a sample is."""

    sample_id: str
    position: str
    state: SampleState
    operator: str = ""
    remark: str = ""


Input = (
    Tick
    | CampaignSubmitted
    | ExperimentAsked
    | SuggestionsAnswered
    | ObservationAccepted
    | PlannerFailed
    | AttemptFinished
    | DeviceReady
    | DeviceLost
    | DeviceGivenUp
    | AttemptMissing
    | AttemptListed
    | PauseAsked
    | ResumeAsked
    | CancelAsked
    | EmergencyStopAsked
    | FaultResolutionAsked
    | CorrectionAsked
    | PositionAsked
    | RestockAsked
)
