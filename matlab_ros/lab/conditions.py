"""What the conditions of a recipe see: values of the steps that were done in the present round."""

from __future__ import annotations

from matlab_ros.lab.binding import values_of
from matlab_ros.lab.goals import (
    AnalyseOutcome,
    DispenseOutcome,
    HeatOutcome,
    Outcome,
)
from matlab_ros.lab.state import ExperimentRun, LabState
from matlab_ros.model.expressions import (
    Parameter,
    StepValue,
    Surroundings,
    Value,
    evaluate,
    parse,
    walk,
    write,
)
from matlab_ros.model.lab_words import TaskState, Verdict
from matlab_ros.model.step_values import DONE


def decide(state: LabState, run: ExperimentRun, step_id: str, condition: str) -> tuple[bool, str]:
    """Whether a condition of a step holds, and why, in words for the journal.

    Args:
        state: of the lab.
        run: with everything ended that the condition looks at.
        step_id: of the step that has the condition.
        condition: checked with its recipe.
    """
    values = values_of(run.plan, run.suggestion.settings)

    def of_step(value: StepValue) -> Value | None:
        return _value(run, value)

    around = Surroundings(values.get, of_step, run.tasks[step_id].round)
    node = parse(condition)
    found = evaluate(node, around) is True
    seen = {write(part): evaluate(part, around) for part in walk(node) if _is_seen(part)}
    words = ", ".join(f"{name} is {_written(value)}" for name, value in seen.items())
    verdict = "holds" if found else "does not hold"
    return found, f"{condition} {verdict}" + (f" ({words})" if words else "")


def _is_seen(part: object) -> bool:
    return isinstance(part, (Parameter, StepValue))


def _written(value: Value | None) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, (bool, str)):
        return str(value).lower()
    return f"{value:.6g}"


def _value(run: ExperimentRun, value: StepValue) -> Value | None:
    """What a step gave in this round; None: it was not done, or gave nothing."""
    is_done = run.tasks[value.step].state is TaskState.SUCCEEDED
    if value.name == DONE:
        return is_done
    outcome = run.outcomes.get(value.step)
    return _given(outcome, value.name) if is_done and outcome is not None else None


def _given(outcome: Outcome, name: str) -> Value | None:
    """A value of an outcome by its name in recipes, see `matlab_ros.model.step_values`."""
    found: dict[str, Value | None] = {}
    if isinstance(outcome, DispenseOutcome):
        masses = [reading.measured_mg for reading in outcome.doses]
        known = [mass for mass in masses if mass is not None]
        found = {
            "mass_mg": sum(known) if known and len(known) == len(masses) else None,
            "mixed_min": outcome.mixed_min,
        }
    elif isinstance(outcome, HeatOutcome):
        found = {"max_measured_c": outcome.max_measured_c, "dwell_min": outcome.dwell_min}
    elif isinstance(outcome, AnalyseOutcome):
        found = {
            "target_fraction": outcome.target_fraction,
            "target_sigma": outcome.target_sigma,
            "rwp_percent": outcome.quality.rwp_percent,
            "goodness_of_fit": outcome.quality.goodness_of_fit,
            "unexplained_fraction": outcome.quality.unexplained_fraction,
            "phases": float(len(outcome.phases)),
            "confirmed": outcome.verdict is Verdict.CONFIRMED,
            "provisional": outcome.verdict is Verdict.PROVISIONAL,
            "look_again": outcome.again.program is not None,
        }
    return found.get(name)
