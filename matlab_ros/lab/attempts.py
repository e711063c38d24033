"""How attempts end: by their device's word, by their deadline, and what is done about a failure."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.effects import effects_of
from matlab_ros.lab.events import MOVE
from matlab_ros.lab.goals import AnalyseGoal, Outcome, TransferGoal, unknown_end
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.policies import Tries, may_retry, teaches, tries_of_move, tries_of_step
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.state import AttemptRun, ExperimentRun, TaskRun
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    PositionState,
    Remedy,
    Resolution,
    TaskState,
)
from matlab_ros.model.recipe import Step

_NS_PER_S = 1_000_000_000
OVERDUE_CANCEL_NS = 60 * _NS_PER_S
"""After its deadline an attempt has this long to end by itself, then it is cancelled."""
OVERDUE_GIVE_UP_NS = 660 * _NS_PER_S
"""After its deadline an attempt that still has no outcome is taken for failed."""


class AttemptDesk:
    """Ends attempts and decides about failures.

    Args:
        ledger: of the lab.
        presence: of its devices.
    """

    def __init__(self, ledger: Ledger, presence: Presence) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._presence = presence

    # --- ends ---------------------------------------------------------------------------------

    def end(self, attempt: AttemptRun, outcome: Outcome) -> None:
        """Take in a device's answer."""
        if outcome.TAG != attempt.goal.TAG:
            fault = Fault.of(
                FaultCode.PROTOCOL_ERROR,
                f"{attempt.device} answered {attempt.goal.TAG} with {outcome.TAG}.",
            )
            outcome = unknown_end(attempt.goal, attempt.device, fault, self._ledger.now_ns)
        effects = effects_of(self._state, attempt, outcome)
        self._ledger.emit(ev.AttemptEnded(attempt.attempt_id, attempt.device, outcome, effects))
        self._presence.forget(attempt.attempt_id)

    def give_up(self, attempt: AttemptRun, fault: Fault) -> None:
        """End an attempt whose device gives no answer; keep the arm away from where it acts."""
        outcome = unknown_end(attempt.goal, attempt.device, fault, self._ledger.now_ns)
        self.end(attempt, outcome)
        if isinstance(attempt.goal, (TransferGoal, AnalyseGoal)):
            return
        for sample_id in attempt.goal.sample_ids:
            run = self._state.experiments[self._state.samples[sample_id].experiment_id]
            self.block(run, f"nobody knows what {attempt.device} does there.")

    def end_overdue(self) -> None:
        """Cancel what is late, and give up what is very late."""
        for attempt in list(self._state.attempts.values()):
            deadline = attempt.goal.deadline_ns
            if not deadline:
                continue
            if self._ledger.now_ns >= deadline + OVERDUE_GIVE_UP_NS:
                fault = Fault.of(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"{attempt.device} gave no outcome of {attempt.attempt_id} in time.",
                )
                self.give_up(attempt, fault)
            elif (
                self._ledger.now_ns >= deadline + OVERDUE_CANCEL_NS and not attempt.cancel_requested
            ):
                self._ledger.emit(ev.CancelIntended(attempt.attempt_id, "its deadline has passed."))

    def wakeups(self) -> list[int]:
        """Moments at which `end_overdue` has something to do."""
        found = []
        for attempt in self._state.attempts.values():
            if attempt.goal.deadline_ns:
                late = OVERDUE_GIVE_UP_NS if attempt.cancel_requested else OVERDUE_CANCEL_NS
                found.append(attempt.goal.deadline_ns + late)
        return found

    # --- failures -----------------------------------------------------------------------------

    def resolve_faults(self) -> None:
        """Decide about every task whose attempt failed."""
        for run in list(self._state.active()):
            for task in run.tasks.values():
                if task.state is TaskState.AWAITING_RESOLUTION:
                    self._resolve(run, task)

    def _resolve(self, run: ExperimentRun, task: TaskRun) -> None:
        assert task.fault is not None
        fault = task.fault
        recipe = self._ledger.campaign().plan.recipe
        fault_id = self._ledger.next_fault_id()
        self._ledger.emit(
            ev.FaultRaised(
                fault_id,
                fault,
                task.device,
                task.attempt_id,
                run.experiment_id,
                task.step_id,
                run.sample_id,
            )
        )
        is_move = task.step_id == MOVE
        served = recipe.step(task.serves) if task.serves else None
        tries = (
            tries_of_move(recipe, served) if is_move else tries_of_step(recipe.step(task.step_id))
        )
        is_somewhere = bool(self._state.container_of(run).position)
        if run.abort is not None and not is_move:
            self._decide(fault_id, Resolution.ABORT_EXPERIMENT)
        elif is_somewhere and may_retry(fault, task.failures, tries):
            self._decide(fault_id, Resolution.RETRY, self._ledger.now_ns + tries.wait_ns)
        elif run.abort is not None or (is_move and run.steps_done):
            self._decide(fault_id, Resolution.ABORT_SAMPLE)
            self.block(run, fault.message)
        elif is_somewhere and _may_skip(task, served, tries):
            self._decide(fault_id, Resolution.SKIP)
            step_id = task.serves if is_move else task.step_id
            self._ledger.emit(ev.TaskSettled(run.experiment_id, step_id, TaskState.SKIPPED))
        else:
            self._decide(fault_id, Resolution.ABORT_EXPERIMENT)
            self.abort(run, ExperimentState.FAILED, teaches(fault), fault.message)

    def _decide(self, fault_id: str, resolution: Resolution, not_before_ns: int = 0) -> None:
        self._ledger.emit(ev.FaultResolved(fault_id, resolution, "policy", not_before_ns))

    def abort(
        self, run: ExperimentRun, state: ExperimentState, teaching: ObservationKind, message: str
    ) -> None:
        """Let an experiment do no further step."""
        self._ledger.emit(ev.ExperimentAborted(run.experiment_id, state, teaching, message))

    def block(self, run: ExperimentRun, reason: str) -> None:
        """Leave an experiment's container where it is, and let nobody use that position."""
        position = self._state.container_of(run).position
        if position and self._state.position_state(position) is not PositionState.BLOCKED:
            self._ledger.emit(ev.PositionBlocked(position, reason))

    def cancel_stopped(self) -> None:
        """Cancel the attempts of cancelled experiments; all of them after an emergency stop."""
        for attempt in list(self._state.attempts.values()):
            if attempt.cancel_requested:
                continue
            if self._state.estopped:
                self._ledger.emit(ev.CancelIntended(attempt.attempt_id, "emergency stop."))
            elif not isinstance(attempt.goal, TransferGoal) and all(
                self._is_canceled(work.experiment_id) for work in attempt.works
            ):
                # A crucible in the gripper is set down first: transfers go on to their ends.
                self._ledger.emit(
                    ev.CancelIntended(attempt.attempt_id, "its experiment was cancelled.")
                )

    def _is_canceled(self, experiment_id: str) -> bool:
        abort = self._state.experiments[experiment_id].abort
        return abort is not None and abort.state is ExperimentState.CANCELED


def _may_skip(task: TaskRun, served: Step | None, tries: Tries) -> bool:
    """Whether policy passes over the step and the sample is still what it was."""
    assert task.fault is not None
    return (
        tries.then is Remedy.SKIP
        and not task.fault.sample_compromised
        and (task.step_id != MOVE or served is not None)
    )
