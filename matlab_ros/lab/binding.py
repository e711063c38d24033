"""From a recipe's step and an experiment's settings to the numbers of a goal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matlab_ros.lab.experiment_values import CampaignPlan, Setting
from matlab_ros.lab.goals import Dose, HeatProfile, HeatSegment
from matlab_ros.model.campaign_config import CampaignConfig
from matlab_ros.model.errors import LabError
from matlab_ros.model.lab_config import LabConfig
from matlab_ros.model.recipe import (
    AnalyseArguments,
    DispenseArguments,
    HeatArguments,
    MeasureArguments,
    Recipe,
    Step,
    referenced,
)

Value = float | str

DOSE_STEP_MG = 0.01
"""Doses are rounded to this."""


class BindingError(LabError):
    """A step's argument has no usable value for this experiment."""


def campaign_constants(config: CampaignConfig, recipe: Recipe) -> dict[str, Value]:
    """Values of names beside the search space: the recipe's defaults and the campaign's own."""
    constants: dict[str, Value] = {
        **recipe.defaults,
        "sample_mass_mg": config.sample_mass_mg,
        "target_phase": config.target.phase,
    }
    if len(config.precursor_sets) == 1:
        constants["precursors"] = config.precursor_sets[0].name
    return constants


def values_of(plan: CampaignPlan, settings: Sequence[Setting]) -> dict[str, Value]:
    """Every name a recipe's steps may refer to, for one experiment."""
    values = campaign_constants(plan.config, plan.recipe)
    for setting in settings:
        values[setting.name] = setting.choice if setting.value is None else setting.value
    return values


def number(argument: Value, values: Mapping[str, Value]) -> float:
    """A numeric argument, or what it refers to.

    Raises:
        BindingError: it refers to nothing, or to a word.
    """
    value = _look_up(argument, values)
    if isinstance(value, str):
        raise BindingError(f"{argument} is {value!r}; a number is needed there.")
    return value


def text(argument: str, values: Mapping[str, Value]) -> str:
    """A textual argument, or what it refers to.

    Raises:
        BindingError: it refers to nothing, or to a number.
    """
    value = _look_up(argument, values)
    if not isinstance(value, str):
        raise BindingError(f"{argument} is the number {value:g}; a word is needed there.")
    return value


def _look_up(argument: Value, values: Mapping[str, Value]) -> Value:
    name = referenced(argument)
    if name is None:
        return argument
    if name not in values:
        raise BindingError(f"${name} has no value; the settings or the campaign must provide it.")
    return values[name]


def doses_of(
    plan: CampaignPlan, lab: LabConfig, arguments: DispenseArguments, values: Mapping[str, Value]
) -> tuple[Dose, ...]:
    """Doses of a dispense step, in the order of the precursor set.

    Returns:
        Milligrams, rounded to `DOSE_STEP_MG`; tolerances are the dispenser's.

    Raises:
        BindingError: an argument has no value, or the precursor set is unknown.
    """
    name = text(arguments.precursors, values)
    try:
        mixture = plan.mixture(name)
    except KeyError:
        known = ", ".join(item.name for item in plan.mixtures)
        raise BindingError(f"Precursor set {name!r} is unknown; known are {known}.") from None
    total = number(arguments.mass_mg, values)
    doses = []
    for substance, fraction in zip(mixture.substances, mixture.mass_fractions, strict=True):
        mass = round(fraction * total / DOSE_STEP_MG) * DOSE_STEP_MG
        mass = round(mass, 6)
        tolerance = round(mass * lab.dispenser.tolerance_percent / 100.0, 6)
        doses.append(Dose(substance, mass, tolerance))
    return tuple(doses)


def profile_of(arguments: HeatArguments, values: Mapping[str, Value]) -> HeatProfile:
    """Temperature profile of a heat step.

    Raises:
        BindingError: an argument has no value.
    """
    return HeatProfile(
        segments=(
            HeatSegment(
                target_c=number(arguments.temperature_c, values),
                ramp_c_per_min=number(arguments.ramp_c_per_min, values),
                dwell_min=round(60.0 * number(arguments.dwell_h, values), 6),
            ),
        ),
        unload_below_c=number(arguments.unload_below_c, values),
        atmosphere=arguments.atmosphere,
    )


def check_binding(plan: CampaignPlan, lab: LabConfig, settings: Sequence[Setting]) -> None:
    """Bind every step once, so that settings that cannot be carried out are refused early.

    Raises:
        BindingError: a step's argument has no usable value.
    """
    values = values_of(plan, settings)
    for step in plan.recipe.steps:
        _check_step(plan, lab, step, values)


def _check_step(
    plan: CampaignPlan, lab: LabConfig, step: Step, values: Mapping[str, Value]
) -> None:
    arguments = step.arguments
    if isinstance(arguments, DispenseArguments):
        doses_of(plan, lab, arguments, values)
        number(arguments.mix_min, values)
    elif isinstance(arguments, HeatArguments):
        profile_of(arguments, values)
    elif isinstance(arguments, MeasureArguments):
        text(arguments.program, values)
    elif isinstance(arguments, AnalyseArguments):
        text(arguments.target, values)
