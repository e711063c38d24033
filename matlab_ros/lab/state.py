"""The state of the lab: what replaying the journal gives, and nothing else.

`LabState.apply` is the only way to change it. Positions are never reserved by a record of their
own: a reservation is an attempt under way, so it ends when the attempt does.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from matlab_ros.lab import events as ev
from matlab_ros.lab.durations import Durations
from matlab_ros.lab.events import MOVE, Event, Work
from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Suggestion
from matlab_ros.lab.floor import Floor
from matlab_ros.lab.goals import Goal, Outcome, TransferGoal
from matlab_ros.lab.repeats import Repeats
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.faults import Fault
from matlab_ros.model.lab_words import (
    ExperimentState,
    PositionState,
    Resolution,
    SampleFate,
    SampleState,
    Scope,
    TaskState,
)
from matlab_ros.model.recipe import Recipe


def experiment_name(campaign: str, ordinal: int) -> str:
    """Id of a campaign's experiment, numbered from 1."""
    return f"{campaign}-e{ordinal:04d}"


def ordinal_of(experiment_id: str) -> int:
    """Number in an experiment's id."""
    return int(experiment_id.rpartition("-e")[2])


@dataclass
class TaskRun:
    """One step of one experiment, or (under the id `MOVE`) all its inserted transfers."""

    step_id: str
    state: TaskState = TaskState.PENDING
    attempts: int = 0
    """Begun so far; numbers the next attempt's id."""
    failures: int = 0
    """Since the last success."""
    not_before_ns: int = 0
    ready_ns: int = 0
    """Since when it waits for nothing but its station and device."""
    attempt_id: str = ""
    """Under way or failed last."""
    device: str = ""
    """Of that attempt."""
    serves: str = ""
    """Of the transfers: the step that the last one was made for."""
    looks: bool = False
    """Of the transfers: whether the last one looked for a lost container."""
    fault: Fault | None = None
    """Why it failed last."""
    round: int = 0
    """Of the innermost loop around it; its attempts are counted through all rounds."""
    until_ns: int = 0
    """Of a step that only lets time pass, while it runs: when it ends."""
    fault_id: str = ""
    """Of the fault that is not decided yet."""
    failed_goal: Goal | None = None
    """What the attempt that failed last was to do."""
    excluded: tuple[str, ...] = ()
    """Devices at which it failed; not to be used while another of the kind is usable."""


@dataclass
class LoopRun:
    """One loop of one experiment."""

    round: int = 0
    ended: bool = False


@dataclass
class SampleRun:
    """The material of one experiment."""

    sample_id: str
    experiment_id: str
    container_id: str
    state: SampleState = SampleState.ACTIVE
    filled: bool = False
    """Whether powder may be in the container."""


@dataclass
class ContainerRun:
    """A crucible."""

    container_id: str
    home: str
    position: str
    """Where it stands, or stood before the transfer under way; empty: nobody knows."""
    since_ns: int = 0
    """When it came there."""
    suspects: tuple[str, ...] = ()
    """Where it may stand while nobody knows, and somebody is still to look."""
    sample_id: str = ""
    clean: bool = True


@dataclass
class PositionRun:
    """What an operator or a failure said about a position; who stands there is the containers'."""

    blocked: bool = False
    unknown: bool = False


@dataclass
class AttemptRun:
    """An action goal that has no outcome yet."""

    attempt_id: str
    device: str
    goal: Goal
    works: tuple[Work, ...]
    intended_ns: int
    cancel_requested: bool = False
    cancel_reason: str = ""


@dataclass
class FaultRun:
    """A fault and what was decided about it."""

    raised: ev.FaultRaised
    raised_ns: int
    resolution: Resolution = Resolution.OPEN
    resolved_by: str = ""
    resolved_ns: int = 0
    remark: str = ""
    asked: ev.OperatorAsked | None = None
    """An operator is to decide; its moment has moved by the pauses that are over."""
    held_ns: int | None = None
    """Since when a pause stops the time for an answer."""

    @property
    def answer_by_ns(self) -> int | None:
        """When its policy decides because nobody did; None: at no moment that is known."""
        return None if self.asked is None or self.held_ns is not None else self.asked.until_ns


@dataclass
class ExperimentRun:
    """One suggestion, bound to its recipe."""

    experiment_id: str
    plan: CampaignPlan
    """What its settings mean: its campaign's, or its own where it is a guest."""
    ordinal: int
    suggestion: Suggestion
    planned_ns: int
    state: ExperimentState = ExperimentState.PLANNED
    sample_id: str = ""
    tasks: dict[str, TaskRun] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Of the last successful attempt of each step, whatever round that was in."""
    outcome_rounds: dict[str, int] = field(default_factory=dict)
    """Of the loop around each step, when that outcome came."""
    loops: dict[str, LoopRun] = field(default_factory=dict)
    """By the ids of their last steps."""
    abort: ev.ExperimentAborted | None = None
    observation: Observation | None = None
    reported: bool = False
    """The planner confirmed the observation."""
    started_ns: int = 0
    ended_ns: int = 0
    is_guest: bool = False
    """It runs beside the campaign under way: nothing of it is that campaign's."""

    @property
    def campaign(self) -> str:
        """Name of what it belongs to: of the campaign, or its own as a guest."""
        return self.plan.name

    @property
    def recipe(self) -> Recipe:
        """Its steps."""
        return self.plan.recipe

    @property
    def move(self) -> TaskRun:
        """Its transfers."""
        return self.tasks[MOVE]

    @property
    def steps(self) -> tuple[TaskRun, ...]:
        """Its steps in the recipe's order, without the transfers."""
        return tuple(task for task in self.tasks.values() if task.step_id != MOVE)

    def have_ended(self, step_ids: tuple[str, ...]) -> bool:
        """Whether steps are done or skipped, and the loops that end with them are over."""
        return all(
            self.tasks[name].state.satisfies and (name not in self.loops or self.loops[name].ended)
            for name in step_ids
        )

    @property
    def steps_done(self) -> bool:
        """Whether no step is left to do."""
        return all(task.state.is_final for task in self.steps)

    @property
    def present_step(self) -> str:
        """Id of the step that it is at: the first that has not ended; empty after the last."""
        return next((task.step_id for task in self.steps if not task.state.is_final), "")


@dataclass
class CampaignRun:
    """The campaign under way, or the last one."""

    plan: CampaignPlan
    started_ns: int
    ended_ns: int = 0
    stopping: ev.CampaignStopping | None = None
    ended: ev.CampaignEnded | None = None
    exhausted: bool = False
    """The planner has nothing left to suggest."""
    last_ordinal: int = 0
    """Of the experiments' ids given out."""
    requested: tuple[str, ...] = ()
    """Experiments that the planner was asked for and did not answer."""
    planner_failures: int = 0
    """In a row."""
    ask_again_ns: int = 0

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.ended is None

    @property
    def config(self) -> CampaignConfig:
        """The campaign's configuration."""
        return self.plan.config


class LabState:
    """Everything the lab manager knows.

    Args:
        floor: the lab's fixed facts.
    """

    def __init__(self, floor: Floor) -> None:
        self.floor = floor
        self.time_ns = 0
        """Of the last event."""
        self.sequence = 0
        """Number of events applied."""
        self.campaign: CampaignRun | None = None
        self.experiments: dict[str, ExperimentRun] = {}
        """Of the present campaign and its guests, by falling age."""
        self.guests: dict[str, ExperimentRun] = {}
        """Those of them that are none of the campaign's."""
        self._open_guests: dict[str, ExperimentRun] = {}
        self.named: dict[str, None] = {}
        """Every experiment's id that somebody chose; none is ever given again."""
        self._open: dict[str, ExperimentRun] = {}
        self._planned: OrderedDict[str, ExperimentRun] = OrderedDict()
        self._unreported: dict[str, ExperimentRun] = {}
        self.past_campaigns: list[str] = []
        """Names of those that ended before the present one."""
        self.samples: dict[str, SampleRun] = {}
        self.containers = {
            name: ContainerRun(name, home, home) for name, home in floor.homes.items()
        }
        self._standing = {home: name for name, home in floor.homes.items()}
        self._clean: OrderedDict[str, None] = OrderedDict.fromkeys(self.containers)
        self.durations = Durations()
        """Of past attempts."""
        self.repeats = Repeats()
        """Of past rounds of loops."""
        self.positions = {name: PositionRun() for name in floor.places}
        self.attempts: dict[str, AttemptRun] = {}
        """Under way."""
        self.faults: dict[str, FaultRun] = {}
        self._open_faults: dict[str, FaultRun] = {}
        self.lost: dict[str, str] = {}
        """Fault id for each device that was ready and is gone."""
        self.restarted_ns = 0
        """When the lab manager's process began anew for the last time."""
        self.resumed_ns = 0
        """When the lab as a whole was resumed for the last time."""
        self.expired: dict[str, ev.LeaseExpired] = {}
        """For each attempt under way whose lease ran out."""
        self.overdue: dict[str, str] = {}
        """Fault id for each attempt under way whose deadline has passed."""
        self.paused: set[tuple[Scope, str]] = set()
        self.estopped = False

    # --- questions ----------------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, LabState):
            return NotImplemented
        mine, theirs = dict(vars(self)), dict(vars(other))
        del mine["floor"], theirs["floor"]
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]

    def active(self) -> Iterator[ExperimentRun]:
        """Experiments that were begun and have not ended, by falling age."""
        return (run for run in self._open.values() if run.state is ExperimentState.RUNNING)

    @property
    def is_at_work(self) -> bool:
        """Whether a campaign is under way, or an experiment beside or after one."""
        return bool(self._open) or (self.campaign is not None and self.campaign.running)

    def open_guests(self) -> tuple[ExperimentRun, ...]:
        """Guests that have not ended."""
        return tuple(self._open_guests.values())

    def recipes(self) -> tuple[Recipe, ...]:
        """Of the campaign, and of its guests that have not ended."""
        guests = tuple(run.recipe for run in self._open_guests.values())
        return guests if self.campaign is None else (self.campaign.plan.recipe, *guests)

    def campaign_count(self) -> int:
        """Number of the campaign's experiments."""
        return len(self.experiments) - len(self.guests)

    def campaign_in_flight_count(self) -> int:
        """Number of the campaign's experiments that have not ended."""
        return len(self._open) - len(self._open_guests)

    def in_campaign(self) -> Iterator[ExperimentRun]:
        """The campaign's experiments, by falling age."""
        return (run for run in self.experiments.values() if not run.is_guest)

    def next_planned(self) -> ExperimentRun | None:
        """The oldest experiment that may begin and was not begun."""
        return next((run for run in self._planned.values() if not self._waits(run)), None)

    def _waits(self, run: ExperimentRun) -> bool:
        """Whether an experiment is not to begin now: its campaign is paused, or about to end."""
        if (Scope.CAMPAIGN, run.campaign) in self.paused:
            return True
        campaign = self.campaign
        return not run.is_guest and (campaign is None or campaign.stopping is not None)

    def next_clean(self) -> ContainerRun | None:
        """A container that was never used, at home."""
        name = next(iter(self._clean), None)
        return None if name is None else self.containers[name]

    def experiment_in(self, container: ContainerRun) -> ExperimentRun | None:
        """The experiment in flight whose sample is in a container."""
        sample = self.samples.get(container.sample_id)
        return None if sample is None else self._open.get(sample.experiment_id)

    def in_flight(self) -> Iterator[ExperimentRun]:
        """Experiments that have not ended, begun or not, by falling age."""
        return iter(self._open.values())

    def unreported(self) -> Iterator[ExperimentRun]:
        """Experiments whose observation the planner did not confirm, by the time it was made."""
        return iter(self._unreported.values())

    def container_of(self, run: ExperimentRun) -> ContainerRun:
        """The crucible of an experiment that was begun."""
        return self.containers[self.samples[run.sample_id].container_id]

    def occupant(self, position: str) -> ContainerRun | None:
        """The container that stands at a position."""
        name = self._standing.get(position)
        return None if name is None else self.containers[name]

    def reserved_by(self, position: str) -> str:
        """Attempt that brings a container to a position; empty: none."""
        for attempt in self.attempts.values():
            if isinstance(attempt.goal, TransferGoal) and attempt.goal.target == position:
                return attempt.attempt_id
        return ""

    def position_state(self, position: str) -> PositionState:
        """What is known of a position."""
        run = self.positions[position]
        if run.blocked:
            return PositionState.BLOCKED
        if run.unknown:
            return PositionState.UNKNOWN
        if self.occupant(position) is not None:
            return PositionState.OCCUPIED
        if self.reserved_by(position):
            return PositionState.RESERVED
        return PositionState.EMPTY

    def attempt_on(self, device: str) -> AttemptRun | None:
        """What a device is doing for us."""
        for attempt in self.attempts.values():
            if attempt.device == device:
                return attempt
        return None

    def is_paused(self, run: ExperimentRun | None = None, *, stopped: bool = True) -> bool:
        """Whether the lab, or one experiment of it, is to begin nothing.

        Args:
            run: the experiment; none: the lab as a whole.
            stopped: whether a latched emergency stop counts.
        """
        if (stopped and self.estopped) or (Scope.LAB, "") in self.paused:
            return True
        if run is None:
            return self.is_campaign_paused and not self._open_guests
        if (Scope.CAMPAIGN, run.campaign) in self.paused:
            return True
        if run.abort is not None:
            # What is given up is put away, whoever paused it before.
            return False
        return (Scope.EXPERIMENT, run.experiment_id) in self.paused or (
            Scope.SAMPLE,
            run.sample_id,
        ) in self.paused

    @property
    def is_campaign_paused(self) -> bool:
        """Whether the campaign is to begin nothing, whatever its guests do."""
        return (
            self.campaign is not None and (Scope.CAMPAIGN, self.campaign.plan.name) in self.paused
        )

    def open_faults(self) -> tuple[FaultRun, ...]:
        """Faults that nobody decided about."""
        return tuple(self._open_faults.values())

    def is_asking(self, run: ExperimentRun) -> bool:
        """Whether an experiment's step waits for an operator; its crucible may be put aside."""
        return any(
            task.fault_id and self.faults[task.fault_id].asked is not None for task in run.steps
        )

    def observations(self) -> tuple[Observation, ...]:
        """Observations of the campaign, by falling age of their experiments."""
        return tuple(run.observation for run in self.in_campaign() if run.observation is not None)

    def best(self) -> ExperimentRun | None:
        """The campaign's experiment with the best objective so far."""
        if self.campaign is None:
            return None
        sign = 1.0 if self.campaign.config.direction == "maximize" else -1.0
        best: tuple[float, ExperimentRun] | None = None
        for run in self.in_campaign():
            value = run.observation.objective if run.observation is not None else None
            if value is not None and (best is None or sign * value > best[0]):
                best = (sign * value, run)
        return best[1] if best is not None else None

    def count(self, *states: ExperimentState) -> int:
        """Number of the campaign's experiments in one of these states."""
        return sum(run.state in states for run in self.in_campaign())

    # --- change -------------------------------------------------------------------------------

    def apply(self, event: Event, time_ns: int) -> None:
        """Take in one event.

        Args:
            event: what happened.
            time_ns: when, ROS time.
        """
        self.time_ns = time_ns
        self.sequence += 1
        _APPLY[type(event)](self, event)

    def _campaign(self) -> CampaignRun:
        assert self.campaign is not None
        return self.campaign

    def _campaign_started(self, event: ev.CampaignStarted) -> None:
        if self.campaign is not None:
            self.past_campaigns.append(self.campaign.plan.name)
        self.campaign = CampaignRun(event.plan, self.time_ns)
        # What is under way by now goes on beside it.
        self.experiments = dict(self._open)
        self.guests = dict(self._open)
        self._open_guests = dict(self._open)
        for run in self._open.values():
            run.is_guest = True
        self._unreported = {}
        self.samples = {
            name: sample
            for name, sample in self.samples.items()
            if self.containers[sample.container_id].sample_id == name
        }

    def _campaign_stopping(self, event: ev.CampaignStopping) -> None:
        self._campaign().stopping = event
        self._campaign().requested = ()

    def _campaign_ended(self, event: ev.CampaignEnded) -> None:
        self._campaign().ended = event
        self._campaign().ended_ns = self.time_ns

    def _restarted(self, event: ev.ManagerRestarted) -> None:
        self.restarted_ns = self.time_ns

    def _nothing(self, event: Event) -> None:
        """The event is a record only."""

    def _suggestions_requested(self, event: ev.SuggestionsRequested) -> None:
        campaign = self._campaign()
        campaign.requested = event.experiment_ids
        campaign.last_ordinal = max(ordinal_of(name) for name in event.experiment_ids)

    def _suggestions_received(self, event: ev.SuggestionsReceived) -> None:
        campaign = self._campaign()
        campaign.requested = ()
        campaign.planner_failures = 0
        campaign.exhausted = campaign.exhausted or event.exhausted
        for suggestion in event.suggestions:
            self._plan(suggestion, ordinal_of(suggestion.experiment_id), campaign.plan)

    def _experiment_submitted(self, event: ev.ExperimentSubmitted) -> None:
        ordinal = event.ordinal or ordinal_of(event.experiment_id)
        campaign = self._campaign()
        campaign.last_ordinal = ordinal
        if event.experiment_id != experiment_name(campaign.plan.name, ordinal):
            self.named[event.experiment_id] = None
        suggestion = Suggestion(event.experiment_id, event.settings, method="submitted")
        run = self._plan(suggestion, ordinal, event.plan or campaign.plan)
        if event.plan is not None:
            run.is_guest = True
            self.guests[run.experiment_id] = run
            self._open_guests[run.experiment_id] = run

    def _plan(self, suggestion: Suggestion, ordinal: int, plan: CampaignPlan) -> ExperimentRun:
        run = ExperimentRun(
            experiment_id=suggestion.experiment_id,
            plan=plan,
            ordinal=ordinal,
            suggestion=suggestion,
            planned_ns=self.time_ns,
        )
        for step in plan.recipe.steps:
            run.tasks[step.id] = TaskRun(step.id)
        run.loops = {name: LoopRun() for name in plan.recipe.graph.loops}
        run.tasks[MOVE] = TaskRun(MOVE, TaskState.READY)
        self.experiments[run.experiment_id] = run
        self._open[run.experiment_id] = run
        self._planned[run.experiment_id] = run
        self._refresh(run)
        return run

    def _planner_refused(self, event: ev.PlannerRefused) -> None:
        self._campaign().planner_failures += 1
        self._campaign().ask_again_ns = event.ask_again_ns

    def _planner_forgot(self, event: ev.PlannerForgot) -> None:
        self._unreported = {}
        known = (run for run in self.in_campaign() if run.observation is not None)
        for run in sorted(
            known, key=lambda run: run.observation.stamp_ns if run.observation else 0
        ):
            run.reported = False
            self._unreported[run.experiment_id] = run

    def _observation_made(self, event: ev.ObservationMade) -> None:
        run = self.experiments[event.experiment_id]
        run.observation = event.observation
        if run.plan.planned and not run.is_guest:
            self._unreported[event.experiment_id] = run
        else:
            run.reported = True

    def _observation_confirmed(self, event: ev.ObservationConfirmed) -> None:
        self.experiments[event.experiment_id].reported = True
        del self._unreported[event.experiment_id]
        self._campaign().planner_failures = 0

    def _experiment_started(self, event: ev.ExperimentStarted) -> None:
        run = self.experiments[event.experiment_id]
        run.state = ExperimentState.RUNNING
        run.sample_id = event.sample_id
        run.started_ns = self.time_ns
        self.samples[event.sample_id] = SampleRun(
            event.sample_id, event.experiment_id, event.container_id
        )
        container = self.containers[event.container_id]
        container.sample_id = event.sample_id
        container.clean = False
        self._clean.pop(event.container_id, None)
        self._planned.pop(event.experiment_id, None)

    def _branch_taken(self, event: ev.BranchTaken) -> None:
        task = self.experiments[event.experiment_id].tasks[event.step_id]
        task.state = TaskState.READY
        task.ready_ns = self.time_ns

    def _wait_begun(self, event: ev.WaitBegun) -> None:
        task = self.experiments[event.experiment_id].tasks[event.step_id]
        task.state = TaskState.RUNNING
        task.until_ns = event.until_ns

    def _task_settled(self, event: ev.TaskSettled) -> None:
        run = self.experiments[event.experiment_id]
        task = run.tasks[event.step_id]
        task.state = event.state
        task.until_ns = 0
        self._refresh(run)

    def _loop_repeated(self, event: ev.LoopRepeated) -> None:
        run = self.experiments[event.experiment_id]
        run.loops[event.loop].round = event.round
        self.repeats.note(run.recipe.name, event.loop, event.round - 1, is_again=True)
        around = run.recipe.graph.around
        for step_id in event.steps:
            task = run.tasks[step_id]
            task.round = event.round if around[step_id][0] == event.loop else 0
            # The count of attempts goes on, so that no id is ever given twice.
            task.state = TaskState.PENDING
            task.failures = 0
            task.fault = None
            task.failed_goal = None
            task.excluded = ()
            task.not_before_ns = 0
            if step_id in run.loops and step_id != event.loop:
                run.loops[step_id] = LoopRun()
        self._refresh(run)

    def _loop_ended(self, event: ev.LoopEnded) -> None:
        run = self.experiments[event.experiment_id]
        run.loops[event.loop].ended = True
        self.repeats.note(run.recipe.name, event.loop, event.round, is_again=False)
        self._refresh(run)

    def _refresh(self, run: ExperimentRun) -> None:
        """Make READY what waits for nothing any more; what has a condition is decided first."""
        for step in run.recipe.steps:
            task = run.tasks[step.id]
            if task.state is TaskState.PENDING and step.when is None and run.have_ended(step.needs):
                task.state = TaskState.READY
                task.ready_ns = self.time_ns

    def _experiment_aborted(self, event: ev.ExperimentAborted) -> None:
        run = self.experiments[event.experiment_id]
        run.abort = event
        self._planned.pop(event.experiment_id, None)
        for task in run.steps:
            if task.state in (TaskState.PENDING, TaskState.READY) or task.until_ns:
                task.state = TaskState.CANCELED
                task.until_ns = 0
            elif task.state is TaskState.AWAITING_RESOLUTION:
                task.state = TaskState.FAILED
        if run.move.state is TaskState.AWAITING_RESOLUTION:
            run.move.state = TaskState.READY
        run.move.failures = 0
        run.move.not_before_ns = 0

    def _experiment_ended(self, event: ev.ExperimentEnded) -> None:
        run = self.experiments[event.experiment_id]
        run.state = event.state
        run.ended_ns = self.time_ns
        del self._open[run.experiment_id]
        self._open_guests.pop(run.experiment_id, None)
        if not run.sample_id:
            return
        sample = self.samples[run.sample_id]
        sample.state = event.sample_state
        container = self.containers[sample.container_id]
        if not sample.filled and container.position == container.home:
            container.sample_id = ""
            container.clean = True
            self._clean[container.container_id] = None

    def _attempt_intended(self, event: ev.AttemptIntended) -> None:
        self.attempts[event.attempt_id] = AttemptRun(
            event.attempt_id, event.device, event.goal, event.works, self.time_ns
        )
        for index, work in enumerate(event.works):
            task = self.experiments[work.experiment_id].tasks[work.step_id]
            task.state = TaskState.RUNNING
            task.attempt_id = event.attempt_id
            task.device = event.device
            task.serves = work.serves
            task.looks = work.looks
            if index == 0:
                task.attempts += 1

    def _cancel_intended(self, event: ev.CancelIntended) -> None:
        attempt = self.attempts[event.attempt_id]
        attempt.cancel_requested = True
        attempt.cancel_reason = event.reason

    def _attempt_ended(self, event: ev.AttemptEnded) -> None:
        attempt = self.attempts.pop(event.attempt_id)
        self.durations.note(attempt.device, attempt.goal, event.outcome)
        lease = self.expired.pop(event.attempt_id, None)
        if lease is not None:
            self._close(lease.fault_id, Resolution.RETRY, event.device)
            if all(effect.position for effect in event.effects):
                for name in lease.positions:
                    self.positions[name].unknown = False
        if event.attempt_id in self.overdue:
            self._close(self.overdue.pop(event.attempt_id), Resolution.RETRY, event.device)
        report = event.outcome.report
        for effect in event.effects:
            run = self.experiments[effect.work.experiment_id]
            task = run.tasks[effect.work.step_id]
            sample = self.samples[effect.work.sample_id]
            if effect.fate is SampleFate.LOST:
                sample.state = SampleState.LOST
            elif effect.fate in (SampleFate.COMPROMISED, SampleFate.PARTIAL):
                sample.state = SampleState.COMPROMISED
            if attempt.goal.TAG == "dispense" and effect.fate is not SampleFate.UNTOUCHED:
                sample.filled = True
            self._place(self.containers[sample.container_id], effect, attempt.goal)
            if effect.done:
                task.failures = 0
                task.fault = None
                task.failed_goal = None
                task.excluded = ()
                if effect.work.step_id == MOVE:
                    task.state = TaskState.READY
                else:
                    task.state = TaskState.SUCCEEDED
                    run.outcomes[task.step_id] = event.outcome
                    run.outcome_rounds[task.step_id] = task.round
                    self._refresh(run)
            else:
                task.failures += 1
                task.failed_goal = attempt.goal
                task.fault = Fault.of(
                    report.code or 1,
                    report.message or f"{attempt.goal.TAG} was not done to {sample.sample_id}.",
                    sample_compromised=effect.fate
                    in (SampleFate.PARTIAL, SampleFate.COMPROMISED, SampleFate.LOST),
                )
                task.state = TaskState.AWAITING_RESOLUTION

    def _place(self, container: ContainerRun, effect: ev.Effect, goal: Goal) -> None:
        """Put a container where it is said to be; where it may be otherwise, nothing is free."""
        if effect.position:
            self._found(container, effect.position)
            return
        suspects = effect.suspects
        if suspects is None:
            ends = (goal.target,) if isinstance(goal, TransferGoal) else ()
            suspects = (*(name for name in (container.position,) if name), *ends)
        for name in container.suspects:
            self.positions[name].unknown = name in suspects
        for name in suspects:
            self.positions[name].unknown = True
        container.suspects = suspects
        self._stand(container, "")

    def _found(self, container: ContainerRun, position: str) -> None:
        """Somebody knows where a container is, so that it is nowhere else."""
        for name in (*container.suspects, *((position,) if position else ())):
            self.positions[name].unknown = False
        container.suspects = ()
        self._stand(container, position)

    def _stand(self, container: ContainerRun, position: str) -> None:
        """Note where a container stands; empty: nowhere that is known."""
        if container.position:
            del self._standing[container.position]
        if container.position != position:
            container.since_ns = self.time_ns
        container.position = position
        if position:
            self._standing[position] = container.container_id

    def _fault_raised(self, event: ev.FaultRaised) -> None:
        self.faults[event.fault_id] = FaultRun(event, self.time_ns)
        self._open_faults[event.fault_id] = self.faults[event.fault_id]
        run = self.experiments.get(event.experiment_id)
        if run is not None:
            run.tasks[event.step_id].fault_id = event.fault_id

    def _close(
        self, fault_id: str, resolution: Resolution, resolved_by: str, remark: str = ""
    ) -> FaultRun:
        """Note what was decided about a fault."""
        fault = self.faults[fault_id]
        fault.resolution = resolution
        fault.resolved_by = resolved_by
        fault.resolved_ns = self.time_ns
        fault.remark = remark
        self._open_faults.pop(fault_id, None)
        return fault

    def _operator_asked(self, event: ev.OperatorAsked) -> None:
        self.faults[event.fault_id].asked = event
        self._hold_questions()

    def _hold_questions(self) -> None:
        """Let no time pass for the answers about what is paused."""
        for fault in self._open_faults.values():
            if fault.asked is None:
                continue
            is_held = self._is_held(fault.raised)
            if is_held and fault.held_ns is None:
                fault.held_ns = self.time_ns
            elif not is_held and fault.held_ns is not None:
                until_ns = fault.asked.until_ns + self.time_ns - fault.held_ns
                fault.asked, fault.held_ns = replace(fault.asked, until_ns=until_ns), None

    def _is_held(self, raised: ev.FaultRaised) -> bool:
        run = self.experiments.get(raised.experiment_id)
        if run is not None:
            return self.is_paused(run)
        return self.is_paused() or self.is_campaign_paused

    def _fault_resolved(self, event: ev.FaultResolved) -> None:
        fault = self._close(event.fault_id, event.resolution, event.resolved_by, event.remark)
        run = self.experiments.get(fault.raised.experiment_id)
        if run is None:
            return
        task = run.tasks[fault.raised.step_id]
        task.fault_id = ""
        if task.state is not TaskState.AWAITING_RESOLUTION:
            return
        if event.resolution is Resolution.RETRY:
            task.state = TaskState.READY
            task.not_before_ns = event.not_before_ns
            if event.exclude:
                task.excluded = (*task.excluded, event.exclude)
            if event.fresh:
                task.failures = 0
        elif task.step_id == MOVE:
            task.state = TaskState.READY
            task.failures = 0
        else:
            task.state = TaskState.FAILED

    def _step_assumed(self, event: ev.StepAssumed) -> None:
        run = self.experiments[event.experiment_id]
        task = run.tasks[event.step_id]
        task.failures = 0
        task.fault = None
        task.failed_goal = None
        task.excluded = ()
        if event.step_id == MOVE:
            task.state = TaskState.READY
            return
        task.state = TaskState.SUCCEEDED
        run.outcomes[event.step_id] = event.outcome
        run.outcome_rounds[event.step_id] = task.round
        if event.outcome.TAG == "dispense":
            self.samples[event.sample_id].filled = True
        self._refresh(run)

    def _deadline_missed(self, event: ev.DeadlineMissed) -> None:
        raised = ev.FaultRaised(event.fault_id, event.fault, event.device, event.attempt_id)
        self._fault_raised(raised)
        self.overdue[event.attempt_id] = event.fault_id

    def _position_blocked(self, event: ev.PositionBlocked) -> None:
        self.positions[event.position].blocked = True

    def _sample_corrected(self, event: ev.SampleCorrected) -> None:
        sample = self.samples[event.sample_id]
        sample.state = event.state
        self._found(self.containers[sample.container_id], event.position)
        if event.position:
            self.positions[event.position].blocked = False

    def _lease_expired(self, event: ev.LeaseExpired) -> None:
        self.expired[event.attempt_id] = event
        for name in event.positions:
            self.positions[name].unknown = True

    def _search_given_up(self, event: ev.SearchGivenUp) -> None:
        self.containers[event.container_id].suspects = ()

    def _position_looked_at(self, event: ev.PositionLookedAt) -> None:
        for container in self.containers.values():
            if event.position in container.suspects:
                container.suspects = tuple(
                    name for name in container.suspects if name != event.position
                )
        self.positions[event.position].unknown = False
        self.positions[event.position].blocked = False
        if event.container_id:
            self._found(self.containers[event.container_id], event.position)

    def _container_replaced(self, event: ev.ContainerReplaced) -> None:
        container = self.containers[event.container_id]
        if container.sample_id:
            sample = self.samples.get(container.sample_id)
            if sample is not None:
                sample.state = SampleState.DISPOSED
        container.sample_id = ""
        container.clean = True
        self._clean[event.container_id] = None
        self._found(container, container.home)
        self.positions[container.home].blocked = False

    def _paused(self, event: ev.Paused) -> None:
        self.paused.add((event.scope, event.subject))
        self._hold_questions()

    def _resumed(self, event: ev.Resumed) -> None:
        self.paused.discard((event.scope, event.subject))
        if event.scope is Scope.LAB:
            self.resumed_ns = self.time_ns
        self._hold_questions()

    def _estop_engaged(self, event: ev.EmergencyStopEngaged) -> None:
        self.estopped = True
        self._hold_questions()

    def _estop_released(self, event: ev.EmergencyStopReleased) -> None:
        self.estopped = False
        self._hold_questions()

    def _device_gone(self, event: ev.DeviceGone) -> None:
        self.lost[event.device] = event.fault_id
        self._fault_raised(ev.FaultRaised(event.fault_id, event.fault, event.device))

    def _device_back(self, event: ev.DeviceBack) -> None:
        self._close(self.lost.pop(event.device), Resolution.RETRY, event.device)


_APPLY: dict[type[Event], Callable[[LabState, Any], None]] = {
    ev.CampaignStarted: LabState._campaign_started,
    ev.CampaignStopping: LabState._campaign_stopping,
    ev.CampaignEnded: LabState._campaign_ended,
    ev.ManagerRestarted: LabState._restarted,
    ev.SuggestionsRequested: LabState._suggestions_requested,
    ev.SuggestionsReceived: LabState._suggestions_received,
    ev.PlannerRefused: LabState._planner_refused,
    ev.PlannerForgot: LabState._planner_forgot,
    ev.ExperimentSubmitted: LabState._experiment_submitted,
    ev.ObservationMade: LabState._observation_made,
    ev.ObservationConfirmed: LabState._observation_confirmed,
    ev.ExperimentStarted: LabState._experiment_started,
    ev.BranchTaken: LabState._branch_taken,
    ev.WaitBegun: LabState._wait_begun,
    ev.TaskSettled: LabState._task_settled,
    ev.LoopRepeated: LabState._loop_repeated,
    ev.LoopEnded: LabState._loop_ended,
    ev.ExperimentAborted: LabState._experiment_aborted,
    ev.ExperimentEnded: LabState._experiment_ended,
    ev.AttemptIntended: LabState._attempt_intended,
    ev.CancelIntended: LabState._cancel_intended,
    ev.AttemptEnded: LabState._attempt_ended,
    ev.FaultRaised: LabState._fault_raised,
    ev.FaultResolved: LabState._fault_resolved,
    ev.OperatorAsked: LabState._operator_asked,
    ev.StepAssumed: LabState._step_assumed,
    ev.DeadlineMissed: LabState._deadline_missed,
    ev.PositionBlocked: LabState._position_blocked,
    ev.LeaseExpired: LabState._lease_expired,
    ev.SearchGivenUp: LabState._search_given_up,
    ev.SampleCorrected: LabState._sample_corrected,
    ev.PositionLookedAt: LabState._position_looked_at,
    ev.ContainerReplaced: LabState._container_replaced,
    ev.Paused: LabState._paused,
    ev.Resumed: LabState._resumed,
    ev.EmergencyStopEngaged: LabState._estop_engaged,
    ev.EmergencyStopReleased: LabState._estop_released,
    ev.DeviceGone: LabState._device_gone,
    ev.DeviceBack: LabState._device_back,
}


def replay(floor: Floor, entries: Iterator[tuple[int, Event]]) -> LabState:
    """The state that a sequence of (time, event) gives."""
    state = LabState(floor)
    for time_ns, event in entries:
        state.apply(event, time_ns)
    return state
