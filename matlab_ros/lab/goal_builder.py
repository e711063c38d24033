"""From what the scheduler chose to the goal that is sent, with its attempt id and deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matlab_ros.lab.analysis_goals import analyse_goal, measure_program
from matlab_ros.lab.binding import doses_of, minutes_of, profile_of, values_of
from matlab_ros.lab.events import MOVE, AttemptIntended, Work
from matlab_ros.lab.goals import (
    DispenseGoal,
    Goal,
    HeatGoal,
    MeasureGoal,
    TransferGoal,
)
from matlab_ros.lab.scheduler import Act, Move, Task
from matlab_ros.lab.state import ExperimentRun, LabState
from matlab_ros.model.lab_words import CancelMode
from matlab_ros.model.recipe import Step
from matlab_ros.model.step_arguments import (
    AnalyseArguments,
    DispenseArguments,
    GrindArguments,
    HeatArguments,
    MeasureArguments,
    MixArguments,
)

_NS_PER_MIN = 60_000_000_000


def attempt_name(run: ExperimentRun, step_id: str) -> str:
    """Id of the next attempt: never given before, since the count of attempts never falls."""
    return f"{run.experiment_id}/{step_id}/{run.tasks[step_id].attempts + 1}"


def intend(state: LabState, task: Task, now_ns: int) -> AttemptIntended:
    """The attempt that a chosen task begins.

    Args:
        state: with everything the task needs free.
        task: what the allocator granted.
        now_ns: ROS time at which it was decided.
    """
    if isinstance(task, Move):
        return _move(state, task, now_ns)
    return _act(state, task, now_ns)


def _move(state: LabState, task: Move, now_ns: int) -> AttemptIntended:
    run = state.experiments[task.experiment_id]
    container = state.container_of(run)
    moves = run.recipe.moves
    goal = TransferGoal(
        attempt_id=attempt_name(run, MOVE),
        issued_ns=now_ns,
        deadline_ns=now_ns + round(moves.deadline_min * _NS_PER_MIN),
        sample_id=run.sample_id,
        container_id=container.container_id,
        source=task.looks_at or container.position,
        target=task.target,
    )
    work = Work(run.experiment_id, MOVE, run.sample_id, task.serves, looks=bool(task.looks_at))
    return AttemptIntended(goal.attempt_id, task.device, goal, (work,))


def _act(state: LabState, task: Act, now_ns: int) -> AttemptIntended:
    runs = [state.experiments[name] for name, _ in task.works]
    steps = [run.recipe.step(work[1]) for run, work in zip(runs, task.works, strict=True)]
    goal = _goal(state, steps, runs, now_ns)
    limits = state.floor.lab.device(task.device).furnace
    if isinstance(goal, HeatGoal) and limits is not None:
        goal = replace(goal, on_cancel=CancelMode[limits.on_cancel.upper()])
    works = tuple(
        Work(run.experiment_id, step.id, run.sample_id)
        for run, step in zip(runs, steps, strict=True)
    )
    return AttemptIntended(goal.attempt_id, task.device, goal, works)


def _goal(
    state: LabState, steps: Sequence[Step], runs: Sequence[ExperimentRun], now_ns: int
) -> Goal:
    leader, step = runs[0], steps[0]
    plan = leader.plan
    round_ = leader.tasks[step.id].round
    values = values_of(plan, leader.suggestion.settings)
    attempt_id = attempt_name(leader, step.id)
    # Where steps of different deadlines share a run, the strictest counts.
    deadlines = [item.deadline_min for item in steps if item.deadline_min is not None]
    deadline_ns = now_ns + round(min(deadlines) * _NS_PER_MIN)
    position = state.container_of(leader).position
    arguments = step.arguments
    if isinstance(arguments, DispenseArguments):
        return DispenseGoal(
            attempt_id=attempt_id,
            issued_ns=now_ns,
            deadline_ns=deadline_ns,
            sample_id=leader.sample_id,
            container_id=state.container_of(leader).container_id,
            position=position,
            doses=doses_of(plan, state.floor.lab, arguments, values, round_),
            mix_min=minutes_of(step, values, round_),
        )
    if isinstance(arguments, (MixArguments, GrindArguments)):
        return DispenseGoal(
            attempt_id=attempt_id,
            issued_ns=now_ns,
            deadline_ns=deadline_ns,
            sample_id=leader.sample_id,
            container_id=state.container_of(leader).container_id,
            position=position,
            doses=(),
            mix_min=minutes_of(step, values, round_),
        )
    if isinstance(arguments, HeatArguments):
        profile = profile_of(arguments, values, round_)
        return HeatGoal(
            attempt_id=attempt_id,
            issued_ns=now_ns,
            deadline_ns=deadline_ns + round(profile.programmed_min() * _NS_PER_MIN),
            sample_ids=tuple(run.sample_id for run in runs),
            positions=tuple(state.container_of(run).position for run in runs),
            profile=profile,
        )
    if isinstance(arguments, MeasureArguments):
        program = measure_program(leader, arguments, values)
        return MeasureGoal(
            attempt_id=attempt_id,
            issued_ns=now_ns,
            deadline_ns=deadline_ns,
            sample_id=leader.sample_id,
            position=position,
            program=program,
            scan=state.floor.lab.scan_program(program),
        )
    assert isinstance(arguments, AnalyseArguments)
    return analyse_goal(
        leader, state.floor.lab, step, values, attempt_id, issued_ns=now_ns, deadline_ns=deadline_ns
    )
