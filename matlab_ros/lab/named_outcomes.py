"""What a campaign may have objectives of: everything that an experiment gave, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator

from matlab_ros.lab.binding import values_of
from matlab_ros.lab.experiment_values import CampaignPlan, NamedOutcome
from matlab_ros.lab.goals import (
    AnalyseOutcome,
    DispenseOutcome,
    HeatOutcome,
    MeasureOutcome,
    Outcome,
)
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.lab_words import StepAction
from matlab_ros.model.step_arguments import DispenseArguments, referenced

_NS_PER_H = 3_600_000_000_000
PHASE = "phase:"
"""Prefix of a phase's name; the outcome is its weight fraction."""


def outcomes_of(
    plan: CampaignPlan, run: ExperimentRun, analysis: AnalyseOutcome
) -> tuple[NamedOutcome, ...]:
    """Everything that an experiment gave, sorted by name; of loops what the last round gave.

    Args:
        plan: of its campaign.
        run: the experiment.
        analysis: its last valid one.
    """
    found = [*_of_analysis(plan, analysis), *_of_effort(plan, run)]
    return tuple(sorted(found, key=lambda item: item.name))


def _of_analysis(plan: CampaignPlan, analysis: AnalyseOutcome) -> Iterator[NamedOutcome]:
    if analysis.target_fraction is not None:
        yield NamedOutcome("target_fraction", analysis.target_fraction, analysis.target_sigma)
    quality = analysis.quality
    for name, value in (
        ("goodness_of_fit", quality.goodness_of_fit),
        ("rwp_percent", quality.rwp_percent),
        ("unexplained_fraction", quality.unexplained_fraction),
    ):
        if value is not None:
            yield NamedOutcome(name, value)
    seen = {item.phase: item for item in analysis.phases}
    for phase, item in seen.items():
        yield NamedOutcome(f"{PHASE}{phase}", item.weight_fraction, item.sigma)
    # A phase that somebody has an objective of, and that was not seen, is not there.
    for objective in plan.config.objectives:
        phase = objective.name.removeprefix(PHASE)
        if phase != objective.name and phase not in seen:
            yield NamedOutcome(objective.name, 0.0)


def _of_effort(plan: CampaignPlan, run: ExperimentRun) -> Iterator[NamedOutcome]:
    outcomes = list(run.outcomes.values())
    yield NamedOutcome("furnace_h", _hours(outcomes, HeatOutcome))
    yield NamedOutcome("measurement_h", _hours(outcomes, MeasureOutcome))
    began = min(item.report.began_ns for item in outcomes)
    ended = max(item.report.ended_ns for item in outcomes)
    yield NamedOutcome("total_h", (ended - began) / _NS_PER_H)
    doses = [dose for item in outcomes if isinstance(item, DispenseOutcome) for dose in item.doses]
    masses = [dose.requested_mg if dose.measured_mg is None else dose.measured_mg for dose in doses]
    if not masses:
        return
    total_mg = math.fsum(masses)
    yield NamedOutcome("powder_mg", total_mg)
    price = _price_per_g(plan, run)
    if price is not None:
        yield NamedOutcome("powder_price", price * total_mg / 1000.0)


def _hours(outcomes: list[Outcome], kind: type[HeatOutcome] | type[MeasureOutcome]) -> float:
    spent = (
        item.report.ended_ns - item.report.began_ns for item in outcomes if isinstance(item, kind)
    )
    return sum(spent) / _NS_PER_H


def _price_per_g(plan: CampaignPlan, run: ExperimentRun) -> float | None:
    """Of the powders that were weighed; None where unknown, or where there are several sets."""
    values = values_of(plan, run.suggestion.settings)
    names = set()
    for step in plan.recipe.steps_of(StepAction.DISPENSE):
        if isinstance(step.arguments, DispenseArguments):
            name = referenced(step.arguments.precursors)
            names.add(step.arguments.precursors if name is None else values.get(name))
    if len(names) != 1:
        return None
    try:
        return plan.mixture(str(names.pop())).price_per_g
    except KeyError:
        return None
