"""What follows from the present state: experiments begin, go on and end, until nothing follows."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.allocator import choose
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.goal_builder import intend
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.planner_desk import PlannerDesk
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.results import is_analysed, observation_of
from matlab_ros.lab.scheduler import Scheduler
from matlab_ros.lab.state import ContainerRun, ExperimentRun
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    SampleState,
    StepAction,
    TaskState,
)

_STANDING = (StepAction.TRANSFER, StepAction.STORE, StepAction.DISCARD)
"""Steps that are done when the crucible stands in the right place."""


class Flow:
    """Lets everything happen that follows from the present state.

    Args:
        ledger: of the lab.
        presence: of its devices.
        attempts: ends attempts and decides about failures.
        planner: asks and reports.
    """

    def __init__(
        self, ledger: Ledger, presence: Presence, attempts: AttemptDesk, planner: PlannerDesk
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._presence = presence
        self._attempts = attempts
        self._planner = planner
        self._scheduler = Scheduler(ledger.floor, presence.is_usable)

    def advance(self) -> None:
        """Go on until nothing follows any more."""
        while True:
            before = self._state.sequence
            self._attempts.end_overdue()
            self._attempts.resolve_faults()
            self._abort_stopping()
            self._attempts.cancel_stopped()
            if self._ledger.open_campaign() is not None:
                self._settle_tasks()
                self._make_observations()
                self._end_experiments()
                self._start_experiments()
                self._planner.want_suggestions()
                self._start_attempt()
                self._end_campaign()
            if self._state.sequence == before and not self._break_standstill():
                return

    def next_wakeup(self) -> int | None:
        """When something follows from the passing of time alone; ROS time in nanoseconds."""
        moments = self._attempts.wakeups()
        campaign = self._ledger.open_campaign()
        if campaign is not None and not self._state.is_paused():
            now_ns = self._ledger.now_ns
            for run in self._state.active():
                for task in run.tasks.values():
                    if task.state is TaskState.READY and task.not_before_ns > now_ns:
                        moments.append(task.not_before_ns)
            if campaign.ask_again_ns > now_ns:
                moments.append(campaign.ask_again_ns)
        return min(moments, default=None)

    # --- experiments --------------------------------------------------------------------------

    def _abort_stopping(self) -> None:
        """Abort what a stopping campaign holds."""
        campaign = self._ledger.open_campaign()
        if campaign is None or campaign.stopping is None:
            return
        for run in list(self._state.in_flight()):
            if run.abort is None:
                self._attempts.abort(
                    run,
                    ExperimentState.CANCELED,
                    ObservationKind.ABANDONED,
                    campaign.stopping.message,
                )

    def _settle_tasks(self) -> None:
        """End the steps that consist in standing somewhere."""
        for run in list(self._state.active()):
            if self._state.is_paused(run):
                continue
            step = self._scheduler.next_step(self._state, run)
            if (
                step is not None
                and step.action in _STANDING
                and self._scheduler.stands_right(self._state.container_of(run), step)
            ):
                self._ledger.emit(ev.TaskSettled(run.experiment_id, step.id, TaskState.SUCCEEDED))

    def _make_observations(self) -> None:
        plan = self._ledger.campaign().plan
        for run in list(self._state.in_flight()):
            if run.observation is not None:
                continue
            is_over = (run.abort is not None or run.steps_done) and not _is_engaged(run)
            if is_over or is_analysed(plan.recipe, run):
                without = run.abort.teaches if run.abort else ObservationKind.ABANDONED
                observation = observation_of(plan, run, without, self._ledger.now_ns)
                self._ledger.emit(ev.ObservationMade(run.experiment_id, observation))

    def _end_experiments(self) -> None:
        for run in list(self._state.in_flight()):
            if run.observation is None or _is_engaged(run):
                continue
            if run.abort is None and not run.steps_done:
                continue
            if run.state is ExperimentState.PLANNED:
                state = run.abort.state if run.abort else ExperimentState.CANCELED
                self._ledger.emit(ev.ExperimentEnded(run.experiment_id, state, SampleState.PLANNED))
            elif self._is_put_away(self._state.container_of(run)):
                self._ledger.emit(
                    ev.ExperimentEnded(run.experiment_id, _end_state(run), self._rest_state(run))
                )

    def _is_put_away(self, container: ContainerRun) -> bool:
        """Whether a container is where it stays: at home, blocked, or nobody knows where."""
        return (
            not container.position
            or container.position == container.home
            or self._state.positions[container.position].blocked
        )

    def _rest_state(self, run: ExperimentRun) -> SampleState:
        sample = self._state.samples[run.sample_id]
        if sample.state in (SampleState.LOST, SampleState.COMPROMISED):
            return sample.state
        discards = self._ledger.campaign().plan.recipe.steps_of(StepAction.DISCARD)
        if any(run.tasks[step.id].state is TaskState.SUCCEEDED for step in discards):
            return SampleState.DISPOSED
        return SampleState.DONE if run.abort is None else SampleState.AT_REST

    def _start_experiments(self) -> None:
        """Give crucibles to the experiments that have none."""
        if self._ledger.campaign().stopping is not None or self._state.is_paused():
            return
        for run in list(self._state.in_flight()):
            if run.state is not ExperimentState.PLANNED or run.abort is not None:
                continue
            container = self._clean_container()
            if container is None:
                # Those under way go on to their ends; an aborted one may leave its crucible clean.
                if not any(True for _ in self._state.active()):
                    self._stop(FaultCode.CONTAINERS_EXHAUSTED, "no clean crucible is left.")
                return
            sample_id = f"{run.experiment_id}-s1"
            self._ledger.emit(
                ev.ExperimentStarted(run.experiment_id, sample_id, container.container_id)
            )

    def _clean_container(self) -> ContainerRun | None:
        for container in self._state.containers.values():
            if container.clean and container.position == container.home:
                return container
        return None

    def _start_attempt(self) -> None:
        """Begin the one attempt that the allocator chooses, if any; each changes what follows."""
        requests = self._scheduler.requests(self._state, self._ledger.now_ns)
        chosen = choose(requests, lambda resource: self._scheduler.is_free(self._state, resource))
        if chosen is not None:
            self._ledger.emit(intend(self._state, chosen.task, self._ledger.now_ns))

    # --- the campaign -------------------------------------------------------------------------

    def _stop(self, code: FaultCode, message: str) -> None:
        self._ledger.emit(ev.CampaignStopping(code, message))

    def _end_campaign(self) -> None:
        campaign = self._ledger.campaign()
        if any(True for _ in self._state.in_flight()) or campaign.requested:
            return
        if any(True for _ in self._state.unreported()) and not self._planner.is_gone(campaign):
            return
        is_used_up = len(self._state.experiments) >= campaign.config.budget.experiments
        if campaign.stopping is not None:
            stopping = campaign.stopping
            self._ledger.emit(ev.CampaignEnded(stopping.code, stopping.message))
        elif campaign.exhausted or is_used_up:
            self._ledger.emit(ev.CampaignEnded(FaultCode.NONE, ""))

    def _break_standstill(self) -> bool:
        """Where nothing can ever happen again, say so and end instead of waiting for ever.

        Returns:
            Whether something followed.
        """
        campaign = self._ledger.open_campaign()
        if (
            campaign is None
            or self._state.attempts
            or campaign.requested
            or any(True for _ in self._state.unreported())
            or self._state.estopped
            or self._state.paused
            or self.next_wakeup() is not None
        ):
            return False
        stuck = [run for run in self._state.active() if not _is_engaged(run)]
        if not stuck:
            return False
        if campaign.stopping is not None:
            awaited = [
                arm for arm in self._ledger.floor.arms if not self._presence.is_given_up(arm)
            ]
            if awaited and not any(self._presence.is_usable(arm) for arm in awaited):
                return False
            for run in stuck:
                self._attempts.block(run, "its container cannot be carried home.")
            return True
        devices = self._ledger.floor.lab.devices
        if not all(self._presence.is_usable(device.name) for device in devices):
            return False
        run = stuck[0]
        self._stop(
            FaultCode.INTERNAL_ERROR,
            f"{run.experiment_id} cannot go on from {self._state.container_of(run).position} to "
            f"{run.present_step or 'its home'}: every way is blocked.",
        )
        return True


def _is_engaged(run: ExperimentRun) -> bool:
    """Whether an attempt of it is under way or not decided."""
    return any(
        task.state in (TaskState.RUNNING, TaskState.AWAITING_RESOLUTION)
        for task in run.tasks.values()
    )


def _end_state(run: ExperimentRun) -> ExperimentState:
    if run.abort is not None:
        return run.abort.state
    observation = run.observation
    if observation is not None and observation.status is ObservationKind.MEASURED:
        return ExperimentState.SUCCEEDED
    return ExperimentState.FAILED
