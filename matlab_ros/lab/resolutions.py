"""Operators' decisions about open faults, and what may be assumed without having been measured."""

from __future__ import annotations

from dataclasses import replace

from matlab_ros.lab import events as ev
from matlab_ros.lab import inputs as inp
from matlab_ros.lab.attempts import AttemptDesk
from matlab_ros.lab.events import MOVE
from matlab_ros.lab.goals import (
    AnalyseGoal,
    AttemptReport,
    DispenseGoal,
    DispenseOutcome,
    DoseReading,
    Goal,
    MeasureGoal,
    Outcome,
    SampleOutcome,
    TransferGoal,
    TransferOutcome,
    unknown_end,
)
from matlab_ros.lab.ledger import Ledger
from matlab_ros.lab.policies import teaches
from matlab_ros.lab.refused import Refused
from matlab_ros.lab.state import ExperimentRun, FaultRun, LabState, TaskRun
from matlab_ros.model.faults import Fault, FaultCode
from matlab_ros.model.lab_words import (
    ExperimentState,
    ObservationKind,
    Resolution,
    SampleFate,
    StepAction,
)

_DECISIONS = tuple(item for item in Resolution if item is not Resolution.OPEN)


class ResolutionDesk:
    """Follows operators' decisions.

    Args:
        ledger: of the lab.
        attempts: skips steps and aborts experiments.
    """

    def __init__(self, ledger: Ledger, attempts: AttemptDesk) -> None:
        self._ledger = ledger
        self._state = ledger.state
        self._attempts = attempts

    def resolve(self, asked: inp.FaultResolutionAsked) -> None:
        """Follow a decision; the same decision once more changes nothing.

        Raises:
            Refused: the fault is unknown, decided otherwise, not an operator's to decide, or the
                decision makes no sense for it.
        """
        if asked.resolution not in _DECISIONS:
            words = ", ".join(item.name for item in _DECISIONS)
            raise Refused(FaultCode.INVALID_GOAL, f"No decision was named; expected {words}.")
        fault = self._state.faults.get(asked.fault_id)
        if fault is None:
            raise Refused(FaultCode.INVALID_GOAL, f"No fault {asked.fault_id!r} is known.")
        if fault.resolution is not Resolution.OPEN:
            if fault.resolution is asked.resolution:
                return
            raise Refused(
                FaultCode.INVALID_GOAL,
                f"{asked.fault_id} was decided before: {fault.resolution.name} by "
                f"{fault.resolved_by}.",
            )
        run = self._state.experiments.get(fault.raised.experiment_id)
        if run is None or fault.asked is None:
            raise Refused(FaultCode.INVALID_GOAL, _resolves_itself(fault))
        task = run.tasks[fault.raised.step_id]
        follow = {
            Resolution.RETRY: self._retry,
            Resolution.SKIP: self._skip,
            Resolution.ASSUME_DONE: self._assume_done,
            Resolution.ABORT_SAMPLE: self._abort,
            Resolution.ABORT_EXPERIMENT: self._abort,
        }
        follow[asked.resolution](run, task, asked)

    def _resolved(self, asked: inp.FaultResolutionAsked, *, fresh: bool = False) -> None:
        self._ledger.emit(
            ev.FaultResolved(
                asked.fault_id,
                asked.resolution,
                asked.operator or "an operator",
                self._ledger.now_ns if asked.resolution is Resolution.RETRY else 0,
                asked.remark,
                fresh=fresh,
            )
        )

    def _retry(self, run: ExperimentRun, task: TaskRun, asked: inp.FaultResolutionAsked) -> None:
        _check_retry(self._state, run, task)
        self._resolved(asked, fresh=True)

    def _skip(self, run: ExperimentRun, task: TaskRun, asked: inp.FaultResolutionAsked) -> None:
        _check_skip(self._state, run, task)
        self._attempts.skip(run, task, asked.operator or "an operator", asked.remark)

    def _assume_done(
        self, run: ExperimentRun, task: TaskRun, asked: inp.FaultResolutionAsked
    ) -> None:
        _check_assume_done(self._state, run, task)
        assert task.failed_goal is not None
        outcome = assumed_outcome(
            task.failed_goal, run.sample_id, asked.operator, self._ledger.now_ns
        )
        assert outcome is not None
        self._ledger.emit(
            ev.StepAssumed(
                asked.fault_id,
                run.experiment_id,
                task.step_id,
                run.sample_id,
                outcome,
                asked.operator or "an operator",
                asked.remark,
            )
        )
        self._resolved(asked)

    def _abort(self, run: ExperimentRun, task: TaskRun, asked: inp.FaultResolutionAsked) -> None:
        assert task.fault is not None
        fault, position = task.fault, self._state.container_of(run).position
        is_move = task.step_id == MOVE
        self._resolved(asked)
        remark = f" ({asked.remark})" if asked.remark else ""
        message = f"{asked.operator or 'an operator'} aborted it{remark}: {fault.message}"
        teaching = ObservationKind.ABANDONED if is_move else teaches(fault)
        if run.abort is None:
            self._attempts.abort(run, ExperimentState.FAILED, teaching, message)
        if is_move and asked.resolution is Resolution.ABORT_SAMPLE and position:
            # What could not be carried is left where it is, for a person to take away.
            self._attempts.block(run, fault.message)


def possible(state: LabState, fault: FaultRun) -> tuple[Resolution, ...]:
    """Decisions that would be followed at this moment; none about what is not to be decided."""
    run = state.experiments.get(fault.raised.experiment_id)
    if fault.resolution is not Resolution.OPEN or fault.asked is None or run is None:
        return ()
    task = run.tasks[fault.raised.step_id]
    checks = {
        Resolution.RETRY: _check_retry,
        Resolution.SKIP: _check_skip,
        Resolution.ASSUME_DONE: _check_assume_done,
    }
    found = []
    for item in _DECISIONS:
        try:
            if item in checks:
                checks[item](state, run, task)
        except Refused:
            continue
        found.append(item)
    return tuple(found)


def _check_retry(state: LabState, run: ExperimentRun, task: TaskRun) -> None:
    if not state.container_of(run).position:
        raise Refused(
            FaultCode.INVALID_GOAL,
            f"Nobody knows where {run.sample_id} is; say first where it stands (correct), or "
            "abort it.",
        )
    if _is(run, task, StepAction.DISPENSE) and state.samples[run.sample_id].filled:
        raise Refused(
            FaultCode.INVALID_GOAL,
            f"Powder may be in the crucible of {run.sample_id}, and dosing again would double "
            "it; abort the sample, or ASSUME_DONE if it was filled by hand.",
        )


def _check_skip(_state: LabState, run: ExperimentRun, task: TaskRun) -> None:
    step_id = task.serves if task.step_id == MOVE else task.step_id
    if not step_id:
        raise Refused(
            FaultCode.INVALID_GOAL,
            "Bringing a crucible home cannot be skipped; RETRY, or abort.",
        )
    if run.recipe.step(step_id).action is StepAction.DISPENSE:
        raise Refused(
            FaultCode.INVALID_GOAL,
            f"Without {step_id} there is no sample; ASSUME_DONE if it was filled by hand, or "
            "abort.",
        )


def _check_assume_done(state: LabState, run: ExperimentRun, task: TaskRun) -> None:
    goal = task.failed_goal
    assert goal is not None, "a task that failed knows its goal"
    position = state.container_of(run).position
    if isinstance(goal, TransferGoal) and position != goal.target:
        raise Refused(
            FaultCode.INVALID_GOAL,
            f"The crucible is known to be at {position or 'no known place'}, not at "
            f"{goal.target}; say first where it stands (correct), then RETRY.",
        )
    if isinstance(goal, (MeasureGoal, AnalyseGoal)):
        raise Refused(
            FaultCode.INVALID_GOAL,
            f"What {task.step_id} finds is a measurement, and nobody can assume one; RETRY, "
            "or abort.",
        )


def assumed_outcome(goal: Goal, sample_id: str, operator: str, now_ns: int) -> Outcome | None:
    """Outcome of a goal that an operator says was done to one sample.

    It holds no measured value: masses, temperatures and times are None (NaN in messages), since
    nobody read them from an instrument.

    Returns:
        None where the outcome of such a goal is a measurement.
    """
    if isinstance(goal, (MeasureGoal, AnalyseGoal)):
        return None
    report = AttemptReport(
        code=FaultCode.NONE,
        message=f"Assumed done by {operator or 'an operator'}; nothing was measured.",
        began_ns=now_ns,
        ended_ns=now_ns,
        samples=(SampleOutcome(sample_id, SampleFate.DONE),),
        device="",
    )
    if isinstance(goal, DispenseGoal):
        doses = tuple(
            DoseReading(dose.substance, dose.mass_mg, None, None, False, now_ns)
            for dose in goal.doses
        )
        return DispenseOutcome(report, doses)
    if isinstance(goal, TransferGoal):
        return TransferOutcome(report, goal.target)
    return replace(unknown_end(goal, "", Fault.of(FaultCode.UNKNOWN, ""), now_ns), report=report)


def _is(run: ExperimentRun, task: TaskRun, action: StepAction) -> bool:
    return task.step_id != MOVE and run.recipe.step(task.step_id).action is action


def _resolves_itself(fault: FaultRun) -> str:
    """Why an open fault is not an operator's to decide."""
    raised = fault.raised
    if raised.attempt_id:
        return (
            f"{raised.fault_id} ends when {raised.device} ends {raised.attempt_id}; look at the "
            "device, or cancel the experiment."
        )
    if not raised.device and fault.asked is not None:
        return (
            f"{raised.fault_id} ends when the lab can go on; look at the places that it names, and "
            "say what each holds (look, or clear)."
        )
    if not raised.device:
        return f"{raised.fault_id} is not about one step: {raised.fault.message}"
    return (
        f"{raised.fault_id} ends when {raised.device} is ready again; bring the device back, or "
        "cancel the campaign."
    )
