"""How attempts end: by their device's word, by their deadline, and what is done about a failure."""

from __future__ import annotations

from matlab_ros.lab import events as ev
from matlab_ros.lab.effects import effects_of
from matlab_ros.lab.events import MOVE
from matlab_ros.lab.goals import AnalyseGoal, HeatGoal, Outcome, TransferGoal, unknown_end
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.policies import (
    Tries,
    may_retry,
    may_try_elsewhere,
    teaches,
    tries_of_move,
    tries_of_step,
)
from matlab_ros.lab.presence import Presence
from matlab_ros.lab.state import AttemptRun, ExperimentRun, TaskRun
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import (
    CancelMode,
    ExperimentState,
    ObservationKind,
    PositionState,
    Remedy,
    Resolution,
    Scope,
    TaskState,
)

_NS_PER_S = 1_000_000_000
PUT_AWAY_RETRIES = 5
"""Further attempts to carry home, or to look for, a crucible that nothing is to be done to:
whatever the fault was, what it stands on is of no use to anybody before it is gone."""
OVERDUE_NOTICE_NS = 10 * _NS_PER_S
"""After its deadline an attempt without an outcome is a fault, and somebody is told."""
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
        if (
            isinstance(attempt.goal, HeatGoal)
            and attempt.goal.on_cancel is CancelMode.HOLD
            and outcome.report.code == FaultCode.CANCELED
        ):
            for effect in effects:
                run = self._state.experiments[effect.work.experiment_id]
                self.block(run, f"{attempt.device} was cancelled and holds its temperature.")
        elif outcome.report.code == FaultCode.HEAT_CONTACT_LOST:
            for effect in effects:
                run = self._state.experiments[effect.work.experiment_id]
                self.block(run, f"nobody knows how hot {attempt.device} is.")

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
        """Tell of what is late, then cancel it, and give up what is very late."""
        now_ns = self._ledger.now_ns
        for attempt in list(self._state.attempts.values()):
            deadline = self._deadline_ns(attempt)
            if deadline is None or now_ns < deadline + OVERDUE_NOTICE_NS:
                continue
            if attempt.attempt_id not in self._state.overdue:
                fault = Fault.of(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"{attempt.device} has not ended {attempt.attempt_id} by its deadline; "
                    "look at the device.",
                )
                self._ledger.emit(
                    ev.DeadlineMissed(
                        attempt.attempt_id, attempt.device, self._ledger.next_fault_id(), fault
                    )
                )
            if now_ns >= deadline + OVERDUE_GIVE_UP_NS:
                fault = Fault.of(
                    FaultCode.DEADLINE_EXCEEDED,
                    f"{attempt.device} gave no outcome of {attempt.attempt_id} in time.",
                )
                self.give_up(attempt, fault)
            elif now_ns >= deadline + OVERDUE_CANCEL_NS and not attempt.cancel_requested:
                self._ledger.emit(ev.CancelIntended(attempt.attempt_id, "its deadline has passed."))

    def _deadline_ns(self, attempt: AttemptRun) -> int | None:
        """When an attempt is late; None: never, or not before the lab is resumed.

        A device that is asked anew, after a restart of ours or after an emergency stop, has the
        same time as ever to say what became of an attempt whose deadline passed meanwhile.
        """
        if not attempt.goal.deadline_ns:
            return None
        if self._presence.is_withheld(attempt):
            return None
        return max(attempt.goal.deadline_ns, self._state.restarted_ns, self._state.resumed_ns)

    def wakeups(self) -> list[int]:
        """Moments at which deadlines of attempts and questions pass."""
        found = []
        for attempt in self._state.attempts.values():
            deadline = self._deadline_ns(attempt)
            if deadline is None:
                continue
            if attempt.attempt_id not in self._state.overdue:
                found.append(deadline + OVERDUE_NOTICE_NS)
            else:
                late = OVERDUE_GIVE_UP_NS if attempt.cancel_requested else OVERDUE_CANCEL_NS
                found.append(deadline + late)
        answers = (fault.answer_by_ns for fault in self._state.open_faults())
        found.extend(moment for moment in answers if moment is not None)
        return found

    # --- failures -----------------------------------------------------------------------------

    def resolve_faults(self, run: ExperimentRun) -> None:
        """Decide about an experiment's failed tasks, and about questions nobody answered."""
        for task in run.tasks.values():
            if task.state is TaskState.AWAITING_RESOLUTION:
                self._resolve(run, task)

    def _resolve(self, run: ExperimentRun, task: TaskRun) -> None:
        assert task.fault is not None
        if task.fault_id:
            fault = self._state.faults[task.fault_id]
            asked, until_ns = fault.asked, fault.answer_by_ns
            if asked is not None and until_ns is not None and self._ledger.now_ns >= until_ns:
                self._carry_out(run, task, asked.then, "nobody answered in time")
            return
        self._ledger.emit(
            ev.FaultRaised(
                self._ledger.next_fault_id(),
                task.fault,
                task.device,
                task.attempt_id,
                run.experiment_id,
                task.step_id,
                run.sample_id,
            )
        )
        is_move = task.step_id == MOVE
        tries = self._tries(run, task)
        container = self._state.container_of(run)
        is_somewhere = bool(container.position) or (task.looks and bool(container.suspects))
        if run.abort is not None and not is_move:
            self._decide(task, Resolution.ABORT_EXPERIMENT)
        elif is_somewhere and (
            may_retry(task.fault, task.failures, tries)
            or (_puts_away(run, task) and task.failures <= PUT_AWAY_RETRIES)
        ):
            wait_ns = tries.wait_ns(task.failures)
            self._decide(task, Resolution.RETRY, not_before_ns=self._ledger.now_ns + wait_ns)
        elif run.abort is not None or (is_move and run.steps_done):
            message = task.fault.message
            self._decide(task, Resolution.ABORT_SAMPLE)
            self.block(run, message)
        else:
            self._carry_out(run, task, tries.then[0])

    @staticmethod
    def _tries(run: ExperimentRun, task: TaskRun) -> Tries:
        recipe = run.recipe
        if task.step_id == MOVE:
            return tries_of_move(recipe, recipe.step(task.serves) if task.serves else None)
        return tries_of_step(recipe.step(task.step_id))

    def _carry_out(
        self, run: ExperimentRun, task: TaskRun, remedy: Remedy, remark: str = ""
    ) -> None:
        """Do what the policy says, or what stands behind it where that is of no use."""
        assert task.fault is not None
        fault, tries = task.fault, self._tries(run, task)
        is_somewhere = bool(self._state.container_of(run).position)
        if remedy is Remedy.OTHER_DEVICE:
            if is_somewhere and may_try_elsewhere(fault) and self._has_other(task):
                self._decide(
                    task,
                    Resolution.RETRY,
                    not_before_ns=self._ledger.now_ns,
                    exclude=task.device,
                    fresh=True,
                    remark=remark,
                )
            else:
                self._carry_out(run, task, tries.behind(remedy), remark)
        elif remedy is Remedy.ASK:
            behind = tries.behind(remedy)
            if self._ledger.floor.lab.asks:
                until_ns = self._ledger.now_ns + tries.ask_ns
                self._ledger.emit(ev.OperatorAsked(task.fault_id, until_ns, behind))
            else:
                self._carry_out(run, task, behind, remark)
        elif remedy is Remedy.SKIP and is_somewhere and _may_skip(task):
            self.skip(run, task, "policy", remark)
        else:
            resolution = (
                Resolution.ABORT_SAMPLE
                if remedy is Remedy.ABORT_SAMPLE
                else Resolution.ABORT_EXPERIMENT
            )
            self._decide(task, resolution, remark=remark)
            self.abort(run, ExperimentState.FAILED, teaches(fault), fault.message)
            if remedy is Remedy.STOP_LAB:
                self.stop_all(
                    fault.code,
                    f"the policy of step {task.serves or task.step_id} of {run.experiment_id} "
                    f"stops the lab: {fault.message}",
                    latch=True,
                )

    def skip(self, run: ExperimentRun, task: TaskRun, by: str, remark: str = "") -> None:
        """Pass over a task's step; of a transfer: the step that wants it."""
        step_id = task.serves if task.step_id == MOVE else task.step_id
        self._decide(task, Resolution.SKIP, by=by, remark=remark)
        self._ledger.emit(ev.TaskSettled(run.experiment_id, step_id, TaskState.SKIPPED))

    def _has_other(self, task: TaskRun) -> bool:
        """Whether another device of the kind is usable and did not fail at this task."""
        if task.device in task.excluded:
            # It was used again, so that there was no other.
            return False
        lab = self._ledger.floor.lab
        tried = (*task.excluded, task.device)
        goal = task.failed_goal
        return any(
            device.name not in tried
            and self._presence.is_usable(device.name)
            and (
                not isinstance(goal, HeatGoal)
                or self._ledger.floor.can_heat(device.name, goal.profile)
            )
            for device in lab.devices_of(lab.device(task.device).kind)
        )

    def _decide(
        self,
        task: TaskRun,
        resolution: Resolution,
        *,
        by: str = "policy",
        not_before_ns: int = 0,
        exclude: str = "",
        fresh: bool = False,
        remark: str = "",
    ) -> None:
        self._ledger.emit(
            ev.FaultResolved(task.fault_id, resolution, by, not_before_ns, remark, exclude, fresh)
        )

    def abort(
        self,
        run: ExperimentRun,
        state: ExperimentState,
        teaching: ObservationKind,
        message: str,
        code: int = 0,
    ) -> None:
        """Let an experiment do no further step; questions about it are answered by that."""
        for task in run.tasks.values():
            if task.fault_id:
                self._decide(task, Resolution.ABORT_EXPERIMENT, remark=message)
        self._ledger.emit(ev.ExperimentAborted(run.experiment_id, state, teaching, message, code))

    def stop_all(self, code: int, message: str, *, latch: bool = False) -> None:
        """Begin nothing more: the campaign stops, and its guests with it.

        Args:
            code: why.
            message: the same in a sentence.
            latch: whether the lab is paused when all of it is put away; at once where only guests
                are under way.
        """
        campaign = self._ledger.open_campaign()
        if campaign is not None and campaign.stopping is None:
            self._ledger.emit(ev.CampaignStopping(code, message, latch))
        elif campaign is None and latch:
            self._ledger.emit(ev.Paused(Scope.LAB, "", "policy", message))
        for run in self._state.open_guests():
            if run.abort is None:
                self.abort(
                    run, ExperimentState.CANCELED, ObservationKind.ABANDONED, message, int(code)
                )

    def block(self, run: ExperimentRun, reason: str) -> None:
        """Leave an experiment's container where it is, and let nobody use that position."""
        container = self._state.container_of(run)
        position = container.position
        if position and self._state.position_state(position) is not PositionState.BLOCKED:
            self._ledger.emit(ev.PositionBlocked(position, reason))
        elif container.suspects and run.move.looks:
            self._ledger.emit(ev.SearchGivenUp(container.container_id, reason))

    def cancel_stopped(self) -> None:
        """Cancel the attempts of cancelled experiments; all of them after an emergency stop."""
        for attempt in list(self._state.attempts.values()):
            if attempt.cancel_requested:
                continue
            if self._state.estopped:
                self._ledger.emit(ev.CancelIntended(attempt.attempt_id, ev.EMERGENCY))
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


def _puts_away(run: ExperimentRun, task: TaskRun) -> bool:
    """Whether a transfer is there for the place that it empties, not for the sample."""
    return task.step_id == MOVE and (run.abort is not None or not task.serves)


def _may_skip(task: TaskRun) -> bool:
    """Whether policy may pass over the step because the sample is still what it was."""
    assert task.fault is not None
    return not task.fault.sample_compromised and (task.step_id != MOVE or bool(task.serves))
