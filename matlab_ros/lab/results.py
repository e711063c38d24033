"""From an experiment's outcomes to what it taught: measured values where there are any."""

from __future__ import annotations

from dataclasses import replace

from matlab_ros.lab.binding import values_of
from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Setting
from matlab_ros.lab.goals import (
    AnalyseOutcome,
    DispenseOutcome,
    HeatOutcome,
    MeasureOutcome,
    RawFile,
)
from matlab_ros.lab.named_outcomes import outcomes_of
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.expressions import (
    Node,
    Parameter,
    Surroundings,
    evaluate,
    parameters_in,
    slope,
)
from matlab_ros.model.lab_words import ObservationKind, StepAction, TaskState
from matlab_ros.model.recipe import Recipe
from matlab_ros.model.step_arguments import HeatArguments, at_round, expression_of


def analysis_of(recipe: Recipe, run: ExperimentRun) -> AnalyseOutcome | None:
    """The last valid analysis of an experiment in any round, None before there is one."""
    latest: AnalyseOutcome | None = None
    for step_id in recipe.order:
        outcome = run.outcomes.get(step_id)
        if not isinstance(outcome, AnalyseOutcome) or outcome.target_fraction is None:
            continue
        if latest is None or outcome.report.ended_ns >= latest.report.ended_ns:
            latest = outcome
    return latest


def pattern_for(recipe: Recipe, run: ExperimentRun, step_id: str) -> RawFile | None:
    """The pattern that an analyse step is about: of the measurement before it that was done last.

    None where none of them was done in the present round.
    """
    done = measurements_before(recipe, run, step_id)
    return done[-1].pattern if done else None


def measurements_before(
    recipe: Recipe, run: ExperimentRun, step_id: str
) -> tuple[MeasureOutcome, ...]:
    """Measurements before a step that were done in the present round, in the order of time.

    Only the last one and those of the same sample before it: nothing was done to it in between.
    """
    before = recipe.graph.before[step_id]
    done = [
        outcome
        for name in recipe.order
        if name in before
        and (outcome := run.outcomes.get(name)) is not None
        and run.tasks[name].state is TaskState.SUCCEEDED
    ]
    done.sort(key=lambda outcome: outcome.report.ended_ns)
    found: list[MeasureOutcome] = []
    is_changed = False
    for outcome in done:
        if isinstance(outcome, (DispenseOutcome, HeatOutcome)):
            is_changed = True
        elif isinstance(outcome, MeasureOutcome) and outcome.pattern is not None:
            if is_changed:
                found.clear()
            is_changed = False
            found.append(outcome)
    return tuple(found)


def is_analysed(recipe: Recipe, run: ExperimentRun) -> bool:
    """Whether no analysis is left to do, and at least one was done."""
    steps = recipe.steps_of(StepAction.ANALYSE)
    return (
        all(run.tasks[step.id].state.is_final for step in steps)
        and all(
            run.loops[name].ended or run.abort is not None
            for step in steps
            for name in recipe.graph.around[step.id]
        )
        and analysis_of(recipe, run) is not None
    )


def is_discarded(recipe: Recipe, run: ExperimentRun) -> bool:
    """Whether the sample is no more."""
    return any(
        run.tasks[step.id].state is TaskState.SUCCEEDED
        for step in recipe.steps_of(StepAction.DISCARD)
    )


def settings_carried_out(plan: CampaignPlan, run: ExperimentRun) -> tuple[Setting, ...]:
    """The experiment's settings, with measured temperature and dwell where a furnace gave them.

    Where the furnace was told an expression of a setting, the setting is moved as far as the
    measurement lies from what was asked for, if the expression rises evenly with it.
    """
    values = values_of(plan, run.suggestion.settings)
    measured: dict[str, float] = {}
    for step in plan.recipe.steps_of(StepAction.HEAT):
        outcome = run.outcomes.get(step.id)
        if not isinstance(outcome, HeatOutcome) or not isinstance(step.arguments, HeatArguments):
            continue
        round_ = run.outcome_rounds.get(step.id, 0)
        around = Surroundings(values.get, lambda _: None, round_)
        arguments = step.arguments
        if outcome.max_measured_c is not None:
            node = expression_of(at_round(arguments.temperature_c, round_))
            _move(measured, node, outcome.max_measured_c, around)
        if outcome.dwell_min is not None:
            node = expression_of(at_round(arguments.dwell_h, round_))
            _move(measured, node, outcome.dwell_min / 60.0, around)
    return tuple(
        replace(setting, value=measured[setting.name])
        if setting.name in measured and setting.value is not None
        else setting
        for setting in run.suggestion.settings
    )


def _move(measured: dict[str, float], node: Node, value: float, around: Surroundings) -> None:
    """Note what a setting must have been for an argument to be as measured; the first counts."""
    names = parameters_in(node)
    if len(names) != 1:
        return
    name = names[0]
    if node == Parameter(name):
        measured.setdefault(name, value)
        return
    rise = slope(node, name, around)
    asked, setting = evaluate(node, around), around.parameter(name)
    if rise and isinstance(asked, float) and isinstance(setting, float):
        measured.setdefault(name, setting + (value - asked) / rise)


def observation_of(
    plan: CampaignPlan, run: ExperimentRun, without: ObservationKind, now_ns: int
) -> Observation:
    """What an experiment taught.

    Args:
        plan: of its campaign.
        run: with every analysis done, or ended before that: what was analysed until then counts.
        without: status of an experiment that has no analysis.
        now_ns: ROS time.
    """
    analysis = analysis_of(plan.recipe, run)
    simulated = plan.simulated or any(item.report.simulated for item in run.outcomes.values())
    return Observation(
        experiment_id=run.experiment_id,
        settings=settings_carried_out(plan, run),
        requested=run.suggestion.settings,
        status=without if analysis is None else ObservationKind.MEASURED,
        objective=None if analysis is None else analysis.target_fraction,
        sigma=None if analysis is None else analysis.target_sigma,
        simulated=simulated,
        stamp_ns=now_ns,
        outcomes=() if analysis is None else outcomes_of(plan, run, analysis),
        phases=() if analysis is None else analysis.phases,
    )
