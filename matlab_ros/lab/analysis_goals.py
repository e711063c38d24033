"""Goals of measuring and analysing: programs, what was weighed in, what may be asked further."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matlab_ros.chemistry.formula import FormulaError, parse_formula
from matlab_ros.lab.analysis_values import ElementAmount
from matlab_ros.lab.binding import Value, number, text
from matlab_ros.lab.goals import AnalyseGoal, AnalyseOutcome, DispenseOutcome, RawFile
from matlab_ros.lab.results import measurements_before
from matlab_ros.lab.state import ExperimentRun
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.lab_words import Confirm, StepAction
from matlab_ros.model.recipe import Step
from matlab_ros.model.scan_program import ScanProgram
from matlab_ros.model.step_arguments import AnalyseArguments, MeasureArguments

_UNSEEN_MG = 0.1
"""Standard uncertainty of a mass that the balance gave none for."""


def measure_program(
    run: ExperimentRun, arguments: MeasureArguments, values: Mapping[str, Value]
) -> str:
    """The program that a step measures with: what an analysis asked for, else what it says."""
    if arguments.decided_by is not None:
        outcome = run.outcomes.get(arguments.decided_by)
        if isinstance(outcome, AnalyseOutcome) and outcome.again.program is not None:
            return outcome.again.program.name
    return text(arguments.program, values)


def analyse_goal(
    run: ExperimentRun,
    lab: LabConfig,
    step: Step,
    values: Mapping[str, Value],
    attempt_id: str,
    *,
    issued_ns: int,
    deadline_ns: int,
) -> AnalyseGoal:
    """The goal of an analyse step whose pattern was measured."""
    arguments = step.arguments
    assert isinstance(arguments, AnalyseArguments)
    round_ = run.tasks[step.id].round
    *before, last = measurements_before(run.recipe, run, step.id)
    assert last.pattern is not None, "an analysis without a pattern is skipped"
    earlier = [(item.pattern, lab.scan_program(item.program)) for item in before]
    # Without its program nobody knows how long a pattern was looked at.
    added: list[tuple[RawFile, ScanProgram]] = [
        (pattern, scan)
        for pattern, scan in earlier
        if arguments.merge and pattern is not None and scan is not None
    ]
    scan = lab.scan_program(last.program)
    budget_min = (
        0.0 if arguments.budget_min is None else number(arguments.budget_min, values, round_)
    )
    success = 0.0 if arguments.success is None else number(arguments.success, values, round_)
    return AnalyseGoal(
        attempt_id=attempt_id,
        issued_ns=issued_ns,
        deadline_ns=deadline_ns,
        sample_id=run.sample_id,
        pattern=last.pattern,
        elements=run.plan.elements,
        phases=(),
        target_phase=text(arguments.target, values),
        scan=scan,
        earlier=tuple(pattern for pattern, _ in added) if scan is not None else (),
        earlier_scans=tuple(each for _, each in added) if scan is not None else (),
        dispensed=dispensed_into(run, lab),
        confirm=Confirm[(arguments.confirm or "never").upper()],
        success_fraction=success,
        programs=lab.scan_programs if budget_min > 0 else (),
        budget_s=60.0 * budget_min,
    )


def dispensed_into(run: ExperimentRun, lab: LabConfig) -> tuple[ElementAmount, ...]:
    """Amounts of the elements that were weighed into an experiment's sample, by symbol.

    Empty where they are not known: a mass was not measured, a powder has no known formula, or
    powders are dispensed in a loop, of which only the last round is remembered.
    """
    amounts: dict[str, float] = {}
    variances: dict[str, float] = {}
    for step in run.recipe.steps_of(StepAction.DISPENSE):
        outcome = run.outcomes.get(step.id)
        if not isinstance(outcome, DispenseOutcome):
            continue
        if run.recipe.graph.around[step.id]:
            return ()
        for dose in outcome.doses:
            item = lab.stock_item(dose.substance)
            if item is None or dose.measured_mg is None:
                return ()
            try:
                formula = parse_formula(item.formula)
            except FormulaError:
                return ()
            sigma_mg = _UNSEEN_MG if dose.uncertainty_mg is None else dose.uncertainty_mg
            for element, count in formula.amounts.items():
                per_mg = float(count) / formula.molar_mass
                amounts[element] = amounts.get(element, 0.0) + per_mg * dose.measured_mg
                variances[element] = variances.get(element, 0.0) + (per_mg * sigma_mg) ** 2
    return tuple(
        ElementAmount(element, amounts[element], math.sqrt(variances[element]))
        for element in sorted(amounts)
    )
