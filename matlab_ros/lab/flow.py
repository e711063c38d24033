"""What follows from the present state: experiments begin, go on and end, until nothing follows."""

from __future__ import annotations

import heapq

from matlab_ros.lab import events as ev
from matlab_ros.lab.allocator import choose
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.doubts import close_doubts
from matlab_ros.lab.goal_builder import intend
from matlab_ros.lab.leases import Leases
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.planner_desk import PlannerDesk
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.results import is_analysed, is_discarded, observation_of
from matlab_ros.lab.scheduler import Scheduler
from matlab_ros.lab.standstill import Standstill, is_engaged
from matlab_ros.lab.state import ContainerRun, ExperimentRun, TaskRun
from matlab_ros.lab.step_desk import StepDesk
from matlab_ros.lab.wants import places_to_search
from matlab_ros.model.faults import FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    SampleState,
    Scope,
    TaskState,
)


class Flow:
    """Lets everything happen that follows from the present state.

    Args:
        ledger: of the lab.
        presence: of its devices.
        attempts: ends attempts and decides about failures.
        planner: asks and reports.
        scheduler: lists what could begin.
    """

    def __init__(
        self,
        ledger: Ledger,
        presence: Presence,
        attempts: AttemptDesk,
        planner: PlannerDesk,
        scheduler: Scheduler,
    ) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._presence = presence
        self._attempts = attempts
        self._planner = planner
        self._scheduler = scheduler
        self._steps = StepDesk(ledger)
        self._leases = Leases(ledger, presence)
        self._standstill = Standstill(ledger, presence, attempts)
        self._waiting: list[tuple[int, str]] = []
        """Heap of moments at which an experiment may go on; entries may be outdated."""

    def advance(self) -> None:
        """Go on until nothing follows any more."""
        self._touch_due()
        while True:
            before = self._state.sequence
            self._attempts.end_overdue()
            self._leases.end_expired()
            self._standstill.end_questions()
            close_doubts(self._ledger, "the lab manager")
            self._attempts.cancel_stopped()
            self._attend()
            if self._state.is_at_work:
                self._start_experiments()
                self._planner.want_suggestions()
                self._attend()
                self._start_attempt()
                self._end_campaign()
            if self._state.sequence == before and not self._standstill.end(self.next_wakeup()):
                return

    def next_wakeup(self) -> int | None:
        """When something follows from the passing of time alone; ROS time in nanoseconds."""
        moments = [*self._attempts.wakeups(), *self._leases.wakeups()]
        if self._planner.due_ns is not None:
            moments.append(self._planner.due_ns)
        if self._state.is_at_work and not self._state.is_paused():
            now_ns = self._ledger.now_ns
            moments.extend(self._waiting_until())
            moments.extend(self._scheduler.wakeups(self._state, now_ns))
            campaign = self._ledger.open_campaign()
            if campaign is not None and campaign.ask_again_ns > now_ns:
                moments.append(campaign.ask_again_ns)
        return min(moments, default=None)

    # --- one experiment after the other -------------------------------------------------------

    def _touch_due(self) -> None:
        """Look again at the experiments whose time has come."""
        now_ns, touched = self._ledger.now_ns, self._ledger.touched
        while self._waiting and self._waiting[0][0] <= now_ns:
            touched.add(heapq.heappop(self._waiting)[1])
        for fault in self._state.open_faults():
            if fault.answer_by_ns is not None and fault.answer_by_ns <= now_ns:
                touched.add(fault.raised.experiment_id)

    def _waiting_until(self) -> list[int]:
        """The first moment that an experiment waits for, if there is one."""
        while self._waiting:
            moment_ns, experiment_id = self._waiting[0]
            run = self._state.experiments.get(experiment_id)
            if (
                run is not None
                and not run.state.is_final
                and any(_waits_until(task) == moment_ns for task in run.tasks.values())
                and not self._state.is_paused(run)
            ):
                return [moment_ns]
            heapq.heappop(self._waiting)
        return []

    def _attend(self) -> None:
        """Let everything follow for the experiments that something happened to."""
        while names := self._ledger.touched.take():
            for name in names:
                run = self._state.experiments.get(name)
                if run is not None and not run.state.is_final:
                    self._attend_to(run)
                self._scheduler.touch(name)

    def _attend_to(self, run: ExperimentRun) -> None:
        self._attempts.resolve_faults(run)
        campaign = self._ledger.open_campaign()
        stopping = campaign.stopping if campaign is not None and not run.is_guest else None
        if stopping is not None and run.abort is None:
            self._attempts.abort(
                run, ExperimentState.CANCELED, ObservationKind.ABANDONED, stopping.message
            )
        self._steps.settle(run)
        self._make_observation(run)
        self._end_experiment(run)
        for task in run.tasks.values():
            moment_ns = _waits_until(task)
            if moment_ns > self._ledger.now_ns:
                heapq.heappush(self._waiting, (moment_ns, run.experiment_id))

    def _make_observation(self, run: ExperimentRun) -> None:
        if run.observation is not None:
            return
        is_over = (run.abort is not None or run.steps_done) and not is_engaged(run)
        if is_over or is_analysed(run.recipe, run):
            without = run.abort.teaches if run.abort else ObservationKind.ABANDONED
            observation = observation_of(run.plan, run, without, self._ledger.now_ns)
            self._ledger.emit(ev.ObservationMade(run.experiment_id, observation))

    def _end_experiment(self, run: ExperimentRun) -> None:
        if run.observation is None or is_engaged(run):
            return
        if run.abort is None and not run.steps_done:
            return
        if run.state is ExperimentState.PLANNED:
            state = run.abort.state if run.abort else ExperimentState.CANCELED
            self._ledger.emit(ev.ExperimentEnded(run.experiment_id, state, SampleState.PLANNED))
        elif self._is_put_away(self._state.container_of(run)):
            self._ledger.emit(
                ev.ExperimentEnded(run.experiment_id, _end_state(run), self._rest_state(run))
            )

    def _is_put_away(self, container: ContainerRun) -> bool:
        """Whether a container is where it stays: at home, blocked, or lost and looked for."""
        if not container.position:
            return not places_to_search(container)
        return (
            container.position == container.home
            or self._state.positions[container.position].blocked
        )

    def _rest_state(self, run: ExperimentRun) -> SampleState:
        sample = self._state.samples[run.sample_id]
        if sample.state in (SampleState.LOST, SampleState.COMPROMISED):
            return sample.state
        if is_discarded(run.recipe, run):
            return SampleState.DISPOSED
        return SampleState.DONE if run.abort is None else SampleState.AT_REST

    def _start_experiments(self) -> None:
        """Give crucibles to the experiments that have none."""
        if self._state.is_paused():
            return
        while (run := self._state.next_planned()) is not None:
            container = self._state.next_clean()
            if container is None:
                # Those under way go on to their ends; an aborted one may leave its crucible clean.
                if not any(True for _ in self._state.active()):
                    self._attempts.stop_all(
                        FaultCode.CONTAINERS_EXHAUSTED, "no clean crucible is left."
                    )
                return
            sample_id = f"{run.experiment_id}-s1"
            self._ledger.emit(
                ev.ExperimentStarted(run.experiment_id, sample_id, container.container_id)
            )

    def _start_attempt(self) -> None:
        """Begin the one attempt that the allocator chooses, if any; each changes what follows."""
        now_ns = self._ledger.now_ns
        requests = self._scheduler.requests(self._state, now_ns)
        chosen = choose(requests, self._scheduler.resources(self._state).is_free)
        if chosen is not None:
            self._ledger.emit(intend(self._state, chosen.task, now_ns))

    # --- the campaign -------------------------------------------------------------------------

    def _end_campaign(self) -> None:
        campaign = self._ledger.open_campaign()
        if campaign is None or campaign.requested or self._state.campaign_in_flight_count():
            return
        if any(True for _ in self._state.unreported()) and not self._planner.is_gone(campaign):
            return
        is_used_up = self._state.campaign_count() >= campaign.config.budget.experiments
        if campaign.stopping is not None:
            stopping = campaign.stopping
            if stopping.latch and self._state.open_guests():
                return
            self._ledger.emit(ev.CampaignEnded(stopping.code, stopping.message))
            if stopping.latch and (Scope.LAB, "") not in self._state.paused:
                # Now that everything is put away: somebody has to look before anything new begins.
                self._ledger.emit(ev.Paused(Scope.LAB, "", "policy", stopping.message))
        elif campaign.exhausted or is_used_up:
            self._ledger.emit(ev.CampaignEnded(FaultCode.NONE, ""))


def _waits_until(task: TaskRun) -> int:
    """When a task that waits may begin, or ends by itself; 0: it waits for no moment."""
    return task.not_before_ns if task.state is TaskState.READY else task.until_ns


def _end_state(run: ExperimentRun) -> ExperimentState:
    if run.abort is not None:
        return run.abort.state
    observation = run.observation
    if observation is not None and observation.status is ObservationKind.MEASURED:
        return ExperimentState.SUCCEEDED
    return ExperimentState.FAILED
