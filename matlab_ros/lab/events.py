"""What the journal knows: one frozen value for each kind of thing that happened.

Each kind has a stable `TAG` and a `VERSION`; when fields change, the version rises and
`matlab_ros.lab.journal` reads the old form through an upgrade. Events hold conclusions (what an
outcome means for a sample), never what a later program would conclude anew: replaying an old
journal gives the state that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Setting, Suggestion
from matlab_ros.lab.goals import Goal, Outcome
from matlab_ros.model.faults import Fault
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    Remedy,
    Resolution,
    SampleFate,
    SampleState,
    Scope,
    TaskState,
)


class EventKind(IntEnum):
    """Families of events; the numbers are those of the interface LabEvent."""

    CAMPAIGN = 1
    EXPERIMENT = 2
    ATTEMPT = 3
    SAMPLE = 4
    FAULT = 5
    OBSERVATION = 6
    OPERATOR = 7
    DEVICE = 8


@dataclass(frozen=True)
class Event:
    """Base of all events."""

    TAG: ClassVar[str] = ""
    VERSION: ClassVar[int] = 1
    KIND: ClassVar[EventKind]

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.TAG.replace('_', ' ').capitalize()}."


# --- campaign ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class CampaignStarted(Event):
    """A campaign began, with everything it needs to be taken up again after a restart."""

    TAG: ClassVar[str] = "campaign_started"
    KIND: ClassVar[EventKind] = EventKind.CAMPAIGN

    plan: CampaignPlan

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return (
            f"Campaign {self.plan.name} began: {self.plan.config.budget.experiments} experiments "
            f"for {self.plan.config.target.formula}."
        )


@dataclass(frozen=True)
class CampaignStopping(Event):
    """The campaign begins nothing more; what is under way is brought to a safe end."""

    TAG: ClassVar[str] = "campaign_stopping"
    KIND: ClassVar[EventKind] = EventKind.CAMPAIGN

    code: int
    message: str
    latch: bool = False
    """Whether the lab is paused at the campaign's end, until somebody resumes it."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"The campaign stops: {self.message}"


@dataclass(frozen=True)
class CampaignEnded(Event):
    """The campaign is over; code 0: as planned."""

    TAG: ClassVar[str] = "campaign_ended"
    KIND: ClassVar[EventKind] = EventKind.CAMPAIGN

    code: int
    message: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"The campaign ended: {self.message or 'its budget is used up.'}"


@dataclass(frozen=True)
class ManagerRestarted(Event):
    """The lab manager's process began anew and took up what the journal holds."""

    TAG: ClassVar[str] = "manager_restarted"
    KIND: ClassVar[EventKind] = EventKind.CAMPAIGN

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return "The lab manager began anew and goes on from its journal."


# --- planner ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SuggestionsRequested(Event):
    """The planner is asked for one suggestion for each of these new experiments."""

    TAG: ClassVar[str] = "suggestions_requested"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_ids: tuple[str, ...]

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"Asked the planner for {', '.join(self.experiment_ids)}."


@dataclass(frozen=True)
class SuggestionsReceived(Event):
    """The planner answered; fewer suggestions than asked for when its space is exhausted."""

    TAG: ClassVar[str] = "suggestions_received"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    suggestions: tuple[Suggestion, ...]
    exhausted: bool = False
    model: str = ""
    data_sha256: str = ""
    software: str = ""
    seed: int = 0
    """Of this answer; everything random in it was drawn from it."""
    plan_sha256: str = ""
    """Of the settings of the planner."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        names = ", ".join(item.experiment_id for item in self.suggestions) or "nothing"
        return f"The planner suggests {names}{'; its space is exhausted' * self.exhausted}."


@dataclass(frozen=True)
class PlannerRefused(Event):
    """The planner answered a call with an error; it is asked again later."""

    TAG: ClassVar[str] = "planner_refused"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    code: int
    message: str
    ask_again_ns: int

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"The planner refused ({self.code}): {self.message}"


@dataclass(frozen=True)
class PlannerForgot(Event):
    """The planner lost its history; every observation is reported again."""

    TAG: ClassVar[str] = "planner_forgot"
    KIND: ClassVar[EventKind] = EventKind.OBSERVATION


@dataclass(frozen=True)
class ExperimentSubmitted(Event):
    """An operator put an experiment with given settings into the campaign, or beside it."""

    TAG: ClassVar[str] = "experiment_submitted"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    experiment_id: str
    settings: tuple[Setting, ...]
    ordinal: int = 0
    """Among the campaign's experiments; 0: as its id says."""
    operator: str = ""
    plan: CampaignPlan | None = None
    """What the settings mean to a guest of the campaign; None: it is one of the campaign's."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        beside = " beside the campaign" if self.plan is not None else ""
        return f"{self.operator or 'An operator'} submitted {self.experiment_id}{beside}."


@dataclass(frozen=True)
class ObservationMade(Event):
    """What the experiment taught is settled."""

    TAG: ClassVar[str] = "observation_made"
    KIND: ClassVar[EventKind] = EventKind.OBSERVATION

    experiment_id: str
    observation: Observation

    @property
    def text(self) -> str:
        """A sentence for a person."""
        value = self.observation.objective
        words = f"{value:.3f}" if value is not None else self.observation.status.name.lower()
        return f"{self.experiment_id}: objective {words}."


@dataclass(frozen=True)
class ObservationConfirmed(Event):
    """The planner knows of the observation."""

    TAG: ClassVar[str] = "observation_confirmed"
    KIND: ClassVar[EventKind] = EventKind.OBSERVATION

    experiment_id: str


# --- experiments ------------------------------------------------------------------------------


@dataclass(frozen=True)
class ExperimentStarted(Event):
    """A crucible was allotted; the first step may begin."""

    TAG: ClassVar[str] = "experiment_started"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    sample_id: str
    container_id: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.experiment_id} began in {self.container_id}."


@dataclass(frozen=True)
class BranchTaken(Event):
    """All that a step needs has ended, and its condition holds: it is to be done."""

    TAG: ClassVar[str] = "branch_taken"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    step_id: str
    reason: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.experiment_id}: {self.step_id} is done, since {self.reason}."


@dataclass(frozen=True)
class WaitBegun(Event):
    """A step that only lets time pass has begun; it ends by itself."""

    TAG: ClassVar[str] = "wait_begun"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    step_id: str
    until_ns: int

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.experiment_id}: {self.step_id} has begun."


@dataclass(frozen=True)
class TaskSettled(Event):
    """A step came to its end without an attempt: it stood there, had waited, or was skipped."""

    TAG: ClassVar[str] = "task_settled"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    step_id: str
    state: TaskState
    reason: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        reason = f", since {self.reason}" if self.reason else ""
        return f"{self.experiment_id}: step {self.step_id} {self.state.value}{reason}."


@dataclass(frozen=True)
class LoopRepeated(Event):
    """The steps of a loop are done again."""

    TAG: ClassVar[str] = "loop_repeated"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    loop: str
    """Id of the loop's last step."""
    round: int
    """That begins now; the first was 0."""
    steps: tuple[str, ...]
    reason: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        reason = f", since {self.reason}" if self.reason else ""
        return f"{self.experiment_id}: {', '.join(self.steps)} again (round {self.round}){reason}."


@dataclass(frozen=True)
class LoopEnded(Event):
    """A loop is over; what comes behind it may begin."""

    TAG: ClassVar[str] = "loop_ended"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    loop: str
    """Id of the loop's last step."""
    round: int
    """The last; the first was 0."""
    reason: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        reason = f", since {self.reason}" if self.reason else ""
        return f"{self.experiment_id}: the loop of {self.loop} ended in round {self.round}{reason}."


@dataclass(frozen=True)
class ExperimentAborted(Event):
    """The experiment does no further step; its crucible goes home."""

    TAG: ClassVar[str] = "experiment_aborted"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    state: ExperimentState
    """FAILED or CANCELED."""
    teaches: ObservationKind
    message: str
    code: int = 0
    """Why, where no fault of its own is the reason."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.experiment_id} {self.state.name.lower()}: {self.message}"


@dataclass(frozen=True)
class ExperimentEnded(Event):
    """The experiment is over and its crucible is where it stays."""

    TAG: ClassVar[str] = "experiment_ended"
    KIND: ClassVar[EventKind] = EventKind.EXPERIMENT

    experiment_id: str
    state: ExperimentState
    sample_state: SampleState

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.experiment_id} {self.state.name.lower()}."


# --- attempts ---------------------------------------------------------------------------------

MOVE = "move"
"""Word that stands for a step's id where the engine itself inserts a transfer."""


@dataclass(frozen=True)
class Work:
    """The part of an attempt that belongs to one experiment."""

    experiment_id: str
    step_id: str
    """`MOVE` for a transfer that the engine inserted."""
    sample_id: str
    serves: str = ""
    """Of a transfer: the step that wants it; empty: the crucible goes home."""
    looks: bool = False
    """Of a transfer: nobody knows whether the crucible stands at its source."""


@dataclass(frozen=True)
class Effect:
    """What an attempt's end means for one experiment."""

    work: Work
    done: bool
    """The step was done to this sample."""
    fate: SampleFate
    position: str
    """Where the container is; empty where nobody knows."""
    suspects: tuple[str, ...] | None = None
    """Where it may be if nobody knows; None (in old journals): at both ends of a transfer."""


@dataclass(frozen=True)
class AttemptIntended(Event):
    """The goal is about to be sent; written before it leaves."""

    TAG: ClassVar[str] = "attempt_intended"
    KIND: ClassVar[EventKind] = EventKind.ATTEMPT

    attempt_id: str
    device: str
    goal: Goal
    works: tuple[Work, ...]

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.device}: {self.goal.TAG} for {', '.join(self.goal.sample_ids)}."


EMERGENCY = "emergency stop."
"""Reason of the cancels that an emergency stop makes."""


@dataclass(frozen=True)
class CancelIntended(Event):
    """The device is about to be told to end the attempt early."""

    TAG: ClassVar[str] = "cancel_intended"
    KIND: ClassVar[EventKind] = EventKind.ATTEMPT

    attempt_id: str
    reason: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"Cancels {self.attempt_id}: {self.reason}"


@dataclass(frozen=True)
class AttemptEnded(Event):
    """The device's answer, and what it means for each experiment."""

    TAG: ClassVar[str] = "attempt_ended"
    KIND: ClassVar[EventKind] = EventKind.ATTEMPT

    attempt_id: str
    device: str
    outcome: Outcome
    effects: tuple[Effect, ...]

    @property
    def text(self) -> str:
        """A sentence for a person."""
        report = self.outcome.report
        if report.succeeded:
            return f"{self.device}: {self.attempt_id} done."
        return f"{self.device}: {self.attempt_id} failed ({report.code}): {report.message}"


# --- faults -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class FaultRaised(Event):
    """Something went wrong and is to be decided."""

    TAG: ClassVar[str] = "fault_raised"
    KIND: ClassVar[EventKind] = EventKind.FAULT

    fault_id: str
    fault: Fault
    device: str
    attempt_id: str = ""
    experiment_id: str = ""
    step_id: str = ""
    sample_id: str = ""
    positions: tuple[str, ...] = ()
    """Of POSITION_UNKNOWN: where somebody is to look."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.fault_id} ({self.fault.code.name}): {self.fault.message}"


@dataclass(frozen=True)
class FaultResolved(Event):
    """What was decided, by policy, by an operator, or by the device that came back."""

    TAG: ClassVar[str] = "fault_resolved"
    KIND: ClassVar[EventKind] = EventKind.FAULT

    fault_id: str
    resolution: Resolution
    resolved_by: str
    not_before_ns: int = 0
    """Of RETRY: when."""
    remark: str = ""
    exclude: str = ""
    """Of RETRY: a device that is not to be used again while there is another."""
    fresh: bool = False
    """Of RETRY: the policy's attempts are counted anew."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        words = self.resolution.name.lower().replace("_", " ")
        elsewhere = f" without {self.exclude}" if self.exclude else ""
        remark = f" ({self.remark})" if self.remark else ""
        return f"{self.fault_id}: {words}{elsewhere} by {self.resolved_by}{remark}."


@dataclass(frozen=True)
class OperatorAsked(Event):
    """The fault stays open until an operator decides; everything else goes on."""

    TAG: ClassVar[str] = "operator_asked"
    KIND: ClassVar[EventKind] = EventKind.FAULT

    fault_id: str
    until_ns: int
    """When the policy decides because nobody did."""
    then: Remedy
    """What it decides then."""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        words = self.then.value.replace("_", " ")
        return f"{self.fault_id} waits for an operator; without an answer in time: {words}."


@dataclass(frozen=True)
class StepAssumed(Event):
    """An operator says that a step was done; nothing about it was measured."""

    TAG: ClassVar[str] = "step_assumed"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    fault_id: str
    experiment_id: str
    step_id: str
    sample_id: str
    outcome: Outcome
    operator: str
    remark: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.operator}: {self.step_id} of {self.experiment_id} counts as done."


@dataclass(frozen=True)
class DeadlineMissed(Event):
    """An attempt has no outcome although its deadline has passed."""

    TAG: ClassVar[str] = "deadline_missed"
    KIND: ClassVar[EventKind] = EventKind.FAULT

    attempt_id: str
    device: str
    fault_id: str
    fault: Fault

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.fault_id} ({self.fault.code.name}): {self.fault.message}"


# --- positions and samples --------------------------------------------------------------------


@dataclass(frozen=True)
class PositionBlocked(Event):
    """A container cannot be carried away from there; the position is not used any more."""

    TAG: ClassVar[str] = "position_blocked"
    KIND: ClassVar[EventKind] = EventKind.SAMPLE

    position: str
    reason: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.position} is blocked: {self.reason}"


@dataclass(frozen=True)
class LeaseExpired(Event):
    """An attempt's device was silent for too long; what stands where it worked is not known."""

    TAG: ClassVar[str] = "lease_expired"
    KIND: ClassVar[EventKind] = EventKind.ATTEMPT

    attempt_id: str
    fault_id: str
    positions: tuple[str, ...]

    @property
    def text(self) -> str:
        """A sentence for a person."""
        places = ", ".join(self.positions) or "no position"
        return f"The lease of {self.attempt_id} ran out; unknown now: {places}."


@dataclass(frozen=True)
class SearchGivenUp(Event):
    """Nobody looks for a lost container any more; where it may stand stays unknown."""

    TAG: ClassVar[str] = "search_given_up"
    KIND: ClassVar[EventKind] = EventKind.SAMPLE

    container_id: str
    reason: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.container_id} is not looked for any more: {self.reason}"


@dataclass(frozen=True)
class SampleCorrected(Event):
    """An operator looked, and says where a sample is."""

    TAG: ClassVar[str] = "sample_corrected"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    sample_id: str
    position: str
    """Empty: it is not in the lab any more."""
    state: SampleState
    operator: str
    remark: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.operator or 'An operator'}: {self.sample_id} is at {self.position or '-'}."


@dataclass(frozen=True)
class PositionLookedAt(Event):
    """An operator looked at a position, and says what stands there."""

    TAG: ClassVar[str] = "position_looked_at"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    position: str
    container_id: str
    """Empty: nothing."""
    operator: str
    remark: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        who, what = self.operator or "An operator", self.container_id or "nothing"
        return f"{who}: {self.position} holds {what}."


@dataclass(frozen=True)
class ContainerReplaced(Event):
    """A clean, empty container stands in the home position of a used one."""

    TAG: ClassVar[str] = "container_replaced"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    container_id: str
    operator: str
    remark: str = ""

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.operator or 'An operator'}: {self.container_id} is clean and at home."


# --- operators and devices --------------------------------------------------------------------


@dataclass(frozen=True)
class Paused(Event):
    """Nothing further is begun within the scope."""

    TAG: ClassVar[str] = "paused"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    scope: Scope
    subject: str
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Resumed(Event):
    """What was paused goes on."""

    TAG: ClassVar[str] = "resumed"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    scope: Scope
    subject: str
    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class EmergencyStopEngaged(Event):
    """Every device is told to go to its safe state; latched."""

    TAG: ClassVar[str] = "emergency_stop_engaged"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class EmergencyStopReleased(Event):
    """The latch is open again."""

    TAG: ClassVar[str] = "emergency_stop_released"
    KIND: ClassVar[EventKind] = EventKind.OPERATOR

    operator: str = ""
    reason: str = ""


@dataclass(frozen=True)
class DeviceGone(Event):
    """A device that was ready is not any more."""

    TAG: ClassVar[str] = "device_gone"
    KIND: ClassVar[EventKind] = EventKind.DEVICE

    device: str
    fault_id: str
    fault: Fault

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.device} is gone ({self.fault.code.name}): {self.fault.message}"


@dataclass(frozen=True)
class DeviceBack(Event):
    """A device that was gone is ready again."""

    TAG: ClassVar[str] = "device_back"
    KIND: ClassVar[EventKind] = EventKind.DEVICE

    device: str

    @property
    def text(self) -> str:
        """A sentence for a person."""
        return f"{self.device} is back."


EVENT_TYPES: dict[str, type[Event]] = {kind.TAG: kind for kind in Event.__subclasses__()}
"""Every kind of event by its tag."""
