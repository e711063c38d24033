"""From an experiment's outcomes to what it taught: measured values where there are any."""

from __future__ import annotations

from dataclasses import replace

from matlab_ros.lab.experiment_values import CampaignPlan, Observation, Setting
from matlab_ros.lab.goals import AnalyseOutcome, HeatOutcome, MeasureOutcome, RawFile
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.lab_words import ObservationKind, StepAction, TaskState
from matlab_ros.model.recipe import Recipe


def analysis_of(recipe: Recipe, run: ExperimentRun) -> AnalyseOutcome | None:
    """The last analysis of an experiment, None before there is one."""
    for step_id in reversed(recipe.order):
        outcome = run.outcomes.get(step_id)
        if isinstance(outcome, AnalyseOutcome):
            return outcome
    return None


def pattern_of(recipe: Recipe, run: ExperimentRun) -> RawFile | None:
    """The pattern that was measured last, None before there is one."""
    latest: MeasureOutcome | None = None
    for step_id in recipe.order:
        outcome = run.outcomes.get(step_id)
        if isinstance(outcome, MeasureOutcome) and (
            latest is None or outcome.report.ended_ns >= latest.report.ended_ns
        ):
            latest = outcome
    return None if latest is None else latest.pattern


def is_analysed(recipe: Recipe, run: ExperimentRun) -> bool:
    """Whether no analysis is left to do, and at least one was done."""
    steps = recipe.steps_of(StepAction.ANALYSE)
    return all(run.tasks[step.id].state.is_final for step in steps) and any(
        run.tasks[step.id].state is TaskState.SUCCEEDED for step in steps
    )


def settings_carried_out(recipe: Recipe, run: ExperimentRun) -> tuple[Setting, ...]:
    """The experiment's settings, with measured temperature and dwell where a furnace gave them."""
    measured: dict[str, float] = {}
    for step in recipe.steps_of(StepAction.HEAT):
        outcome = run.outcomes.get(step.id)
        if not isinstance(outcome, HeatOutcome):
            continue
        names = step.references
        if "temperature_c" in names and outcome.max_measured_c is not None:
            measured.setdefault(names["temperature_c"], outcome.max_measured_c)
        if "dwell_h" in names and outcome.dwell_min is not None:
            measured.setdefault(names["dwell_h"], outcome.dwell_min / 60.0)
    return tuple(
        replace(setting, value=measured[setting.name])
        if setting.name in measured and setting.value is not None
        else setting
        for setting in run.suggestion.settings
    )


def observation_of(
    plan: CampaignPlan, run: ExperimentRun, without: ObservationKind, now_ns: int
) -> Observation:
    """What an experiment taught.

    Args:
        plan: of its campaign.
        run: with every analysis done, or aborted.
        without: status of an experiment that has no analysis.
        now_ns: ROS time.
    """
    analysis = analysis_of(plan.recipe, run) if is_analysed(plan.recipe, run) else None
    simulated = plan.simulated or any(item.report.simulated for item in run.outcomes.values())
    return Observation(
        experiment_id=run.experiment_id,
        settings=settings_carried_out(plan.recipe, run),
        requested=run.suggestion.settings,
        status=without if analysis is None else ObservationKind.MEASURED,
        objective=None if analysis is None else analysis.target_fraction,
        sigma=None if analysis is None else analysis.target_sigma,
        simulated=simulated,
        stamp_ns=now_ns,
    )
